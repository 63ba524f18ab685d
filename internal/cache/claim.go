package cache

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

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

// sizeName is the file with the size in bytes of a directory of [Cache.Shared].
const sizeName = ".size"

// Shared is the directory of the cache for programs that share it with each other, as they see fit; who uses it makes it. [Cache.Trim] takes
// it for as large as [Cache.Account] notes, without reading it.
func (c *Cache) Shared(kind, key string) string {
	return filepath.Join(c.dir, kind, DigestOf([]byte(key))[:32])
}

// Account notes that a directory of [Cache.Shared] is in use, and its size, which may be an old one: it is read again now and then.
func (c *Cache) Account(dir string, size func() int64) error {
	name := filepath.Join(dir, sizeName)
	if info, err := os.Lstat(name); err == nil && time.Since(info.ModTime()) < recent/2 {
		return nil
	}
	return ownfile.Write(name, func(w io.Writer) error {
		_, err := fmt.Fprintln(w, size())
		return err
	})
}

// accounted reads the size of a directory of [Cache.Shared]; ok is false for another one.
func accounted(dir string) (i *item, ok bool) {
	name := filepath.Join(dir, sizeName)
	info, err := os.Lstat(name)
	if err != nil {
		return nil, false
	}
	text, err := ownfile.Read(name)
	if err != nil {
		return nil, false
	}
	size, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return &item{name: dir, whole: true, size: size, used: info.ModTime()}, err == nil
}
