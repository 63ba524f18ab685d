package oci

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	oci "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/slipway-ci/slipway/internal/cache/ownfile"
)

// RemoveFromLayout removes the entry named refName from the OCI layout in the directory dir, unless it is empty, and then the blobs that
// no entry refers to. Others may write to the layout meanwhile.
func RemoveFromLayout(ctx context.Context, dir, refName string) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("removing from the OCI layout %s: %w", dir, err)
		}
	}()
	lock, err := lockLayout(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Remove()) }()
	name := filepath.Join(dir, "index.json")
	raw, err := ownfile.Read(name)
	if err != nil {
		return err
	}
	var index v1.IndexManifest
	if err := json.Unmarshal(raw, &index); err != nil {
		return fmt.Errorf("its index.json: %w", err)
	}
	left := []v1.Descriptor{}
	for _, d := range index.Manifests {
		if refName == "" || d.Annotations[oci.AnnotationRefName] != refName {
			left = append(left, d)
		}
	}
	if len(left) < len(index.Manifests) {
		index.Manifests = left
		if err := ownfile.Write(name, func(w io.Writer) error { return json.NewEncoder(w).Encode(index) }); err != nil {
			return err
		}
	}
	used := map[string]bool{}
	for _, d := range left {
		if err := markUsed(dir, d.Digest, used); err != nil {
			return err
		}
	}
	blobs := filepath.Join(dir, "blobs", "sha256")
	entries, err := os.ReadDir(blobs)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Type().IsRegular() && !used[e.Name()] {
			if err := os.Remove(filepath.Join(blobs, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// markUsed notes what a manifest refers to. One that cannot be read refers to nothing.
func markUsed(layout string, digest v1.Hash, used map[string]bool) error {
	if used[digest.Hex] {
		return nil
	}
	used[digest.Hex] = true
	name, err := blobName(digest)
	if err != nil {
		return nil //nolint:nilerr // it is no name of a blob here
	}
	f, err := openRegular(filepath.Join(layout, filepath.FromSlash(name)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	raw, err := readDocument(f)
	if err != nil {
		return err
	}
	var m anyManifest
	if json.Unmarshal(raw, &m) != nil {
		return nil
	}
	for _, d := range append(m.Layers, m.Config) {
		used[d.Digest.Hex] = true
	}
	for _, d := range m.Manifests {
		if err := markUsed(layout, d.Digest, used); err != nil {
			return err
		}
	}
	return nil
}
