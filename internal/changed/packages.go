package changed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/build"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/slipway-ci/slipway/internal/plan"
)

// listArgs make go list say what goPackage holds, of the packages and of everything that they import. What is wrong with one package is
// said in its place, for the others are still to be judged. A profile would list packages once more for each program.
var listArgs = []string{
	"-deps", "-e", "-pgo=off",
	"-json=ImportPath,Dir,Standard,Module,Deps,DepsErrors,Error,Incomplete," +
		"GoFiles,CgoFiles,CFiles,CXXFiles,MFiles,HFiles,FFiles,SFiles,SwigFiles,SwigCXXFiles,SysoFiles,EmbedFiles,EmbedPatterns",
}

// goPackage is a package as go list prints it.
type goPackage struct {
	ImportPath string
	Dir        string
	Standard   bool
	Module     *goModule
	Deps       []string // import paths, of those too that it imports indirectly
	DepsErrors []*packageError
	Error      *packageError
	Incomplete bool

	GoFiles, CgoFiles, CFiles, CXXFiles, MFiles, HFiles, FFiles, SFiles, SwigFiles, SwigCXXFiles, SysoFiles []string

	EmbedFiles, EmbedPatterns []string

	judged *judgement
}

// judgement is what a package is found to be, which several programs may ask.
type judgement struct {
	different string
	// includes says that the package may include files that go list does not name.
	includes bool
}

type goModule struct {
	Version string
	Replace *goModule
}

type packageError struct {
	Pos string // where the import is; empty where that is not known
	Err string
}

// compiled are the files that are given to a compiler or linked.
func (p *goPackage) compiled() []string {
	return slices.Concat(p.GoFiles, p.CgoFiles, p.CFiles, p.CXXFiles, p.MFiles, p.HFiles, p.FFiles, p.SFiles, p.SwigFiles, p.SwigCXXFiles, p.SysoFiles)
}

// usesC reports whether a C compiler, or what writes C, is at work: it may read any file there is.
func (p *goPackage) usesC() bool { return len(p.CgoFiles)+len(p.SwigFiles)+len(p.SwigCXXFiles) > 0 }

// problem is what go list says is wrong with the package or with what it imports.
func (p *goPackage) problem() string {
	for _, e := range append([]*packageError{p.Error}, p.DepsErrors...) {
		if e != nil {
			return strings.TrimPrefix(e.Pos+": ", ": ") + firstLine(e.Err)
		}
	}
	if p.Incomplete {
		return p.ImportPath + " cannot be loaded"
	}
	return ""
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}

// inSource reports whether the package is the source's own. Others come from the standard library, or by their version from the
// module cache, where go.sum says what they are; that cache may be in a directory of the source.
func (p *goPackage) inSource(vendor bool) bool {
	module := p.Module
	if module != nil && module.Replace != nil {
		module = module.Replace
	}
	return !p.Standard && (vendor || module == nil || module.Version == "")
}

// parsePackages reads what go list prints.
func parsePackages(out io.Reader) (map[string]*goPackage, error) {
	packages := map[string]*goPackage{}
	for decoder := json.NewDecoder(out); ; {
		p := &goPackage{}
		if err := decoder.Decode(p); errors.Is(err, io.EOF) {
			return packages, nil
		} else if err != nil {
			return nil, fmt.Errorf("reading the output of go list: %w", err)
		}
		packages[p.ImportPath] = p
	}
}

// program says how a program is different.
func (t *tree) program(ctx context.Context, program plan.Program, l *listing) string {
	main, ok := l.packages[program.ImportPath]
	if !ok {
		return "go list does not know " + program.ImportPath
	}
	if problem := main.problem(); problem != "" {
		return "go list says: " + problem
	}
	includes := ""
	for _, importPath := range append([]string{program.ImportPath}, main.Deps...) {
		p, ok := l.packages[importPath]
		switch {
		case importPath == "C":
			continue
		case !ok:
			return "go list does not know " + importPath
		case !p.inSource(l.plan.Source.Vendor):
			continue
		}
		if p.judged == nil {
			p.judged = t.judge(ctx, p, l.compile)
		}
		if p.judged.different != "" {
			return p.judged.different
		}
		if p.judged.includes && includes == "" {
			includes = importPath
		}
	}
	if different := t.profile(ctx, main); different != "" || includes == "" {
		return different
	}
	if different := t.everything(ctx); different != "" {
		return different + ", and the C or assembly of " + includes + " may include any file"
	}
	return ""
}

// judge judges a package of the source that is compiled by c.
func (t *tree) judge(ctx context.Context, p *goPackage, c plan.Compile) *judgement {
	dir, different := t.packageDir(p)
	real := ""
	if different == "" {
		real, different = t.follow(ctx, dir)
	}
	if different == "" {
		different = t.packageFiles(ctx, p, c, dir, real)
	}
	if different == "" {
		different = t.embeddedFiles(ctx, p, dir, real)
	}
	if different == "" {
		different = t.moduleOf(ctx, real)
	}
	return &judgement{different, p.usesC() || len(p.SFiles) > 0 && t.includesElsewhere(real)}
}

// packageFiles says how the files in the directory of a package are different, which Go calls dir and which is real.
func (t *tree) packageFiles(ctx context.Context, p *goPackage, c plan.Compile, dir, real string) string {
	for _, name := range p.compiled() {
		if different := t.file(ctx, path.Join(dir, name)); different != "" {
			return different
		}
	}
	// A file that is left out now may have been part of the package, and so may one that was removed.
	for _, name := range t.in(real) {
		if len(p.SFiles) > 0 || mayCompile(c, path.Base(name)) {
			if different := t.file(ctx, name); different != "" {
				return different
			}
		}
	}
	return ""
}

// embeddedFiles says how what a package embeds is different.
func (t *tree) embeddedFiles(ctx context.Context, p *goPackage, dir, real string) string {
	if len(p.EmbedPatterns) == 0 {
		return ""
	}
	var names []string
	for _, name := range p.EmbedFiles {
		names = append(names, path.Join(dir, name))
	}
	for _, name := range t.below(real) {
		if embeds(p.EmbedPatterns, strings.TrimPrefix(name, real+"/")) {
			names = append(names, name)
		}
	}
	for _, name := range names {
		if different := t.file(ctx, name); different != "" {
			return different + ", which " + p.ImportPath + " embeds"
		}
	}
	return ""
}

// packageDir is the directory of a package, by the name that Go calls it.
func (t *tree) packageDir(p *goPackage) (dir, different string) {
	if dir, ok := t.inSource(p.Dir); ok {
		return dir, ""
	}
	return "", "the directory of " + p.ImportPath + " is not in the source"
}

// moduleOf says how the files are different that decide which module a directory belongs to, and which workspace.
func (t *tree) moduleOf(ctx context.Context, dir string) string {
	files := moduleFiles
	for at := dir; ; at = path.Dir(at) {
		if different := t.each(ctx, at, files); different != "" {
			return different
		}
		if at == "." {
			return ""
		}
		if _, ok := t.was[path.Join(at, "go.mod")]; ok {
			files = workspaceFiles // a module above is another
		}
	}
}

// moduleFiles make a directory a module or, those of workspaceFiles, a workspace.
var (
	moduleFiles    = append([]string{"go.mod", "go.sum"}, workspaceFiles...)
	workspaceFiles = []string{"go.work", "go.work.sum"}
)

// each says how any of these files in a directory is different. None need be there.
func (t *tree) each(ctx context.Context, dir string, files []string) string {
	for _, name := range files {
		if different := t.maybe(ctx, path.Join(dir, name)); different != "" {
			return different
		}
	}
	return ""
}

// profile says how the profile that go build optimises a program by is different. Source: https://go.dev/doc/pgo
func (t *tree) profile(ctx context.Context, main *goPackage) string {
	dir, different := t.packageDir(main)
	if different != "" {
		return different
	}
	return t.maybe(ctx, path.Join(dir, "default.pgo"))
}

// mayCompile reports whether a file of that base name, whatever is in it, may be part of what c compiles.
func mayCompile(c plan.Compile, base string) bool {
	if strings.HasSuffix(base, "_test.go") {
		return false
	}
	names := build.Context{
		GOOS: c.Env["GOOS"], GOARCH: c.Env["GOARCH"], Compiler: "gc", CgoEnabled: true,
		OpenFile: func(string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("package p\n")), nil },
	}
	for _, flag := range c.Flags {
		if tags, ok := strings.CutPrefix(flag, "-tags="); ok {
			names.BuildTags = strings.Split(tags, ",")
		}
	}
	match, err := names.MatchFile("", base)
	return match || err != nil
}

// embeds reports whether go:embed patterns may match a file, relative to the package's directory, or a directory that it is in.
// Source: https://pkg.go.dev/embed#hdr-Directives
func embeds(patterns []string, name string) bool {
	for _, pattern := range patterns {
		pattern = strings.TrimPrefix(pattern, "all:")
		for at := name; at != "."; at = path.Dir(at) {
			if ok, err := path.Match(pattern, at); ok || err != nil || pattern == "." {
				return true
			}
		}
	}
	return false
}

// includesElsewhere reports whether a file of a directory may include one of another.
func (t *tree) includesElsewhere(dir string) bool {
	for _, name := range t.in(dir) {
		if isGo(name) {
			continue
		}
		text, err := t.read(name)
		if err != nil || plan.IncludesElsewhere(text) {
			return true
		}
	}
	return false
}
