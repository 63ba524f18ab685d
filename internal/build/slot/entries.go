package slot

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/slipway-ci/slipway/internal/cache"
)

// Kind is what a slot has of an image.
type Kind string

// Kinds of slots.
const (
	// Result is the image itself.
	Result Kind = "result"
	// Packages are those that its programs were compiled from.
	Packages Kind = "packages"
	// Modules are those files of modules that its programs were compiled from, on all its platforms.
	Modules Kind = "modules"
)

// Annotations of a slot. The signature is that of what the slot's kind has signed.
const (
	AnnotationKey       = "io.github.slipway-ci.cache.key"
	AnnotationImage     = "io.github.slipway-ci.cache.image"
	AnnotationPlatform  = "io.github.slipway-ci.cache.platform"
	AnnotationBranch    = "io.github.slipway-ci.cache.branch"
	AnnotationSize      = "io.github.slipway-ci.cache.size"
	AnnotationSignature = "io.github.slipway-ci.cache.signature"
)

// Entry is what a cache has of an image for a platform.
type Entry struct {
	Kind                    Kind
	Image, Platform, Branch string
	// Size is how many bytes there are to be read.
	Size int64
}

// Name is the slot of an entry.
func (e Entry) Name() string {
	return string(e.Kind) + "-" + cache.DigestOf([]byte(e.Image + "\n" + e.Platform + "\n" + e.Branch))[:32]
}

// Annotations are those of the slot of an entry.
func (e Entry) Annotations(key string) map[string]string {
	return map[string]string{
		AnnotationKey: key, AnnotationImage: e.Image, AnnotationPlatform: e.Platform, AnnotationBranch: e.Branch,
		AnnotationSize: strconv.FormatInt(e.Size, 10),
	}
}

// sideBySide bounds how many slots are read at a time.
const sideBySide = 8

// Entries are those of a cache, in their order by name. What else is in the repository is left out.
func Entries(ctx context.Context, repository Repository) ([]Entry, error) {
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
			kind, _, _ := strings.Cut(name, "-")
			e := Entry{Kind: Kind(kind), Image: about[AnnotationImage], Platform: about[AnnotationPlatform], Branch: about[AnnotationBranch]}
			if !slices.Contains([]Kind{Result, Packages, Modules}, e.Kind) || name != e.Name() {
				return nil
			}
			e.Size, _ = strconv.ParseInt(about[AnnotationSize], 10, 64) // 0 for what is no number
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
		return cmp.Or(cmp.Compare(a.Image, b.Image), cmp.Compare(a.Branch, b.Branch), cmp.Compare(a.Platform, b.Platform), -cmp.Compare(a.Kind, b.Kind))
	})
	return all, nil
}
