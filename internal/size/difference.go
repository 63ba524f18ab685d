package size

import (
	"cmp"
	"slices"
)

// Difference is what changed from one image to another, for one platform.
type Difference struct {
	Platform string `json:"platform"`
	// Changes are those of everything that has another size, the biggest of each level first.
	Changes []Change `json:"changes"`
}

// Change is something that has another size. Of what is only in one of the images, the other size is zero.
type Change struct {
	Level  Level  `json:"level"`
	Name   string `json:"name"`
	Before int64  `json:"before"`
	After  int64  `json:"after"`
}

// Growth is how many bytes more there are.
func (c Change) Growth() int64 { return c.After - c.Before }

// LevelKind is the level of kinds of bytes, and LevelCompressed that of the image as it is pulled. They are no parts of the tree.
const (
	LevelKind       Level = "kind"
	LevelCompressed Level = "compressed image"
)

// levels are the order of changes.
var levels = slices.Concat([]Level{LevelCompressed}, Levels[:5], []Level{LevelKind}, Levels[5:])

// Compare compares what two reports have for the same platforms; or for the only platform of each, whatever it is.
func Compare(before, after *Report) []Difference {
	differences := []Difference{}
	alone := len(before.Platforms) == 1 && len(after.Platforms) == 1
	for _, b := range before.Platforms {
		for _, a := range after.Platforms {
			if alone || a.Platform == b.Platform {
				differences = append(differences, Difference{a.Platform, changes(b, a)})
				break
			}
		}
	}
	return differences
}

func changes(before, after *Platform) []Change {
	all := map[Change]*Change{} // by level and name
	count(before, func(level Level, name string, size int64) { change(all, level, name).Before += size })
	count(after, func(level Level, name string, size int64) { change(all, level, name).After += size })
	list := []Change{}
	for _, c := range all {
		if c.Before != c.After {
			list = append(list, *c)
		}
	}
	slices.SortFunc(list, func(a, b Change) int {
		return cmp.Or(
			cmp.Compare(slices.Index(levels, a.Level), slices.Index(levels, b.Level)),
			cmp.Compare(abs(b.Growth()), abs(a.Growth())),
			cmp.Compare(a.Name, b.Name))
	})
	return list
}

func abs(n int64) int64 { return max(n, -n) }

func change(all map[Change]*Change, level Level, name string) *Change {
	key := Change{Level: level, Name: name}
	if all[key] == nil {
		found := key
		all[key] = &found
	}
	return all[key]
}

// count adds everything of a platform. A module's name is without its version, and a function's begins with its package.
func count(p *Platform, add func(level Level, name string, size int64)) {
	if p.Layers != nil {
		add(LevelCompressed, "", p.Compressed)
		add(LevelImage, "", p.Unpacked)
	}
	for _, l := range p.Layers {
		if l.Name != "" { // the digest of another layer is another one
			add(LevelLayer, l.Name, l.Unpacked)
		}
		for _, f := range l.Files {
			add(LevelFile, f.Path, f.Size)
		}
	}
	for _, i := range p.Installed {
		add(LevelInstalled, i.Name, i.Size)
	}
	for _, one := range p.Programs {
		name := one.Path
		if p.Layers == nil {
			name = "" // two files to compare have two names
		}
		add(LevelProgram, name, one.Size)
		for _, k := range one.Kinds {
			add(LevelKind, string(k.Kind), k.Size)
		}
		for _, m := range one.Modules {
			add(LevelModule, m.Path, m.Size)
			for _, pkg := range m.Packages {
				add(LevelPackage, pkg.Path, pkg.Size)
				for _, f := range pkg.Functions {
					add(LevelFunction, pkg.Path+"."+f.Name, f.Size())
				}
			}
		}
	}
}

// Document is the report in JSON. Fields may be added to it, and none is removed or gets another meaning.
type Document struct {
	Images []*Report `json:"images"`
	// Difference is what changed from the first image to the second, if there are two.
	Difference []Difference `json:"difference,omitempty"`
}

// NewDocument is the document of one image or two.
func NewDocument(reports []*Report) Document {
	d := Document{Images: reports}
	if len(reports) == 2 {
		d.Difference = Compare(reports[0], reports[1])
	}
	return d
}
