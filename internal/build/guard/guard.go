// Package guard inspects compiled programs before they go into an image, so that one that cannot run there fails the build and not
// in production. Nothing is executed: the ELF file and its build information say enough.
package guard

import (
	"debug/buildinfo"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/semver"

	"github.com/slipway-ci/slipway/internal/fault"
	"github.com/slipway-ci/slipway/internal/plan"
)

// machines are the ELF headers of Go's architectures. Source: https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html
var machines = map[string]struct {
	machine elf.Machine
	class   elf.Class
	data    elf.Data
}{
	"386":      {elf.EM_386, elf.ELFCLASS32, elf.ELFDATA2LSB},
	"amd64":    {elf.EM_X86_64, elf.ELFCLASS64, elf.ELFDATA2LSB},
	"arm":      {elf.EM_ARM, elf.ELFCLASS32, elf.ELFDATA2LSB},
	"arm64":    {elf.EM_AARCH64, elf.ELFCLASS64, elf.ELFDATA2LSB},
	"loong64":  {elf.EM_LOONGARCH, elf.ELFCLASS64, elf.ELFDATA2LSB},
	"mips64le": {elf.EM_MIPS, elf.ELFCLASS64, elf.ELFDATA2LSB},
	"ppc64le":  {elf.EM_PPC64, elf.ELFCLASS64, elf.ELFDATA2LSB},
	"riscv64":  {elf.EM_RISCV, elf.ELFCLASS64, elf.ELFDATA2LSB},
	"s390x":    {elf.EM_S390, elf.ELFCLASS64, elf.ELFDATA2MSB},
}

// CheckAll checks all programs of plan in the directory dir, where they were compiled for one platform. It returns their size
// in bytes, of all together.
func CheckAll(dir string, plan *plan.Plan, compile plan.Compile) (size int64, err error) {
	var faults []error
	for _, program := range plan.Programs {
		f, err := os.Open(filepath.Join(dir, program.Name))
		if err != nil {
			return 0, fmt.Errorf("go build left no program %s: %w", program.Name, err)
		}
		info, err := f.Stat()
		if err == nil {
			size += info.Size()
			err = Check(f, plan, compile, program)
		}
		faults = append(faults, err, f.Close())
	}
	return size, errors.Join(faults...)
}

// Check says what is wrong with a program that was compiled for one platform of plan. The error names every fault, each
// with what mends it.
func Check(binary io.ReaderAt, p *plan.Plan, compile plan.Compile, program plan.Program) error {
	file, err := elf.NewFile(binary)
	if err != nil {
		return fmt.Errorf("%s for %s is not a Linux program: %w", program.Name, compile.Platform, err)
	}
	info, err := buildinfo.Read(binary)
	if err != nil {
		return fmt.Errorf("%s for %s does not say how it was built: %w: it must be compiled by Go with modules", program.Name, compile.Platform, err)
	}
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fault.Sentence(fmt.Sprintf("%s for %s "+format, append([]any{program.Name, compile.Platform}, args...)...)))
	}

	want := machines[compile.Platform.Architecture]
	if file.Machine != want.machine || file.Class != want.class || file.Data != want.data {
		fault("was compiled for %s %s %s: report it as a bug", file.Machine, file.Class, file.Data)
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	for _, key := range slices.Sorted(maps.Keys(compile.Env)) {
		if got, recorded := settings[key]; recorded && !strings.HasPrefix(got+",", compile.Env[key]+",") {
			fault("was compiled with %s=%s and not %s: report it as a bug", key, got, compile.Env[key])
		}
	}
	if want := p.Env["GOFIPS140"]; want != "" && settings["GOFIPS140"] == "" {
		fault("was compiled without GOFIPS140=%s: report it as a bug", want)
	}
	if v := p.Source.VCS; v != nil && (settings["vcs.revision"] != v.Revision || settings["vcs.time"] != v.Time) {
		fault("is stamped with the commit %q of %q, and not with %s of %s: build again when nobody changes the repository", settings["vcs.revision"], settings["vcs.time"], v.Revision, v.Time)
	}
	// Experiments are appended, as in "go1.26.8-X:jsonv2".
	got, _, _ := strings.Cut(info.GoVersion, " ")
	if got, _, _ = strings.Cut(got, "-X:"); got != "go"+p.Go.Version {
		fault("was compiled by %s and not go%s: check which go is on the PATH", got, p.Go.Version)
	}
	if info.Path != program.ImportPath || info.Main.Path != program.Module {
		fault("is the program %s of the module %s, where the plan has %s of %s: report it as a bug", info.Path, info.Main.Path, program.ImportPath, program.Module)
	}
	switch section := symbols(file); {
	case section == "" && p.Guard.Symbols:
		fault("has no symbols for a debugger: leave -s and -w out of --ldflags")
	case section != "" && !p.Guard.Symbols:
		fault("is not stripped, it has a section %s: leave out what undoes -s -w in --ldflags", section)
	}
	if needs := libraries(file); needs != "" && p.Guard.Static {
		hint := "leave out --ldflags that link dynamically"
		if c := compile.C; c != nil && !c.Static {
			hint = "leave out --cgo, link it with --cgo=static"
		}
		fault("needs %s, which the runtime %s does not have: %s, or choose --runtime %s", needs, p.Guard.Runtime, hint, plan.DistrolessBase)
	}
	shared, _ := file.ImportedLibraries() // an error means no dynamic section
	for _, library := range p.Guard.Lacks {
		if slices.Contains(shared, library) && !places(p, library) {
			fault("needs %s, which the runtime %s does not have: link it in with --ldflags '-extldflags \"-static-libstdc++ -static-libgcc\"' or --cgo=static, or choose a base that has it, like gcr.io/distroless/cc-debian13:nonroot",
				library, p.Guard.Runtime)
		}
	}
	if has := p.Guard.GLIBC; has != "" {
		if needs, symbol := glibc(file); semver.Compare("v"+needs, "v"+has) > 0 {
			fault("needs glibc %s for %s, and the runtime %s has %s: compile where the C library is no newer, as --engine dagger does, or link it with --cgo=static",
				needs, symbol, p.Guard.Runtime, has)
		}
	}
	return errors.Join(faults...)
}

// places reports whether the image gets a file of that name.
func places(p *plan.Plan, name string) bool {
	return slices.ContainsFunc(p.Image.Layers, func(l plan.Layer) bool {
		return slices.ContainsFunc(l.Files, func(f plan.File) bool { return path.Base(f.Path) == name })
	})
}

// glibc is the newest version of glibc that the program takes a symbol from, and that symbol; "" for none.
func glibc(file *elf.File) (version, symbol string) {
	// An error means no dynamic symbols.
	imported, _ := file.ImportedSymbols()
	for _, s := range imported {
		if v, ok := strings.CutPrefix(s.Version, "GLIBC_"); ok && semver.Compare("v"+v, "v"+version) > 0 {
			version, symbol = v, s.Name
		}
	}
	return version, symbol
}

// symbols is the name of a section that stripping removes, if there is one.
func symbols(file *elf.File) string {
	for _, s := range file.Sections {
		if s.Type == elf.SHT_SYMTAB || strings.HasPrefix(s.Name, ".debug_") || strings.HasPrefix(s.Name, ".zdebug_") {
			return s.Name
		}
	}
	return ""
}

// libraries says what the program loads at its start: its interpreter and its shared libraries.
func libraries(file *elf.File) string {
	var needs []string
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP {
			interpreter, err := io.ReadAll(p.Open())
			if err == nil {
				needs = append(needs, strings.TrimRight(string(interpreter), "\x00"))
			}
		}
	}
	// An error means no dynamic section, hence no libraries.
	shared, _ := file.ImportedLibraries()
	return strings.Join(append(needs, shared...), ", ")
}
