package oci

import (
	"iter"
	"maps"
	"path"
	"slices"
)

// All are all files, directories and links but for the root, in the order of their names, each directory before what is in it.
func (f *FileSystem) All() iter.Seq[File] {
	return func(yield func(File) bool) { f.root.all("/", yield) }
}

func (n *node) all(at string, yield func(File) bool) bool {
	for _, name := range slices.Sorted(maps.Keys(n.children)) {
		child, below := n.children[name], path.Join(at, name)
		if !yield(child.file(below)) || !child.all(below, yield) {
			return false
		}
	}
	return true
}
