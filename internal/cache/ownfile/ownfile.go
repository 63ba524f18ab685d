// Package ownfile reads and writes the files of directories that are Slipway's, such as a cache or an OCI layout, whatever somebody else has
// put there: what is no regular file is moved out of the way.
package ownfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/slipway-ci/slipway/internal/cache/temporary"
)

// readLimit is the most bytes that Read reads.
const readLimit = 256 << 20

// Open opens an entry. Only a regular file that can be read is one: a link, pipe, directory or whatever else somebody has put there is
// moved out of the way, and the error is fs.ErrNotExist.
func Open(name string) (*os.File, error) {
	info, err := os.Lstat(name)
	if err != nil {
		return nil, err
	}
	if info.Mode().IsRegular() {
		f, err := os.Open(name)
		if !errors.Is(err, fs.ErrPermission) {
			return f, err
		}
	}
	if err := MoveAside(name); err != nil {
		return nil, err
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

// Read reads an entry. See [Open].
func Read(name string) (content []byte, err error) {
	f, err := Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	content, err = io.ReadAll(io.LimitReader(f, readLimit+1))
	if err == nil && len(content) > readLimit {
		err = fmt.Errorf("%s has more than %d bytes", name, readLimit)
	}
	return content, err
}

// Write writes an entry, whole or not at all, with what fill writes. Its directory is made if need be.
func Write(name string, fill func(io.Writer) error) error {
	if err := MakeDir(filepath.Dir(name)); err != nil {
		return err
	}
	part, err := temporary.Fill(filepath.Dir(name), fill)
	if err != nil {
		return err
	}
	return Commit(part, name)
}

// Commit commits an entry: a directory that has the name is moved out of the way.
func Commit(part *temporary.Part, name string) error {
	if info, err := os.Lstat(name); err == nil && info.IsDir() {
		if err := MoveAside(name); err != nil {
			return errors.Join(err, part.Discard())
		}
	}
	return part.Commit(name)
}

// MakeDir makes a directory of entries, in one that is there, or finds it. Whatever else is in its place is moved out of the way.
func MakeDir(dir string) error {
	if info, err := os.Lstat(dir); err == nil && !info.IsDir() {
		if err := MoveAside(dir); err != nil {
			return err
		}
	}
	return os.MkdirAll(dir, 0o755)
}

// MoveAside removes what is in the place of an entry. A directory that is not empty stays beside it, with another name.
func MoveAside(name string) error {
	err := os.Remove(name)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	aside, failure := os.MkdirTemp(filepath.Dir(name), ".foreign-*")
	if failure != nil {
		return errors.Join(err, failure)
	}
	return os.Rename(name, filepath.Join(aside, filepath.Base(name)))
}
