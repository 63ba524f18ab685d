package cache

import (
	"errors"
	"path/filepath"

	"github.com/slipway-ci/slipway/internal/cache/filelock"
	"github.com/slipway-ci/slipway/internal/cache/ownfile"
)

// lockSuffix is what the lock file's name of a claimed directory ends with.
const lockSuffix = ".lock"

// Claim claims a directory of the cache, which is made if need be, for the caller alone until release is called: nobody else claims it, and
// [Cache.Trim] leaves it as it is. release is nil if somebody else has it, and where the file system has no locks.
func (c *Cache) Claim(kind, key string) (dir string, release func() error, err error) {
	dir = filepath.Join(c.dir, kind, key)
	if err := ownfile.MakeDir(filepath.Dir(dir)); err != nil {
		return "", nil, err
	}
	lock, err := filelock.Try(dir + lockSuffix)
	if errors.Is(err, filelock.ErrForeign) {
		if err = ownfile.MoveAside(dir + lockSuffix); err == nil {
			lock, err = filelock.Try(dir + lockSuffix)
		}
	}
	if errors.Is(err, errors.ErrUnsupported) {
		return "", nil, nil
	}
	if err != nil || lock == nil {
		return "", nil, err
	}
	if err := ownfile.MakeDir(dir); err != nil {
		return "", nil, errors.Join(err, lock.Unlock())
	}
	return dir, lock.Unlock, nil
}
