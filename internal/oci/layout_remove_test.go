package oci

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What is removed takes with it what nothing else refers to, and what others have stays whole.
func TestRemoveFromLayout(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "layout")
	shared := newLayer(t, text("/shared", "s"))
	require.NoError(t, WriteLayout(t.Context(), dir, sampleIndex(t), "index"))
	require.NoError(t, WriteLayout(t.Context(), dir, imageOf(t, amd64, shared, newLayer(t, text("/own", "1"))), "image"))
	blobs := func() int {
		entries, err := os.ReadDir(filepath.Join(dir, "blobs", "sha256"))
		require.NoError(t, err)
		return len(entries)
	}
	const ofIndex, ofImage = 8, 3 // besides the layer that both have
	require.Equal(t, ofIndex+ofImage, blobs())
	require.NoError(t, RemoveFromLayout(t.Context(), dir, "no such entry"))
	require.Equal(t, ofIndex+ofImage, blobs())
	require.NoError(t, RemoveFromLayout(t.Context(), dir, "image"))
	assert.Equal(t, ofIndex, blobs())
	left, err := layout.ImageIndexFromPath(dir)
	require.NoError(t, err)
	require.NoError(t, validate.Index(left))

	// What took the place of another entry leaves blobs of that, until they are removed.
	require.NoError(t, WriteLayout(t.Context(), dir, imageOf(t, amd64, newLayer(t, text("/new", "2"))), "index"))
	require.NoError(t, RemoveFromLayout(t.Context(), dir, ""))
	assert.Equal(t, ofImage, blobs())
	require.NoError(t, RemoveFromLayout(t.Context(), dir, "index"))
	assert.Zero(t, blobs())

	other := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(other, "mine"), nil, 0o644))
	assert.ErrorContains(t, RemoveFromLayout(t.Context(), other, "x"), "the directory holds something else")
	assert.FileExists(t, filepath.Join(other, "mine"))
}
