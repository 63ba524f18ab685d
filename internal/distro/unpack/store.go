// Package unpack does what installing packages of any distribution needs: it fetches files into a cache, reads archives of a package's files
// within limits, and lays the files on those of a base.
package unpack

import (
	"context"
	"fmt"
	"io"

	"golang.org/x/sync/errgroup"

	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/distro"
)

// Fetch has read read what is at an address, and calls it again if that breaks midway. The error is fs.ErrNotExist if there is nothing.
type Fetch func(ctx context.Context, url string, read func(io.Reader) error) error

// Store fetches files.
type Store struct {
	// Cache keeps what was fetched.
	Cache *cache.Cache
	Fetch Fetch
}

// packageLimit is the most bytes of a package, or another file, that are read.
const packageLimit = 2 << 30

// CheckSize refuses the size of a package that is more than what is read.
func CheckSize(name string, size int64) error {
	if size > packageLimit {
		return fmt.Errorf("fetching the package %s: it has %d bytes, more than the %d that are read", name, size, int64(packageLimit))
	}
	return nil
}

// parallel is how many packages are fetched or unpacked at a time.
const parallel = 4

// Each calls f for each package, by its number, some at a time.
func Each(ctx context.Context, all []distro.Package, f func(ctx context.Context, i int, p distro.Package) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for i, p := range all {
		group.Go(func() error { return f(ctx, i, p) })
	}
	return group.Wait()
}

// Has reports whether the cache has the content with a digest.
func (s *Store) Has(digest string) bool {
	content, err := s.Cache.GetBlob(digest)
	return err == nil && content.Close() == nil
}

// Blob makes sure that the cache has the content with a digest and size, which is at an address.
func (s *Store) Blob(ctx context.Context, url, digest string, size int64) error {
	unlock, err := s.Cache.Lock(ctx, digest)
	if err != nil {
		return err
	}
	defer unlock()
	if s.Has(digest) {
		return nil
	}
	_, err = s.Put(ctx, url, digest, size)
	return err
}

// Put fetches content of a size into the cache, and returns its digest, which must be the one that is wanted unless that is empty.
func (s *Store) Put(ctx context.Context, url, want string, size int64) (digest string, err error) {
	err = s.Fetch(ctx, url, func(content io.Reader) error {
		digest, _, err = s.Cache.PutBlob(want, func(w io.Writer) error {
			n, err := io.Copy(w, io.LimitReader(content, size+1)) // a byte more is enough to see that it is something else
			if err == nil && n != size {
				return fmt.Errorf("it does not have %d bytes: %w", size, cache.ErrDamaged)
			}
			return err
		})
		return err
	})
	return digest, err
}

// Record fetches what is at an address into the cache, and returns its digest and size.
func (s *Store) Record(ctx context.Context, url string) (digest string, size int64, err error) {
	err = s.Fetch(ctx, url, func(content io.Reader) error {
		digest, size, err = s.Cache.PutBlob("", func(w io.Writer) error {
			n, err := io.Copy(w, io.LimitReader(content, packageLimit+1))
			if err == nil && n > packageLimit {
				return fmt.Errorf("it has more than the %d bytes that are read", int64(packageLimit))
			}
			return err
		})
		return err
	})
	return digest, size, err
}

// Document reads what is at an address, up to a limit in bytes.
func (s *Store) Document(ctx context.Context, url string, limit int64) (content []byte, err error) {
	err = s.Fetch(ctx, url, func(body io.Reader) error {
		content, err = io.ReadAll(io.LimitReader(body, limit+1))
		if err == nil && int64(len(content)) > limit {
			return fmt.Errorf("it has more than the %d bytes that are read", limit)
		}
		return err
	})
	return content, err
}
