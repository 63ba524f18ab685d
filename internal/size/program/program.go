// Package program reports where the bytes of a Go program are: by module, package and function, and by kind of content. It reads ELF
// files by their sections and Go's function table, so stripping a program hides nothing of its code.
package program

import (
	"cmp"
	"debug/buildinfo"
	"debug/elf"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"runtime/debug"
	"slices"
	"strings"
)

// Kind is what bytes are for.
type Kind string

// Kinds of bytes.
const (
	Code          Kind = "code"
	FunctionTable Kind = "function table" // for stack traces and the garbage collector
	TypeData      Kind = "type data"      // for reflection, interfaces and the garbage collector
	ReadOnlyData  Kind = "read-only data" // strings and constants
	Data          Kind = "data"           // variables
	EmbeddedFiles Kind = "embedded files"
	BuildInfo     Kind = "build information"
	Symbols       Kind = "symbols"
	DebugData     Kind = "debug data"
	Linking       Kind = "dynamic linking"
	Headers       Kind = "headers"
	Padding       Kind = "padding"
	Other         Kind = "other"
)

// Kinds are all of them.
var Kinds = []Kind{
	Code, FunctionTable, TypeData, ReadOnlyData, Data, EmbeddedFiles, BuildInfo, Symbols, DebugData, Linking, Headers, Padding, Other,
}

// Program says where the bytes of a program are. Those of its modules and those in Other add up to Size.
type Program struct {
	Size int64 `json:"size"`
	// Package is the import path of the main package, and Go the version that compiled it.
	Package string `json:"package"`
	Go      string `json:"go"`
	// Kinds are the bytes of each kind, the most first. They add up to Size, too.
	Kinds []Part `json:"kinds"`
	// Modules are those that go version -m lists, and the standard library as "std". The biggest is the first. One without a path has
	// packages that are from none of them, as where no module was built.
	Modules []*Module `json:"modules"`
	// Other are bytes that belong to no package, or to one that is not known.
	Other []Part `json:"other"`
}

// Module is a module, whose packages have all of its bytes.
type Module struct {
	Path    string `json:"path"`
	Version string `json:"version,omitempty"`
	// Replace is what took the module's place, as PATH or PATH@VERSION.
	Replace  string     `json:"replace,omitempty"`
	Size     int64      `json:"size"`
	Packages []*Package `json:"packages"`
}

// Package is a package, whose functions and other parts have all of its bytes.
type Package struct {
	Path      string     `json:"path"`
	Size      int64      `json:"size"`
	Functions []Function `json:"functions,omitempty"`
	Other     []Part     `json:"other,omitempty"`
}

// Function is a function by its name within its package. The code of functions that were inlined counts for those that they are in.
type Function struct {
	Name string `json:"name"`
	Code int64  `json:"code"`
	// Table is its share of the function table: its name, line numbers, and what the garbage collector has to know of it.
	Table int64 `json:"table"`
	// Hash is the same for the same code, within one process of Slipway.
	Hash uint64 `json:"-"`
}

// Size is the number of bytes of a function.
func (f Function) Size() int64 { return f.Code + f.Table }

// Part is bytes of one kind. Its name is that of an embedded file or of a section; empty where the kind says all.
type Part struct {
	Kind Kind   `json:"kind"`
	Name string `json:"name,omitempty"`
	Size int64  `json:"size"`
}

// ErrNotGo is the error for a file that the Go command has not compiled.
var ErrNotGo = errors.New("it was not compiled by the Go command")

var errIncomplete = errors.New("the file is damaged or incomplete")

// std is the path that stands for the standard library among modules.
const std = "std"

// Read reads an ELF file of size bytes, a little at a time. The error is ErrNotGo for a program that is none of Go's.
func Read(r io.ReaderAt, size int64) (*Program, error) {
	file, err := elf.NewFile(r)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errIncomplete
	}
	if err != nil {
		return nil, fmt.Errorf("reading an ELF file: %w", err)
	}
	info, err := buildinfo.Read(r)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotGo, err)
	}
	regions, err := regionsOf(file, r, size)
	if err != nil {
		return nil, fmt.Errorf("reading an ELF file: %w", err)
	}
	m := newMemory(file, r)
	if err := m.relocate(file); err != nil {
		return nil, fmt.Errorf("reading relocations: %w", err)
	}
	table, err := findTable(m, file)
	if err != nil {
		return nil, fmt.Errorf("reading the function table: %w", err)
	}
	a := account{
		program:  &Program{Size: size, Package: info.Path, Go: info.GoVersion},
		packages: map[string]*Package{}, others: map[Part]int64{}, owned: map[owned]int64{}, kinds: map[Kind]int64{},
	}
	symbols := dataSymbols(file)
	var claims []claim
	if table != nil {
		functions, err := table.functions()
		if err != nil {
			return nil, fmt.Errorf("reading the function table: %w", err)
		}
		off, end, ok := m.file(table.addr, table.end)
		if !ok {
			return nil, fmt.Errorf("reading the function table: %w", errTable)
		}
		a.shared = region{off, end, FunctionTable, ""}
		types, between := typeClaims(m, table.module, hasSwissMaps(info.GoVersion))
		regions = cut(cut(regions, between), a.shared)
		if err := hashCode(r, m, functions); err != nil {
			return nil, fmt.Errorf("reading code: %w", err)
		}
		claims = slices.Concat(a.functions(m, functions), table.funcdataClaims, types)
	}
	claims = slices.Concat(claims, embeddedFiles(m, symbols), symbols.claims(m))
	if err := a.sweep(regions, claims); err != nil {
		return nil, err
	}
	a.finish(info)
	return a.program, nil
}

// account sums up.
type account struct {
	program  *Program
	packages map[string]*Package
	others   map[Part]int64 // whose Size is zero
	owned    map[owned]int64
	kinds    map[Kind]int64
	list     []function
	table    int64 // bytes of the function table that belong to functions, of those in shared
	shared   region
}

// owned is what a package has besides functions.
type owned struct {
	pkg  string
	kind Kind
	name string
}

// functions adds functions with their shares of the function table, and returns claims for their code.
func (a *account) functions(m *memory, functions []function) []claim {
	a.list = functions
	claims := make([]claim, 0, len(functions))
	for i, f := range functions {
		a.table += f.table
		if off, end, ok := m.file(f.entry, f.end); ok {
			claims = append(claims, claim{off: off, end: end, kind: Code, function: i + 1})
		}
	}
	return claims
}

// seed is that of the hashes of code.
var seed = maphash.MakeSeed()

// hashCode gives functions the hashes of their code.
func hashCode(r io.ReaderAt, m *memory, functions []function) error {
	var code []byte
	for i, f := range functions {
		off, end, ok := m.file(f.entry, f.end)
		if !ok || end <= off {
			continue
		}
		code = slices.Grow(code[:0], int(end-off))[:end-off]
		if _, err := r.ReadAt(code, off); err != nil && err != io.EOF {
			return err
		}
		functions[i].hash = maphash.Bytes(seed, code)
	}
	return nil
}

// sweep gives every byte of the regions to a claim, and to the region where there is none. Of claims that overlap, the one that
// begins first has what they share.
func (a *account) sweep(regions []region, claims []claim) error {
	slices.SortStableFunc(claims, func(x, y claim) int { return cmp.Compare(x.off, y.off) })
	next, table := 0, a.table
	for _, r := range regions {
		if r == a.shared {
			// Functions have had theirs; this is what they share.
			a.kinds[FunctionTable] += table
			a.other(FunctionTable, "", r.end-r.off-table)
			table = 0
			continue
		}
		at := r.off
		for ; next < len(claims) && claims[next].off < r.end; next++ {
			c := claims[next]
			if begin, end := max(c.off, at), min(c.end, r.end); begin < end {
				a.other(r.kind, r.name, begin-at)
				a.claim(c, end-begin)
				at = end
			}
			if c.end > r.end {
				break // the next region has the rest
			}
		}
		a.other(r.kind, r.name, r.end-at)
	}
	if table != 0 {
		return fmt.Errorf("reading the function table: %w: other sections overlap it", errTable)
	}
	return nil
}

func (a *account) other(kind Kind, name string, size int64) {
	if size != 0 {
		a.others[Part{Kind: kind, Name: name}] += size
		a.kinds[kind] += size
	}
}

func (a *account) claim(c claim, size int64) {
	a.kinds[c.kind] += size
	switch {
	case c.function > 0 && c.kind == FunctionTable:
		a.list[c.function-1].table += size
	case c.function > 0:
		a.list[c.function-1].code += size
	case c.pkg == "":
		a.others[Part{Kind: c.kind, Name: c.name}] += size
	default:
		a.owned[owned{c.pkg, c.kind, c.name}] += size
	}
}

func (a *account) pkg(path string) *Package {
	p := a.packages[path]
	if p == nil {
		p = &Package{Path: path}
		a.packages[path] = p
	}
	return p
}

// finish puts everything in its place, in order.
func (a *account) finish(info *debug.BuildInfo) {
	for _, f := range a.list {
		if f.pkg == "" {
			a.others[Part{Kind: Code}] += f.code
			a.others[Part{Kind: FunctionTable}] += f.table
			continue
		}
		p := a.pkg(f.pkg)
		p.Functions = append(p.Functions, Function{strings.TrimPrefix(f.name, f.prefix), f.code, f.table, f.hash})
		p.Size += f.code + f.table
	}
	for o, size := range a.owned {
		p := a.pkg(o.pkg)
		p.Other = append(p.Other, Part{o.kind, o.name, size})
		p.Size += size
	}
	p := a.program
	p.Modules = modulesOf(info)
	listed, unknown := p.Modules, (*Module)(nil)
	for _, pkg := range a.packages {
		slices.SortFunc(pkg.Functions, func(x, y Function) int {
			return cmp.Or(cmp.Compare(y.Size(), x.Size()), cmp.Compare(x.Name, y.Name))
		})
		slices.SortFunc(pkg.Other, bySize)
		if pkg.Path == "main" && info.Path != "" {
			pkg.Path = info.Path
		}
		m := moduleOf(listed, pkg.Path)
		if m == nil {
			if unknown == nil {
				unknown = &Module{}
				p.Modules = append(p.Modules, unknown)
			}
			m = unknown
		}
		m.Packages = append(m.Packages, pkg)
		m.Size += pkg.Size
	}
	for _, m := range p.Modules {
		slices.SortFunc(m.Packages, func(x, y *Package) int { return cmp.Or(cmp.Compare(y.Size, x.Size), cmp.Compare(x.Path, y.Path)) })
	}
	slices.SortStableFunc(p.Modules, func(x, y *Module) int { return cmp.Or(cmp.Compare(y.Size, x.Size), cmp.Compare(x.Path, y.Path)) })
	for part, size := range a.others {
		part.Size = size
		p.Other = append(p.Other, part)
	}
	slices.SortFunc(p.Other, bySize)
	for kind, size := range a.kinds {
		p.Kinds = append(p.Kinds, Part{Kind: kind, Size: size})
	}
	slices.SortFunc(p.Kinds, bySize)
}

func bySize(x, y Part) int {
	return cmp.Or(cmp.Compare(y.Size, x.Size), cmp.Compare(x.Kind, y.Kind), cmp.Compare(x.Name, y.Name))
}

// Title is the module's name for people: its path and version.
func (m *Module) Title() string {
	if m.Path == "" {
		return "without a module"
	}
	return strings.TrimSpace(m.Path + " " + m.Version)
}

// EmbeddedFiles are the files that can be told from other data, with those of a known package.
func (p *Program) EmbeddedFiles() []Part {
	var files []Part
	add := func(parts []Part) {
		for _, part := range parts {
			if part.Kind == EmbeddedFiles {
				files = append(files, part)
			}
		}
	}
	add(p.Other)
	for _, m := range p.Modules {
		for _, pkg := range m.Packages {
			add(pkg.Other)
		}
	}
	return files
}
