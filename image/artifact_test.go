package image_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/image"
)

func archiveOf(t *testing.T, artifact remote.Taggable) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "a.tar")
	require.NoError(t, image.WriteArchive(t.Context(), name, artifact, "a"))
	return name
}

func TestOpenArchive(t *testing.T) {
	whole := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, architecture := range []string{"amd64", "arm64", "riscv64"} {
		layer, err := random.Layer(500, types.OCILayer)
		require.NoError(t, err)
		img, err := mutate.AppendLayers(mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON), layer)
		require.NoError(t, err)
		config, err := img.ConfigFile()
		require.NoError(t, err)
		config.OS, config.Architecture = "linux", architecture
		img, err = mutate.ConfigFile(img, config)
		require.NoError(t, err)
		whole = mutate.AppendManifests(whole, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: config.Platform()}})
	}
	name := archiveOf(t, whole)
	got, err := image.OpenArchive(t.Context(), name)
	require.NoError(t, err)
	want, err := whole.Digest()
	require.NoError(t, err)
	opened := got.(v1.ImageIndex)
	digest, err := opened.Digest()
	require.NoError(t, err)
	require.Equal(t, want, digest)
	require.NoError(t, validate.Index(opened))

	single, err := whole.IndexManifest()
	require.NoError(t, err)
	img, err := whole.Image(single.Manifests[1].Digest)
	require.NoError(t, err)
	got, err = image.OpenArchive(t.Context(), archiveOf(t, img))
	require.NoError(t, err)
	digest, err = got.(v1.Image).Digest()
	require.NoError(t, err)
	require.Equal(t, single.Manifests[1].Digest, digest)

	// One byte of a layer.
	broken, err := os.ReadFile(name)
	require.NoError(t, err)
	layers, err := img.Layers()
	require.NoError(t, err)
	layer, err := layers[0].Digest()
	require.NoError(t, err)
	at := bytes.Index(broken, []byte("blobs/sha256/"+layer.Hex)) + 512 + 20
	broken[at] ^= 1
	require.NoError(t, os.WriteFile(name, broken, 0o600))
	got, err = image.OpenArchive(t.Context(), name)
	require.NoError(t, err)
	require.ErrorContains(t, validate.Index(got.(v1.ImageIndex)), layer.String())

	docker, err := random.Image(100, 1)
	require.NoError(t, err)
	_, err = image.OpenArchive(t.Context(), archiveOf(t, docker))
	require.ErrorContains(t, err, "media types of Docker")
	_, err = image.OpenArchive(t.Context(), filepath.Join(t.TempDir(), "none.tar"))
	require.ErrorIs(t, err, os.ErrNotExist)
}
