package oci

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/slipway-ci/slipway/internal/filelock"
)

// Directory is a directory of the store for what others keep in it. [Store.Forget] counts it, too.
func (s *Store) Directory(name string) string { return filepath.Join(s.dir, name) }

// lockSuffix is what the lock file's name of a claimed directory ends with.
const lockSuffix = ".lock"

// Claim claims a directory of the store, which is made if need be, for the caller alone until release is called: nobody else claims
// it, and [Store.Forget] leaves it as it is. release is nil if somebody else has it, and where the file system has no locks.
func (s *Store) Claim(kind, key string) (dir string, release func() error, err error) {
	dir = filepath.Join(s.dir, kind, key)
	if err := MakeDir(filepath.Dir(dir)); err != nil {
		return "", nil, err
	}
	lock, err := filelock.Try(dir + lockSuffix)
	if errors.Is(err, filelock.ErrForeign) {
		if err = moveAside(dir + lockSuffix); err == nil {
			lock, err = filelock.Try(dir + lockSuffix)
		}
	}
	if errors.Is(err, errors.ErrUnsupported) {
		return "", nil, nil
	}
	if err != nil || lock == nil {
		return "", nil, err
	}
	if err := MakeDir(dir); err != nil {
		return "", nil, errors.Join(err, lock.Unlock())
	}
	return dir, lock.Unlock, nil
}

// recent is how long nothing is forgotten after it was touched: a build that goes on may be about to read it.
const recent = time.Hour

// Forget removes what was not used for the longest time, until all together has no more than limit bytes. What was used in the last
// hour stays, and what somebody has claimed. Others may use the store meanwhile.
func (s *Store) Forget(limit int64) error {
	all, err := s.entries()
	if err != nil {
		return err
	}
	var total int64
	for _, e := range all {
		total += e.size
	}
	slices.SortFunc(all, func(a, b *cached) int { return a.used.Compare(b.used) })
	for _, e := range all {
		if total <= limit || time.Since(e.used) < recent {
			break
		}
		removed, err := e.remove()
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if removed {
			total -= e.size
		}
	}
	return nil
}

// cached is what Forget removes together: a file, or a directory that can be claimed.
type cached struct {
	name    string
	claimed bool
	size    int64
	used    time.Time
}

// entries are those of the store, but for files that are being written.
func (s *Store) entries() ([]*cached, error) {
	var all []*cached
	claims := map[string]*cached{}
	claim := func(dir string) *cached {
		if claims[dir] == nil {
			claims[dir] = &cached{name: dir, claimed: true}
			all = append(all, claims[dir])
		}
		return claims[dir]
	}
	err := filepath.WalkDir(s.dir, func(name string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && e.IsDir() {
			if strings.HasPrefix(e.Name(), unfinished) {
				return fs.SkipDir // others' to remove, who know whether they are in use
			}
			if _, err := os.Lstat(name + lockSuffix); err == nil {
				claim(name)
			}
			return nil
		}
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		of := claims[filepath.Dir(name)]
		if dir, isLock := strings.CutSuffix(name, lockSuffix); isLock {
			of = claim(dir)
		}
		if of == nil {
			of = &cached{name: name}
			all = append(all, of)
		}
		of.size += info.Size()
		if info.ModTime().After(of.used) {
			of.used = info.ModTime()
		}
		return nil
	})
	return all, err
}

// remove removes the entry. It is false if somebody has claimed it.
func (e *cached) remove() (bool, error) {
	if !e.claimed {
		return true, os.Remove(e.name)
	}
	lock, err := filelock.Try(e.name + lockSuffix)
	if err != nil || lock == nil {
		return false, err
	}
	if err := os.RemoveAll(e.name); err != nil {
		return false, errors.Join(err, lock.Unlock())
	}
	return true, lock.Remove()
}
