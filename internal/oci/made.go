package oci

import (
	"context"
	"fmt"
	"io"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/slipway-ci/slipway/internal/cache"
)

// madeLayer is what is cached of a layer that was made.
type madeLayer struct {
	MediaType types.MediaType `json:"mediaType"`
	Digest    v1.Hash         `json:"digest"`
	Size      int64           `json:"size"`
	DiffID    v1.Hash         `json:"diffID"`
	// Unpacked is the size in bytes of the archive that was compressed.
	Unpacked int64 `json:"unpacked"`
}

func (m madeLayer) layer(c *cache.Cache) *layer {
	return &layer{
		descriptor: v1.Descriptor{MediaType: m.MediaType, Digest: m.Digest, Size: m.Size},
		diffID:     m.DiffID,
		unpacked:   m.Unpacked,
		open: func(context.Context) (io.ReadCloser, error) {
			content, err := getBlob(c, m.Digest)
			if err != nil {
				return nil, fmt.Errorf("reading a cached layer: %w", err)
			}
			return content, nil
		},
	}
}

// packing is part of every recipe. It has to change when the same files are to give another layer.
const packing = "1: tar PAX, klauspost/compress"

// recipeOf names everything that a layer is made of; empty if the content of a file is not known.
func recipeOf(files []File, when time.Time, c Compression) string {
	c = c.normal()
	recipe := fmt.Appendf(nil, "%s\n%v %d %d\n", packing, c.Zstd, c.Level, when.Unix())
	for _, f := range files {
		if f.Mode.IsRegular() && f.ID == "" {
			return ""
		}
		recipe = append(append(recipe, f.ID...), '\t')
		recipe = append(recipe, f.entry().line()...)
	}
	return sha256Of(recipe).Hex
}

// cachedLayer is the layer that was made by the recipe; nil if there is none, or if it or what is known of it has been damaged.
func cachedLayer(c *cache.Cache, recipe string) *layer {
	var made madeLayer
	if recipe == "" || !c.Get(recipe, &made) {
		return nil
	}
	content, err := getBlob(c, made.Digest) // which checks it, so that no upload has to
	if err != nil || content.Close() != nil {
		return nil
	}
	return made.layer(c)
}
