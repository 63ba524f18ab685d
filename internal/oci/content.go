package oci

import (
	"bytes"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// content is an image whose manifest and configuration are at hand; its layers need not be.
type content struct {
	manifest, config []byte
	layers           []v1.Layer
}

var _ v1.Image = (*content)(nil)

func (c *content) MediaType() (types.MediaType, error)       { return types.OCIManifestSchema1, nil }
func (c *content) RawManifest() ([]byte, error)              { return bytes.Clone(c.manifest), nil }
func (c *content) Manifest() (*v1.Manifest, error)           { return partial.Manifest(c) }
func (c *content) Digest() (v1.Hash, error)                  { return partial.Digest(c) }
func (c *content) Size() (int64, error)                      { return int64(len(c.manifest)), nil }
func (c *content) RawConfigFile() ([]byte, error)            { return bytes.Clone(c.config), nil }
func (c *content) ConfigFile() (*v1.ConfigFile, error)       { return partial.ConfigFile(c) }
func (c *content) ConfigName() (v1.Hash, error)              { return partial.ConfigName(c) }
func (c *content) Layers() ([]v1.Layer, error)               { return append([]v1.Layer(nil), c.layers...), nil }
func (c *content) LayerByDiffID(h v1.Hash) (v1.Layer, error) { return c.find(h, v1.Layer.DiffID) }

func (c *content) LayerByDigest(h v1.Hash) (v1.Layer, error) {
	config, err := partial.ConfigLayer(c)
	if err != nil {
		return nil, err
	}
	if digest, err := config.Digest(); err != nil || digest == h {
		return config, err
	}
	return c.find(h, v1.Layer.Digest)
}

func (c *content) find(want v1.Hash, of func(v1.Layer) (v1.Hash, error)) (v1.Layer, error) {
	for _, l := range c.layers {
		if got, err := of(l); err != nil || got == want {
			return l, err
		}
	}
	return nil, fmt.Errorf("the image has no layer %s", want)
}

// index is an index whose manifest is at hand.
type index struct {
	manifest []byte
	images   map[v1.Hash]v1.Image
}

var _ v1.ImageIndex = (*index)(nil)

func (x *index) MediaType() (types.MediaType, error) { return types.OCIImageIndex, nil }
func (x *index) RawManifest() ([]byte, error)        { return bytes.Clone(x.manifest), nil }
func (x *index) Digest() (v1.Hash, error)            { return partial.Digest(x) }
func (x *index) Size() (int64, error)                { return int64(len(x.manifest)), nil }
func (x *index) IndexManifest() (*v1.IndexManifest, error) {
	return v1.ParseIndexManifest(bytes.NewReader(x.manifest))
}

func (x *index) Image(h v1.Hash) (v1.Image, error) {
	if img, ok := x.images[h]; ok {
		return img, nil
	}
	return nil, fmt.Errorf("the index has no image %s", h)
}

func (x *index) ImageIndex(h v1.Hash) (v1.ImageIndex, error) {
	return nil, fmt.Errorf("the index has no index %s in it", h)
}
