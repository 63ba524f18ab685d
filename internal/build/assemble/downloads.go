package assemble

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/build/placement"
	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/distro/unpack"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/plan"
)

// download makes sure that the cache has the files of the network that were placed for a platform.
func (c *contents) download(ctx context.Context, p plan.Platform) error {
	b := c.execution
	for _, l := range c.placed {
		for _, f := range l.Files {
			d := placement.From(f).Download
			if d == nil {
				continue
			}
			store, err := newStore(b.cache, b.bases.bases.Fetch, "downloading "+d.URL)
			if err != nil {
				return err
			}
			if store.Has(digits(*d)) {
				continue
			}
			err = build.Do(b.report, b.lane(p.String()), "download "+d.URL, func(step build.Step) error {
				return store.Blob(build.Transfer(ctx, step, d.Size), d.URL, digits(*d), d.Size)
			})
			if errors.Is(err, cache.ErrDamaged) {
				err = fmt.Errorf("%w: if its owner replaced it, and you trust what is there now, run slipway pin", err)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// RecordDownload fetches what is at a URL, for [plan.LockFile].
func RecordDownload(ctx context.Context, bases *oci.Bases, url string) (plan.Download, error) {
	store, err := newStore(bases.Cache, bases.Fetch, "downloading "+url)
	if err != nil {
		return plan.Download{}, err
	}
	digest, size, err := store.Record(ctx, url)
	return plan.Download{URL: url, Size: size, Digest: "sha256:" + digest}, err
}

// newStore is where the cache and the network are at hand, which doing needs.
func newStore(c *cache.Cache, fetch unpack.Fetch, doing string) (unpack.Store, error) {
	if fetch == nil {
		return unpack.Store{}, errors.New(doing + ": nothing can be fetched here")
	}
	return unpack.Store{Cache: c, Fetch: fetch}, nil
}

// digits are those of the digest.
func digits(d plan.Download) string { return strings.TrimPrefix(d.Digest, "sha256:") }
