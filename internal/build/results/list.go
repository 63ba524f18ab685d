package results

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/slipway-ci/slipway/internal/build/slot"
)

// Entry is what a cache has of an image for a platform.
type Entry struct {
	Image, Platform, Branch string
	// Size is that of the image in bytes, as it is pulled.
	Size int64

	slot string
}

// Entries are those of a cache, in their order by name. What else is in the repository is left out.
func Entries(ctx context.Context, repository slot.Repository) ([]Entry, error) {
	names, err := repository.Names(ctx)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var all []Entry
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(sideBySide)
	for _, name := range names {
		group.Go(func() error {
			found, err := repository.Get(ctx, name)
			if err != nil || found == nil {
				return err
			}
			about := found.Index.Annotations
			e := Entry{Image: about[annotationImage], Platform: about[annotationPlatform], Branch: about[annotationBranch], slot: name}
			if name != slotName(e.Image, e.Platform, e.Branch) {
				return nil
			}
			e.Size, _ = strconv.ParseInt(about[annotationSize], 10, 64) // 0 for what is no number
			mu.Lock()
			defer mu.Unlock()
			all = append(all, e)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(a.Image, b.Image), cmp.Compare(a.Branch, b.Branch), cmp.Compare(a.Platform, b.Platform))
	})
	return all, nil
}

// Remove removes an entry.
func Remove(ctx context.Context, repository slot.Repository, e Entry) error {
	return repository.Delete(ctx, e.slot)
}
