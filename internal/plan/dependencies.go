package plan

import (
	"errors"
	"io/fs"
	"path"
	"slices"

	"golang.org/x/mod/modfile"

	"github.com/slipway-ci/slipway/internal/source"
)

// replacement is a replace line, and the directory and the name of the file that it stands in.
type replacement struct {
	dir, file string
	*modfile.Replace
}

// replacements are the replace lines that count: a line of go.work overrides those of modules, and a main module is not replaced.
// Source: https://go.dev/ref/mod#go-work-file-replace
func (b *workset) replacements() []replacement {
	var all []replacement
	if b.work != nil {
		for _, r := range b.work.Replace {
			all = append(all, replacement{b.dir, path.Join(b.dir, "go.work"), r})
		}
	}
	ofWork := all
	for _, m := range b.modules {
		for _, r := range m.file.Replace {
			overrides := func(w replacement) bool {
				return w.Old.Path == r.Old.Path && (w.Old.Version == "" || w.Old.Version == r.Old.Version)
			}
			if !slices.ContainsFunc(ofWork, overrides) {
				all = append(all, replacement{m.dir, path.Join(m.dir, "go.mod"), r})
			}
		}
	}
	return slices.DeleteFunc(all, func(r replacement) bool {
		return slices.ContainsFunc(b.modules, func(m gomod) bool { return m.file.Module.Mod.Path == r.Old.Path })
	})
}

// dependencyFiles are the files that go mod download and go mod verify read: of the main modules, of the workspace, and
// of modules that a replace line takes from a directory.
func (t tree) dependencyFiles(b *workset) []string {
	var files []string
	add := func(dir string, names ...string) {
		for _, name := range names {
			file := path.Join(dir, name)
			if _, err := fs.Stat(t, file); err == nil {
				files = append(files, file)
			} else if errors.Is(err, source.ErrOutside) {
				t.unreadable(file, err)
			}
		}
	}
	if b.work != nil {
		add(b.dir, "go.work", "go.work.sum")
	}
	for _, m := range b.modules {
		add(m.dir, "go.mod", "go.sum")
	}
	for _, r := range b.replacements() {
		if modfile.IsDirectoryPath(r.New.Path) {
			if dir, ok := inside(r.dir, r.New.Path); ok {
				add(dir, "go.mod", "go.sum")
			}
		}
	}
	slices.Sort(files)
	return slices.Compact(files)
}

// attempt is a shell's command that runs a Go command on modules. It fails only if a module differs from go.sum. A module that cannot be
// downloaded fails go build, if that needs it. go mod verify starts lines about altered modules with path and version.
func attempt(command []string) string {
	return `out=$(` + shellLine(command) + ` 2>&1) || { echo "$out" >&2; ! echo "$out" | grep -q -e 'SECURITY ERROR' -e '^[^ :]* v[^ ]*: '; }`
}

// DownloadScript is Download for a shell. It succeeds where modules cannot be had: go build fails if it needs them.
func (d Dependencies) DownloadScript() string { return attempt(d.Download) }

// VerifyScript is Verify for a shell. It verifies what DownloadScript has brought.
func (d Dependencies) VerifyScript() string { return attempt(d.Verify) }

// localModules are the directories of the modules that are in the source, by their paths.
func (b *workset) localModules() map[string]string {
	local := map[string]string{}
	for _, r := range b.replacements() {
		if modfile.IsDirectoryPath(r.New.Path) {
			local[r.Old.Path] = path.Join(r.dir, r.New.Path)
		}
	}
	for _, m := range b.modules {
		local[m.file.Module.Mod.Path] = m.dir
	}
	return local
}

// downloaded are the arguments of go mod download for programs. Without any, it takes what go.mod lists, but in a workspace all modules that any
// of its modules leads to, most of which no package needs. There, those are named that the go.mod files of the programs' modules list, and of
// the workspace's modules that these require; or, so that go.work.sum is completed, a program's own module where that is none. Before go 1.17,
// a go.mod file does not list all that its packages need. What another module's newer requirements make packages need besides, go build
// downloads. Source: https://go.dev/ref/mod#go-mod-download
func (b *workset) downloaded(programs []Program) []string {
	if b.work == nil {
		return nil
	}
	local := b.localModules()
	var paths, members []string
	for _, p := range programs {
		members = append(members, p.Module)
	}
	for i := 0; i < len(members); i++ {
		at := slices.IndexFunc(b.modules, func(m gomod) bool { return m.file.Module.Mod.Path == members[i] })
		if at < 0 {
			continue // a replace line has it in a directory
		}
		file := b.modules[at].file
		if file.Go == nil || compareGo(file.Go.Version, "1.17") < 0 {
			return nil
		}
		for _, r := range file.Require {
			if _, ok := local[r.Mod.Path]; !ok {
				paths = append(paths, r.Mod.Path)
			} else if !slices.Contains(members, r.Mod.Path) {
				members = append(members, r.Mod.Path)
			}
		}
	}
	if paths == nil {
		return members[:1]
	}
	return sorted(paths)
}

// needsModules reports whether anything has to be downloaded.
func (b *workset) needsModules() bool {
	local := b.localModules()
	for _, m := range b.modules {
		for _, require := range m.file.Require {
			if _, ok := local[require.Mod.Path]; !ok {
				return true
			}
		}
	}
	return false
}

// checkModules faults what would otherwise fail late: a replace line that leads to nothing in the source, and a
// missing go.sum, without which no module can be verified. Since go 1.17 the Go command accepts both unless a package of the module
// is needed, and in a workspace it completes go.work.sum itself. Source: https://go.dev/ref/mod#lazy-loading
func (r resolver) checkModules(b *workset, version string, programs []Program) {
	sum := path.Join(b.modules[0].dir, "go.sum")
	noSum := b.work == nil && b.needsModules() && !r.exists(sum)
	broken := slices.DeleteFunc(b.replacements(), func(line replacement) bool {
		dir, ok := inside(line.dir, line.New.Path)
		return !modfile.IsDirectoryPath(line.New.Path) || ok && r.exists(path.Join(dir, "go.mod"))
	})
	if b.vendor || !noSum && len(broken) == 0 {
		return
	}
	missing := r.missing(b, version, programs)
	needed := func(modulePath string) bool {
		return slices.ContainsFunc(b.modules, func(m gomod) bool {
			required := func(q *modfile.Require) bool { return q.Mod.Path == modulePath }
			imported := func(importPath string) bool { return within(modulePath, importPath) }
			eager := m.file.Go == nil || compareGo(m.file.Go.Version, "1.17") < 0
			return slices.ContainsFunc(m.file.Require, required) && (eager || slices.ContainsFunc(missing, imported))
		})
	}
	for _, line := range broken {
		if !needed(line.Old.Path) {
			continue
		}
		if _, ok := inside(line.dir, line.New.Path); !ok {
			r.add(line.file, line.New.Path, "the replace line leads outside the source", "give slipway a directory that holds both, with --package for the program")
		} else {
			r.add(line.file, line.New.Path, "the replace line leads to a directory without a go.mod", "correct the path, or drop the line with go mod edit -dropreplace")
		}
	}
	local := b.localModules()
	for _, required := range b.modules[0].file.Require {
		if _, ok := local[required.Mod.Path]; noSum && !ok && needed(required.Mod.Path) {
			r.add(sum, "", "it is missing, and go.mod requires modules", "run go mod tidy and commit the file")
		}
	}
}

// missing are the import paths of packages that the programs need and that are in no directory of the source.
func (r resolver) missing(b *workset, version string, programs []Program) []string {
	var missing []string
	for _, platform := range r.settings.platforms {
		pkgs := r.newPackages(version, platform)
		var dirs []string
		for _, program := range programs {
			dirs = append(dirs, path.Join(b.dir, program.Package))
		}
		for i := 0; i < len(dirs); i++ {
			pkg, _ := pkgs.context.ImportDir(dirs[i], 0) // the Go command reports what is wrong with the files
			for _, importPath := range pkg.Imports {
				dir, local := b.localPackage(importPath)
				switch {
				case !local || !r.exists(dir):
					missing = append(missing, importPath)
				case !slices.Contains(dirs, dir):
					dirs = append(dirs, dir)
				}
			}
		}
	}
	return sorted(missing)
}
