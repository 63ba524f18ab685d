package plan

import (
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
)

// Outputs are the names of what Slipway writes into a source, relative to it, as patterns by the rules of [path.Match]: that of a
// directory stands for all in it. It is no part of the source.
type Outputs []string

// Has reports whether name, with slashes, is such a file or directory, or in one.
func (o Outputs) Has(name string) bool {
	if len(o) == 0 {
		return false
	}
	for at := name; at != "." && at != "/"; at = path.Dir(at) {
		for _, pattern := range o {
			if match, err := path.Match(pattern, at); match && err == nil {
				return true
			}
		}
	}
	return false
}

// In lists those that are in the source, and the directories in which nothing else is, since the Go command refuses to embed an empty
// one.
func (o Outputs) In(source fs.FS) ([]string, error) {
	var all []string
	for _, pattern := range o {
		found, err := fs.Glob(source, pattern)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	hidden := map[string]bool{}
	dirs := map[string]bool{}
	for _, name := range all {
		hidden[name], dirs[path.Dir(name)] = true, true
	}
	// Those below come first: a directory may be hidden because one in it is.
	for len(dirs) > 0 {
		dir := slices.MaxFunc(slices.Collect(maps.Keys(dirs)), func(a, b string) int { return strings.Count(a, "/") - strings.Count(b, "/") })
		delete(dirs, dir)
		if dir == "." {
			continue
		}
		entries, err := fs.ReadDir(source, dir)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return !hidden[path.Join(dir, e.Name())] }) {
			hidden[dir], dirs[path.Dir(dir)] = true, true
		}
	}
	return slices.Sorted(maps.Keys(hidden)), nil
}
