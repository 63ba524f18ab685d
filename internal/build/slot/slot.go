// Package slot keeps what a build makes in a repository, of a registry or in an OCI layout, for builds on other machines.
//
// A repository has slots, each with a name. Put replaces what is in one, so that a repository grows with the number of its slots and not
// with that of builds: what was in a slot before is referred to by nothing, and the registry's garbage collection takes it.
//
// A slot is an index: of images, and of artifacts whose layers are documents. What comes from one has the digests that its manifests
// say. Whether it is what it claims to be, its reader decides.
package slot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/slipway-ci/slipway/internal/fault"
	"github.com/slipway-ci/slipway/internal/registry"
)

// Mode says what is done with a repository.
type Mode string

// Modes, the default first.
const (
	ReadWrite Mode = "read-write"
	Read      Mode = "read"
	Refresh   Mode = "refresh"
)

// Repository has slots.
type Repository interface {
	// Get reads a slot; nil if there is none of that name.
	Get(ctx context.Context, name string) (*Slot, error)
	// Put replaces what is in a slot, which is there as a whole or not at all.
	Put(ctx context.Context, name string, content v1.ImageIndex) error
	// Names are those of all slots.
	Names(ctx context.Context) ([]string, error)
	// Delete removes a slot.
	Delete(ctx context.Context, name string) error
}

// layoutScheme begins the name of a repository that is an OCI layout directory.
const layoutScheme = "oci:"

// Open opens the repository that text names: of a registry, or "oci:DIRECTORY". An error is [fault.Faults].
func Open(text string, client *registry.Client) (Repository, error) {
	if dir, ok := strings.CutPrefix(text, layoutScheme); ok {
		if dir == "" {
			return nil, fault.Faults{{Field: "cache", Value: text, Problem: "no directory", Hint: "write it like oci:/var/cache/slipway"}}
		}
		return layoutRepository{dir}, nil
	}
	faults := registry.Target{Repository: text}.Validate()
	if faults == nil {
		return registryRepository{text, client}, nil
	}
	for i := range faults {
		faults[i].Field = "cache"
		if strings.Contains(faults[i].Hint, "--tag") {
			faults[i].Hint = "leave the tag out"
		}
	}
	return nil, faults
}

// Slot is what is in a slot.
type Slot struct {
	// Ref is its reference, as a base.
	Ref string
	// Digest is that of Index.
	Digest v1.Hash
	Index  *v1.IndexManifest
	// Manifest is what came from a registry as Index; nil from a layout.
	Manifest []byte

	open func(ctx context.Context, artifact v1.Descriptor) (v1.Image, error)
	has  func(ctx context.Context, blob v1.Hash) (bool, error)
	// download reads a layer, and again if it breaks.
	download func(ctx context.Context, layer v1.Layer, read func(io.Reader) error) error
}

// Has reports whether the repository has a blob, without reading it.
func (s *Slot) Has(ctx context.Context, blob v1.Hash) (bool, error) { return s.has(ctx, blob) }

// Artifact is the descriptor of the artifact of that type in the slot.
func (s *Slot) Artifact(artifactType string) (v1.Descriptor, bool) {
	for _, d := range s.Index.Manifests {
		if d.ArtifactType == artifactType {
			return d, true
		}
	}
	return v1.Descriptor{}, false
}

// MostDocument is how many bytes of a document are read into memory.
const MostDocument = 16 << 20

// Document reads the only document of an artifact into memory.
func (s *Slot) Document(ctx context.Context, artifact v1.Descriptor) ([]byte, error) {
	layers, err := s.Layers(ctx, artifact)
	if err != nil {
		return nil, err
	}
	if len(layers) != 1 {
		return nil, fmt.Errorf("the artifact has %d documents, and not one", len(layers))
	}
	return s.ReadAll(ctx, layers[0])
}

// Layers are those of an artifact.
func (s *Slot) Layers(ctx context.Context, artifact v1.Descriptor) ([]v1.Layer, error) {
	img, err := s.open(ctx, artifact)
	if err != nil {
		return nil, err
	}
	if is, err := img.Digest(); err != nil || is != artifact.Digest {
		return nil, errors.Join(err, fmt.Errorf("the artifact does not have the digest %s", artifact.Digest))
	}
	return img.Layers()
}

// Read calls read with the content of a layer of the slot, which may not be what its digest says, and again if it breaks midway.
func (s *Slot) Read(ctx context.Context, layer v1.Layer, read func(io.Reader) error) error {
	return s.download(ctx, layer, read)
}

// ReadAll reads a layer of the slot into memory.
func (s *Slot) ReadAll(ctx context.Context, layer v1.Layer) ([]byte, error) {
	size, err1 := layer.Size()
	want, err2 := layer.Digest()
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	if size > MostDocument {
		return nil, fmt.Errorf("the document has %d bytes, and at most %d are read", size, MostDocument)
	}
	var content []byte
	err := s.download(ctx, layer, func(r io.Reader) (err error) {
		content, err = io.ReadAll(io.LimitReader(r, size+1))
		return err
	})
	if err != nil {
		return nil, err
	}
	if is, n, err := v1.SHA256(strings.NewReader(string(content))); err != nil || is != want || n != size {
		return nil, fmt.Errorf("the document does not have the digest %s", want)
	}
	return content, nil
}

// nowhere is the platform of artifacts, which no base is taken for. BuildKit marks attestations by it.
var nowhere = &v1.Platform{OS: "unknown", Architecture: "unknown"}

// Add adds an artifact of that type to what becomes a slot's content: a document, and more layers.
func Add(index v1.ImageIndex, artifactType string, document []byte, more ...v1.Layer) (v1.ImageIndex, error) {
	layers := []mutate.Addendum{{Layer: static.NewLayer(document, types.MediaType(artifactType)), MediaType: types.MediaType(artifactType)}}
	for _, layer := range more {
		layers = append(layers, mutate.Addendum{Layer: layer})
	}
	artifact, err := mutate.Append(mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON), layers...)
	if err != nil {
		return nil, err
	}
	return mutate.AppendManifests(index, mutate.IndexAddendum{Add: artifact, Descriptor: v1.Descriptor{Platform: nowhere, ArtifactType: artifactType}}), nil
}

// New is the content of a slot, with these images and annotations.
func New(annotations map[string]string, images ...v1.Image) (v1.ImageIndex, error) {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, img := range images {
		config, err := img.ConfigFile()
		if err != nil {
			return nil, err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: config.Platform()}})
	}
	return mutate.Annotations(index, annotations).(v1.ImageIndex), nil
}
