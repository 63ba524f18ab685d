package oci

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/slipway-ci/slipway/internal/temporary"
)

// entryLimitBytes is the most that is read of an entry that is read whole.
const entryLimitBytes = 256 << 20

// openEntry opens an entry of a store or layout. Only a regular file that can be read is one: a link, pipe, directory or whatever
// else somebody has put there is moved out of the way, and the error is fs.ErrNotExist.
func openEntry(name string) (*os.File, error) {
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
	if err := moveAside(name); err != nil {
		return nil, err
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

// ReadEntry reads a file of a store's directory. See WriteEntry.
func ReadEntry(name string) (content []byte, err error) {
	f, err := openEntry(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	content, err = io.ReadAll(io.LimitReader(f, entryLimitBytes+1))
	if err == nil && len(content) > entryLimitBytes {
		err = fmt.Errorf("%s has more than %d bytes", name, entryLimitBytes)
	}
	return content, err
}

// WriteEntry writes a file of a store's directory, which is made if need be, at once. Whatever else is in the place of either is moved
// out of the way.
func WriteEntry(name string, content []byte) error {
	if err := MakeDir(filepath.Dir(name)); err != nil {
		return err
	}
	return writeEntry(name, func(w io.Writer) error {
		_, err := io.Copy(w, bytes.NewReader(content))
		return err
	})
}

// writeEntry is writeFile for an entry of a store or layout. See commitEntry.
func writeEntry(name string, fill func(io.Writer) error) error {
	part, err := writePart(filepath.Dir(name), fill)
	if err != nil {
		return err
	}
	return commitEntry(part, name)
}

// commitEntry commits an entry of a store or layout: a directory that has the name is moved out of the way.
func commitEntry(part *temporary.Part, name string) error {
	if info, err := os.Lstat(name); err == nil && info.IsDir() {
		if err := moveAside(name); err != nil {
			return errors.Join(err, part.Discard())
		}
	}
	return part.Commit(name)
}

// MakeDir makes a directory of a store, in one that is there, or finds it. Whatever else is in its place is moved out of the way.
func MakeDir(dir string) error {
	if info, err := os.Lstat(dir); err == nil && !info.IsDir() {
		if err := moveAside(dir); err != nil {
			return err
		}
	}
	return os.MkdirAll(dir, 0o755)
}

// moveAside removes what is in the place of an entry. A directory that is not empty stays beside it, with another name.
func moveAside(name string) error {
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
