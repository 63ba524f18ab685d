package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/slipway-ci/slipway/internal/oci/graph"
)

// Layer is a part of an image that holds documents in place of files, as cosign keeps signatures.
type Layer struct {
	MediaType   string
	Annotations map[string]string
	Content     []byte
}

// Same reports whether two layers are alike.
func (l Layer) Same(other Layer) bool {
	return l.MediaType == other.MediaType && maps.Equal(l.Annotations, other.Annotations) && bytes.Equal(l.Content, other.Content)
}

// What is read of an image of documents at most, or of all that refer to one image, whatever manifests list.
const (
	layersLimit = 1000
	bytesLimit  = 64 << 20
)

// budget is how much of [layersLimit] and [bytesLimit] is left.
type budget struct {
	layers int
	bytes  int64
}

func newBudget() *budget { return &budget{layersLimit, bytesLimit} }

// Layers reads the image of documents under ref. The error is one of [Client.Explain]; where there is no such
// image, there are no layers and no error.
func Layers(ctx context.Context, client Getter, ref name.Reference) ([]Layer, error) {
	desc, err := under(ctx, client.Get, ref)
	if desc == nil {
		return nil, err
	}
	return layersOfImage(desc, ref)
}

// under is the image of documents under ref, nil where there is none.
func under(
	ctx context.Context, get func(context.Context, name.Reference) (*remote.Descriptor, error), ref name.Reference,
) (*remote.Descriptor, error) {
	desc, err := get(ctx, ref)
	if err != nil {
		var answered *transport.Error
		if errors.As(err, &answered) && answered.StatusCode == http.StatusNotFound {
			return nil, nil
		}
		return nil, err
	}
	return desc, nil
}

func layersOfImage(desc *remote.Descriptor, ref name.Reference) ([]Layer, error) {
	layers, err := readLayers(desc, newBudget())
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", ref, err)
	}
	return layers, nil
}

// Getter is the part of a registry client that reads.
type Getter interface {
	Get(ctx context.Context, ref name.Reference) (*remote.Descriptor, error)
}

// Reader is the part of a registry client that also lists what is attached.
type Reader interface {
	Getter
	Referrers(ctx context.Context, subject name.Digest) ([]v1.Descriptor, error)
}

// Referring reads the documents that refer to subject, among them those whose entry in the list match knows. It returns what can be
// read, and an error for the rest.
func Referring(ctx context.Context, client Reader, subject name.Digest, match func(v1.Descriptor) bool) ([]Layer, error) {
	listed, err := client.Referrers(ctx, subject)
	if err != nil {
		return nil, err
	}
	var all []Layer
	var faults []error
	left := newBudget()
	for _, d := range listed {
		if !match(d) {
			continue
		}
		ref := subject.Context().Digest(d.Digest.String())
		layers, err := referring(ctx, client, ref, subject.DigestStr(), left)
		if err != nil {
			faults = append(faults, fmt.Errorf("reading %s, which is attached: %w", ref, err))
		}
		if all = append(all, layers...); left.layers < 0 || left.bytes < 0 {
			break
		}
	}
	return all, errors.Join(faults...)
}

// referring reads what is in a manifest that refers to subject; nothing if it refers to something else.
func referring(ctx context.Context, client Getter, ref name.Digest, subject string, left *budget) ([]Layer, error) {
	desc, err := client.Get(ctx, ref)
	if err != nil {
		return nil, err
	}
	var m v1.Manifest
	if err := json.Unmarshal(desc.Manifest, &m); err != nil {
		return nil, err
	}
	if m.Subject == nil || m.Subject.Digest.String() != subject {
		left.layers-- // it has been read
		return nil, nil
	}
	return readLayers(desc, left)
}

// readLayers reads what is in an image of documents, and takes it from what is left to read.
func readLayers(desc *remote.Descriptor, left *budget) ([]Layer, error) {
	img, err := desc.Image()
	if err != nil {
		return nil, err
	}
	manifest, err := img.Manifest()
	if err != nil {
		return nil, err
	}
	return readEach(manifest.Layers, left, img.LayerByDigest)
}

// readEach reads the layers that are listed, each of which open finds.
func readEach(listed []v1.Descriptor, left *budget, open func(v1.Hash) (v1.Layer, error)) ([]Layer, error) {
	if left.layers -= max(1, len(listed)); left.layers < 0 {
		return nil, fmt.Errorf("it has %d layers, with those read before more than the %d that are read", len(listed), layersLimit)
	}
	var all []Layer
	for _, d := range listed {
		if left.bytes -= d.Size; d.Size < 0 || left.bytes < 0 {
			left.bytes = -1
			return nil, fmt.Errorf("its layers have more than the %d bytes that are read", bytesLimit)
		}
		layer, err := open(d.Digest)
		if err != nil {
			return nil, err
		}
		content, err := readLayer(layer)
		if err != nil {
			return nil, err
		}
		all = append(all, Layer{MediaType: string(d.MediaType), Annotations: d.Annotations, Content: content})
	}
	return all, nil
}

// readLayer reads the bytes as they are in the registry, which the library calls compressed whatever they are.
func readLayer(layer v1.Layer) (content []byte, err error) {
	r, err := layer.Compressed()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	return io.ReadAll(r)
}

// Rewrite puts the layers that change makes of those there are under a tag of the repository. Where nothing changes,
// nothing is pushed. change is called again with what is there then if another push came between, or if the registry
// refuses to move the tag: whatever change leaves as it is, is good. If good, unless it is nil, says of what is listed that it may stay, no layer
// is read.
func (p *Push) Rewrite(ctx context.Context, tag string, good func(listed []v1.Descriptor) bool, change func(old []Layer) ([]Layer, error)) error {
	ref := p.repository.Tag(tag)
	return p.update(ctx, ref, func() (*manifest, v1.Hash, error) {
		desc, err := under(ctx, p.client.GetUpstream, ref)
		if err != nil {
			return nil, v1.Hash{}, err
		}
		var old []Layer
		var was v1.Hash
		if desc != nil {
			was = desc.Digest
			var listed v1.Manifest
			if good != nil && json.Unmarshal(desc.Manifest, &listed) == nil && good(listed.Layers) {
				return nil, was, nil
			}
			if old, err = layersOfImage(desc, ref); err != nil {
				return nil, was, err
			}
		}
		layers, err := change(old)
		if err != nil || slices.EqualFunc(old, layers, Layer.Same) {
			return nil, was, err
		}
		img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
		for _, l := range layers {
			if img, err = mutate.Append(img, mutate.Addendum{
				Layer: static.NewLayer(l.Content, types.MediaType(l.MediaType)), MediaType: types.MediaType(l.MediaType), Annotations: l.Annotations,
			}); err != nil {
				return nil, was, err
			}
		}
		nodes, err := graph.Nodes(img)
		if err != nil {
			return nil, was, err
		}
		whole := nodes[len(nodes)-1]
		return &manifest{whole.Manifest, whole.MediaType, whole.Digest}, was, p.client.Explain(ref, p.blobs(ctx, nodes))
	})
}
