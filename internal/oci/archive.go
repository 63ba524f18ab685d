package oci

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	oci "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/slipway-ci/slipway/internal/cache/temporary"
)

// WriteArchive writes an image or index as an OCI archive: a tar file of an OCI layout with this one entry, named
// refName unless that is empty. The same artifact gives the same bytes.
//
// The file appears when it is complete. After an error, or the end of ctx, what was there before is still there. The
// directory that it goes into is made if need be.
func WriteArchive(ctx context.Context, path string, artifact remote.Taggable, refName string) error {
	return writeArchive(ctx, path, func() ([]blob, []v1.Descriptor, error) {
		parts, entry, err := blobs(artifact)
		return parts, []v1.Descriptor{named(entry, map[string]string{oci.AnnotationRefName: refName})}, err
	})
}

// writeArchive writes an archive of what list lists: blobs, and the entries of index.json.
func writeArchive(ctx context.Context, path string, list func() ([]blob, []v1.Descriptor, error)) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("writing the archive %s: %w", path, err)
	}
	err := again(func() error {
		return temporary.WriteFile(path, func(w io.Writer) error {
			parts, entries, err := list()
			if err != nil {
				return err
			}
			index, err := layoutIndex(entries...)
			if err != nil {
				return err
			}
			return writeLayoutTar(ctx, w, []document{{"oci-layout", []byte(layoutMarker)}, {"index.json", index}}, parts)
		})
	})
	if err != nil {
		return fmt.Errorf("writing the archive %s: %w", path, err)
	}
	return nil
}

// annotationContainerd names an image for containerd, and so for nerdctl and for docker where it stores images there.
const annotationContainerd = "io.containerd.image.name"

// WriteDocker writes an image as a tar stream that docker load, podman load and nerdctl load take, under the name and
// tag imageName: an OCI layout, and besides it the manifest.json that older versions read. Layers that zstd has compressed are
// decompressed, since docker load does not know it (as of 28.2); the image has another digest then.
func WriteDocker(ctx context.Context, w io.Writer, img v1.Image, imageName string) error {
	tag, err := name.NewTag(imageName)
	if err != nil {
		return fmt.Errorf("%q cannot name an image: write NAME:TAG: %w", imageName, err)
	}
	if img, err = withoutZstd(img); err != nil {
		return err
	}
	parts, entry, err := blobs(img)
	if err != nil {
		return err
	}
	index, err := layoutIndex(named(entry, map[string]string{oci.AnnotationRefName: tag.TagStr(), annotationContainerd: familiar(tag)}))
	if err != nil {
		return err
	}
	legacy, err := dockerManifest(img, imageName)
	if err != nil {
		return err
	}
	documents := []document{{"oci-layout", []byte(layoutMarker)}, {"index.json", index}, {"manifest.json", legacy}}
	return writeLayoutTar(ctx, w, documents, parts)
}

// withoutZstd is the image with the layers decompressed that zstd has compressed.
func withoutZstd(img v1.Image) (v1.Image, error) {
	manifest, err1 := img.Manifest()
	layers, err2 := img.Layers()
	config, err3 := img.RawConfigFile()
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	manifest = manifest.DeepCopy()
	changed := false
	for i, l := range layers {
		if manifest.Layers[i].MediaType != types.OCILayerZStd {
			continue
		}
		diffID, err := l.DiffID()
		if err != nil {
			return nil, err
		}
		size, err := unpackedSize(l)
		if err != nil {
			return nil, err
		}
		plain := &layer{
			descriptor: v1.Descriptor{MediaType: types.OCIUncompressedLayer, Digest: diffID, Size: size}, diffID: diffID, unpacked: size,
			open: func(ctx context.Context) (io.ReadCloser, error) {
				packed, err := compressed(ctx, l)
				if err != nil {
					return nil, err
				}
				content, err := inflate(packed)
				if err != nil {
					return nil, errors.Join(err, packed.Close())
				}
				return content, nil
			},
		}
		layers[i], manifest.Layers[i], changed = plain, plain.descriptor, true
	}
	if !changed {
		return img, nil
	}
	raw, err := json.Marshal(manifest)
	return &content{manifest: raw, config: config, layers: layers}, err
}

// dockerManifest is a manifest.json. Source:
// https://github.com/moby/docker-image-spec/blob/v1.3.1/v1.2.md#combined-image-json--filesystem-changeset-format
func dockerManifest(img v1.Image, imageName string) ([]byte, error) {
	manifest, err := img.Manifest()
	if err != nil {
		return nil, err
	}
	config, err := blobName(manifest.Config.Digest)
	if err != nil {
		return nil, err
	}
	layers := make([]string, len(manifest.Layers))
	for i, l := range manifest.Layers {
		if layers[i], err = blobName(l.Digest); err != nil {
			return nil, err
		}
	}
	return json.Marshal([]struct {
		Config   string
		RepoTags []string
		Layers   []string
	}{{config, []string{imageName}, layers}})
}

// document is a small file of a layout.
type document struct {
	name    string
	content []byte
}

// writeLayoutTar writes the documents, and then the blobs as they come.
func writeLayoutTar(ctx context.Context, w io.Writer, documents []document, parts []blob) error {
	archive := tar.NewWriter(w)
	header := func(kind byte, name string, mode, size int64) error {
		return archive.WriteHeader(&tar.Header{
			Format: tar.FormatPAX, Typeflag: kind, Name: name, Mode: mode, Size: size, ModTime: time.Unix(0, 0),
		})
	}
	for _, d := range documents {
		if err := header(tar.TypeReg, d.name, 0o644, int64(len(d.content))); err != nil {
			return err
		}
		if _, err := archive.Write(d.content); err != nil {
			return err
		}
	}
	for _, dir := range []string{"blobs/", "blobs/sha256/"} {
		if err := header(tar.TypeDir, dir, 0o755, 0); err != nil {
			return err
		}
	}
	for _, b := range parts {
		name, err := blobName(b.digest)
		if err != nil {
			return err
		}
		if err := header(tar.TypeReg, name, 0o644, b.size); err != nil {
			return err
		}
		if err := b.copyTo(ctx, archive); err != nil {
			return err
		}
	}
	return archive.Close()
}
