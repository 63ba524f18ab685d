package sbom_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/image"
	"github.com/slipway-ci/slipway/sbom"
)

// What a layer was made of says the same as the layer itself, which need not be unpacked for that.
func TestLayerThatWasMade(t *testing.T) {
	path, content := compiled(t)
	files := []image.File{
		image.FromBytes("/etc/os-release", 0o644, []byte("ID=debian\nVERSION_ID=12\n")),
		image.FromBytes("/app/unread", 0o755, []byte(content)), // a program that is in no file of this machine
		{Path: "/app/link", Mode: fs.ModeSymlink, Link: "program"},
		{Path: "/data", Mode: fs.ModeDir | 0o700},
	}
	program, err := image.FromDisk("/app/program", 0o755, path)
	require.NoError(t, err)
	files = append(files, program)
	dir := t.TempDir()
	store, err := image.OpenStore(dir)
	require.NoError(t, err)
	make := func() v1.Layer {
		t.Helper()
		l, err := image.NewLayer(t.Context(), store, files, time.Unix(0, 0), image.Compression{})
		require.NoError(t, err)
		return l
	}
	made := make()
	unpacked := struct{ v1.Layer }{made} // which does not say what it is made of
	require.Nil(t, image.Files(unpacked))
	for _, format := range sbom.Formats {
		assert.Equal(t, string(encode(t, imageOf(t, unpacked), sbom.Options{Name: "x"}, format)), string(encode(t, imageOf(t, made), sbom.Options{Name: "x"}, format)))
	}

	// Nothing is unpacked, of a layer that was made by an earlier build either.
	again := make()
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "blobs")))
	for _, l := range []v1.Layer{made, again} {
		_, err := sbom.Read(t.Context(), imageOf(t, l), sbom.Options{})
		require.NoError(t, err)
	}

	// What took a file's place meanwhile is not what is in the image.
	require.NoError(t, os.WriteFile(path, []byte(content[:len(content)-1]+"?"), 0o755))
	_, err = sbom.Read(t.Context(), imageOf(t, made), sbom.Options{})
	assert.ErrorContains(t, err, "/app/program: it is not what it was")
}
