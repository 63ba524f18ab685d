package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/slipway-ci/slipway/internal/fault"
)

// Inputs finds what compiling reads of a source, without the Go command. It reads each file once, however many plans it is asked about,
// and may be used from several goroutines.
type Inputs struct {
	source fs.FS

	mu      sync.Mutex
	digests map[string]string
	scanned map[string]*scannedDir
}

// scannedDir is what is known of a directory with a package.
type scannedDir struct {
	// files are those that the Go command reads, by their names in the source.
	files []string
	// imports are those of the package on all platforms, and embeds its patterns, relative to the source.
	imports, embeds []string
	err             error
}

// NewInputs reads a source.
func NewInputs(source fs.FS) *Inputs {
	return &Inputs{source: source, digests: map[string]string{}, scanned: map[string]*scannedDir{}}
}

// Digests are the SHA-256, in hexadecimal digits, of every file of the source that compiling the plan's programs may read, by their names:
// of the packages that they import, on whatever platform, with what those embed, and of the files that decide which modules are used.
// Packages of other modules are what go.sum says; that none of those imports a package of the source that is not among these, only
// the Go command knows. An error says why what is read cannot be known.
func (i *Inputs) Digests(p *Plan) (map[string]string, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if why := p.unknownInputs(); why != "" {
		return nil, errors.New(why)
	}
	files := map[string]string{}
	for _, part := range p.Parts() {
		if err := i.collect(part, files); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// collect adds the digests of what compiling the programs of one module or workspace may read.
func (i *Inputs) collect(p *Plan, files map[string]string) error {
	t := tree{i.source, &fault.Faults{}}
	work := t.findWorkset(p.Source.Dir)
	if err := t.faults.Err(); err != nil {
		return err
	}
	if work == nil {
		return errors.New(noModule)
	}
	c := closure{Inputs: i, plan: p, local: work.localModules(), files: files, seen: map[string]bool{}}
	for _, name := range p.Dependencies.Files {
		if err := c.add(name); err != nil {
			return err
		}
	}
	if p.Source.Vendor {
		if err := c.addAll(path.Join(p.Source.Dir, "vendor")); err != nil {
			return err
		}
	}
	for _, program := range p.Programs {
		if err := c.addPackage(path.Join(p.Source.Dir, program.Package)); err != nil {
			return err
		}
	}
	return nil
}

// unknownInputs says why only running something shows what compiling reads; empty where that is not so.
func (p *Plan) unknownInputs() string {
	switch {
	case p.Generate != nil:
		return "go generate may read and write any file"
	case p.Prebuild != nil:
		return "--prebuild may read and write any file"
	case p.Debugger != nil:
		return "a debugger is compiled, too"
	case p.Source.VCS != nil:
		return "the programs are stamped with the repository's state"
	}
	for _, c := range p.Compile {
		if c.C != nil || c.Env["CGO_ENABLED"] == "1" || p.Env["CGO_ENABLED"] != "0" {
			return "C may include any file"
		}
		for _, flag := range c.Flags {
			if flags, ok := strings.CutPrefix(flag, "-ldflags="); ok && LinksFiles(flags) {
				return "the linker's flags may name any file"
			}
		}
	}
	return ""
}

// LinksFiles reports whether flags of the linker may make it read files. Source: go tool link -help
func LinksFiles(flags string) bool {
	for _, flag := range strings.Fields(flags) {
		flag = strings.TrimLeft(flag, `'"`)
		if strings.HasPrefix(flag, "@") {
			return true
		}
		if name, ok := strings.CutPrefix(flag, "-"); ok {
			name = strings.TrimPrefix(name, "-")
			for _, reads := range []string{"ext", "L", "importcfg", "linkmode"} {
				if strings.HasPrefix(name, reads) {
					return true
				}
			}
		}
	}
	return false
}

// includesElsewhere finds what assembly includes. The assembler reads a name beside the file that includes it, and one with a slash elsewhere.
var includesElsewhere = regexp.MustCompile(`include.*"[^"\n]*[/\\][^"\n]*"`)

// IncludesElsewhere reports whether a file that is not Go's may include one of another directory.
func IncludesElsewhere(text []byte) bool { return includesElsewhere.Match(text) }

// literalName writes a name as a pattern of package path that nothing else matches.
var literalName = strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`)

// closure collects the files of one plan.
type closure struct {
	*Inputs
	plan  *Plan
	local map[string]string
	files map[string]string
	seen  map[string]bool
}

// add adds a file.
func (c *closure) add(name string) error {
	digest, err := c.digest(name)
	if err != nil {
		return err
	}
	c.files[name] = digest
	return nil
}

// Digest is that of a file of the source.
func (i *Inputs) Digest(name string) (string, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.digest(name)
}

func (i *Inputs) digest(name string) (string, error) {
	if digest, ok := i.digests[name]; ok {
		return digest, nil
	}
	f, err := i.source.Open(name)
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	_, err = io.Copy(hash, f)
	if err = errors.Join(err, f.Close()); err != nil {
		return "", err
	}
	i.digests[name] = hex.EncodeToString(hash.Sum(nil))
	return i.digests[name], nil
}

// addAll adds all files at or below a name, but for Slipway's own output.
func (c *closure) addAll(root string) error {
	return fs.WalkDir(c.source, root, func(name string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case c.plan.Source.Outputs.Has(name) && e.IsDir():
			return fs.SkipDir
		case c.plan.Source.Outputs.Has(name), e.IsDir():
			return nil
		case !e.Type().IsRegular():
			if info, err := fs.Stat(c.source, name); err != nil || info.IsDir() {
				return fmt.Errorf("%s is a link to a directory, or to nothing", name)
			}
		}
		return c.add(name)
	})
}

// addPackage adds a package of the source, and those of the source that it imports.
func (c *closure) addPackage(dir string) error {
	if c.seen[dir] {
		return nil
	}
	c.seen[dir] = true
	scanned := c.scan(dir)
	if scanned.err != nil {
		return scanned.err
	}
	for _, name := range scanned.files {
		if c.plan.Source.Outputs.Has(name) {
			continue
		}
		if err := c.add(name); err != nil {
			return err
		}
	}
	for _, pattern := range scanned.embeds {
		matches, err := fs.Glob(c.source, pattern)
		if err != nil {
			return fmt.Errorf("the pattern %s of a file that is embedded: %w", pattern, err)
		}
		for _, name := range matches {
			if err := c.addAll(name); err != nil {
				return err
			}
		}
	}
	if err := c.addModuleFiles(dir); err != nil {
		return err
	}
	for _, importPath := range scanned.imports {
		for modulePath, at := range c.local {
			if !within(modulePath, importPath) {
				continue
			}
			// Another module may have the package; it does no harm to add what is here.
			imported := path.Join(at, strings.TrimPrefix(importPath, modulePath))
			if !fs.ValidPath(imported) {
				return fmt.Errorf("%s is outside the source", importPath)
			}
			if info, err := fs.Stat(c.source, imported); errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
				continue
			} else if err != nil {
				return err
			}
			if err := c.addPackage(imported); err != nil {
				return err
			}
		}
	}
	return nil
}

// addModuleFiles adds what decides which module a directory belongs to.
func (c *closure) addModuleFiles(dir string) error {
	for ; !c.seen["modules of "+dir]; dir = path.Dir(dir) {
		c.seen["modules of "+dir] = true
		for _, base := range []string{"go.mod", "go.work"} {
			if err := c.add(path.Join(dir, base)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// scan reads the files of a package, those of tests excepted, which are no part of a program unless it embeds them.
func (i *Inputs) scan(dir string) *scannedDir {
	if known := i.scanned[dir]; known != nil {
		return known
	}
	s := &scannedDir{}
	i.scanned[dir] = s
	entries, err := fs.ReadDir(i.source, dir)
	if err != nil {
		s.err = err
		return s
	}
	// Assembly may include whatever is beside it.
	all := slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return slices.Contains([]string{".s", ".S", ".sx"}, path.Ext(e.Name())) })
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		if e.IsDir() || !all && !read(e.Name()) || strings.HasSuffix(name, "_test.go") {
			continue
		}
		if !e.Type().IsRegular() {
			if info, err := fs.Stat(i.source, name); err == nil && info.IsDir() {
				continue
			}
		}
		s.files = append(s.files, name)
		text, err := fs.ReadFile(i.source, name)
		if err != nil {
			s.err = err
			return s
		}
		sum := sha256.Sum256(text)
		i.digests[name] = hex.EncodeToString(sum[:])
		if path.Ext(name) != ".go" {
			if IncludesElsewhere(text) {
				s.err = fmt.Errorf("%s may include a file of another directory", name)
				return s
			}
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ImportsOnly)
		if err != nil {
			s.err = err
			return s
		}
		for _, spec := range file.Imports {
			importPath, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				s.err = err
				return s
			}
			s.imports = append(s.imports, importPath)
		}
		for _, pattern := range embedded(text) {
			s.embeds = append(s.embeds, path.Join(literalName.Replace(dir), pattern))
		}
	}
	s.imports, s.embeds = sorted(s.imports), sorted(s.embeds)
	return s
}
