package oci

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/oci/graph"
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
func blobs(artifact remote.Taggable) (all []blob, whole v1.Descriptor, err error) {
	nodes, err := graph.Nodes(artifact)
	if err != nil {
		return nil, whole, err
	}
	last := nodes[len(nodes)-1]
	return blobsOf(nodes), v1.Descriptor{MediaType: last.MediaType, Size: last.Size, Digest: last.Digest}, nil
}

func blobsOf(nodes []graph.Node) (all []blob) {
	for _, n := range nodes {
		open := func(ctx context.Context) (io.ReadCloser, error) { return compressed(ctx, n.Blob) }
		if n.Blob == nil {
			open = func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(n.Manifest)), nil }
		}
		all = append(all, blob{n.Digest, n.Size, open})
	}
	return all
}

// layoutIndex is the index.json of a layout.
func layoutIndex(entries ...v1.Descriptor) ([]byte, error) {
	return json.Marshal(v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: entries})
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
