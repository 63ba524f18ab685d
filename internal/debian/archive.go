package debian

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/slipway-ci/slipway/internal/cache"
)

// Fetch has read read what is at an address, and calls it again if that breaks midway. The error is fs.ErrNotExist if there is nothing.
type Fetch func(ctx context.Context, url string, read func(io.Reader) error) error

// Archive is where packages come from.
type Archive struct {
	Release Release
	// Cache keeps what was fetched.
	Cache *cache.Cache
	Fetch Fetch
}

// Where archives are: the current ones, and as they were at a time.
const (
	current  = "https://deb.debian.org/"
	snapshot = "https://snapshot.debian.org/archive/"
)

// Package is a package of an archive.
type Package struct {
	Name, Version string
	// Path is where it is, below the host of the archive: it begins with the archive's directory.
	Path string
	// Size in bytes, and SHA256 in hexadecimal digits, of the file.
	Size   int64
	SHA256 string
}

// Limits in bytes on what is read, so that no archive takes any amount of time or memory.
const (
	releaseLimit = 8 << 20
	indexLimit   = 512 << 20
	packageLimit = 2 << 30
)

// fetchers is how many files are fetched at a time.
const fetchers = 4

// fetched makes sure that the cache has the packages. taken is when they were the current ones, for those that are not any more.
func (a *Archive) fetched(ctx context.Context, packages []Package, taken time.Time) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(fetchers)
	for _, p := range packages {
		group.Go(func() error {
			if p.Size > packageLimit {
				return fmt.Errorf("fetching the package %s: it has %d bytes, more than the %d that are read", p.Name, p.Size, int64(packageLimit))
			}
			err := a.blob(ctx, current+p.Path, p.SHA256, p.Size)
			if errors.Is(err, fs.ErrNotExist) && !taken.IsZero() {
				if older := a.blob(ctx, snapshotOf(p.Path, taken), p.SHA256, p.Size); older != nil {
					err = errors.Join(err, older)
				} else {
					err = nil
				}
			}
			if err != nil {
				return fmt.Errorf("fetching the package %s %s: %w", p.Name, p.Version, err)
			}
			return nil
		})
	}
	return group.Wait()
}

// snapshotOf is the address of a file as it was at a time. A snapshot is taken some hours after what it is of was released, and the address
// of a time leads to the last one before.
func snapshotOf(path string, taken time.Time) string {
	archive, rest, _ := strings.Cut(path, "/")
	return snapshot + archive + "/" + taken.AddDate(0, 0, 1).UTC().Format("20060102T150405Z") + "/" + rest
}

func (a *Archive) has(digest string) bool {
	content, err := a.Cache.GetBlob(digest)
	return err == nil && content.Close() == nil
}

// blob makes sure that the cache has the content with a digest and size, which is at an address.
func (a *Archive) blob(ctx context.Context, url, digest string, size int64) error {
	unlock, err := a.Cache.Lock(ctx, digest)
	if err != nil {
		return err
	}
	defer unlock()
	if a.has(digest) {
		return nil
	}
	return a.Fetch(ctx, url, func(content io.Reader) error {
		_, _, err := a.Cache.PutBlob(digest, func(w io.Writer) error {
			n, err := io.Copy(w, io.LimitReader(content, size+1)) // a byte more is enough to see that it is something else
			if err == nil && n != size {
				return fmt.Errorf("it does not have %d bytes: %w", size, cache.ErrDamaged)
			}
			return err
		})
		return err
	})
}

// document reads what is at an address, up to a limit in bytes.
func (a *Archive) document(ctx context.Context, url string, limit int64) (content []byte, err error) {
	err = a.Fetch(ctx, url, func(body io.Reader) error {
		content, err = io.ReadAll(io.LimitReader(body, limit+1))
		if err == nil && int64(len(content)) > limit {
			return fmt.Errorf("it has more than the %d bytes that are read", limit)
		}
		return err
	})
	return content, err
}
