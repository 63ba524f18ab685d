package oci

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/slipway-ci/slipway/internal/cache"
)

// File is a file, directory or symbolic link in a layer.
type File struct {
	// Path in the image: absolute and clean.
	Path string
	// Mode has the permission bits, ModeSetuid, ModeSetgid and ModeSticky, and ModeDir or ModeSymlink where it is not a
	// regular file. The permissions of a link are always 0777.
	Mode     fs.FileMode
	UID, GID int
	// Exact says that [FileSystem.Place] gives a directory that is there this mode and owner.
	Exact bool
	// Size in bytes of a regular file, and Open to read exactly as many.
	Size int64
	Open func() (io.ReadCloser, error)
	// From is what the content comes from, in terms of a caller who opens it later than [FileSystem.Place] places it.
	From any
	// ID is the SHA-256 of the content in hexadecimal digits; empty if it is not known, and layers with the file are always
	// made anew.
	ID string
	// Link is where a symbolic link points to.
	Link string
	// Time, unless zero, takes the place of the layer's.
	Time time.Time
	// Xattrs are extended attributes.
	Xattrs map[string]string
}

// FromBytes is a regular file of root's with the given content.
func FromBytes(path string, mode fs.FileMode, content []byte) File {
	return File{Path: path, Mode: mode, Size: int64(len(content)), ID: sha256Of(content).Hex, Open: func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content)), nil
	}}
}

// FromDisk is a regular file of root's with the content of the file name of this machine, which must not change until the layer is
// made. A symbolic link stands for what it points to. A cache, unless nil, may know the file's digest, so that it need not be read now.
func FromDisk(c *cache.Cache, path string, mode fs.FileMode, name string) (File, error) {
	info, err := os.Stat(name)
	if err != nil {
		return File{}, err
	}
	if !info.Mode().IsRegular() {
		return File{}, fmt.Errorf("%s is not a regular file: it cannot become %s of the image", name, path)
	}
	id, err := c.FileDigest(name)
	if err != nil {
		return File{}, err
	}
	return File{Path: path, Mode: mode, Size: info.Size(), ID: id, Open: func() (io.ReadCloser, error) { return os.Open(name) }}, nil
}

// FromFS is a regular file of root's with the content of the file name of fsys, which must not change until the layer is made.
func FromFS(path string, mode fs.FileMode, fsys fs.FS, name string) (_ File, err error) {
	f, err := fsys.Open(name)
	if err != nil {
		return File{}, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return File{}, err
	}
	if !info.Mode().IsRegular() {
		return File{}, fmt.Errorf("%s is not a regular file: it cannot become %s of the image", name, path)
	}
	digest, _, err := v1.SHA256(f)
	if err != nil {
		return File{}, err
	}
	return File{Path: path, Mode: mode, Size: info.Size(), ID: digest.Hex, Open: func() (io.ReadCloser, error) { return fsys.Open(name) }}, nil
}

// check says what keeps a file from being part of a layer.
func (f File) check() error {
	switch {
	case !path.IsAbs(f.Path) || path.Clean(f.Path) != f.Path || f.Path == "/" || strings.ContainsRune(f.Path, 0):
		return fmt.Errorf("%q is not the path of a file in an image: it must be absolute, without . and .. and a slash at its end", f.Path)
	case strings.Contains(f.Path, "/"+whiteout):
		return fmt.Errorf("%s would delete a file instead of adding one: no name in an image begins with %s", f.Path, whiteout)
	case f.UID < 0 || f.GID < 0:
		return fmt.Errorf("%s has the owner %d:%d, and no number of an owner is negative", f.Path, f.UID, f.GID)
	case f.Mode.Type() == fs.ModeSymlink && f.Link == "":
		return fmt.Errorf("the symbolic link %s points nowhere", f.Path)
	case f.Mode.IsRegular() && f.Open == nil:
		return fmt.Errorf("the file %s has no content", f.Path)
	case !f.Mode.IsRegular() && f.Mode.Type() != fs.ModeDir && f.Mode.Type() != fs.ModeSymlink:
		return fmt.Errorf("%s is neither file, directory nor symbolic link but %s", f.Path, f.Mode)
	}
	return nil
}

// tree is what goes into a layer: the files and every directory above them, a directory before what is in it.
func tree(files []File) ([]File, error) {
	all := make(map[string]File, len(files))
	for _, f := range files {
		if err := f.check(); err != nil {
			return nil, err
		}
		if _, twice := all[f.Path]; twice {
			return nil, fmt.Errorf("%s is there twice in one layer", f.Path)
		}
		all[f.Path] = f
	}
	for _, f := range files {
		for dir := path.Dir(f.Path); dir != "/"; dir = path.Dir(dir) {
			parent, listed := all[dir]
			if !listed {
				all[dir] = File{Path: dir, Mode: fs.ModeDir | 0o755}
			} else if !parent.Mode.IsDir() {
				return nil, fmt.Errorf("%s cannot be below %s, which is not a directory", f.Path, dir)
			}
		}
	}
	sorted := make([]File, 0, len(all))
	for _, f := range all {
		sorted = append(sorted, f)
	}
	slices.SortFunc(sorted, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return sorted, nil
}

// copyBuffer is the size of what is held of a blob or file while it is copied.
const copyBuffer = 128 << 10

// copyAll copies until the end of src, or until ctx is over.
func copyAll(ctx context.Context, dst io.Writer, src io.Reader) (int64, error) {
	// The struct hides methods such as os.File.WriteTo, which would go on after the end of ctx.
	return io.CopyBuffer(struct{ io.Writer }{dst}, contextReader{ctx, src}, make([]byte, copyBuffer))
}

type contextReader struct {
	ctx context.Context
	io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}
