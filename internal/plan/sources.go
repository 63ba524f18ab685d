package plan

import (
	"bytes"
	"errors"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/slipway-ci/slipway/internal/source"
)

// goReads are patterns of the files that go build may read wherever they are. Source: go/build, goodOSArchFile's
// knownFiletype; https://go.dev/doc/pgo for default.pgo.
var goReads = []string{
	"**/*.go", "**/*.[cmhsSfF]", "**/*.c[cpx]*", "**/*.h[hpx]*", "**/*.f[o9]*", "**/*.s[wxy]*",
	"**/go.mod", "**/go.sum", "**/go.work", "**/go.work.sum", "**/default.pgo",
}

// compiledFiles are patterns of everything that compiling reads of the source, so that an edit of anything else compiles nothing.
// They are nil, for all of it, where that cannot be said: cgo may include and link what it wants, go generate may read and write
// what it wants, what a prebuild makes is not there yet, and an import may lead through a symbolic link. That the Go command would follow a link out of the source is a fault.
func (r resolver) compiledFiles(work *workset) ([]string, error) {
	scan, ok := r.scans[work.dir]
	if !ok {
		scan = sync.OnceValue(func() scanned { return r.scan(work) })
		r.scans[work.dir] = scan
	}
	found := scan()
	for _, name := range slices.Sorted(maps.Keys(found.bad)) {
		r.unreadable(name, found.bad[name])
	}
	if r.cgo != "" || r.config.Generates() || r.runsPrebuild() {
		return nil, found.err
	}
	return found.patterns, found.err
}

// scanned is what is known of a source whose files were read.
type scanned struct {
	patterns []string
	// bad are the names of what the Go command would read and must not, with the reasons.
	bad map[string]error
	err error
}

// scan reads every Go file, for compiledFiles.
func (r resolver) scan(work *workset) scanned {
	patterns := slices.Clone(goReads)
	vendor := path.Join(work.dir, "vendor")
	if work.vendor {
		patterns = append(patterns, vendor)
	}
	bad := map[string]error{}
	packages, imports := map[string]bool{}, map[string]bool{}
	err := fs.WalkDir(r, ".", func(name string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && name != "." && strings.HasPrefix(e.Name(), "."), e.IsDir() && name == vendor && !work.vendor:
			return fs.SkipDir // neither can be imported
		case e.IsDir() || !read(e.Name()):
			return nil
		case !e.Type().IsRegular():
			if f, err := r.Open(name); errors.Is(err, source.ErrOutside) || errors.Is(err, source.ErrIrregular) {
				bad[name] = err
				return nil
			} else if err == nil {
				if err := f.Close(); err != nil {
					return err
				}
			}
		}
		if !strings.HasSuffix(name, ".go") || work.vendor && within(vendor, name) {
			return nil
		}
		text, err := fs.ReadFile(r, name)
		if err != nil {
			bad[name] = err
			return nil
		}
		dir := path.Dir(name)
		packages[dir] = true
		file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ImportsOnly)
		if err != nil {
			return nil // the compiler says it better
		}
		for _, spec := range file.Imports {
			if importPath, err := strconv.Unquote(spec.Path.Value); err == nil {
				imports[importPath] = true
			}
		}
		for _, pattern := range embedded(text) {
			patterns = append(patterns, path.Join(dir, pattern))
		}
		return nil
	})
	if err != nil {
		return scanned{err: err}
	}
	whole := false
	for importPath := range imports {
		dir, ok := work.localPackage(importPath)
		if !ok || packages[dir] {
			continue
		}
		whole = true
		if _, err := fs.Stat(r, dir); errors.Is(err, source.ErrOutside) {
			bad[dir] = err
		}
	}
	if whole {
		return scanned{bad: bad}
	}
	slices.Sort(patterns[len(goReads):])
	return scanned{patterns: slices.Compact(patterns), bad: bad}
}

// read reports whether the Go command reads a file of that name, wherever it is. Source: go help packages
func read(name string) bool {
	return !strings.HasPrefix(name, ".") && !strings.HasPrefix(name, "_") && slices.ContainsFunc(goReads, func(pattern string) bool {
		matches, _ := path.Match(strings.TrimPrefix(pattern, "**/"), name)
		return matches
	})
}

// localPackage is the directory that an import path leads to, if its module is within the source.
func (b *workset) localPackage(importPath string) (dir string, ok bool) {
	local := b.localModules()
	longest := ""
	consider := func(modulePath string) {
		if len(modulePath) > len(longest) && within(modulePath, importPath) {
			longest = modulePath
		}
	}
	for modulePath := range local {
		consider(modulePath)
	}
	for _, m := range b.modules {
		for _, require := range m.file.Require {
			consider(require.Mod.Path)
		}
	}
	at, ok := local[longest]
	return path.Join(at, strings.TrimPrefix(importPath, longest)), ok
}

// embedded are the patterns of a Go file's go:embed directives. Source: https://pkg.go.dev/embed#hdr-Directives
func embedded(text []byte) []string {
	const directive = "//go:embed"
	if !bytes.Contains(text, []byte(directive)) {
		return nil
	}
	var patterns []string
	for line := range strings.Lines(string(text)) {
		args, ok := strings.CutPrefix(strings.TrimSpace(line), directive)
		for ok && strings.TrimSpace(args) != "" {
			args = strings.TrimSpace(args)
			pattern, err := strconv.QuotedPrefix(args)
			if err == nil {
				args = args[len(pattern):]
				pattern, _ = strconv.Unquote(pattern)
			} else {
				end := strings.IndexAny(args+" ", " \t")
				pattern, args = args[:end], args[end:]
			}
			patterns = append(patterns, strings.TrimPrefix(pattern, "all:"))
		}
	}
	return patterns
}
