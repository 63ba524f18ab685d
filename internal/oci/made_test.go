package oci

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/cache"
)

// A layer is made once; what was damaged since is made again.
func TestCachedLayer(t *testing.T) {
	dir := t.TempDir()
	store, err := cache.Open(dir)
	require.NoError(t, err)
	opened := 0
	file := FromBytes("/a", 0o644, []byte("a"))
	inner := file.Open
	file.Open = func() (io.ReadCloser, error) { opened++; return inner() }
	when := time.Unix(0, 0)
	layer := func(f File, when time.Time) string {
		t.Helper()
		l, err := NewLayer(context.Background(), store, []File{f}, when, Compression{})
		require.NoError(t, err)
		digest, err := l.Digest()
		require.NoError(t, err)
		content, err := l.Compressed()
		require.NoError(t, err)
		require.NoError(t, content.Close())
		return digest.Hex
	}
	first := layer(file, when)
	assert.Equal(t, first, layer(file, when))
	assert.Equal(t, 1, opened, "it was made twice")

	damage := func(pattern, text string) {
		t.Helper()
		names, err := filepath.Glob(filepath.Join(dir, pattern))
		require.NoError(t, err)
		require.NotEmpty(t, names)
		for _, name := range names {
			require.NoError(t, os.WriteFile(name, []byte(text), 0o644))
		}
	}
	for i, pattern := range []string{"blobs/sha256/*", "notes/*"} {
		damage(pattern, "damaged")
		assert.Equal(t, first, layer(file, when), pattern)
		assert.Equal(t, 2+i, opened, pattern)
	}
	// One layer's note under the name of another.
	other := file
	other.Mode = 0o600
	second := layer(other, when)
	assert.NotEqual(t, first, second)
	note, err := os.ReadFile(filepath.Join(dir, "notes", cache.DigestOf([]byte(recipeOf([]File{file}, when, Compression{})))))
	require.NoError(t, err)
	damage("notes/*", string(note))
	assert.Equal(t, second, layer(other, when))

	assert.NotEqual(t, first, layer(file, when.Add(time.Hour)))
	file.ID = ""
	opened = 0
	layer(file, when)
	layer(file, when)
	assert.Equal(t, 2, opened, "of an unknown content no layer can be known")
}

// The size of what is compressed is measured once, and that of a base for later builds, too.
func TestSizesAreCached(t *testing.T) {
	server := newServer(t)
	server.push(t, "base:1", dockerIndex(t, amd64))
	bases := newBases(t)
	file := text("/a", strings.Repeat("a", 10_000))
	layers := func() []v1.Layer {
		t.Helper()
		base, err := baseImage(t, resolve(t, bases, server.host+"/base:1"), amd64).Layers()
		require.NoError(t, err)
		made, err := NewLayer(t.Context(), bases.Cache, []File{file}, time.Unix(0, 0), Compression{})
		require.NoError(t, err)
		return append(base, made)
	}
	sizes := func(layers []v1.Layer) [2]int64 {
		t.Helper()
		packed, unpacked, err := Sizes(imageOf(t, amd64, layers...))
		require.NoError(t, err)
		return [2]int64{packed, unpacked}
	}
	first := sizes(layers())
	again := layers()
	for _, l := range again { // so that nothing can be read
		digest := mustDigest(t, l)
		require.NoError(t, os.Remove(filepath.Join(dirOf(bases.Cache), "blobs", "sha256", digest.Hex)))
	}
	server.requests()
	assert.Equal(t, first, sizes(again))
	assert.Empty(t, server.requests())

	notes, err := filepath.Glob(filepath.Join(dirOf(bases.Cache), "notes", "*"))
	require.NoError(t, err)
	for _, name := range notes {
		require.NoError(t, os.WriteFile(name, []byte(`{"value":1,"digest":""}`), 0o644))
	}
	assert.Equal(t, first, sizes(layers()), "of damaged notes")
}

// A file that is edited while it is read must not be cached as what it was.
func TestChangedWhileRead(t *testing.T) {
	store, err := cache.Open(t.TempDir())
	require.NoError(t, err)
	name := filepath.Join(t.TempDir(), "f")
	require.NoError(t, os.WriteFile(name, []byte("before"), 0o644))
	file, err := FromDisk(nil, "/f", 0o644, name)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(name, []byte("after!"), 0o644))
	_, err = NewLayer(context.Background(), store, []File{file}, time.Unix(0, 0), Compression{})
	assert.ErrorContains(t, err, "must not change")
}

// What is known of a file is not read again, and counts for that file alone.
func TestAssumedDigest(t *testing.T) {
	store := newCache(t)
	name := filepath.Join(t.TempDir(), "f")
	write := func(content string) {
		t.Helper()
		require.NoError(t, os.WriteFile(name, []byte(content), 0o644))
	}
	id := func(c *cache.Cache) string {
		t.Helper()
		f, err := FromDisk(c, "/f", 0o644, name)
		require.NoError(t, err)
		return f.ID
	}
	write("one")
	digest, err := cache.ReadFileDigest(name)
	require.NoError(t, err)
	assert.Equal(t, digest, id(store))
	require.NoError(t, store.AssumeFileDigest(name, "told"))
	assert.Equal(t, "told", id(store))
	assert.Equal(t, digest, id(newCache(t)))
	wrong, err := FromDisk(store, "/f", 0o644, name)
	require.NoError(t, err)
	_, err = NewLayer(t.Context(), store, []File{wrong}, time.Unix(0, 0), Compression{})
	require.ErrorContains(t, err, "it has changed: it must not change")

	past := time.Now().Add(-time.Hour)
	require.NoError(t, os.Chtimes(name, past, past))
	assert.Equal(t, digest, id(store), "of another time")
	require.NoError(t, store.AssumeFileDigest(name, "told"))
	write("longer")
	require.NoError(t, os.Chtimes(name, past, past))
	assert.NotEqual(t, "told", id(store), "of another size")
	require.NoError(t, store.AssumeFileDigest(name, "told"))
	require.NoError(t, os.Rename(name, name+"2")) // so that the number of its file is not used again
	write("longer")
	require.NoError(t, os.Chtimes(name, past, past))
	assert.NotEqual(t, "told", id(store), "of another file")
}
