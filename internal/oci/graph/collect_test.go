package graph_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/oci/graph"
)

// store is a source in memory.
type store struct {
	manifests map[v1.Hash][]byte
	listed    map[v1.Hash][]v1.Descriptor
	tags      map[string]v1.Hash
}

func newStore() *store {
	return &store{map[v1.Hash][]byte{}, map[v1.Hash][]v1.Descriptor{}, map[string]v1.Hash{}}
}

func (s *store) add(t *testing.T, format string, args ...any) v1.Hash {
	t.Helper()
	raw := fmt.Appendf(nil, format, args...)
	digest, _, err := v1.SHA256(bytes.NewReader(raw))
	require.NoError(t, err)
	s.manifests[digest] = raw
	return digest
}

func (s *store) list(subject v1.Hash, referrers ...v1.Hash) {
	for _, r := range referrers {
		s.listed[subject] = append(s.listed[subject], v1.Descriptor{Digest: r})
	}
}

func (s *store) Manifest(_ context.Context, digest v1.Hash) ([]byte, error) {
	raw, ok := s.manifests[digest]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return raw, nil
}

func (s *store) Blob(_ v1.Hash, d v1.Descriptor) (v1.Layer, error) {
	return static.NewLayer(nil, d.MediaType), nil
}

func (s *store) Referrers(_ context.Context, subject v1.Hash) ([]v1.Descriptor, error) {
	return s.listed[subject], nil
}

func (s *store) Tagged(_ context.Context, tag string) (v1.Hash, error) {
	digest, ok := s.tags[tag]
	if !ok {
		return digest, fs.ErrNotExist
	}
	return digest, nil
}

func hash(of string) v1.Hash { return v1.Hash{Algorithm: "sha256", Hex: strings.Repeat(of, 64)} }

func config(of string) string {
	return fmt.Sprintf(`"config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"%s","size":2}`, hash(of))
}

// Everything that belongs to an image is found, once, and nothing else.
func TestCollect(t *testing.T) {
	s := newStore()
	image := s.add(t, `{%s,"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"%s","size":1},
		{"mediaType":"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip","digest":"%s","size":1}]}`, config("a"), hash("b"), hash("c"))
	index := s.add(t, `{"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"%s","size":1}]}`, image)
	sbom := s.add(t, `{"artifactType":"a/sbom",%s,"layers":[],"subject":{"digest":"%s"},"annotations":{"k":"v"}}`, config("d"), image)
	deep := s.add(t, `{%s,"layers":[],"subject":{"digest":"%s"}}`, config("d"), sbom)
	elsewhere := s.add(t, `{%s,"layers":[],"subject":{"digest":"%s"}}`, config("d"), hash("9"))
	plain := s.add(t, `{%s,"layers":[]}`, config("d"))
	signature := s.add(t, `{%s,"layers":[{"mediaType":"a/b","digest":"%s","size":1}]}`, config("e"), hash("f"))
	s.list(image, sbom, elsewhere, plain, hash("8"), sbom)
	s.list(sbom, deep)
	s.tags[graph.TagFor(index, ".sig")] = signature
	s.tags[graph.TagFor(hash("9"), ".sig")] = plain

	c, err := graph.Collect(t.Context(), s, index)
	require.NoError(t, err)
	assert.Equal(t, index, c.Root.Digest)
	var digests []v1.Hash
	for _, n := range c.Nodes {
		digests = append(digests, n.Digest)
	}
	assert.Equal(t, []v1.Hash{hash("b"), hash("a"), image, index, hash("d"), sbom, hash("f"), hash("e"), signature, deep}, digests)
	require.Len(t, c.Attached, 2)
	assert.Equal(t, "a/sbom", c.Attached[0].ArtifactType)
	assert.Equal(t, map[string]string{"k": "v"}, c.Attached[0].Annotations)
	assert.Equal(t, image, c.Attached[0].Subject)
	assert.Equal(t, "application/vnd.oci.empty.v1+json", c.Attached[1].ArtifactType, "that of the configuration")
	assert.Equal(t, sbom, c.Attached[1].Subject)
	require.Len(t, c.Tags, 1)
	assert.Equal(t, signature, c.Tags[0].Digest)
}

func TestCollectRefuses(t *testing.T) {
	s := newStore()
	for name, test := range map[string]struct{ manifest, problem string }{
		"both":    {`{` + config("a") + `,"manifests":[]}`, "neither an image nor an index"},
		"neither": {`{}`, "neither an image nor an index"},
		"no JSON": {`<html>`, "invalid character"},
		"a part that is missing": {
			`{"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"` + hash("7").String() + `"}]}`, "not exist",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := graph.Collect(t.Context(), s, s.add(t, "%s", test.manifest))
			assert.ErrorContains(t, err, test.problem)
		})
	}
	image := s.add(t, `{%s,"layers":[]}`, config("a"))
	for i := range 1100 {
		s.list(image, s.add(t, `{%s,"layers":[],"subject":{"digest":"%s"},"annotations":{"n":"%d"}}`, config("d"), image, i))
	}
	_, err := graph.Collect(t.Context(), s, image)
	assert.ErrorContains(t, err, "more than 1000 attachments")
}

func TestIsTagFor(t *testing.T) {
	for tag, is := range map[string]bool{
		graph.TagFor(hash("a"), ""): true, graph.TagFor(hash("a"), ".sig"): true, "v1.2.3": false, "": false, "sha256-abc": false, "latest-sha256": false,
	} {
		assert.Equal(t, is, graph.IsTagFor(tag), tag)
	}
}
