//go:build unix

package main

import (
	"errors"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// checkLayout reads everything that a layout lists.
func checkLayout(dir string) error {
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return err
	}
	if len(manifest.Manifests) == 0 {
		return errors.New("it lists nothing")
	}
	for _, m := range manifest.Manifests {
		if err := checkEntry(index, m); err != nil {
			return fmt.Errorf("%s: %w", m.Digest, err)
		}
	}
	return nil
}

func checkEntry(index v1.ImageIndex, m v1.Descriptor) error {
	if m.MediaType.IsIndex() {
		inner, err := index.ImageIndex(m.Digest)
		if err != nil {
			return err
		}
		return validate.Index(inner)
	}
	img, err := index.Image(m.Digest)
	if err != nil {
		return err
	}
	return validate.Image(img)
}
