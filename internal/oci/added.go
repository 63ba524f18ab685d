package oci

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/slipway-ci/slipway/internal/cache"
)

// Added are layers with what img has above base, which others made: the same entries, at the time when and in this compression.
func Added(ctx context.Context, c *cache.Cache, img, base v1.Image, when time.Time, compression Compression) ([]v1.Layer, error) {
	layers, err1 := img.Layers()
	below, err2 := base.Layers()
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	if len(below) > len(layers) {
		return nil, errOtherBase
	}
	for i := range below {
		is, err1 := layers[i].DiffID()
		want, err2 := below[i].DiffID()
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		if is != want {
			return nil, errOtherBase
		}
	}
	var added []v1.Layer
	for _, l := range layers[len(below):] {
		made, err := repack(ctx, c, l, when, compression)
		if err != nil {
			return nil, fmt.Errorf("packing a layer again: %w", err)
		}
		added = append(added, made)
	}
	return added, nil
}

var errOtherBase = errors.New("it does not begin with the layers of the base: name the base by its digest")

// repack is a layer with the entries of another.
func repack(ctx context.Context, c *cache.Cache, l v1.Layer, when time.Time, compression Compression) (_ v1.Layer, err error) {
	content, err := l.Uncompressed()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, content.Close()) }()
	entries := tar.NewReader(contextReader{ctx, content})
	made, err := writeLayer(c, compression, func(archive *tar.Writer) error {
		for {
			h, err := entries.Next()
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
			h.Format, h.ModTime, h.AccessTime, h.ChangeTime = tar.FormatPAX, when.Truncate(time.Second), time.Time{}, time.Time{}
			h.Uname, h.Gname = "", ""
			if err := archive.WriteHeader(h); err != nil {
				return err
			}
			if _, err := io.Copy(archive, entries); err != nil {
				return err
			}
		}
	})
	if err != nil {
		return nil, err
	}
	return made.layer(c), nil
}
