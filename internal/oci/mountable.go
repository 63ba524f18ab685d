package oci

import (
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Mountable returns the image with layers that a registry mounts from a repository of its own, which has them, when they are pushed to
// another one.
func Mountable(img v1.Image, from name.Repository) v1.Image { return mountable{img, from} }

type mountable struct {
	v1.Image
	from name.Repository
}

func (m mountable) Layers() ([]v1.Layer, error) {
	layers, err := m.Image.Layers()
	layers = slices.Clone(layers)
	for i, l := range layers {
		if from, ok := l.(*remote.MountableLayer); ok { // of a base
			l = from.Layer
		}
		layers[i] = &remote.MountableLayer{Layer: l, Reference: m.from.Tag("latest")} // only its repository counts
	}
	return layers, err
}
