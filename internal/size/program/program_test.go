package program_test

import (
	"bytes"
	"debug/buildinfo"
	"debug/elf"
	"go/version"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/size/program"
	"github.com/slipway-ci/slipway/internal/test/testtool"
)

// read reads a program, and checks that all its bytes are there once.
func read(t *testing.T, name string) *program.Program {
	t.Helper()
	f, err := os.Open(name)
	require.NoError(t, err)
	defer f.Close()
	info, err := f.Stat()
	require.NoError(t, err)
	p, err := program.Read(f, info.Size())
	require.NoError(t, err, name)
	assert.Equal(t, info.Size(), p.Size)
	addsUp(t, p)
	return p
}

func sum(parts []program.Part) (total int64) {
	for _, p := range parts {
		total += p.Size
	}
	return total
}

func addsUp(t *testing.T, p *program.Program) {
	t.Helper()
	assert.Equal(t, p.Size, sum(p.Kinds), "by kind")
	total := sum(p.Other)
	for _, m := range p.Modules {
		inPackages := int64(0)
		for _, pkg := range m.Packages {
			inFunctions := sum(pkg.Other)
			for _, f := range pkg.Functions {
				assert.GreaterOrEqual(t, f.Code, int64(0))
				assert.GreaterOrEqual(t, f.Table, int64(0))
				inFunctions += f.Size()
			}
			assert.Equal(t, pkg.Size, inFunctions, pkg.Path)
			inPackages += pkg.Size
		}
		assert.Equal(t, m.Size, inPackages, m.Path)
		total += m.Size
	}
	for _, o := range p.Other {
		assert.Positive(t, o.Size, "%+v", o)
	}
	assert.Equal(t, p.Size, total)
}

func needELF(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		testtool.Skip(t, "a machine whose programs are ELF files")
	}
}

// goPrograms are programs that every machine with Go has, and this test.
func goPrograms(t *testing.T) []string {
	t.Helper()
	needELF(t)
	root, err := exec.Command("go", "env", "GOROOT").Output()
	require.NoError(t, err)
	var all []string
	for _, pattern := range []string{"bin/*", "pkg/tool/*/*"} {
		found, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(root)), filepath.FromSlash(pattern)))
		require.NoError(t, err)
		all = append(all, found...)
	}
	self, err := os.Executable()
	require.NoError(t, err)
	return append(all, self)
}

// The bytes of real programs are all there, and their modules are those that Go reports.
func TestProgramsOfGo(t *testing.T) {
	for _, name := range goPrograms(t) {
		t.Run(filepath.Base(name), func(t *testing.T) { check(t, name) })
	}
}

// So they are of programs that others have written, which Debian or .ci/run has built: with and without symbols, and by old versions of Go.
func TestPublicPrograms(t *testing.T) {
	needELF(t)
	for name, pkg := range map[string]string{
		"cosign": "", "cosign2": "", "oras": "", "gofumpt": "", "staticcheck": "", "actionlint": "",
		"skopeo": "skopeo", "umoci": "umoci", "runc": "runc", "docker-registry": "docker-registry",
	} {
		t.Run(name, func(t *testing.T) {
			if pkg == "" {
				pkg = "as .ci/run builds it"
			}
			check(t, testtool.Need(t, name, pkg))
		})
	}
}

// check checks what is read of a program.
func check(t *testing.T, name string) {
	t.Helper()
	p := read(t, name)
	info, err := buildinfo.ReadFile(name)
	require.NoError(t, err)
	assert.Equal(t, info.Path, p.Package)
	assert.Equal(t, info.GoVersion, p.Go)
	want := []string{"std " + info.GoVersion + " "}
	if info.Main.Path != "" {
		want = append(want, info.Main.Path+" "+info.Main.Version+" ")
	}
	for _, m := range info.Deps {
		line := m.Path + " " + m.Version + " "
		if m.Replace != nil {
			line += strings.TrimSuffix(m.Replace.Path+"@"+m.Replace.Version, "@")
		}
		want = append(want, line)
	}
	var got []string
	for _, m := range p.Modules {
		if m.Path != "" { // of a test, whose main package is in none
			got = append(got, m.Path+" "+m.Version+" "+m.Replace)
		}
	}
	assert.ElementsMatch(t, want, got)
	// Most of what could be attributed was: all but the rows for symbols, debug data and the like.
	assert.Greater(t, kind(p, program.Code), int64(0))
	if version.Compare(info.GoVersion, "go1.20") < 0 {
		return // its code is in one row
	}
	assert.Less(t, other(p, program.Code), kind(p, program.Code)/50)
	assert.Less(t, other(p, program.FunctionTable), kind(p, program.FunctionTable)/6)
}

func kind(p *program.Program, k program.Kind) int64  { return ofKind(p.Kinds, k) }
func other(p *program.Program, k program.Kind) int64 { return ofKind(p.Other, k) }

func ofKind(parts []program.Part, k program.Kind) (total int64) {
	for _, p := range parts {
		if p.Kind == k {
			total += p.Size
		}
	}
	return total
}

// build compiles a program with embedded files, a generic function, types and a package of its own.
func build(t *testing.T, env []string, flags ...string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"go.mod":          "module example.com/hello.world\n\ngo 1.26.0\n",
		"main.go":         "package main\n\nimport (\n\t\"embed\"\n\t\"fmt\"\n\n\t\"example.com/hello.world/in.ner\"\n)\n\n//go:embed static\nvar files embed.FS\n\nfunc main() {\n\tf, _ := files.ReadFile(\"static/a.txt\")\n\tfmt.Println(len(f), inner.Sum(inner.List[int]{1, 2}), fmt.Sprint(inner.Named{Question: 7}))\n}\n",
		"in.ner/inner.go": "package inner\n\ntype List[T any] []T\n\ntype Named struct{ Question int }\n\nfunc (n Named) String() string { return \"named\" }\n\n//go:noinline\nfunc Sum[T int | float64](l List[T]) (s T) {\n\tfor _, x := range l {\n\t\ts += x\n\t}\n\treturn s\n}\n",
		"static/a.txt":    strings.Repeat("a", 3000),
		"static/b/c.txt":  strings.Repeat("c", 5000),
	} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644))
	}
	out := filepath.Join(dir, "hello")
	cmd := exec.Command("go", append([]string{"build", "-trimpath", "-o", out}, append(flags, ".")...)...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "GOFLAGS=", "GOWORK=off", "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64"), env...)
	text, err := cmd.CombinedOutput()
	require.NoError(t, err, string(text))
	return out
}

const stripped = "-ldflags=-s -w"

// What is known of the program of build, whatever it was compiled for.
func checkHello(t *testing.T, p *program.Program) {
	t.Helper()
	i := slices.IndexFunc(p.Modules, func(m *program.Module) bool { return m.Path == "example.com/hello.world" })
	require.GreaterOrEqual(t, i, 0)
	packages := map[string]*program.Package{}
	for _, pkg := range p.Modules[i].Packages {
		packages[pkg.Path] = pkg
	}
	names := func(pkg string) (all []string) {
		require.Contains(t, packages, pkg)
		for _, f := range packages[pkg].Functions {
			assert.Positive(t, f.Code, f.Name)
			assert.Positive(t, f.Table, f.Name)
			all = append(all, f.Name)
		}
		return all
	}
	assert.Contains(t, names("example.com/hello.world"), "main")
	inner := names("example.com/hello.world/in.ner")
	assert.Contains(t, inner, "(*Named).String")
	assert.Contains(t, inner, "Sum[go.shape.int]")
	assert.Positive(t, ofKind(packages["example.com/hello.world/in.ner"].Other, program.TypeData))
	assert.Equal(t, int64(8000), kind(p, program.EmbeddedFiles))
	for name, size := range map[string]int64{"static/a.txt": 3000, "static/b/c.txt": 5000} {
		file := program.Part{Kind: program.EmbeddedFiles, Name: name, Size: size}
		assert.True(t, slices.Contains(p.Other, file) || slices.Contains(packages["example.com/hello.world"].Other, file), name)
	}
	// Assembly without a package in its names is that of others in its directory.
	for _, m := range p.Modules {
		for _, pkg := range m.Packages {
			for _, f := range pkg.Functions {
				if f.Name == "memeqbody" {
					assert.Equal(t, "internal/bytealg", pkg.Path)
				}
			}
		}
	}
}

func TestStripped(t *testing.T) {
	small := read(t, build(t, nil, stripped))
	checkHello(t, small)
	assert.Zero(t, kind(small, program.Symbols)+kind(small, program.DebugData))
	big := read(t, build(t, nil))
	checkHello(t, big)
	assert.Positive(t, kind(big, program.Symbols))
	assert.Positive(t, kind(big, program.DebugData))
	assert.Equal(t, kind(small, program.Code), kind(big, program.Code))
	// Symbols say whose the data is.
	assert.Less(t, other(big, program.Data), other(small, program.Data))
}

// A position-independent program has its pointers elsewhere.
func TestPositionIndependent(t *testing.T) {
	checkHello(t, read(t, build(t, nil, stripped, "-buildmode=pie")))
}

func TestLinkedByC(t *testing.T) {
	testtool.Need(t, "gcc", "gcc")
	if runtime.GOARCH != "amd64" {
		testtool.Skip(t, "a machine of the type linux/amd64")
	}
	for _, mode := range []string{"exe", "pie"} {
		t.Run(mode, func(t *testing.T) {
			p := read(t, build(t, []string{"CGO_ENABLED=1"}, "-ldflags=-s -w -linkmode=external", "-buildmode="+mode))
			checkHello(t, p)
			assert.Positive(t, kind(p, program.Linking))
		})
	}
}

// Programs of 32 bits, and those whose numbers begin with the big end.
func TestEveryArchitecture(t *testing.T) {
	testtool.NeedTime(t, "the standard library is compiled for four architectures")
	for _, arch := range []string{"386", "arm64", "mips", "s390x"} {
		t.Run(arch, func(t *testing.T) {
			checkHello(t, read(t, build(t, []string{"GOARCH=" + arch}, stripped)))
		})
	}
}

func TestNoProgramOfGo(t *testing.T) {
	_, err := program.Read(strings.NewReader("#!/bin/sh\n"), 10)
	require.ErrorContains(t, err, "reading an ELF file: the file is damaged or incomplete")
	_, err = program.Read(strings.NewReader(strings.Repeat("#!/bin/sh\n", 10)), 100)
	require.ErrorContains(t, err, "reading an ELF file: bad magic number")
	_, err = program.Read(strings.NewReader(""), 0)
	require.ErrorContains(t, err, "reading an ELF file")
	if runtime.GOOS == "linux" {
		sh, err := os.ReadFile("/bin/sh")
		require.NoError(t, err)
		_, err = program.Read(bytes.NewReader(sh), int64(len(sh)))
		require.ErrorIs(t, err, program.ErrNotGo)
	}
}

// Half a program is an error.
func TestIncomplete(t *testing.T) {
	raw, err := os.ReadFile(build(t, nil, stripped))
	require.NoError(t, err)
	_, err = program.Read(bytes.NewReader(raw[:len(raw)/2]), int64(len(raw)/2))
	require.ErrorContains(t, err, "the file is damaged or incomplete")
}

// Whatever is damaged, the bytes add up, or there is an error.
func FuzzRead(f *testing.F) {
	dir := f.TempDir()
	out := filepath.Join(dir, "hello")
	require.NoError(f, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.com/hello\n\ngo 1.26.0\n"), 0o644))
	require.NoError(f, os.WriteFile(filepath.Join(dir, "main.go"), []byte("package main\n\nfunc main() {}\n"), 0o644))
	cmd := exec.Command("go", "build", "-trimpath", stripped, "-o", out, ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off", "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	text, err := cmd.CombinedOutput()
	require.NoError(f, err, string(text))
	raw, err := os.ReadFile(out)
	require.NoError(f, err)
	file, err := elf.NewFile(bytes.NewReader(raw))
	require.NoError(f, err)
	// Where damage matters more than elsewhere: the headers, and what leads to everything else.
	places := [][2]int{{0, len(raw)}, {0, 4096}}
	for _, name := range []string{".gopclntab", ".go.module", ".rodata", ".typelink", ".itablink"} {
		if s := file.Section(name); s != nil {
			places = append(places, [2]int{int(s.Offset), min(int(s.FileSize), 8192)})
		}
	}
	for place := range places {
		f.Add(byte(place), uint16(8), byte(0xff), byte(1), uint16(5), byte(0x7f))
	}
	f.Fuzz(func(t *testing.T, place1 byte, at1 uint16, value1, place2 byte, at2 uint16, value2 byte) {
		damaged := slices.Clone(raw)
		damage := func(place byte, at uint16, value byte) {
			p := places[int(place)%len(places)]
			damaged[p[0]+int(at)%p[1]] = value
		}
		damage(place1, at1, value1)
		damage(place2, at2, value2)
		p, err := program.Read(bytes.NewReader(damaged), int64(len(damaged)))
		if err == nil {
			addsUp(t, p)
		}
	})
}
