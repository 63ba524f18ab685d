// Package filelock locks files against other processes. The lock of a process that is killed ends with it.
package filelock

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"runtime"
	"time"

	"github.com/gofrs/flock"
)

// Lock is a file that nobody else can lock.
type Lock struct{ file *flock.Flock }

// ErrForeign says that in the place of the file there is a directory, a link or the like.
var ErrForeign = errors.New("not a regular file")

// Try locks a file, which is made if need be. The lock is nil if somebody else has it. The error is [errors.ErrUnsupported] where
// the file system knows no locks.
func Try(name string) (*Lock, error) {
	for {
		if info, err := os.Lstat(name); err == nil && !info.Mode().IsRegular() {
			return nil, &fs.PathError{Op: "lock", Path: name, Err: ErrForeign}
		}
		file := flock.New(name, flock.SetFlag(os.O_CREATE|os.O_RDWR), flock.SetPermissions(0o644))
		ok, err := file.TryLock()
		if err != nil {
			if !errors.As(err, new(*fs.PathError)) {
				err = &fs.PathError{Op: "lock", Path: name, Err: err}
			}
			return nil, err
		}
		if !ok {
			return nil, nil
		}
		// The file that was locked may have been removed by the one who had it before, and another have its name now.
		lock := &Lock{file}
		locked, err1 := file.Stat()
		is, err2 := os.Lstat(name)
		if err1 == nil && err2 == nil && os.SameFile(locked, is) {
			return lock, nil
		}
		if err := lock.Unlock(); err != nil {
			return nil, err
		}
	}
}

// interval is how often a lock that somebody else has is tried.
const interval = 50 * time.Millisecond

// Wait is [Try], and waits while somebody else has the lock, or until ctx is done.
func Wait(ctx context.Context, name string) (*Lock, error) {
	for {
		lock, err := Try(name)
		if lock != nil || err != nil {
			return lock, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(interval):
		}
	}
}

// Unlock lets others lock the file.
func (l *Lock) Unlock() error { return l.file.Unlock() }

// Remove removes the file and unlocks it. Nobody else can have locked it between the two.
func (l *Lock) Remove() error {
	remove := func() error {
		err := os.Remove(l.file.Path())
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	if runtime.GOOS == "windows" { // which removes no file that is open, and so none that somebody else is about to lock
		err := l.Unlock()
		_ = remove()
		return err
	}
	return errors.Join(remove(), l.Unlock())
}

// Is reports whether info describes the file that is locked.
func (l *Lock) Is(info fs.FileInfo) bool {
	locked, err := l.file.Stat()
	return err == nil && os.SameFile(locked, info)
}
