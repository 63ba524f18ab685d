// Package source opens the directory that images are built from. All that Slipway reads of it goes through one opened root, so that
// no link leads out of it, nothing but regular files is read, and what is read into memory is bounded.
package source

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

var (
	// ErrOutside is the error for what a link leads to outside the source.
	ErrOutside = errors.New("a link that leads out of the source")
	// ErrIrregular is the error for what is neither a file nor a directory: a pipe, a socket, a device.
	ErrIrregular = errors.New("neither a file nor a directory")

	errDirectory = errors.New("is a directory")
)

// TooLarge is the error for a file that is larger than Slipway reads.
type TooLarge struct{ Limit int64 }

func (e TooLarge) Error() string {
	return fmt.Sprintf("larger than %d MiB, which is as much as Slipway reads of such a file", e.Limit>>20)
}

// limits are how many bytes are read of a file, by the last element of its name. For go.mod it is the Go command's own.
// Source: cmd/go/internal/modfetch/codehost, MaxGoMod
var limits = map[string]int64{
	".dockerignore":     1 << 20,
	"slipway.yaml":      4 << 20,
	"slipway.lock":      4 << 20,
	".slipway-vex.json": 16 << 20,
	"go.mod":            16 << 20,
	"go.work":           16 << 20,
	"go.sum":            64 << 20,
	"go.work.sum":       64 << 20,
	"modules.txt":       64 << 20,
}

// otherLimit is that of all other files: those of Go, and those that a user names, such as keys and certificates.
const otherLimit = 64 << 20

func limit(name string) int64 {
	if l, ok := limits[path.Base(name)]; ok {
		return l
	}
	return otherLimit
}

// Tree is an opened source. Its names are those of package fs. Links are followed while they stay within it; absolute ones never do.
type Tree struct {
	root *os.Root
	fsys fs.FS
}

var (
	_ fs.ReadFileFS = (*Tree)(nil)
	_ fs.ReadDirFS  = (*Tree)(nil)
	_ fs.StatFS     = (*Tree)(nil)
	_ fs.ReadLinkFS = (*Tree)(nil)
)

// Open opens the directory dir, which may be a link itself.
func Open(dir string) (*Tree, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &Tree{root, root.FS()}, nil
}

// Close gives the directory up. Files that are open stay so.
func (t *Tree) Close() error { return t.root.Close() }

// Open implements [fs.FS]. It refuses what is neither a regular file nor a directory, and does not wait for a pipe.
func (t *Tree) Open(name string) (fs.File, error) { return t.open(name) }

func (t *Tree) open(name string) (*os.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	f, err := t.root.OpenFile(name, os.O_RDONLY|nonblock, 0)
	if err != nil {
		return nil, explain(name, err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		err = &fs.PathError{Op: "open", Path: name, Err: ErrIrregular}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// ReadFile implements [fs.ReadFileFS].
func (t *Tree) ReadFile(name string) ([]byte, error) {
	f, err := t.open(name)
	if err != nil {
		return nil, err
	}
	content, err := readAll(f, name)
	return content, errors.Join(err, f.Close())
}

// ReadDir implements [fs.ReadDirFS].
func (t *Tree) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(t.fsys, name)
	return entries, explain(name, err)
}

// Stat implements [fs.StatFS]. It follows links.
func (t *Tree) Stat(name string) (fs.FileInfo, error) {
	info, err := fs.Stat(t.fsys, name)
	return info, explain(name, err)
}

// ReadLink implements [fs.ReadLinkFS]. Targets have slashes on every system.
func (t *Tree) ReadLink(name string) (string, error) {
	target, err := fs.ReadLink(t.fsys, name)
	return filepath.ToSlash(target), explain(name, err)
}

// Lstat implements [fs.ReadLinkFS].
func (t *Tree) Lstat(name string) (fs.FileInfo, error) {
	info, err := fs.Lstat(t.fsys, name)
	return info, explain(name, err)
}

// Complete reports whether what links within the tree lead to is there, as it may not be where a part of a source was brought. A link
// out of it has nothing to bring.
func (t *Tree) Complete() (bool, error) {
	complete := true
	err := fs.WalkDir(t, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.Type() != fs.ModeSymlink {
			return err
		}
		if _, err := t.Stat(name); errors.Is(err, fs.ErrNotExist) {
			complete = false
			return fs.SkipAll
		}
		return nil
	})
	return complete, err
}

// ReadFile reads a file that the user named, wherever it is: bounded, and without waiting for a pipe that nobody writes to.
func ReadFile(name string) ([]byte, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|nonblock, 0)
	if err != nil {
		return nil, err
	}
	content, err := readAll(f, name)
	return content, errors.Join(err, f.Close())
}

// readAll reads what is left of f, the file of that name.
func readAll(f *os.File, name string) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, &fs.PathError{Op: "read", Path: name, Err: errDirectory}
	}
	most := limit(name)
	content := bytes.NewBuffer(make([]byte, 0, min(info.Size(), most)+bytes.MinRead))
	if _, err := content.ReadFrom(io.LimitReader(f, most+1)); err != nil {
		return nil, err
	}
	if int64(content.Len()) > most {
		return nil, &fs.PathError{Op: "read", Path: name, Err: TooLarge{most}}
	}
	return content.Bytes(), nil
}

// Describe returns what an error of reading says without the file's name, and what mends it.
func Describe(err error) (problem, hint string) {
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		err = p.Err
	}
	switch {
	case errors.Is(err, ErrOutside):
		hint = "put a copy in its place, or give slipway a directory that holds both"
	case errors.Is(err, ErrIrregular), errors.Is(err, errDirectory):
		hint = "put a file in its place"
	case errors.As(err, &TooLarge{}):
		hint = "make it smaller"
	default:
		hint = "make it readable"
	}
	return err.Error(), hint
}

// explain gives errors of [os.Root] the name that was asked for, and ErrOutside for what package os says by another word.
func explain(name string, err error) error {
	if err == nil {
		return nil
	}
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		err = p.Err
	}
	if strings.HasSuffix(err.Error(), "path escapes from parent") {
		err = ErrOutside
	}
	return &fs.PathError{Op: "open", Path: name, Err: err}
}
