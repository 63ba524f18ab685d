package oci_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/oci/graph"
	"github.com/slipway-ci/slipway/internal/registry"
	"github.com/slipway-ci/slipway/internal/test/registrytest"
)

// signed is an image in a registry with a document that refers to it and one under a tag of cosign.
func signed(t *testing.T) *graph.Collection {
	t.Helper()
	registrytest.NoLogin(t)
	repository, err := name.NewRepository(registrytest.Start(t).Host + "/app")
	require.NoError(t, err)
	client, err := registry.New(registry.Options{})
	require.NoError(t, err)
	t.Cleanup(client.Close)
	push, err := client.Push(registry.Target{Repository: repository.Name()})
	require.NoError(t, err)
	image, err := random.Image(500, 2)
	require.NoError(t, err)
	_, err = push.Content(t.Context(), image)
	require.NoError(t, err)
	d, err := partial.Descriptor(image)
	require.NoError(t, err)
	require.NoError(t, push.Attach(t.Context(), []registry.Attachment{{Subject: *d, MediaType: "application/vnd.test+json", Content: []byte("{}"), Annotations: map[string]string{"note": "one"}}}))
	require.NoError(t, push.Rewrite(t.Context(), graph.TagFor(d.Digest, ".sig"), nil, func([]registry.Layer) ([]registry.Layer, error) {
		return []registry.Layer{{MediaType: "application/vnd.test", Content: []byte("signature")}}, nil
	}))
	c, err := graph.Collect(t.Context(), client.Source(repository), d.Digest)
	require.NoError(t, err)
	require.Len(t, c.Attached, 1)
	require.Len(t, c.Tags, 1)
	return c
}

func reread(t *testing.T, ref string, archive bool) *graph.Collection {
	t.Helper()
	source, root, err := oci.OpenLayout(t.Context(), ref, archive)
	require.NoError(t, err)
	c, err := graph.Collect(t.Context(), source, root)
	require.NoError(t, err)
	return c
}

func digestsOf(c *graph.Collection) (all []string) {
	for _, n := range c.Nodes {
		all = append(all, n.Digest.String())
	}
	slices.Sort(all)
	return all
}

// An archive and a layout have everything that is attached, as it is listed, and are of an image nevertheless.
func TestCollectionInLayouts(t *testing.T) {
	c := signed(t)
	dir := t.TempDir()
	archive, layout := filepath.Join(dir, "a.tar"), filepath.Join(dir, "layout")
	require.NoError(t, oci.WriteCollection(t.Context(), archive, c, "v1"))
	require.NoError(t, oci.AddCollection(t.Context(), layout, c, "v1"))
	for ref, isArchive := range map[string]bool{archive: true, archive + ":v1": true, layout: false, layout + ":v1": false} {
		is := reread(t, ref, isArchive)
		assert.Equal(t, digestsOf(c), digestsOf(is), ref)
		assert.Equal(t, c.Attached, is.Attached, ref)
		assert.Equal(t, c.Tags, is.Tags, ref)
		assert.Equal(t, c.Root, is.Root, ref)
	}
	for _, ref := range []string{"oci-archive:" + archive, "oci:" + layout} {
		base, err := (&oci.Bases{}).Resolve(t.Context(), ref)
		require.NoError(t, err)
		assert.Equal(t, c.Root.Digest, base.Digest)
	}
	index, err := os.ReadFile(filepath.Join(layout, "index.json"))
	require.NoError(t, err)
	assert.Contains(t, string(index), `"artifactType":"application/vnd.test+json"`, "as tools that read layouts by OCI 1.1 want it")

	again := filepath.Join(dir, "again.tar")
	require.NoError(t, oci.WriteCollection(t.Context(), again, c, "v1"))
	first, err1 := os.ReadFile(archive)
	second, err2 := os.ReadFile(again)
	require.NoError(t, errors.Join(err1, err2))
	assert.Equal(t, first, second, "the same bytes")
}

// A layout may have several images, each with what is attached to it.
func TestCollectionsInOneLayout(t *testing.T) {
	one, two := signed(t), signed(t)
	layout := filepath.Join(t.TempDir(), "layout")
	require.NoError(t, oci.AddCollection(t.Context(), layout, one, "one"))
	require.NoError(t, oci.AddCollection(t.Context(), layout, two, "two"))
	require.NoError(t, oci.AddCollection(t.Context(), layout, two, "two"))
	assert.Equal(t, digestsOf(one), digestsOf(reread(t, layout+":one", false)))
	assert.Equal(t, digestsOf(two), digestsOf(reread(t, layout+":two", false)))
	_, _, err := oci.OpenLayout(t.Context(), layout, false)
	assert.ErrorContains(t, err, `add one of the names ["one" "two"] after a colon`)
	index, err := os.ReadFile(filepath.Join(layout, "index.json"))
	require.NoError(t, err)
	assert.Equal(t, 6, strings.Count(string(index), `"digest"`))
}

// What is damaged is not copied.
func TestCollectionOfDamagedLayout(t *testing.T) {
	c := signed(t)
	layout := filepath.Join(t.TempDir(), "layout")
	require.NoError(t, oci.AddCollection(t.Context(), layout, c, ""))
	var blob v1.Hash
	for _, n := range c.Nodes {
		if n.Blob != nil && n.Size > 300 {
			blob = n.Digest
		}
	}
	file := filepath.Join(layout, "blobs", "sha256", blob.Hex)
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	content[len(content)/2] ^= 1
	require.NoError(t, os.Chmod(file, 0o644))
	require.NoError(t, os.WriteFile(file, content, 0o644))
	archive := filepath.Join(t.TempDir(), "a.tar")
	require.ErrorContains(t, oci.WriteCollection(t.Context(), archive, reread(t, layout, false), ""), blob.String())
	assert.NoFileExists(t, archive)
}
