package diff

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/slipway-ci/slipway/internal/size"
)

// Report is what changed from one image to another. It is the document in JSON: fields may be added to it; what is removed or gets another
// meaning makes a higher Version.
type Report struct {
	Version int   `json:"version"`
	Before  Named `json:"before"`
	After   Named `json:"after"`
	// Equal says that the images are the same, to the byte.
	Equal     bool          `json:"equal"`
	Platforms []*Difference `json:"platforms"`
}

// version is that of reports.
const version = 1

// Named is one of the two images.
type Named struct {
	Name   string `json:"name"`
	Digest string `json:"digest"`
}

// Difference is what changed for one platform. Lists are in the order of their names.
type Difference struct {
	Platform string `json:"platform"`
	// Manifest has the digests. One that is missing says that the image is not for the platform, and then nothing is compared.
	Manifest Change `json:"manifest"`
	// Base is the reference of the base, as far as the image names it. System is the distribution, and Packages are its packages.
	Base     *Change  `json:"base,omitempty"`
	System   *Change  `json:"system,omitempty"`
	Packages []Change `json:"packages,omitempty"`
	// Go is the version that compiled; of several programs, all their versions.
	Go *Change `json:"go,omitempty"`
	// Settings are those of the image, such as "env LOG_LEVEL" and "user", and Build those that programs were compiled with, such as "-tags".
	Settings []Change `json:"settings,omitempty"`
	Build    []Change `json:"build,omitempty"`
	Modules  []Module `json:"modules,omitempty"`
	// Programs are the main packages of programs that were added or removed, or are made of another package, by their paths.
	Programs []Change     `json:"programs,omitempty"`
	Layers   []Change     `json:"layers,omitempty"`
	Files    []FileChange `json:"files,omitempty"`
	// Sizes are in bytes, by level from the image to functions, the biggest change of each first.
	Sizes []size.Change `json:"sizes,omitempty"`
	// Functions have other code of the same size. They are there for programs of which no function has another size, since code has the
	// addresses of other code in it.
	Functions []string `json:"functions,omitempty"`
	// Vulnerabilities are there if a database was at hand.
	Vulnerabilities *Vulnerabilities `json:"vulnerabilities,omitempty"`
}

// Change is something that was added, where Before is empty, was removed, where After is, or is another.
type Change struct {
	Name   string `json:"name,omitempty"`
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

// Module is a module whose version changed. A version of a module that a replacement took the place of says what that is.
type Module struct {
	Change
	// From is the path that the module had before, if that was another: one major version before, say.
	From string `json:"from,omitempty"`
}

// FileChange is a file that was added, where Before is nil, was removed, where After is nil, or is another.
type FileChange struct {
	Path string `json:"path"`
	// Package is the package of the distribution that the file is from, or [PackageDatabase].
	Package string `json:"package,omitempty"`
	// Program says that it is a program of Go's.
	Program bool  `json:"program,omitempty"`
	Before  *File `json:"before,omitempty"`
	After   *File `json:"after,omitempty"`
}

// Changed names what of a file is another: content, mode, owner, link, attributes, time; nothing for a file that was added or removed.
func (f FileChange) Changed() []string {
	if f.Before == nil || f.After == nil {
		return nil
	}
	b, a := f.Before, f.After
	var all []string
	for _, part := range []struct {
		name string
		is   bool
	}{
		{"kind", b.Kind != a.Kind},
		{"content", b.SHA256 != a.SHA256 || b.Size != a.Size},
		{"mode", b.Mode != a.Mode},
		{"owner", b.Owner != a.Owner},
		{"link", b.Link != a.Link},
		{"attributes", b.Attributes != a.Attributes},
		{"time", b.Time != a.Time},
	} {
		if part.is {
			all = append(all, part.name)
		}
	}
	return all
}

// Compare finds what changed.
func Compare(before, after *Image) *Report {
	r := &Report{
		Version: version, Before: Named{before.Name, before.Digest}, After: Named{after.Name, after.Digest},
		Equal: before.Digest == after.Digest, Platforms: []*Difference{},
	}
	for platform, pair := range Pairs(before, after) {
		r.Platforms = append(r.Platforms, compare(platform, pair[0], pair[1]))
	}
	slices.SortFunc(r.Platforms, func(a, b *Difference) int { return strings.Compare(a.Platform, b.Platform) })
	return r
}

// Pairs are what both images have, by platforms; nil for an image that is not for it. If each is for one, that is compared, whatever it is.
func Pairs(before, after *Image) map[string][2]*Platform {
	if len(before.Platforms) == 1 && len(after.Platforms) == 1 {
		return map[string][2]*Platform{after.Platforms[0].Platform: {before.Platforms[0], after.Platforms[0]}}
	}
	pairs := map[string][2]*Platform{}
	for _, p := range before.Platforms {
		pairs[p.Platform] = [2]*Platform{p, nil}
	}
	for _, p := range after.Platforms {
		pairs[p.Platform] = [2]*Platform{pairs[p.Platform][0], p}
	}
	return pairs
}

func compare(platform string, before, after *Platform) *Difference {
	d := &Difference{Platform: platform}
	switch {
	case before == nil:
		d.Manifest.After = after.Digest
		return d
	case after == nil:
		d.Manifest.Before = before.Digest
		return d
	}
	d.Manifest = Change{Before: before.Digest, After: after.Digest}
	d.Base = one(before.base(), after.base())
	d.System = one(before.found.System, after.found.System)
	d.Packages = changes(before.found.Packages, after.found.Packages)
	d.Go = one(before.goVersions(), after.goVersions())
	d.Settings = changes(before.settings(), after.settings())
	d.Build = changes(before.build(), after.build())
	d.Modules = moved(changes(before.modules(), after.modules()))
	d.Programs = changes(before.programs(), after.programs())
	d.Layers = changes(before.layers(), after.layers())
	d.Files = files(before, after)
	one := func(p *Platform) *size.Report { return &size.Report{Platforms: []*size.Platform{p.Sizes}} }
	d.Sizes = size.Compare(one(before), one(after))[0].Changes
	d.Functions = functions(before.Sizes, after.Sizes)
	return d
}

// functions are those with other code of programs of which each function has its size.
func functions(before, after *size.Platform) []string {
	var all []string
	for _, a := range after.Programs {
		i := slices.IndexFunc(before.Programs, func(b *size.Program) bool { return a.Path == b.Path })
		if i < 0 {
			continue
		}
		had, has := code(before.Programs[i]), code(a)
		var other []string
		for name, now := range has {
			was, is := had[name]
			if !is || was.size != now.size {
				other = nil
				break
			}
			if was.hash != now.hash {
				other = append(other, name)
			}
		}
		if len(had) == len(has) {
			all = append(all, other...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// coded is the code of a function; of several of one name, of all of them.
type coded struct {
	size int64
	hash uint64
}

// code is that of a program's functions, whose names begin with their packages.
func code(p *size.Program) map[string]coded {
	all := map[string]coded{}
	for _, m := range p.Modules {
		for _, pkg := range m.Packages {
			for _, f := range pkg.Functions {
				name := pkg.Path + "." + f.Name
				c := all[name]
				all[name] = coded{c.size + f.Code, c.hash + f.Hash}
			}
		}
	}
	return all
}

// one is the change of something; nil for none.
func one(before, after string) *Change {
	if before == after {
		return nil
	}
	return &Change{Before: before, After: after}
}

// changes compares values by their names.
func changes(before, after map[string]string) []Change {
	var all []Change
	names := maps.Clone(before)
	maps.Copy(names, after)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if before[name] != after[name] {
			all = append(all, Change{name, before[name], after[name]})
		}
	}
	return all
}

func files(before, after *Platform) []FileChange {
	var all []FileChange
	owners := before.packageOf()
	maps.Copy(owners, after.packageOf())
	names := maps.Clone(before.files)
	maps.Copy(names, after.files)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		b, had := before.files[name]
		a, has := after.files[name]
		if b == a {
			continue
		}
		change := FileChange{Path: name, Package: owners[name], Program: before.found.Programs[name] != nil || after.found.Programs[name] != nil}
		if had {
			change.Before = &b
		}
		if has {
			change.After = &a
		}
		all = append(all, change)
	}
	return all
}

// Same reports whether nothing is another but how layers are packed. It says nothing of an image that is not for the platform.
func (d *Difference) Same() bool {
	return d.Base == nil && d.System == nil && d.Go == nil &&
		cmp.Or(len(d.Packages), len(d.Settings), len(d.Build), len(d.Modules), len(d.Programs), len(d.Files)) == 0
}
