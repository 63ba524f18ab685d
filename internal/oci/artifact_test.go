package oci_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/oci"
)

func archiveOf(t *testing.T, artifact remote.Taggable) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "a.tar")
	require.NoError(t, oci.WriteArchive(t.Context(), name, artifact, "a"))
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
	got, err := (&oci.Bases{}).OpenArchive(t.Context(), name)
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
	got, err = (&oci.Bases{}).OpenArchive(t.Context(), archiveOf(t, img))
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
	_, err = (&oci.Bases{}).OpenArchive(t.Context(), name)
	require.ErrorContains(t, err, layer.String())

	docker, err := random.Image(100, 1)
	require.NoError(t, err)
	_, err = (&oci.Bases{}).OpenArchive(t.Context(), archiveOf(t, docker))
	require.ErrorContains(t, err, "media types of Docker")
	_, err = (&oci.Bases{}).OpenArchive(t.Context(), filepath.Join(t.TempDir(), "none.tar"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

// forged is an image with another manifest or configuration than its own.
type forged struct {
	v1.Image
	manifest, config []byte
}

func (f forged) RawManifest() ([]byte, error)   { return f.manifest, nil }
func (f forged) RawConfigFile() ([]byte, error) { return f.config, nil }
func (f forged) Digest() (v1.Hash, error) {
	h, _, err := v1.SHA256(bytes.NewReader(f.manifest))
	return h, err
}
func (f forged) Size() (int64, error) { return int64(len(f.manifest)), nil }

// What an archive says of itself is not believed: it would be published.
func TestForgedArchive(t *testing.T) {
	store, err := cache.Open(t.TempDir())
	require.NoError(t, err)
	layer, err := oci.NewLayer(t.Context(), store, []oci.File{oci.FromBytes("/a", 0o644, []byte("a"))}, time.Unix(0, 0), oci.Compression{})
	require.NoError(t, err)
	honest, err := oci.New(oci.Spec{Platform: v1.Platform{OS: "linux", Architecture: "amd64"}, Layers: []oci.Layer{{Layer: layer}}})
	require.NoError(t, err)
	diffID, err := layer.DiffID()
	require.NoError(t, err)
	size, err := layer.Size()
	require.NoError(t, err)
	for name, test := range map[string]struct {
		old, with string // in the manifest or the configuration
		want      string
	}{
		"size":        {fmt.Sprintf(`"size":%d,"digest":"sha256:`, size), `"size":7,"digest":"sha256:`, "its manifest says 7"},
		"no size":     {fmt.Sprintf(`"size":%d,"digest":"sha256:`, size), `"size":0,"digest":"sha256:`, "its manifest says 0"},
		"diffID":      {diffID.Hex, strings.Repeat("0", 64), "configuration says sha256:000"},
		"compression": {`tar+gzip`, `tar+zstd`, "has the media type"},
		"media type":  {`application/vnd.oci.image.layer.v1.tar+gzip`, `text/html`, "has the media type text/html"},
	} {
		t.Run(name, func(t *testing.T) {
			config, err := honest.RawConfigFile()
			require.NoError(t, err)
			manifest, err := honest.RawManifest()
			require.NoError(t, err)
			was := sha(config)
			f := forged{Image: honest, config: bytes.ReplaceAll(config, []byte(test.old), []byte(test.with))}
			f.manifest = bytes.ReplaceAll(bytes.ReplaceAll(manifest, []byte(test.old), []byte(test.with)), []byte(was), []byte(sha(f.config)))
			require.False(t, bytes.Equal(f.manifest, manifest), "nothing was forged")
			_, err = (&oci.Bases{Cache: store}).OpenArchive(t.Context(), archiveOf(t, f))
			require.ErrorContains(t, err, test.want)
		})
	}
}

func sha(content []byte) string {
	h, _, _ := v1.SHA256(bytes.NewReader(content))
	return h.Hex
}
