package sbom

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"runtime/debug"
	"slices"
	"strings"
	"sync"

	"github.com/google/licensecheck"
	"github.com/package-url/packageurl-go"
	"golang.org/x/mod/modfile"
	gomodule "golang.org/x/mod/module"
)

// Modules looks up what programs do not say of their modules. It caches what it found, so that one is best used for
// the images of all platforms. It may be used from many goroutines.
type Modules struct {
	cache fs.FS
	mains map[string][]string
	sum   string // of the go.mod files

	mu       sync.Mutex
	licences map[gomodule.Version]licence
	requires map[gomodule.Version][]string
}

// NewModules reads cache, a module cache as the Go command's GOMODCACHE is one; nil for none. goMods are the
// go.mod files of the main modules, which say what a program needs directly.
func NewModules(cache fs.FS, goMods ...[]byte) *Modules {
	m := &Modules{
		cache: cache, mains: map[string][]string{},
		licences: map[gomodule.Version]licence{}, requires: map[gomodule.Version][]string{},
	}
	sum := sha256.Sum256(bytes.Join(goMods, []byte{0}))
	m.sum = hex.EncodeToString(sum[:])
	for _, content := range goMods {
		// A file that cannot be read says nothing: the builder has long refused it.
		if f, err := modfile.ParseLax("go.mod", content, nil); err == nil && f.Module != nil {
			m.mains[f.Module.Mod.Path] = required(f, true)
		}
	}
	return m
}

// key is the same for those that say the same of an image, as long as the module cache has what it needs.
func (m *Modules) key() string {
	if m == nil {
		return ""
	}
	return fmt.Sprint(m.sum, m.cache != nil)
}

// required are the paths of the modules that a go.mod names, without those that it only needs for others if direct.
func required(f *modfile.File, direct bool) []string {
	paths := []string{}
	for _, r := range f.Require {
		if !direct || !r.Indirect {
			paths = append(paths, r.Mod.Path)
		}
	}
	return paths
}

// requiredBy are the paths that the go.mod of a module in the cache names.
func (m *Modules) requiredBy(v gomodule.Version) []string {
	if m == nil || m.cache == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	paths, known := m.requires[v]
	if !known {
		paths = m.readRequires(v)
		m.requires[v] = paths
	}
	return paths
}

func (m *Modules) readRequires(v gomodule.Version) []string {
	escapedPath, err1 := gomodule.EscapePath(v.Path)
	escapedVersion, err2 := gomodule.EscapeVersion(v.Version)
	if err1 != nil || err2 != nil {
		return nil
	}
	content, err := fs.ReadFile(m.cache, path.Join("cache/download", escapedPath, "@v", escapedVersion+".mod"))
	if err != nil {
		return nil
	}
	f, err := modfile.ParseLax("go.mod", content, nil)
	if err != nil {
		return nil
	}
	return required(f, false)
}

// licenceOf is the licence of a module in the cache.
func (m *Modules) licenceOf(v gomodule.Version) licence {
	if m == nil || m.cache == nil {
		return licence{}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	l, known := m.licences[v]
	if !known {
		l = m.readLicence(v)
		m.licences[v] = l
	}
	return l
}

// licenceLimit is the size in bytes of the biggest licence file that is read.
const licenceLimit = 1 << 20

func (m *Modules) readLicence(v gomodule.Version) licence {
	escapedPath, err1 := gomodule.EscapePath(v.Path)
	escapedVersion, err2 := gomodule.EscapeVersion(v.Version)
	if err1 != nil || err2 != nil {
		return licence{}
	}
	directory := escapedPath + "@" + escapedVersion
	entries, err := fs.ReadDir(m.cache, directory)
	if err != nil {
		return licence{}
	}
	var ids []string
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || info.Size() > licenceLimit || !IsLicence(e.Name()) {
			continue
		}
		content, err := fs.ReadFile(m.cache, path.Join(directory, e.Name()))
		if err != nil {
			continue
		}
		found := recognise(content)
		if found == nil {
			// One file that says something else makes any answer wrong.
			return licence{}
		}
		ids = append(ids, found...)
	}
	slices.Sort(ids)
	return licence{expression: strings.Join(slices.Compact(ids), " AND ")}
}

// IsLicence reports whether a file of that name has the licence of the module that it is at the root of. It goes by the names that https://pkg.go.dev/license-policy lists, and a few of their kin.
func IsLicence(name string) bool {
	name = strings.ToUpper(name)
	stem := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, ".TXT"), ".MD"), ".CODE")
	first, _, _ := strings.Cut(stem, "-")
	first, _, _ = strings.Cut(first, ".")
	return slices.Contains([]string{"LICENSE", "LICENCE", "COPYING", "UNLICENSE"}, first) &&
		!slices.Contains([]string{".GO", ".PY", ".HTML", ".DOCS"}, path.Ext(name))
}

// The licences that Go modules have. Reading the patterns of everything that licensecheck knows takes seconds, and those of long
// texts most of it, so they come in two groups, the second being read if the first does not do.
var (
	frequent = sync.OnceValue(func() *licensecheck.Scanner {
		return scannerFor("Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MPL-2.0")
	})
	seldom = sync.OnceValue(func() *licensecheck.Scanner {
		return scannerFor("0BSD", "AGPL-3.0", "Apache-2.0", "Artistic-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "BlueOak-1.0.0", "CC-BY-4.0",
			"CC-BY-SA-4.0", "CC0-1.0", "CDDL-1.0", "EPL-1.0", "EPL-2.0", "EUPL-1.2", "GPL-2.0", "GPL-3.0", "ISC", "LGPL-2.1", "LGPL-3.0", "MIT",
			"MIT-0", "MPL-2.0", "NCSA", "OFL-1.1", "PostgreSQL", "UPL-1.0", "Unlicense", "WTFPL", "Zlib")
	})
)

func scannerFor(ids ...string) *licensecheck.Scanner {
	var patterns []licensecheck.License
	for _, l := range licensecheck.BuiltinLicenses() {
		if l.LRE != "" && slices.Contains(ids, l.ID) {
			patterns = append(patterns, l)
		}
	}
	s, err := licensecheck.NewScanner(patterns)
	if err != nil {
		panic(err) // the patterns are the library's own
	}
	return s
}

// covered is how much of a text has to be a known licence, in percent, for the text to be called one: as on pkg.go.dev.
const covered = 75

// recognise returns the SPDX identifiers of the licences that the text consists of, or nil.
func recognise(text []byte) []string {
	for _, s := range []func() *licensecheck.Scanner{frequent, seldom} {
		if found := s().Scan(text); found.Percent >= covered {
			var ids []string
			for _, m := range found.Match {
				ids = append(ids, m.ID)
			}
			return ids
		}
	}
	return nil
}

// goComponents are the programs, their modules and the standard libraries in them, everything once.
func (c *contents) goComponents(lookup *Modules) []component {
	var all []component
	at := map[string]int{}
	for _, p := range c.programs {
		for _, made := range p.components(lookup) {
			i, seen := at[made.ref]
			if !seen {
				at[made.ref] = len(all)
				all = append(all, made)
				continue
			}
			// A program has only those modules of its module's requirements that it uses.
			all[i].needs = slices.Compact(slices.Sorted(slices.Values(slices.Concat(all[i].needs, made.needs))))
		}
	}
	return all
}

// dependency is a module in a program. inUse is the one that was compiled, which a replace line may have chosen.
type dependency struct {
	path  string
	inUse debug.Module
	ref   string
}

func (p programEntry) components(lookup *Modules) []component {
	info := p.info
	std := stdlib(info)
	byPath := map[string]*dependency{}
	var dependencies []*dependency
	for _, d := range info.Deps {
		dep := &dependency{path: d.Path, inUse: *d}
		if d.Replace != nil {
			dep.inUse = *d.Replace
		}
		dep.ref = modulePURL(dep.identity())
		dependencies = append(dependencies, dep)
		byPath[d.Path] = dep
	}

	all := []component{std}
	reached := map[string]bool{}
	for _, dep := range dependencies {
		c := dep.component(lookup)
		for _, path := range lookup.requiredBy(dep.identity()) {
			if other := byPath[path]; other != nil && other != dep {
				c.needs = append(c.needs, other.ref)
				reached[other.path] = true
			}
		}
		slices.Sort(c.needs)
		c.needs = slices.Compact(c.needs)
		all = append(all, c)
	}

	self := component{
		kind: program, ref: "program:" + p.path, name: info.Path, sha1: p.sha1, sha256: p.sha256,
		purl: programPURL(info), needs: []string{std.ref},
	}
	if released(info.Main.Version) {
		self.version = info.Main.Version
	}
	self.properties = buildProperties(p)
	direct, known := lookup.direct(info.Main.Path)
	for _, dep := range dependencies {
		// A module that no other is known to need is needed by the program itself.
		if slices.Contains(direct, dep.path) || !known || !reached[dep.path] {
			self.needs = append(self.needs, dep.ref)
		}
	}
	slices.Sort(self.needs)
	self.needs = slices.Compact(self.needs)
	return append(all, self)
}

// direct are the paths of the modules that a main module names as its own; known says whether its go.mod is at hand.
func (m *Modules) direct(main string) (paths []string, known bool) {
	if m == nil {
		return nil, false
	}
	paths, known = m.mains[main]
	return paths, known
}

// identity is the module that was compiled. One that a directory stands in for keeps its own path, since a directory says nothing
// elsewhere, and has no version.
func (d *dependency) identity() gomodule.Version {
	if d.local() {
		return gomodule.Version{Path: d.path}
	}
	v := gomodule.Version{Path: d.inUse.Path}
	if released(d.inUse.Version) {
		v.Version = d.inUse.Version
	}
	return v
}

// local reports whether the module is a directory: of a replace line, or of a workspace.
func (d *dependency) local() bool { return !released(d.inUse.Version) }

// released reports whether a version is one that others can get.
func released(version string) bool { return version != "" && version != "(devel)" }

func (d *dependency) component(lookup *Modules) component {
	v := d.identity()
	c := component{kind: module, ref: d.ref, purl: d.ref, name: v.Path, version: v.Version, sha256: sumHex(d.inUse.Sum)}
	if v.Version != "" {
		c.licence = lookup.licenceOf(v)
	}
	if d.path != v.Path {
		c.properties = append(c.properties, property{"slipway:replaces", d.path})
	}
	return c
}

// sumHex is the SHA-256 of a go.sum line in hexadecimal. Source: https://pkg.go.dev/golang.org/x/mod/sumdb/dirhash
func sumHex(sum string) string {
	encoded, found := strings.CutPrefix(sum, "h1:")
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if !found || err != nil {
		return ""
	}
	return hex.EncodeToString(raw)
}

// stdlib is the standard library that a program was compiled with. It is called as in Go's database of vulnerabilities.
func stdlib(info *buildinfo.BuildInfo) component {
	version, _, _ := strings.Cut(strings.TrimPrefix(info.GoVersion, "go"), " ")
	version, _, _ = strings.Cut(version, "-X:") // experiments
	ref := modulePURL(gomodule.Version{Path: "stdlib", Version: version})
	return component{kind: module, ref: ref, purl: ref, name: "stdlib", version: version, licence: licence{expression: "BSD-3-Clause"}}
}

// modulePURL is a module's package URL. Source: https://github.com/package-url/purl-spec/blob/main/types-doc/golang-definition.md
func modulePURL(v gomodule.Version) string { return golangPURL(v, "") }

func programPURL(info *buildinfo.BuildInfo) string {
	v := gomodule.Version{Path: cmp.Or(info.Main.Path, info.Path)}
	if released(info.Main.Version) {
		v.Version = info.Main.Version
	}
	return golangPURL(v, strings.TrimPrefix(strings.TrimPrefix(info.Path, v.Path), "/"))
}

func golangPURL(v gomodule.Version, subpath string) string {
	namespace, name := path.Split(v.Path)
	return packageurl.NewPackageURL(packageurl.TypeGolang, strings.TrimSuffix(namespace, "/"), name, v.Version, nil, subpath).ToString()
}

// buildProperties are what the program says of its build. Those that CycloneDX has names for have these. Source:
// https://cyclonedx.github.io/cyclonedx-property-taxonomy/cdx/gomod.html
func buildProperties(p programEntry) []property {
	all := []property{{"slipway:path", p.path}, {"cdx:gomod:build:env:GOVERSION", p.info.GoVersion}}
	for _, s := range p.info.Settings {
		switch {
		case s.Key == "-tags":
			for tag := range strings.SplitSeq(s.Value, ",") {
				all = append(all, property{"cdx:gomod:build:tag", tag})
			}
		case slices.Contains([]string{"GOOS", "GOARCH", "CGO_ENABLED"}, s.Key):
			all = append(all, property{"cdx:gomod:build:env:" + s.Key, s.Value})
		default:
			all = append(all, property{"slipway:build:" + s.Key, s.Value})
		}
	}
	return all
}
