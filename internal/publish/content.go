package publish

import (
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// content is all that a manifest refers to, everything once.
type content struct {
	manifest
	// blobs are the layers and configs, in the order in which the manifests name them.
	blobs []blob
	// manifests has what is referred to before what refers to it; the last is the manifest itself.
	manifests []manifest

	seen map[v1.Hash]bool
}

type blob struct {
	v1.Layer
	size int64
}

func collect(artifact remote.Taggable) (*content, error) {
	c := &content{seen: map[v1.Hash]bool{}}
	var err error
	switch artifact := artifact.(type) {
	case v1.ImageIndex:
		err = c.addIndex(artifact)
	case v1.Image:
		err = c.addImage(artifact)
	default:
		err = fmt.Errorf("a %T is neither an image nor an index", artifact)
	}
	if err != nil {
		return nil, err
	}
	c.manifest = c.manifests[len(c.manifests)-1]
	return c, nil
}

// first says whether digest has not been added yet.
func (c *content) first(digest v1.Hash) bool {
	if c.seen[digest] {
		return false
	}
	c.seen[digest] = true
	return true
}

func (c *content) addIndex(index v1.ImageIndex) error {
	digest, err := index.Digest()
	if err != nil || !c.first(digest) {
		return err
	}
	children, err := partial.Manifests(index)
	if err != nil {
		return err
	}
	for _, child := range children {
		switch child := child.(type) {
		case v1.ImageIndex:
			err = c.addIndex(child)
		case v1.Image:
			err = c.addImage(child)
		case v1.Layer:
			err = c.addBlob(child)
		default:
			err = fmt.Errorf("the index %s refers to a %T, which is neither image nor index nor layer", digest, child)
		}
		if err != nil {
			return err
		}
	}
	return c.addManifest(index)
}

func (c *content) addImage(image v1.Image) error {
	digest, err := image.Digest()
	if err != nil || !c.first(digest) {
		return err
	}
	layers, err := image.Layers()
	if err != nil {
		return err
	}
	config, err := partial.ConfigLayer(image)
	if err != nil {
		return err
	}
	for _, layer := range append(layers, config) {
		if err := c.addBlob(layer); err != nil {
			return err
		}
	}
	return c.addManifest(image)
}

func (c *content) addManifest(artifact remote.Taggable) error {
	m, err := manifestOf(artifact)
	c.manifests = append(c.manifests, m)
	return err
}

func (c *content) addBlob(layer v1.Layer) error {
	digest, err := layer.Digest()
	if err != nil || !c.first(digest) {
		return err
	}
	size, err := layer.Size()
	if err != nil {
		return err
	}
	c.blobs = append(c.blobs, blob{layer, size})
	return nil
}
