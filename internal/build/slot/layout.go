package slot

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	spec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/slipway-ci/slipway/internal/oci"
)

// layoutRepository is an OCI layout directory. Its slots are the names of entries.
type layoutRepository struct{ dir string }

func (r layoutRepository) Get(_ context.Context, name string) (*Slot, error) {
	whole, entries, err := r.entries()
	if err != nil {
		return nil, err
	}
	for _, d := range entries {
		if d.Annotations[spec.AnnotationRefName] != name {
			continue
		}
		index, err := whole.ImageIndex(d.Digest)
		if err != nil {
			return nil, err
		}
		manifest, err := index.IndexManifest()
		if err != nil {
			return nil, err
		}
		return &Slot{
			Ref: layoutScheme + r.dir + ":" + name, Digest: d.Digest, Index: manifest,
			open: func(_ context.Context, artifact v1.Descriptor) (v1.Image, error) { return index.Image(artifact.Digest) },
			has: func(_ context.Context, blob v1.Hash) (bool, error) {
				_, err := os.Stat(filepath.Join(r.dir, "blobs", blob.Algorithm, blob.Hex))
				return err == nil, nil
			},
			download: readLayer,
		}, nil
	}
	return nil, nil
}

func readLayer(_ context.Context, layer v1.Layer, read func(io.Reader) error) error {
	content, err := layer.Compressed()
	if err != nil {
		return err
	}
	return errors.Join(read(content), content.Close())
}

// entries are those of the layout; none if it is not there.
func (r layoutRepository) entries() (v1.ImageIndex, []v1.Descriptor, error) {
	whole, err := layout.ImageIndexFromPath(r.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	manifest, err := whole.IndexManifest()
	if err != nil {
		return nil, nil, err
	}
	return whole, manifest.Manifests, nil
}

func (r layoutRepository) Put(ctx context.Context, name string, content v1.ImageIndex) error {
	if err := oci.WriteLayout(ctx, r.dir, content, name); err != nil {
		return err
	}
	return oci.RemoveFromLayout(ctx, r.dir, "") // nobody else removes what was in the slot before
}

func (r layoutRepository) Names(context.Context) ([]string, error) {
	_, entries, err := r.entries()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, d := range entries {
		if name := d.Annotations[spec.AnnotationRefName]; name != "" {
			names = append(names, name)
		}
	}
	return names, nil
}

// Delete removes the entry, and the blobs that no other entry refers to.
func (r layoutRepository) Delete(ctx context.Context, name string) error {
	return oci.RemoveFromLayout(ctx, r.dir, name)
}
