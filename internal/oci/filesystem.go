package oci

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/slipway-ci/slipway/internal/cache"
)

// Names that delete files of lower layers. Source: https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md#whiteouts
const (
	whiteout = ".wh."
	opaque   = ".wh..wh..opq"
	// aufs begins names that one storage driver once left in layers. They mean nothing elsewhere.
	aufs = ".wh..wh."
)

// Whiteout reports whether the entry of a layer with that path is no file, but says what of the layers below is gone: the file or directory
// gone, or everything that the directory emptied has had in it. Both are empty for an entry that means nothing.
func Whiteout(name string) (gone, emptied string, is bool) {
	dir, last := path.Split(name)
	deleted, is := strings.CutPrefix(last, whiteout)
	switch {
	case !is:
		return "", "", false
	case last == opaque:
		return "", path.Clean(dir), true
	case strings.HasPrefix(last, aufs), deleted == "", deleted == ".", deleted == "..":
		return "", "", true
	default:
		return path.Join(dir, deleted), "", true
	}
}

// readLimit is the size in bytes of the biggest file that ReadFile reads.
const readLimit = 1 << 20

// maxLinks is how many symbolic links are followed, as on Linux.
const maxLinks = 40

// FileSystem is what the layers of an image make up.
type FileSystem struct {
	root *node
	own  *byte // what the nodes that only f has are marked with
}

// node is a file, with what is in it if it is a directory.
type node struct {
	entry
	children map[string]*node
	open     func(context.Context) (io.ReadCloser, error)
	// content names what open gives, for the cache; empty if it takes no time to read.
	content string
	cache   *cache.Cache
	own     *byte
}

func newDir(name string) *node {
	return &node{entry: entry{path: name, kind: tar.TypeDir, mode: 0o755}, children: map[string]*node{}}
}

func (n *node) isDir() bool { return n.kind == tar.TypeDir }

// NewFileSystem reads the file system of img, or an empty one for nil. Layers whose contents are in the cache are not read.
func NewFileSystem(ctx context.Context, img v1.Image) (*FileSystem, error) {
	f := &FileSystem{root: newDir("/"), own: new(byte)}
	if img == nil {
		return f, nil
	}
	layers, err := img.Layers()
	if err != nil {
		return nil, err
	}
	total, names := 0, 0
	for _, l := range layers {
		found, err := contentsOf(ctx, l)
		if err != nil {
			return nil, err
		}
		entries, err := found.entries()
		if err != nil {
			return nil, err
		}
		if total, names = total+len(entries), names+len(found.Listing); total > entryLimit || names > listingLimit {
			return nil, errTooMany
		}
		if err := f.apply(l, entries); err != nil {
			return nil, fmt.Errorf("unpacking a layer: %w", err)
		}
	}
	return f, nil
}

// FileSystemOf is the file system of an image that has these files, each of which comes after its directory. They are opened when they
// are read.
func FileSystemOf(files []File) (*FileSystem, error) {
	f := &FileSystem{root: newDir("/"), own: new(byte)}
	for _, file := range files {
		at, dir, err := f.walk(path.Dir(file.Path))
		if err != nil || dir == nil || !dir.isDir() || path.Join(at, path.Base(file.Path)) != file.Path || file.Path == "/" {
			return nil, fmt.Errorf("%q is in no directory of the image", file.Path)
		}
		f.put(file)
	}
	return f, nil
}

// Copy returns a file system that begins as f, which must not change afterwards.
func (f *FileSystem) Copy() *FileSystem { return &FileSystem{root: f.root, own: new(byte)} }

// apply unpacks a layer, as containerd does: links on the way to an entry are followed, an entry that is a link itself is replaced.
func (f *FileSystem) apply(l v1.Layer, entries []entry) error {
	// Whatever their place in the layer, whiteouts are about the layers below.
	for _, e := range entries {
		gone, emptied, is := Whiteout(e.path)
		if !is {
			continue
		}
		_, parent, err := f.walk(path.Dir(e.path))
		switch {
		case err != nil || parent == nil || !parent.isDir():
		case emptied != "":
			clear(parent.children)
		case gone != "":
			delete(parent.children, path.Base(gone))
		}
	}
	for i, e := range entries {
		if _, _, is := Whiteout(e.path); is || e.kind == tar.TypeXGlobalHeader {
			continue
		}
		dir, name := path.Split(e.path)
		if e.path == "/" {
			if e.kind == tar.TypeDir {
				f.root.entry = e
			}
			continue
		}
		parent, err := f.makeDirs(dir)
		if err != nil {
			return fmt.Errorf("%s: %w", e.path, err)
		}
		made := &node{entry: e}
		switch e.kind {
		case tar.TypeDir:
			made.children = map[string]*node{}
			if old := parent.children[name]; old != nil && old.isDir() {
				made.children = old.children
			}
		case tar.TypeLink:
			_, targetDir, err := f.walk(path.Dir(path.Clean("/" + e.link)))
			if err != nil || targetDir == nil || targetDir.children[path.Base(e.link)] == nil {
				return fmt.Errorf("%s is a hard link to %s, which is not there", e.path, e.link)
			}
			target := *targetDir.children[path.Base(e.link)]
			if target.isDir() {
				return fmt.Errorf("%s is a hard link to the directory %s", e.path, e.link)
			}
			target.path = e.path
			made = &target
		case tar.TypeReg:
			if err := made.from(l, i); err != nil {
				return err
			}
		}
		parent.children[name] = made
	}
	return nil
}

// from gives a regular file the content of the entry with that number of a layer.
func (n *node) from(l v1.Layer, number int) error {
	digest, err := l.Digest()
	if err != nil {
		return err
	}
	if own := own(l); own != nil {
		n.cache = own.cache
	}
	n.content = digest.String() + " " + strconv.Itoa(number)
	n.open = func(ctx context.Context) (io.ReadCloser, error) {
		packed, err := compressed(ctx, l)
		if err != nil {
			return nil, err
		}
		content, err := inflate(packed)
		if err != nil {
			return nil, errors.Join(err, packed.Close())
		}
		archive := tar.NewReader(content)
		for range number + 1 {
			if _, err := archive.Next(); err != nil {
				return nil, errors.Join(err, content.Close())
			}
		}
		return struct {
			io.Reader
			io.Closer
		}{archive, content}, nil
	}
	return nil
}

// makeDirs finds a directory, which is made if need be.
func (f *FileSystem) makeDirs(name string) (*node, error) {
	at, found, err := f.walk(name)
	switch {
	case err != nil:
		return nil, err
	case found != nil && !found.isDir():
		return nil, notDirError(at)
	case found != nil:
		return found, nil
	}
	dir := f.root
	for _, part := range parts(at) {
		next := dir.children[part]
		if next == nil {
			next = newDir(path.Join(dir.path, part))
			dir.children[part] = next
		}
		dir = next
	}
	return dir, nil
}

// notDirError is the path of something that would have to be a directory.
type notDirError string

func (e notDirError) Error() string        { return string(e) + " is not a directory" }
func (e notDirError) Is(target error) bool { return target == fs.ErrNotExist }

func parts(name string) []string {
	return strings.FieldsFunc(name, func(r rune) bool { return r == '/' })
}

// walk follows name and all links on its way, within the image, to where it leads. The node is nil if there is nothing; a link to
// nothing leads where its target would be.
func (f *FileSystem) walk(name string) (at string, found *node, err error) {
	type step struct {
		name string
		node *node // nil for what is not there
	}
	way := []step{{"/", f.root}}
	rest := parts(name)
	for links := 0; len(rest) > 0; {
		part := rest[0]
		rest = rest[1:]
		here := way[len(way)-1]
		switch {
		case part == ".":
			continue
		case part == "..":
			way = way[:max(1, len(way)-1)]
			continue
		case here.node != nil && !here.node.isDir():
			return "", nil, notDirError(here.name)
		}
		var next *node
		if here.node != nil {
			next = here.node.children[part]
		}
		if next != nil && next.kind == tar.TypeSymlink {
			if links++; links > maxLinks {
				return "", nil, errors.New("too many symbolic links, perhaps in a circle")
			}
			if path.IsAbs(next.link) {
				way = way[:1]
			}
			rest = append(parts(next.link), rest...)
			continue
		}
		way = append(way, step{path.Join(here.name, part), next})
	}
	last := way[len(way)-1]
	return last.name, last.node, nil
}

// find is the file that name leads to, and its path. The error is fs.ErrNotExist if there is none.
func (f *FileSystem) find(name string) (at string, found *node, err error) {
	at, found, err = f.walk(name)
	if err == nil && found == nil {
		err = fmt.Errorf("%s: %w", at, fs.ErrNotExist)
	}
	return at, found, err
}

// Stat describes the file that name leads to. The error is fs.ErrNotExist if there is none. Open reads a regular file.
func (f *FileSystem) Stat(name string) (File, error) {
	at, found, err := f.find(name)
	if err != nil {
		return File{}, fmt.Errorf("finding %s in an image: %w", name, err)
	}
	return found.file(at), nil
}

// List are the names of what is in the directory that name leads to, in order; none if there is no such directory.
func (f *FileSystem) List(name string) []string {
	_, found, err := f.find(name)
	if err != nil {
		return nil
	}
	return slices.Sorted(maps.Keys(found.children))
}

// file is the node as a file for a layer. Its entry may have another path, with links.
func (n *node) file(at string) File {
	mode := (&tar.Header{Mode: n.mode, Typeflag: n.kind}).FileInfo().Mode()
	file := File{Path: at, Mode: mode, UID: n.uid, GID: n.gid, Time: n.time, Link: n.link, Xattrs: n.xattrs}
	switch {
	case n.kind == tar.TypeReg:
		file.Size = n.size
		file.Open = func() (io.ReadCloser, error) { return n.open(context.Background()) }
	case mode.IsRegular():
		file.Mode |= fs.ModeIrregular // of a kind that tar does not know
	}
	return file
}

// ReadFile reads a regular file of at most 1 MiB. The error is fs.ErrNotExist if there is none.
func (f *FileSystem) ReadFile(ctx context.Context, name string) (data []byte, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("finding %s in an image: %w", name, err)
		}
	}()
	_, found, err := f.find(name)
	switch {
	case err != nil:
		return nil, err
	case found.kind != tar.TypeReg:
		return nil, errors.New("it is not a regular file")
	case found.size > readLimit:
		return nil, fmt.Errorf("it has %d bytes, more than the %d that are read", found.size, readLimit)
	}
	key := "content of the entry " + found.content
	if found.cache != nil && found.content != "" && found.cache.Get(key, &data) {
		return data, nil
	}
	content, err := found.open(ctx)
	if err != nil {
		return nil, err
	}
	data, err = io.ReadAll(content)
	if err := errors.Join(err, content.Close()); err != nil {
		return nil, err
	}
	if found.cache != nil && found.content != "" {
		err = found.cache.Put(key, data)
	}
	return data, err
}

// put has a file in the place of another of that path, whose links have been followed. Its directory is there.
func (f *FileSystem) put(file File) {
	f.root = f.owned(f.root)
	dir := f.root
	way := parts(file.Path)
	for _, part := range way[:len(way)-1] {
		next := f.owned(dir.children[part])
		dir.children[part] = next
		dir = next
	}
	made := &node{own: f.own, entry: file.entry()}
	last := way[len(way)-1]
	switch made.kind {
	case tar.TypeDir:
		made.children = map[string]*node{}
		if old := dir.children[last]; old != nil && old.isDir() {
			made.children = maps.Clone(old.children)
		}
	case tar.TypeReg:
		made.open = func(context.Context) (io.ReadCloser, error) { return file.Open() }
	}
	dir.children[last] = made
}

// Remove removes the file, directory or link at name, if there is one, so that [FileSystem.Place] follows no link in its place. Links on the
// way are followed.
func (f *FileSystem) Remove(name string) error {
	at, dir, err := f.walk(path.Dir(name))
	if err != nil || dir == nil || dir.children[path.Base(name)] == nil {
		return err
	}
	f.root = f.owned(f.root)
	dir = f.root
	for _, part := range parts(at) {
		next := f.owned(dir.children[part])
		dir.children[part] = next
		dir = next
	}
	delete(dir.children, path.Base(name))
	return nil
}

// owned is the directory n, or a copy of it where others have it, too.
func (f *FileSystem) owned(n *node) *node {
	if n.own == f.own {
		return n
	}
	mine := *n
	mine.own, mine.children = f.own, maps.Clone(n.children)
	return &mine
}
