// Package temporary makes directories and files that are there only while their process needs them. What a process leaves that was
// killed, a later one removes.
//
// Each directory holds a lock file, which its process has locked until it ends. So a directory whose lock can be had is nobody's,
// in whatever container its process was.
package temporary

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/slipway-ci/slipway/internal/cache/filelock"
)

// lockName is the lock file's name in a temporary directory.
const lockName = "lock"

// Dir is a temporary directory, which only its user may enter.
type Dir struct {
	// Path is where it is. It holds a file lock.
	Path string
	lock *filelock.Lock // nil on a file system without locks
}

// NewDir makes a directory where the system keeps temporary files.
func NewDir() (*Dir, error) { return newDir(os.TempDir(), "slipway-") }

func newDir(parent, prefix string) (*Dir, error) {
	sweepOnce(parent, prefix)
	for {
		path, err := os.MkdirTemp(parent, prefix)
		if err != nil {
			return nil, err
		}
		lock, err := filelock.Try(filepath.Join(path, lockName))
		switch {
		case errors.Is(err, errors.ErrUnsupported):
			return &Dir{path, nil}, os.Remove(filepath.Join(path, lockName))
		case errors.Is(err, fs.ErrNotExist) || err == nil && lock == nil:
			continue // until it was locked, it looked like what a killed process leaves, and somebody is removing it
		case err != nil:
			return nil, errors.Join(err, os.RemoveAll(path))
		}
		return &Dir{path, lock}, nil
	}
}

// Remove removes the directory with everything that it holds.
func (d *Dir) Remove() error {
	root, err := os.OpenRoot(d.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = errors.Join(empty(root), root.Close())
	}
	if d.lock != nil && err != nil {
		return errors.Join(err, d.lock.Unlock()) // a later process tries again
	}
	if d.lock != nil {
		err = d.lock.Remove()
	}
	return errors.Join(err, os.RemoveAll(d.Path))
}

// empty removes everything that a directory holds but the lock file: it has to be the last.
func empty(dir *os.Root) error {
	entries, err := fs.ReadDir(dir.FS(), ".")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() != lockName {
			err = errors.Join(err, dir.RemoveAll(e.Name()))
		}
	}
	return err
}

// Unfinished is what the names begin with of what is in a directory only while something is written there.
const Unfinished = ".slipway"

// Part is a file that gets its name when it is complete.
type Part struct {
	*os.File
	dir *Dir
}

// NewPart makes a file that is to be renamed to one in dir.
func NewPart(dir string) (*Part, error) {
	own, err := newDir(dir, Unfinished+"-")
	if err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(own.Path, "part"), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, errors.Join(err, own.Remove())
	}
	return &Part{file, own}, nil
}

// Fill makes a file with what fill writes, which is to be renamed to one in dir. Nothing stays of it after an error.
func Fill(dir string, fill func(io.Writer) error) (*Part, error) {
	part, err := NewPart(dir)
	if err != nil {
		return nil, err
	}
	if err := fill(part); err != nil {
		return nil, errors.Join(err, part.Discard())
	}
	return part, nil
}

// WriteFile makes a file with what fill writes, which is there whole or not at all.
func WriteFile(name string, fill func(io.Writer) error) error {
	part, err := Fill(filepath.Dir(name), fill)
	if err != nil {
		return err
	}
	return part.Commit(name)
}

// Commit closes the file, which anybody may read then, whatever the umask, and gives it its name. What was there before is replaced,
// or stays after an error.
func (p *Part) Commit(name string) error {
	err := errors.Join(p.Chmod(0o644), p.Close())
	if err == nil {
		err = os.Rename(p.Name(), name)
	}
	return errors.Join(err, p.dir.Remove())
}

// Discard removes the file.
func (p *Part) Discard() error { return errors.Join(p.Close(), p.dir.Remove()) }

// Probe reports why no file can be made in dir, and leaves no trace there.
func Probe(dir string) error {
	part, err := NewPart(dir)
	if err != nil {
		return err
	}
	return part.Discard()
}
