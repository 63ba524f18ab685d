// Package modcache shares the part of modules that a build reads between machines: the directories of the packages that programs are
// compiled from, which are a small part of the modules' bytes and files.
//
// What comes from a repository may be anything, and is taken only if it is proven to be what go.sum pins. The hash of a module in go.sum is
// that of a list with the names and digests of all its files. A set has that whole list for each of its modules, and of the files those that
// follow from it by a fixed rule: in the directory of each package, every file that the Go command reads on one of the platforms, by the
// file's name; everything below the directory if the package embeds files; and the module's licences. So none can be altered, added or left out.
//
// [Unpack] makes a module cache of a set. A build with this one, and without a module proxy, either fails or makes what a build with whole
// modules makes: a directory that has Go files there has all those that count, no directory of another module stands for the same import
// path, and for a module of which the set has nothing the Go command fails. A build that fails is to be repeated with whole modules.
// A set of another go.mod or go.sum, by its key, is not taken.
package modcache

import (
	"context"
	"errors"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/slipway-ci/slipway/internal/build/slot"
)

// artifactType is the type of the artifact whose document is a set.
const artifactType = "application/vnd.slipway.modcache.v1"

// form is part of every key.
const form = "1 "

// entry is that of an image, which has one set for all its platforms.
func entry(image, branch string) slot.Entry {
	return slot.Entry{Kind: slot.Modules, Image: image, Platform: "all platforms", Branch: branch}
}

// Fetch returns the set of an image, of the first of the branches that has one with that key; nil if none has.
func Fetch(ctx context.Context, from slot.Repository, image string, branches []string, key string) ([]byte, error) {
	found := make([]*slot.Slot, len(branches))
	var group errgroup.Group
	failures := make([]error, len(branches))
	for i, branch := range branches {
		group.Go(func() error {
			found[i], failures[i] = from.Get(ctx, entry(image, branch).Name())
			return nil
		})
	}
	_ = group.Wait()
	for _, one := range found {
		if one == nil || one.Index.Annotations[slot.AnnotationKey] != form+key {
			continue
		}
		if artifact, ok := one.Artifact(artifactType); ok {
			return one.Document(ctx, artifact)
		}
	}
	return nil, errors.Join(failures...)
}

// Save has the slots of images on a branch hold a set.
func Save(ctx context.Context, into slot.Repository, images []string, branch, key string, set []byte) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, image := range images {
		group.Go(func() error {
			e := entry(image, branch)
			e.Size = int64(len(set))
			content, err := slot.New(e.Annotations(form + key))
			if err != nil {
				return err
			}
			var index v1.ImageIndex
			if index, err = slot.Add(content, artifactType, set); err != nil {
				return err
			}
			return into.Put(ctx, e.Name(), index)
		})
	}
	return group.Wait()
}
