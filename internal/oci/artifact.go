package oci

import (
	"context"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// OpenArchive returns what is in the OCI archive path: a v1.Image or a v1.ImageIndex, with the very bytes and so the digest
// that it had when it was written. There must be one image in it, or one index of images, and all of it in OCI's media types.
// Everything that it says of sizes, digests, compression and platforms is compared with what there is.
func (b *Bases) OpenArchive(ctx context.Context, path string) (remote.Taggable, error) {
	base, err := resolveLayout(ctx, path, openArchive)
	if err != nil {
		return nil, fmt.Errorf("reading the archive %s: %w", path, err)
	}
	base.cache = b.Cache
	artifact, err := base.artifact(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the archive %s: %w", path, err)
	}
	return artifact, nil
}

func (b *Base) artifact(ctx context.Context) (remote.Taggable, error) {
	raw, err := b.source.manifest(ctx, b.Digest)
	if err != nil {
		return nil, err
	}
	if len(b.manifests) == 1 && b.manifests[0].Digest == b.Digest {
		return b.verbatim(ctx, b.manifests[0])
	}
	whole := &index{manifest: raw, images: map[v1.Hash]v1.Image{}}
	for _, m := range b.manifests {
		if whole.images[m.Digest], err = b.verbatim(ctx, m); err != nil {
			return nil, err
		}
	}
	return whole, nil
}

// verbatim is open, with the manifest as it is.
func (b *Base) verbatim(ctx context.Context, d v1.Descriptor) (v1.Image, error) {
	raw, err := b.source.manifest(ctx, d.Digest)
	if err != nil {
		return nil, err
	}
	manifest, err := parseManifest(raw)
	if err != nil {
		return nil, fmt.Errorf("the manifest %s: %w", d.Digest, err)
	}
	isOCI := manifest.MediaType == types.OCIManifestSchema1 || manifest.MediaType == ""
	for _, l := range manifest.Layers {
		isOCI = isOCI && ociType(l.MediaType) == l.MediaType
	}
	if !isOCI {
		return nil, fmt.Errorf("the image %s has media types of Docker, and not of OCI: write it anew, such as with skopeo copy --format oci", d.Digest)
	}
	img, err := b.open(ctx, d)
	if err != nil {
		return nil, err
	}
	img.manifest = raw
	return img, b.check(ctx, d, img)
}

// check compares what an image says of itself with what it is.
func (b *Base) check(ctx context.Context, d v1.Descriptor, img *content) error {
	config, err := img.ConfigFile()
	if err != nil {
		return err
	}
	if p := d.Platform; p != nil && (p.OS != config.OS || p.Architecture != config.Architecture || p.Variant != config.Variant && p.Variant != "" && config.Variant != "") {
		return mislabelled(d, config)
	}
	for _, l := range img.layers {
		mediaType, err := l.MediaType()
		if err != nil {
			return err
		}
		if config.OS == "unknown" && !mediaType.IsLayer() {
			continue // an attestation, as BuildKit adds them to its indexes
		}
		found, err := verifiedContents(ctx, l)
		if err != nil {
			return err
		}
		if found.MediaType != mediaType {
			return fmt.Errorf("the layer %s has the media type %s, and its content is %s: the archive is damaged or forged", own(l).descriptor.Digest, mediaType, found.MediaType)
		}
	}
	return nil
}
