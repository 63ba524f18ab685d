// Package cache stores on disk what one run makes and the next can use: content by its digest, values by key, directories that
// belong to one process at a time.
//
// Its verbs are those of cmd/go's cache: Get, Put and Trim. A cache may be removed at any time, and whatever in it is damaged, foreign or
// of another version of Slipway counts as absent: it is made again. It knows nothing of what it stores.
//
// The packages below it serve others, too: filestate reports without reading files whether they have changed, filelock locks files
// between processes, temporary writes files that are there whole or not at all.
package cache

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/slipway-ci/slipway/internal/cache/ownfile"
)

// Cache is a directory. Any number of goroutines and processes may share it.
type Cache struct {
	dir string

	mu sync.Mutex
	// busy has a channel for each key that somebody has locked; it is closed at the end of that.
	busy map[string]chan struct{}
	// assumed are digests of files of this machine, by their names.
	assumed map[string]assumed
}

// Open opens the cache in the directory dir, which is made if need be.
func Open(dir string) (*Cache, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("opening the cache: %w", err)
	}
	for _, own := range []string{"blobs", "blobs/sha256"} {
		if err := ownfile.MakeDir(filepath.Join(dir, filepath.FromSlash(own))); err != nil {
			return nil, fmt.Errorf("opening the cache: %w", err)
		}
	}
	return &Cache{dir: dir, busy: map[string]chan struct{}{}, assumed: map[string]assumed{}}, nil
}

// OpenUser opens the user's cache, and trims it.
func OpenUser() (*Cache, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("there is no directory for caches: %w: set HOME or XDG_CACHE_HOME", err)
	}
	dir = filepath.Join(dir, "slipway")
	c, err := Open(dir)
	if err != nil {
		return nil, err
	}
	if err := c.Trim(); err != nil {
		return nil, fmt.Errorf("making room in the cache %s: %w", dir, err)
	}
	return c, nil
}

// Dir is where the cache is.
func (c *Cache) Dir() string { return c.dir }

// Lock waits until nobody else in this process has locked key. So nothing is made or fetched twice.
func (c *Cache) Lock(ctx context.Context, key string) (unlock func(), err error) {
	for {
		c.mu.Lock()
		other, locked := c.busy[key]
		if !locked {
			mine := make(chan struct{})
			c.busy[key] = mine
			c.mu.Unlock()
			return func() {
				c.mu.Lock()
				defer c.mu.Unlock()
				delete(c.busy, key)
				close(mine)
			}, nil
		}
		c.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
