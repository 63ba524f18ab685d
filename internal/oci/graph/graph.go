// Package graph walks what an image or an index of images consists of.
package graph

import (
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Node is a manifest, or a blob: a layer or a configuration.
type Node struct {
	Digest    v1.Hash
	MediaType types.MediaType
	Size      int64
	// Blob opens a blob; nil for a manifest.
	Blob v1.Layer
	// Manifest is the content of a manifest.
	Manifest []byte
}

// Nodes are what artifact, a v1.Image or a v1.ImageIndex, consists of: everything once, and what is referred to before what refers to it. The
// last is the manifest of artifact.
func Nodes(artifact remote.Taggable) ([]Node, error) {
	w := walk{seen: map[v1.Hash]bool{}}
	if err := w.artifact(artifact); err != nil {
		return nil, err
	}
	return w.nodes, nil
}

// Images are the images in artifact, which is one itself or an index of images and nothing else.
func Images(artifact remote.Taggable) ([]v1.Image, error) {
	switch artifact := artifact.(type) {
	case v1.Image:
		return []v1.Image{artifact}, nil
	case v1.ImageIndex:
		members, err := partial.Manifests(artifact)
		if err != nil {
			return nil, err
		}
		var images []v1.Image
		for _, member := range members {
			img, ok := member.(v1.Image)
			if !ok {
				return nil, fmt.Errorf("the index has a %T in it, which is no image", member)
			}
			images = append(images, img)
		}
		return images, nil
	default:
		return nil, foreign(artifact)
	}
}

func foreign(artifact any) error {
	return fmt.Errorf("a %T is neither an image nor an index", artifact)
}

type walk struct {
	nodes []Node
	seen  map[v1.Hash]bool
}

// artifact adds an image or index with everything that it refers to.
func (w *walk) artifact(artifact any) error {
	a, ok := artifact.(interface {
		partial.Describable
		RawManifest() ([]byte, error)
	})
	if !ok {
		return foreign(artifact)
	}
	node, seen, err := w.describe(a)
	if err != nil || seen {
		return err
	}
	switch artifact := artifact.(type) {
	case v1.Image:
		err = w.image(artifact)
	case v1.ImageIndex:
		err = w.index(artifact, node.Digest)
	default:
		err = foreign(artifact)
	}
	if err != nil {
		return err
	}
	if node.Manifest, err = a.RawManifest(); err != nil {
		return err
	}
	w.nodes = append(w.nodes, node)
	return nil
}

func (w *walk) image(img v1.Image) error {
	layers, err := img.Layers()
	if err != nil {
		return err
	}
	config, err := partial.ConfigLayer(img)
	if err != nil {
		return err
	}
	for _, blob := range append(layers, config) {
		if err := w.blob(blob); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) index(index v1.ImageIndex, digest v1.Hash) error {
	members, err := partial.Manifests(index)
	if err != nil {
		return err
	}
	for _, member := range members {
		switch member := member.(type) {
		case v1.Image, v1.ImageIndex:
			err = w.artifact(member)
		case v1.Layer:
			err = w.blob(member)
		default:
			err = fmt.Errorf("the index %s refers to a %T, which is neither image nor index nor layer", digest, member)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) blob(blob v1.Layer) error {
	node, seen, err := w.describe(blob)
	if err != nil || seen {
		return err
	}
	node.Blob = blob
	w.nodes = append(w.nodes, node)
	return nil
}

// describe is the node of d, and whether it has been added before.
func (w *walk) describe(d partial.Describable) (node Node, seen bool, err error) {
	if node.Digest, err = d.Digest(); err != nil || w.seen[node.Digest] {
		return node, true, err
	}
	w.seen[node.Digest] = true
	if node.MediaType, err = d.MediaType(); err != nil {
		return node, false, err
	}
	node.Size, err = d.Size()
	return node, false, err
}
