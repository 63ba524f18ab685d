package oci

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/cache"
)

// foreign are ways to put something else in the place of an entry.
var foreign = map[string]func(name string) error{
	"damage of the same size": func(name string) error {
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		content[len(content)/2] ^= 1
		return os.WriteFile(name, content, 0o644)
	},
	"other content":   func(name string) error { return os.WriteFile(name, []byte("something else"), 0o644) },
	"empty file":      func(name string) error { return os.Truncate(name, 0) },
	"empty directory": func(name string) error { return errors.Join(os.Remove(name), os.Mkdir(name, 0o755)) },
	"directory": func(name string) error {
		return errors.Join(os.Remove(name), os.MkdirAll(filepath.Join(name, "in"), 0o755), os.WriteFile(filepath.Join(name, "in", "file"), nil, 0o644))
	},
	"link to nothing":   func(name string) error { return errors.Join(os.Remove(name), os.Symlink("nothing", name)) },
	"link to itself":    func(name string) error { return errors.Join(os.Remove(name), os.Symlink(name, name)) },
	"link to directory": func(name string) error { return errors.Join(os.Remove(name), os.Symlink("..", name)) },
	"pipe":              func(name string) error { return errors.Join(os.Remove(name), makePipe(name)) },
	"unreadable":        func(name string) error { return os.Chmod(name, 0) },
}

// Nor do a layout's own files keep the next one waiting, or lead it elsewhere.
func TestLayoutsOwnFilesAreMended(t *testing.T) {
	img := imageOf(t, amd64, newLayer(t, text("/a", "content")))
	for name, put := range foreign {
		if name == "damage of the same size" || name == "other content" || name == "empty file" || strings.HasPrefix(name, "link") {
			continue // an error: nobody knows what else it listed, or where it leads
		}
		for _, what := range []string{"oci-layout", "index.json"} {
			t.Run(name+" for "+what, func(t *testing.T) {
				dir := t.TempDir()
				require.NoError(t, WriteLayout(t.Context(), dir, img, "x"))
				require.NoError(t, put(filepath.Join(dir, what)))
				require.NoError(t, WriteLayout(t.Context(), dir, img, "x"))
				info, err := os.Lstat(filepath.Join(dir, what))
				require.NoError(t, err)
				require.True(t, info.Mode().IsRegular())
				assert.Equal(t, []string{"x"}, refNames(readIndex(t, dir)))
			})
		}
	}
}

// Whatever stands in the place of a blob of a layout, the next one who writes there mends it.
func TestLayoutIsMended(t *testing.T) {
	img := imageOf(t, amd64, newLayer(t, text("/a", "content")))
	for name, put := range foreign {
		for _, what := range []string{"layer", "manifest"} {
			t.Run(name+" for "+what, func(t *testing.T) {
				dir := t.TempDir()
				require.NoError(t, WriteLayout(t.Context(), dir, img, "x"))
				layers, err := img.Layers()
				require.NoError(t, err)
				digest := map[string]v1.Hash{"layer": mustDigest(t, layers[0]), "manifest": mustDigest(t, img)}[what]
				require.NoError(t, put(filepath.Join(dir, "blobs", "sha256", digest.Hex)))
				require.NoError(t, WriteLayout(t.Context(), dir, img, "x"))
				info, err := os.Lstat(filepath.Join(dir, "blobs", "sha256", digest.Hex))
				require.NoError(t, err)
				require.True(t, info.Mode().IsRegular())
				_, err = fileSystem(t, baseImage(t, resolve(t, newBases(t), "oci:"+dir), amd64)).ReadFile(t.Context(), "/a")
				require.NoError(t, err)
			})
		}
	}
}

// The same of a cache's blobs, notes and directories.
func TestCacheIsMended(t *testing.T) {
	for name, put := range foreign {
		for _, what := range []string{"blobs/sha256/*", "notes/*"} {
			t.Run(name+" for "+what, func(t *testing.T) {
				store := newCache(t)
				first, err := NewLayer(t.Context(), store, sampleFiles(), epoch, Compression{})
				require.NoError(t, err)
				found, err := filepath.Glob(filepath.Join(dirOf(store), filepath.FromSlash(what)))
				require.NoError(t, err)
				require.NotEmpty(t, found)
				for _, name := range found {
					require.NoError(t, put(name))
				}
				second, err := NewLayer(t.Context(), store, sampleFiles(), epoch, Compression{})
				require.NoError(t, err)
				require.Equal(t, mustDigest(t, first), mustDigest(t, second))
				content, err := second.Compressed()
				require.NoError(t, err)
				_, err = io.Copy(io.Discard, content)
				require.NoError(t, errors.Join(err, content.Close()))
				var note string
				require.NoError(t, store.Put("key", "what"))
				require.True(t, store.Get("key", &note))
			})
		}
	}
	for _, dir := range []string{"blobs", "blobs/sha256", "notes"} {
		store := newCache(t)
		require.NoError(t, store.Put("key", "what"))
		require.NoError(t, os.RemoveAll(filepath.Join(dirOf(store), dir)))
		require.NoError(t, os.WriteFile(filepath.Join(dirOf(store), dir), nil, 0o644))
		store, err := cache.Open(dirOf(store))
		require.NoError(t, err)
		require.NoError(t, store.Put("key", "what"))
		_, err = NewLayer(t.Context(), store, sampleFiles(), epoch, Compression{})
		require.NoError(t, err)
	}
}

// A disk may change what it holds without a trace in time and size. What is written is digested, and what is damaged is
// made again, in the same run.
func TestSilentDamageIsMended(t *testing.T) {
	for name, write := range map[string]func(t *testing.T, img v1.Image) string{
		"layout": func(t *testing.T, img v1.Image) string {
			dir := t.TempDir()
			require.NoError(t, WriteLayout(t.Context(), dir, img, "x"))
			return "oci:" + dir
		},
		"archive": func(t *testing.T, img v1.Image) string {
			at := filepath.Join(t.TempDir(), "a.tar")
			require.NoError(t, WriteArchive(t.Context(), at, img, "x"))
			return "oci-archive:" + at
		},
	} {
		t.Run(name, func(t *testing.T) {
			store := newCache(t)
			l, err := NewLayer(t.Context(), store, []File{text("/a", "content")}, epoch, Compression{})
			require.NoError(t, err)
			blob := blobFile(store, mustDigest(t, l))
			require.NoError(t, foreign["damage of the same size"](blob))
			require.NoError(t, store.AssumeFileDigest(blob, mustDigest(t, l).Hex)) // as its state would say
			source := write(t, imageOf(t, amd64, l))
			got, err := fileSystem(t, baseImage(t, resolve(t, newBases(t), source), amd64)).ReadFile(t.Context(), "/a")
			require.NoError(t, err)
			assert.Equal(t, "content", string(got))
			content, err := getBlob(store, mustDigest(t, l))
			require.NoError(t, err)
			require.NoError(t, content.Close())
		})
	}
}

// A base whose files are pipes is refused.
func TestLayoutOfPipesIsNoBase(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no pipes in directories")
	}
	dir := t.TempDir()
	require.NoError(t, WriteLayout(t.Context(), dir, imageOf(t, amd64), "x"))
	require.NoError(t, foreign["pipe"](filepath.Join(dir, "index.json")))
	_, err := newBases(t).Resolve(t.Context(), "oci:"+dir)
	require.ErrorContains(t, err, "not a regular file")
	pipe := filepath.Join(dir, "pipe")
	require.NoError(t, makePipe(pipe))
	_, err = newBases(t).Resolve(t.Context(), "oci-archive:"+pipe)
	require.ErrorContains(t, err, "not a regular file")
}
