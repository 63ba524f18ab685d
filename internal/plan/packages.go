package plan

import (
	"errors"
	"fmt"
	"go/build"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"golang.org/x/mod/module"

	"github.com/slipway-ci/slipway/internal/source"
)

// packages finds main packages. Nothing is run and nothing of a Go file is read past its imports.
type packages struct {
	tree
	context build.Context
}

// newPackages reads the source as Go of that version does when compiling for p. go/build's defaults would depend on
// the Go that Slipway was compiled with.
func (r resolver) newPackages(goVersion string, p Platform) packages {
	t := r.tree
	var releases, experiments []string
	for _, word := range r.experiments {
		experiments = append(experiments, "goexperiment."+word)
	}
	for minor := 1; compareGo(fmt.Sprintf("1.%d", minor), goVersion) <= 0; minor++ {
		releases = append(releases, fmt.Sprintf("go1.%d", minor))
	}
	return packages{t, build.Context{
		GOOS: p.OS, GOARCH: p.Architecture, Compiler: "gc", CgoEnabled: r.cgo != "",
		BuildTags: r.tags, ReleaseTags: releases, ToolTags: experiments,
		JoinPath:  path.Join,
		IsAbsPath: path.IsAbs,
		IsDir: func(name string) bool {
			info, err := fs.Stat(t, name)
			return err == nil && info.IsDir()
		},
		HasSubdir: func(string, string) (string, bool) { return "", false },
		ReadDir: func(dir string) ([]fs.FileInfo, error) {
			entries, err := fs.ReadDir(t, dir)
			if err != nil {
				return nil, err
			}
			infos := make([]fs.FileInfo, 0, len(entries))
			for _, e := range entries {
				if !strings.HasSuffix(e.Name(), ".go") || !read(e.Name()) {
					continue
				}
				name := path.Join(dir, e.Name())
				if info, err := fs.Stat(t, name); err == nil {
					infos = append(infos, info)
				} else if errors.Is(err, source.ErrOutside) {
					t.unreadable(name, err)
				}
			}
			return infos, nil
		},
		OpenFile: func(name string) (io.ReadCloser, error) { return t.Open(name) },
	}}
}

// name is the name of the package in dir, "" where there is none for this platform.
func (p packages) name(dir string) (string, error) {
	pkg, err := p.context.ImportDir(dir, 0)
	if noGo := (*build.NoGoError)(nil); errors.As(err, &noGo) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	if len(pkg.GoFiles)+len(pkg.CgoFiles) == 0 {
		return "", nil // nothing but tests
	}
	return pkg.Name, nil
}

// mains are the directories of the main packages of b's modules that a user may mean, sorted.
func (p packages) mains(b *workset) ([]string, error) {
	var mains []string
	dirs, err := p.directories(b)
	for _, dir := range dirs {
		// A directory that the Go command itself would refuse is no candidate; naming it with --package says why.
		if why, _ := b.refused(dir); why != "" {
			continue
		}
		if name, err := p.name(dir); err == nil && name == "main" {
			mains = append(mains, dir)
		}
	}
	// Programs in a directory called internal are a module's own tools: they count only where there are no others.
	public := slices.DeleteFunc(slices.Clone(mains), func(dir string) bool { return slices.Contains(strings.Split(dir, "/"), "internal") })
	if len(public) > 0 {
		return public, err
	}
	return mains, err
}

// directories are those of b's modules that "./..." stands for, sorted.
func (p packages) directories(b *workset) ([]string, error) {
	var dirs []string
	for _, m := range b.modules {
		ignored := map[string]bool{}
		for _, i := range m.file.Ignore {
			ignored[i.Path] = true
		}
		err := fs.WalkDir(p, m.dir, func(dir string, e fs.DirEntry, err error) error {
			if err != nil || !e.IsDir() {
				return err
			}
			if dir != m.dir && (skipped(e.Name()) || p.exists(path.Join(dir, "go.mod")) ||
				ignored["./"+relative(m.dir, dir)] || ignored[relative(m.dir, dir)] || ignored[e.Name()]) {
				return fs.SkipDir
			}
			dirs = append(dirs, dir)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return sorted(dirs), nil
}

// refused reports that the Go command takes no package from the directory, because of its name, and what mends it; both are empty
// where it does. Source: module.CheckImportPath, and cmd/go/internal/load, SafeArg
func (b *workset) refused(dir string) (why, how string) {
	importPath, modulePath, _ := b.importPath(dir)
	how = "rename it: a name has letters of ASCII, digits and . _ - ~ +, with no - at its beginning and no . at its end"
	switch err := (*module.InvalidPathError)(nil); {
	case within(path.Join(modulePath, "vendor"), importPath):
		return "is in the vendor directory, which holds packages of other modules", "name a directory of the module's own"
	case strings.HasPrefix(path.Base(dir), "-"):
		return "has a name that the Go command refuses", how
	case errors.As(module.CheckImportPath(importPath), &err):
		return "has a name that the Go command refuses (" + err.Err.Error() + ")", how
	}
	return "", ""
}

// skipped reports whether "./..." leaves a directory of that name out. Source: go help packages
func skipped(name string) bool {
	return strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata" || name == "vendor"
}
