package oci

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/slipway-ci/slipway/internal/cache"
)

// layoutMarker is the content of the file oci-layout.
const layoutMarker = `{"imageLayoutVersion":"1.0.0"}`

// blob is a part of an image or index.
type blob struct {
	digest v1.Hash
	size   int64
	open   func(context.Context) (io.ReadCloser, error)
}

// copyTo writes the blob, and checks it.
func (b blob) copyTo(ctx context.Context, w io.Writer) (err error) {
	content, err := b.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, content.Close()) }()
	digester := cache.NewDigester(w)
	if _, err := copyAll(ctx, digester, content); err != nil {
		return fmt.Errorf("writing the blob %s: %w", b.digest, err)
	}
	if is := hashOf(digester.Digest()); digester.Size != b.size || is != b.digest {
		return fmt.Errorf("the blob %s has %d bytes with the digest %s: %w", b.digest, digester.Size, is, cache.ErrDamaged)
	}
	return nil
}

// blobs lists what an image or index consists of, each blob once and after those that it names, and describes the whole.
func blobs(artifact remote.Taggable) ([]blob, v1.Descriptor, error) {
	c := collection{seen: map[v1.Hash]bool{}}
	d, err := c.artifact(artifact)
	return c.blobs, d, err
}

type collection struct {
	blobs []blob
	seen  map[v1.Hash]bool
}

func (c *collection) add(digest v1.Hash, size int64, open func(context.Context) (io.ReadCloser, error)) {
	if !c.seen[digest] {
		c.seen[digest] = true
		c.blobs = append(c.blobs, blob{digest, size, open})
	}
}

func (c *collection) addBytes(content []byte) {
	c.add(sha256Of(content), int64(len(content)), func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content)), nil
	})
}

func (c *collection) artifact(artifact remote.Taggable) (v1.Descriptor, error) {
	var err error
	switch a := artifact.(type) {
	case v1.Image:
		err = c.image(a)
	case v1.ImageIndex:
		err = c.index(a)
	default:
		err = fmt.Errorf("a %T is neither an image nor an index", artifact)
	}
	if err != nil {
		return v1.Descriptor{}, err
	}
	raw, err := artifact.RawManifest()
	if err != nil {
		return v1.Descriptor{}, err
	}
	c.addBytes(raw)
	return describe(artifact.(partial.Describable))
}

func (c *collection) image(img v1.Image) error {
	layers, err := img.Layers()
	if err != nil {
		return err
	}
	for _, l := range layers {
		d, err := describe(l)
		if err != nil {
			return err
		}
		c.add(d.Digest, d.Size, func(ctx context.Context) (io.ReadCloser, error) { return compressed(ctx, l) })
	}
	config, err := img.RawConfigFile()
	if err != nil {
		return err
	}
	c.addBytes(config)
	return nil
}

func (c *collection) index(x v1.ImageIndex) error {
	manifest, err := x.IndexManifest()
	if err != nil {
		return err
	}
	for _, d := range manifest.Manifests {
		var child remote.Taggable
		if d.MediaType.IsIndex() {
			child, err = x.ImageIndex(d.Digest)
		} else {
			child, err = x.Image(d.Digest)
		}
		if err != nil {
			return err
		}
		if _, err := c.artifact(child); err != nil {
			return err
		}
	}
	return nil
}

// layoutIndex is the index.json of a layout with a single entry.
func layoutIndex(entry v1.Descriptor) ([]byte, error) {
	return json.Marshal(v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{entry}})
}

// named adds annotations, without the empty ones, to a descriptor.
func named(d v1.Descriptor, annotations map[string]string) v1.Descriptor {
	for key, value := range annotations {
		if value != "" {
			d.Annotations = merge(d.Annotations, map[string]string{key: value})
		}
	}
	return d
}
