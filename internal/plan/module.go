package plan

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"

	"github.com/slipway-ci/slipway/internal/fault"
	"github.com/slipway-ci/slipway/internal/source"
)

// gomod is a go.mod file that was read.
type gomod struct {
	dir  string // relative to the source
	file *modfile.File
}

// workset is what the Go command works on: one main module, or a workspace of several.
type workset struct {
	dir     string // where commands run: the directory of go.work, else of go.mod
	work    *modfile.WorkFile
	modules []gomod // the main modules, in go.work's order
	vendor  bool
}

// tree is a source tree, with the faults of what it reads.
type tree struct {
	fs.FS
	faults *fault.Faults
}

func (t tree) add(field, value, problem, hint string) { t.faults.Add(field, value, problem, hint) }

// ReadFile, ReadDir and Stat are those of the source, where it has them: to open a file for its state takes longer.
func (t tree) ReadFile(name string) ([]byte, error)       { return fs.ReadFile(t.FS, name) }
func (t tree) ReadDir(name string) ([]fs.DirEntry, error) { return fs.ReadDir(t.FS, name) }
func (t tree) Stat(name string) (fs.FileInfo, error)      { return fs.Stat(t.FS, name) }

// exists reports whether there is something of that name, if only a link that must not be followed: reading it says so.
func (t tree) exists(name string) bool {
	_, err := fs.Stat(t, name)
	return err == nil || errors.Is(err, source.ErrOutside)
}

// unreadable adds the fault that a file cannot be read.
func (t tree) unreadable(field string, err error) {
	problem, hint := source.Describe(err)
	t.add(field, "", problem, hint)
}

// read returns a file's content, nil where there is none; any other trouble is a fault.
func (t tree) read(name string) []byte {
	data, err := fs.ReadFile(t, name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.unreadable(name, err)
	}
	return data
}

// findWorkset finds what is in charge of the directory dir: the nearest go.work at or above it within the source, else the
// nearest go.mod. It is nil where there is neither, or where one has a fault.
func (t tree) findWorkset(dir string) *workset {
	if at, ok := t.nearest(dir, "go.work"); ok {
		return t.readWork(at)
	}
	at, ok := t.nearest(dir, "go.mod")
	if !ok {
		return nil
	}
	mod, ok := t.readMod(at)
	if !ok {
		return nil
	}
	return t.withVendor(&workset{dir: at, modules: []gomod{mod}})
}

// nearest is the first directory that has the file, from dir upwards.
func (t tree) nearest(dir, file string) (string, bool) {
	for ; ; dir = path.Dir(dir) {
		if t.exists(path.Join(dir, file)) {
			return dir, true
		}
		if dir == "." {
			return "", false
		}
	}
}

func (t tree) readWork(dir string) *workset {
	name := path.Join(dir, "go.work")
	work, err := modfile.ParseWork(name, t.read(name), nil)
	if err != nil {
		t.add(name, "", syntaxError(name, err), "mend it; go work edit -fmt checks the file")
		return nil
	}
	b := &workset{dir: dir, work: work}
	for _, use := range work.Use {
		at, ok := inside(dir, use.Path)
		if !ok {
			t.add(name, use.Path, "the workspace uses a module outside the source", "give slipway a directory that holds both")
			return nil
		}
		mod, ok := t.readMod(at)
		if !ok {
			return nil
		}
		b.modules = append(b.modules, mod)
	}
	if len(b.modules) == 0 {
		t.add(name, "", "the workspace uses no module", "add one with go work use ./DIR")
		return nil
	}
	return t.withVendor(b)
}

func (t tree) readMod(dir string) (gomod, bool) {
	name := path.Join(dir, "go.mod")
	if !t.exists(name) {
		t.add(name, "", "go.work names this module, but it is not there", "add it, or take it out with go work edit -dropuse")
		return gomod{}, false
	}
	file, err := modfile.Parse(name, t.read(name), nil)
	if err != nil {
		t.add(name, "", syntaxError(name, err), "mend it; go mod edit -fmt checks the file")
		return gomod{}, false
	}
	if file.Module == nil {
		t.add(name, "", "no module line", "add one with go mod edit -module example.com/name")
		return gomod{}, false
	}
	return gomod{dir, file}, true
}

// withVendor sets whether the Go command would use a vendor directory: it does if there is one that go mod vendor made for the
// module, or go work vendor for the workspace, and a go line of 1.14 or newer.
// Sources: https://go.dev/ref/mod#vendoring; setDefaultBuildMod of cmd/go/internal/modload
func (t tree) withVendor(b *workset) *workset {
	list := path.Join(b.dir, "vendor", "modules.txt")
	_, goLine, _ := b.goLines()
	if goLine == nil || compareGo(goLine.Version, "1.14") < 0 || !t.exists(list) {
		return b
	}
	first, _, _ := strings.Cut(string(t.read(list)), "\n")
	notes, _ := strings.CutPrefix(first, "## ")
	ofWorkspace := slices.ContainsFunc(strings.Split(notes, ";"), func(note string) bool { return strings.TrimSpace(note) == "workspace" })
	b.vendor = ofWorkspace == (b.work != nil)
	return b
}

// goLines returns the lines that choose a version of Go, and their file. Either line may be nil.
func (b *workset) goLines() (file string, goLine *modfile.Go, toolchain *modfile.Toolchain) {
	if b.work != nil {
		return path.Join(b.dir, "go.work"), b.work.Go, b.work.Toolchain
	}
	return path.Join(b.dir, "go.mod"), b.modules[0].file.Go, b.modules[0].file.Toolchain
}

// syntaxError is the first line of what modfile says, as "line 4: …": the rest is what follows from it.
func syntaxError(name string, err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return "line " + strings.TrimPrefix(line, name+":")
}

// inside joins a local path of a file in dir, and reports whether it stays within the source.
func inside(dir, local string) (string, bool) {
	if path.IsAbs(local) || strings.Contains(local, `\`) {
		return "", false
	}
	joined := path.Join(dir, local)
	return joined, joined != ".." && !strings.HasPrefix(joined, "../")
}

// goVersion decides the version of Go: the setting, else the toolchain line, else the go line, of go.work where there is
// one. from says which it was.
func (t tree) goVersion(b *workset, setting string) (version, from string) {
	file, goLine, toolchain := b.goLines()
	asked, field := setting, "go"
	switch {
	case setting != "" && setting != latestPatch:
		from = "--go"
	case toolchain != nil && toolchain.Name != "default":
		asked, field, from = toolchain.Name, file, "the toolchain line of "+file
	case goLine != nil:
		asked, field, from = goLine.Version, file, "the go line of "+file
	default:
		t.add(file, "", "no go line, so nothing says which Go to use", "add one with go mod edit -go="+newestGo()+", or set --go to a version")
		return "", ""
	}
	version, err := exactGo(asked)
	if err != nil {
		t.add(field, asked, err.Error(), "")
		return "", ""
	}
	if newest := newestPatchOf(version); setting == latestPatch && newest != "" {
		return newest, fmt.Sprintf("--go %s, and %s, which says %s", latestPatch, from, version)
	}
	if version != strings.TrimPrefix(asked, "go") {
		from = fmt.Sprintf("%s (%s, its newest patch release)", from, strings.TrimPrefix(asked, "go"))
	}
	if goLine != nil && compareGo(version, goLine.Version) < 0 {
		t.add("go", version, "older than the go line of "+file+" allows", "choose "+goLine.Version+" or newer")
	}
	return version, from
}

// home returns the directory of the module that dir belongs to, empty for none, and reports whether the workspace leaves that out.
func (t tree) home(b *workset, dir string) (home string, unused bool) {
	home, ok := t.nearest(dir, "go.mod")
	if !ok {
		return "", false
	}
	uses := func(m gomod) bool { return m.dir == home }
	return home, b.work != nil && within(b.dir, home) && !slices.ContainsFunc(b.modules, uses)
}

// importPath is the path of the package in dir, of the main module that dir belongs to.
func (b *workset) importPath(dir string) (importPath, modulePath string, ok bool) {
	best := -1
	for i, m := range b.modules {
		if within(m.dir, dir) && (best < 0 || len(m.dir) > len(b.modules[best].dir)) {
			best = i
		}
	}
	if best < 0 {
		return "", "", false
	}
	m := b.modules[best]
	modulePath = m.file.Module.Mod.Path
	return path.Join(modulePath, relative(m.dir, dir)), modulePath, true
}

// within reports whether dir is parent or below it.
func within(parent, dir string) bool {
	return parent == "." || dir == parent || strings.HasPrefix(dir, parent+"/")
}

// relative is dir as seen from parent, which it is within.
func relative(parent, dir string) string {
	if parent == dir {
		return "."
	}
	if parent == "." {
		return dir
	}
	return strings.TrimPrefix(dir, parent+"/")
}

// programName is what go build calls the executable of a main package: the last element of its path, leaving out a
// major version. Source: the Go command's DefaultExecName; https://go.dev/ref/mod#major-version-suffixes
func programName(importPath string) string {
	if prefix, major, ok := module.SplitPathVersion(importPath); ok && strings.HasPrefix(major, "/") {
		importPath = prefix
	}
	return path.Base(importPath)
}
