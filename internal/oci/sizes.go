package oci

import (
	"context"
	"errors"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Sizes are the sizes of an image in bytes: of its layers as they are pulled, and unpacked. The configuration and the
// manifest, a few kilobytes, do not count.
func Sizes(img v1.Image) (compressed, unpacked int64, err error) {
	layers, err := img.Layers()
	if err != nil {
		return 0, 0, err
	}
	for _, l := range layers {
		size, err := l.Size()
		if err != nil {
			return 0, 0, err
		}
		inflated, err := unpackedSize(l)
		if err != nil {
			return 0, 0, err
		}
		compressed += size
		unpacked += inflated
	}
	return compressed, unpacked, nil
}

// unpackedSize reads all of a layer, unless its size is known.
func unpackedSize(l v1.Layer) (size int64, err error) {
	own := own(l)
	switch {
	case own == nil || own.unpacked == 0 && own.cache == nil:
		return countUnpacked(l)
	case own.unpacked > 0:
		return own.unpacked, nil
	}
	found, err := contentsOf(context.Background(), l)
	if err != nil {
		return 0, err
	}
	return found.Unpacked, nil
}

func countUnpacked(l v1.Layer) (size int64, err error) {
	content, err := l.Uncompressed()
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, content.Close()) }()
	return io.Copy(io.Discard, content)
}
