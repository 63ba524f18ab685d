package oci

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	oci "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/slipway-ci/slipway/internal/oci/graph"
)

// OpenLayout opens an OCI layout to copy from, a directory or, where archive says so, a tar file of one. ref is its path, with ":" and a
// name or not. root is the image in it.
func OpenLayout(ctx context.Context, ref string, archive bool) (source graph.Source, root v1.Hash, err error) {
	open := openDirectory
	if archive {
		open = openArchive
	}
	layout, entry, err := chooseEntry(ref, open)
	if err != nil {
		return nil, v1.Hash{}, fmt.Errorf("reading %s: %w", ref, err)
	}
	if entry.chosen == nil {
		return nil, v1.Hash{}, fmt.Errorf("reading %s: it has an image for each platform in its index.json and no index of them: write it anew with one, as skopeo copies all platforms", ref)
	}
	s := &copySource{layoutSource: layoutSource{layout}, tags: map[string]v1.Hash{}, referring: map[v1.Hash][]v1.Descriptor{}}
	return s, entry.chosen.Digest, s.list(ctx, entry.index.Manifests)
}

// copySource is a layout whose index.json lists what is attached to its images.
type copySource struct {
	layoutSource
	tags      map[string]v1.Hash
	referring map[v1.Hash][]v1.Descriptor
}

func (s *copySource) list(ctx context.Context, entries []v1.Descriptor) error {
	if len(entries) > manifestLimit {
		return fmt.Errorf("its index.json has %d entries, more than the %d that are read", len(entries), manifestLimit)
	}
	for _, d := range entries {
		if tag := d.Annotations[oci.AnnotationRefName]; tag != "" {
			s.tags[tag] = d.Digest
		}
		raw, err := s.manifest(ctx, d.Digest)
		if err != nil {
			return err
		}
		var m struct {
			Subject *v1.Descriptor `json:"subject"`
		}
		if err := json.Unmarshal(raw, &m); err != nil {
			return fmt.Errorf("the manifest %s: %w", d.Digest, err)
		}
		if m.Subject != nil {
			s.referring[m.Subject.Digest] = append(s.referring[m.Subject.Digest], d)
		}
	}
	return nil
}

func (s *copySource) Manifest(ctx context.Context, digest v1.Hash) ([]byte, error) {
	return s.manifest(ctx, digest)
}

func (s *copySource) Blob(manifest v1.Hash, d v1.Descriptor) (v1.Layer, error) {
	return &layer{descriptor: d, open: func(ctx context.Context) (io.ReadCloser, error) { return s.blob(ctx, manifest, d) }}, nil
}

func (s *copySource) Referrers(_ context.Context, subject v1.Hash) ([]v1.Descriptor, error) {
	return s.referring[subject], nil
}

func (s *copySource) Tagged(_ context.Context, tag string) (v1.Hash, error) {
	digest, ok := s.tags[tag]
	if !ok {
		return digest, fs.ErrNotExist
	}
	return digest, nil
}

// entriesOf are the entries of an index.json for a collection: the image, named refName unless that is empty; what is attached, as it is
// listed in a registry; and what is under tags.
func entriesOf(c *graph.Collection, refName string) []v1.Descriptor {
	entry := func(d v1.Descriptor, name string) v1.Descriptor {
		annotations := maps.Clone(d.Annotations)
		delete(annotations, oci.AnnotationRefName)
		d.Annotations = annotations
		return named(d, map[string]string{oci.AnnotationRefName: name})
	}
	root := c.Root
	root.ArtifactType, root.Annotations = "", nil
	entries := []v1.Descriptor{entry(root, refName)}
	for _, a := range c.Attached {
		entries = append(entries, entry(a.Descriptor, ""))
	}
	for _, t := range c.Tags {
		d := t.Descriptor
		d.ArtifactType, d.Annotations = "", nil
		entries = append(entries, entry(d, t.Tag))
	}
	return entries
}

// isAttached reports whether an entry of an index.json is of what is attached to another.
func isAttached(d v1.Descriptor) bool {
	return d.ArtifactType != "" || graph.IsTagFor(d.Annotations[oci.AnnotationRefName])
}

// AddCollection adds an image with all that is attached to it to an OCI layout, as [WriteLayout] does an image. What is there is kept, so
// that a copy that was interrupted goes on.
func AddCollection(ctx context.Context, dir string, c *graph.Collection, refName string) error {
	return addToLayout(ctx, dir, blobsOf(c.Nodes), entriesOf(c, refName))
}

// WriteCollection writes an image with all that is attached to it as an OCI archive, as [WriteArchive] does an image.
func WriteCollection(ctx context.Context, path string, c *graph.Collection, refName string) error {
	return writeArchive(ctx, path, func() ([]blob, []v1.Descriptor, error) { return blobsOf(c.Nodes), entriesOf(c, refName), nil })
}
