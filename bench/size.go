package main

import (
	"context"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// directories are where in the registry the tools push to.
var directories = map[string]string{slipway: "slipway", slipwayOnly: "slipway", slipwayUncached: "slipway", slipwayFilling: "slipway", ko: "ko", koTarball: "ko", koCached: "ko", buildKit: "buildkit"}

// imageSize is the size in bytes of the layers that a tool has pushed for a project, compressed, without those of the base; 0 for one
// that pushes nothing.
func (l *lab) imageSize(ctx context.Context, peer peer, p *project) (int64, error) {
	directory, ok := directories[peer.name]
	if !ok {
		return 0, nil
	}
	registry, err := name.NewRegistry(l.registry)
	if err != nil {
		return 0, err
	}
	repositories, err := remote.Catalog(ctx, registry)
	if err != nil {
		return 0, err
	}
	base, err := l.layers(ctx, l.base())
	if err != nil {
		return 0, err
	}
	var total int64
	for _, r := range repositories {
		if !strings.HasPrefix(r+"/", directory+"/"+p.name+"/") {
			continue
		}
		pushed, err := l.layers(ctx, l.registry+"/"+r+":latest")
		if err != nil {
			return 0, err
		}
		for _, d := range pushed {
			if !slices.ContainsFunc(base, func(b v1.Descriptor) bool { return b.Digest == d.Digest }) {
				total += d.Size
			}
		}
	}
	return total, nil
}

// layers are the layers of all images of an index.
func (l *lab) layers(ctx context.Context, ref string) ([]v1.Descriptor, error) {
	tag, err := name.ParseReference(ref)
	if err != nil {
		return nil, err
	}
	index, err := remote.Index(tag, remote.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	list, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	var all []v1.Descriptor
	for _, d := range list.Manifests {
		if d.Platform != nil && d.Platform.OS == "unknown" {
			continue // what BuildKit says of an image
		}
		img, err := index.Image(d.Digest)
		if err != nil {
			return nil, err
		}
		manifest, err := img.Manifest()
		if err != nil {
			return nil, err
		}
		all = append(all, manifest.Layers...)
	}
	return all, nil
}
