package graph_test

import (
	"bytes"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/oci/graph"
)

// image has its own layer and one that others share.
func image(t *testing.T, shared v1.Layer) v1.Image {
	t.Helper()
	own, err := random.Layer(100, types.OCILayer)
	require.NoError(t, err)
	img, err := mutate.AppendLayers(mutate.MediaType(empty.Image, types.OCIManifestSchema1), shared, own)
	require.NoError(t, err)
	return img
}

// Everything comes once, after what it refers to, and the whole last.
func TestNodes(t *testing.T) {
	shared, err := random.Layer(100, types.OCILayer)
	require.NoError(t, err)
	first, second := image(t, shared), image(t, shared)
	inner := mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex), mutate.IndexAddendum{Add: second}, mutate.IndexAddendum{Add: first})
	document := static.NewLayer([]byte("a document"), "text/plain")
	index := mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex),
		mutate.IndexAddendum{Add: first}, mutate.IndexAddendum{Add: inner}, mutate.IndexAddendum{Add: document})

	nodes, err := graph.Nodes(index)
	require.NoError(t, err)
	var kinds []string
	at := map[v1.Hash]int{}
	for i, n := range nodes {
		assert.NotContains(t, at, n.Digest, "twice")
		at[n.Digest] = i
		kind := "blob"
		if n.Blob == nil {
			kind = string(n.MediaType)
			digest, size, err := v1.SHA256(bytes.NewReader(n.Manifest))
			require.NoError(t, err)
			assert.Equal(t, n.Digest, digest)
			assert.Equal(t, n.Size, size)
		}
		kinds = append(kinds, kind)
	}
	manifest, list := string(types.OCIManifestSchema1), string(types.OCIImageIndex)
	assert.Equal(t, []string{"blob", "blob", "blob", manifest, "blob", "blob", manifest, list, "blob", list}, kinds)
	digest, err := index.Digest()
	require.NoError(t, err)
	assert.Equal(t, len(nodes)-1, at[digest])
}

func TestImages(t *testing.T) {
	shared, err := random.Layer(100, types.OCILayer)
	require.NoError(t, err)
	first, second := image(t, shared), image(t, shared)
	images, err := graph.Images(first)
	require.NoError(t, err)
	assert.Equal(t, []v1.Image{first}, images)
	index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: first}, mutate.IndexAddendum{Add: second})
	images, err = graph.Images(index)
	require.NoError(t, err)
	require.Len(t, images, 2)
	for i, want := range []v1.Image{first, second} {
		is, err1 := images[i].Digest()
		digest, err2 := want.Digest()
		require.NoError(t, err1)
		require.NoError(t, err2)
		assert.Equal(t, digest, is)
	}
	_, err = graph.Images(mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: index}))
	assert.ErrorContains(t, err, "which is no image")
}

func TestForeign(t *testing.T) {
	for _, what := range []remote.Taggable{nil, struct{ remote.Taggable }{}} {
		_, err := graph.Nodes(what)
		assert.ErrorContains(t, err, "neither an image nor an index")
		_, err = graph.Images(what)
		assert.ErrorContains(t, err, "neither an image nor an index")
	}
}
