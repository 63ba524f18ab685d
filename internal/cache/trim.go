package cache

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/slipway-ci/slipway/internal/cache/filelock"
	"github.com/slipway-ci/slipway/internal/cache/temporary"
)

const (
	// limit is the size in bytes that [Cache.Trim] brings a cache back to.
	limit = 4 << 30
	// recent is how long nothing is removed after it was used: a build that goes on may be about to read it.
	recent = time.Hour
)

// Trim removes what was not used for the longest time, until all together has no more than 4 GiB. What was used in the last hour stays, and
// what somebody has claimed. Others may use the cache meanwhile.
func (c *Cache) Trim() error { return c.trim(limit) }

func (c *Cache) trim(limit int64) error {
	all, err := c.items()
	if err != nil {
		return err
	}
	var total int64
	for _, i := range all {
		total += i.size
	}
	slices.SortFunc(all, func(a, b *item) int { return a.used.Compare(b.used) })
	for _, i := range all {
		if total <= limit || time.Since(i.used) < recent {
			break
		}
		removed, err := i.remove()
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if removed {
			total -= i.size
		}
	}
	return nil
}

// Usage is the size of all that is stored in bytes, and what it is limited to.
func (c *Cache) Usage() (used, most int64, err error) {
	all, err := c.items()
	for _, i := range all {
		used += i.size
	}
	return used, limit, err
}

// Used notes that a file of a cache is in use, so that it stays when others go. It does so but rarely: that changes the file's state, so
// that whoever wants its digest next has to read it.
func Used(name string) {
	now := time.Now()
	if info, err := os.Stat(name); err != nil || now.Sub(info.ModTime()) < recent/2 {
		return
	}
	_ = os.Chtimes(name, now, now) // without the right to, it is removed too soon and made again
}

// item is what is removed together: a file, a directory that can be claimed, or one that is shared.
type item struct {
	name    string
	claimed bool
	// whole says that it is a directory that nobody claims.
	whole bool
	size  int64
	used  time.Time
}

// items are those of the cache, but for files that are being written.
func (c *Cache) items() ([]*item, error) {
	var all []*item
	claims := map[string]*item{}
	claim := func(dir string) *item {
		if claims[dir] == nil {
			claims[dir] = &item{name: dir, claimed: true}
			all = append(all, claims[dir])
		}
		return claims[dir]
	}
	err := filepath.WalkDir(c.dir, func(name string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && e.IsDir() {
			if strings.HasPrefix(e.Name(), temporary.Unfinished) {
				return fs.SkipDir // others' to remove, who know whether they are in use
			}
			if i, ok := accounted(name); ok {
				all = append(all, i)
				return fs.SkipDir
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
			of = &item{name: name}
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

// remove removes the item. It is false if somebody has claimed it.
func (i *item) remove() (bool, error) {
	if i.whole {
		return true, os.RemoveAll(i.name)
	}
	if !i.claimed {
		return true, os.Remove(i.name)
	}
	lock, err := filelock.Try(i.name + lockSuffix)
	if err != nil || lock == nil {
		return false, err
	}
	if err := os.RemoveAll(i.name); err != nil {
		return false, errors.Join(err, lock.Unlock())
	}
	return true, lock.Remove()
}
