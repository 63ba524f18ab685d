package pipeline

import (
	"bytes"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// goReads are patterns of the files that go build may read wherever they are. Source: go/build, goodOSArchFile's
// knownFiletype; https://go.dev/doc/pgo for default.pgo.
var goReads = []string{
	"**/*.go", "**/*.[cmhsSfF]", "**/*.c[cpx]*", "**/*.h[hpx]*", "**/*.f[o9]*", "**/*.s[wxy]*",
	"**/go.mod", "**/go.sum", "**/go.work", "**/go.work.sum", "**/default.pgo",
}

// compiledFiles are patterns of all that compiling reads of the source, so that an edit of anything else compiles nothing.
// They are nil, for all of it, where that cannot be said: cgo may include and link what it wants, go generate may read and write
// what it wants, and an import may lead through a symbolic link.
func (r resolver) compiledFiles(work *workset) ([]string, error) {
	if r.cgo != "" || r.config.Generate {
		return nil, nil
	}
	scan, ok := r.scans[work.dir]
	if !ok {
		scan = sync.OnceValues(func() ([]string, error) { return r.scan(work) })
		r.scans[work.dir] = scan
	}
	return scan()
}

// scan reads every Go file, for compiledFiles.
func (r resolver) scan(work *workset) ([]string, error) {
	patterns := slices.Clone(goReads)
	if work.vendor {
		patterns = append(patterns, path.Join(work.dir, "vendor"))
	}
	packages, imports := map[string]bool{}, map[string]bool{}
	err := fs.WalkDir(r, ".", func(name string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && name != "." && strings.HasPrefix(e.Name(), "."), e.IsDir() && name == path.Join(work.dir, "vendor"):
			return fs.SkipDir // neither can be imported, or all of it is taken
		case e.IsDir() || !strings.HasSuffix(name, ".go"):
			return nil
		}
		text, err := fs.ReadFile(r, name)
		if err != nil {
			return err
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
		return nil, err
	}
	for importPath := range imports {
		if dir, ok := work.localPackage(importPath); ok && !packages[dir] {
			return nil, nil
		}
	}
	slices.Sort(patterns[len(goReads):])
	return slices.Compact(patterns), nil
}

// localPackage is the folder that an import path leads to, if its module is within the source.
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
