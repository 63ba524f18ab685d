package sbom_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/attest/sbom"
	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/oci"
)

// What a layer was made of says the same as the layer itself, which need not be unpacked for that.
func TestLayerThatWasMade(t *testing.T) {
	path, content := compiled(t)
	files := []oci.File{
		oci.FromBytes("/etc/os-release", 0o644, []byte("ID=debian\nVERSION_ID=12\n")),
		oci.FromBytes("/app/unread", 0o755, []byte(content)), // a program that is in no file of this machine
		{Path: "/app/link", Mode: fs.ModeSymlink, Link: "program"},
		{Path: "/data", Mode: fs.ModeDir | 0o700},
	}
	program, err := oci.FromDisk(nil, "/app/program", 0o755, path)
	require.NoError(t, err)
	files = append(files, program)
	dir := t.TempDir()
	store, err := cache.Open(dir)
	require.NoError(t, err)
	make := func() v1.Layer {
		t.Helper()
		l, err := oci.NewLayer(t.Context(), store, files, time.Unix(0, 0), oci.Compression{})
		require.NoError(t, err)
		return l
	}
	made := make()
	unpacked := struct{ v1.Layer }{made} // which does not say what it is made of
	require.Nil(t, oci.Files(unpacked))
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
	assert.ErrorContains(t, err, "/app/program: it has changed since")
}

// A document is written once for an image and what is asked of it.
func TestDocumentIsWrittenOnce(t *testing.T) {
	_, content := compiled(t)
	img := imageOf(t, layer(t, tarFile{"app/program", content, 0o755}))
	kept := notes{}
	goMod := []byte("module github.com/slipway-ci/slipway\n")
	options := func(change func(*sbom.Options)) sbom.Options {
		o := sbom.Options{Name: "x", Version: "v1", Modules: sbom.NewModules(nil, goMod), Cache: kept}
		change(&o)
		return o
	}
	write := func(img v1.Image, o sbom.Options, format sbom.Format) string {
		t.Helper()
		document, err := sbom.Document(t.Context(), img, o, format)
		require.NoError(t, err)
		return string(document)
	}
	same := func(*sbom.Options) {}
	first := write(img, options(same), sbom.CycloneDX)
	assert.Equal(t, first, write(img, options(func(o *sbom.Options) { o.Cache = nil }), sbom.CycloneDX))
	have := len(kept)
	assert.Equal(t, first, write(img, options(same), sbom.CycloneDX))
	assert.Len(t, kept, have)
	// A note that says something else is believed: nothing is read.
	for key := range kept {
		if strings.Contains(key, "document") {
			require.NoError(t, kept.Put(key, []byte("kept")))
		}
	}
	assert.Equal(t, "kept", write(img, options(same), sbom.CycloneDX))
	for name, other := range map[string]string{
		"image":   write(imageOf(t, layer(t, tarFile{"app/other", content, 0o755})), options(same), sbom.CycloneDX),
		"format":  write(img, options(same), sbom.SPDX),
		"name":    write(img, options(func(o *sbom.Options) { o.Name = "y" }), sbom.CycloneDX),
		"version": write(img, options(func(o *sbom.Options) { o.Version = "v2" }), sbom.CycloneDX),
		"go.mod":  write(img, options(func(o *sbom.Options) { o.Modules = sbom.NewModules(nil, goMod, goMod) }), sbom.CycloneDX),
		"modules": write(img, options(func(o *sbom.Options) { o.Modules = nil }), sbom.CycloneDX),
		"cache":   write(img, options(func(o *sbom.Options) { o.Modules = sbom.NewModules(os.DirFS(t.TempDir()), goMod) }), sbom.CycloneDX),
	} {
		assert.NotEqual(t, "kept", other, name)
	}
}
