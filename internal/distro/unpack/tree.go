package unpack

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/slipway-ci/slipway/internal/oci"
)

// Tree is what packages put into an image.
type Tree struct {
	// base are the files that they are laid on; nil for none.
	base  *oci.FileSystem
	files map[string]oci.File
	// from is which package a file is from.
	from map[string]string
	// links are the directories at the top that are links, such as /lib to usr/lib.
	links map[string]string
}

// NewTree is a tree without files, for a base that may be nil.
func NewTree(base *oci.FileSystem) *Tree {
	return &Tree{base: base, files: map[string]oci.File{}, from: map[string]string{}, links: map[string]string{}}
}

// LinkTop has files below a directory at the top placed where a link in its place leads.
func (t *Tree) LinkTop(name, target string) { t.links[name] = target }

// Real is where a file is placed: below a directory at the top that is a link, where that leads.
func (t *Tree) Real(name string) string {
	if top, rest, below := strings.Cut(strings.TrimPrefix(name, "/"), "/"); below && t.links["/"+top] != "" {
		return path.Join("/", t.links["/"+top], rest)
	}
	return name
}

// InBase reports whether the base has something at a path.
func (t *Tree) InBase(name string) bool {
	if t.base == nil {
		return false
	}
	_, err := t.base.Stat(name)
	return err == nil
}

// Has reports whether the base or a package has something at a path.
func (t *Tree) Has(name string) bool {
	_, there := t.files[name]
	return there || t.InBase(name)
}

// Install adds a file of a package, unless another package or the base has it. overwrites, unless nil, says of which other packages' files it
// may take the place, and of the base's if the name is empty.
func (t *Tree) Install(name string, f oci.File, overwrites func(other string) bool) error {
	if f.Path == "/" {
		return nil
	}
	if f.Path = t.Real(f.Path); f.Mode.IsDir() && t.links[f.Path] != "" {
		return nil
	}
	was, twice := t.files[f.Path]
	switch {
	case twice && f.Mode.IsDir() && was.Mode.IsDir():
		return nil
	case twice && (was.Mode.IsDir() || overwrites == nil || !overwrites(t.from[f.Path])):
		return fmt.Errorf("the packages %s and %s both have %s (leave one out)", t.from[f.Path], name, f.Path)
	}
	if !f.Mode.IsDir() && !twice && t.base != nil {
		there, err := t.base.Stat(f.Path)
		switch {
		case err == nil && !there.Mode.IsDir() && (overwrites == nil || !overwrites("")):
			return fmt.Errorf("the package %s has %s, and so has the base (leave the package out, or choose another base)", name, f.Path)
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return err
		case !there.Mode.IsDir() && overwrites != nil:
			if err := t.base.Remove(f.Path); err != nil {
				return err
			}
		}
	}
	t.Put(f)
	t.from[f.Path] = name
	return nil
}

// Put has a file in the place of any other.
func (t *Tree) Put(f oci.File) { t.files[f.Path] = f }

// Remove leaves a file of a package out.
func (t *Tree) Remove(name string) { delete(t.files, name) }

// Add adds a file unless there is one.
func (t *Tree) Add(f oci.File) {
	if !t.Has(f.Path) {
		t.Put(f)
	}
}

// Link puts a symbolic link in the place of what packages have there, unless the base has something.
func (t *Tree) Link(name, target string) {
	if !t.InBase(name) {
		t.Put(oci.File{Path: name, Mode: fs.ModeSymlink | fs.ModePerm, Link: target})
	}
}

// File is a file of the tree.
func (t *Tree) File(name string) (oci.File, bool) {
	f, ok := t.files[name]
	return f, ok
}

// Files are all files, in the order of their paths.
func (t *Tree) Files() []oci.File {
	var files []oci.File
	for _, f := range t.files {
		files = append(files, f)
	}
	slices.SortFunc(files, func(a, b oci.File) int { return strings.Compare(a.Path, b.Path) })
	return files
}

// Read reads a file.
func Read(f oci.File) (content []byte, err error) {
	opened, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	return io.ReadAll(opened)
}
