package oci

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func put(s *Store, want v1.Hash, content string) (v1.Hash, error) {
	digest, _, err := s.write(want, func(w io.Writer) error { _, err := io.WriteString(w, content); return err })
	return digest, err
}

func get(s *Store, digest v1.Hash) (string, error) {
	content, err := s.open(digest)
	if err != nil {
		return "", err
	}
	raw, err := io.ReadAll(content)
	return string(raw), errors.Join(err, content.Close())
}

func TestStoreKeepsBlobs(t *testing.T) {
	store := newStore(t)
	digest, err := put(store, v1.Hash{}, "content")
	require.NoError(t, err)
	assert.Equal(t, sha256Of([]byte("content")), digest)
	got, err := get(store, digest)
	require.NoError(t, err)
	assert.Equal(t, "content", got)
	assert.FileExists(t, filepath.Join(store.dir, "blobs", "sha256", digest.Hex))

	_, err = get(store, sha256Of([]byte("other")))
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = get(store, v1.Hash{Algorithm: "sha512", Hex: strings.Repeat("a", 128)})
	require.ErrorContains(t, err, "SHA-256")
	require.NotErrorIs(t, err, fs.ErrNotExist)
}

func TestStoreTreatsDamagedBlobsAsAbsent(t *testing.T) {
	for name, damage := range map[string]func(string) error{
		"a byte changed": func(name string) error { return os.WriteFile(name, []byte("cOntent"), 0o644) },
		"cut off":        func(name string) error { return os.Truncate(name, 3) },
		"emptied":        func(name string) error { return os.Truncate(name, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			store := newStore(t)
			digest, err := put(store, v1.Hash{}, "content")
			require.NoError(t, err)
			file := filepath.Join(store.dir, "blobs", "sha256", digest.Hex)
			require.NoError(t, damage(file))
			_, err = get(store, digest)
			require.ErrorIs(t, err, fs.ErrNotExist)
			assert.NoFileExists(t, file)
			_, err = put(store, digest, "content")
			require.NoError(t, err)
			_, err = get(store, digest)
			require.NoError(t, err)
		})
	}
}

func TestStoreKeepsNothingOfAFailedWrite(t *testing.T) {
	store := newStore(t)
	_, err := put(store, sha256Of([]byte("content")), "something else")
	require.ErrorIs(t, err, errDamaged)
	broken := errors.New("broken")
	_, _, err = store.write(v1.Hash{}, func(w io.Writer) error {
		_, err := io.WriteString(w, "half")
		return errors.Join(err, broken)
	})
	require.ErrorIs(t, err, broken)
	entries, err := os.ReadDir(filepath.Join(store.dir, "blobs", "sha256"))
	require.NoError(t, err)
	assert.Empty(t, entries)
}

func TestStoreIsShared(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	for range 8 { // each in the place of a process
		store, err := OpenStore(dir)
		require.NoError(t, err)
		for i := range 20 {
			wg.Go(func() {
				content := strings.Repeat(fmt.Sprint(i%5), 100_000)
				digest, err := put(store, v1.Hash{}, content)
				if !assert.NoError(t, err) {
					return
				}
				got, err := get(store, digest)
				assert.NoError(t, err)
				assert.Equal(t, content, got)
			})
		}
	}
	wg.Wait()
	entries, err := os.ReadDir(filepath.Join(dir, "blobs", "sha256"))
	require.NoError(t, err)
	assert.Len(t, entries, 5)
}

func TestStoreLockEndsWithContext(t *testing.T) {
	store := newStore(t)
	digest := sha256Of(nil)
	unlock, err := store.lock(t.Context(), digest)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = store.lock(ctx, digest)
	require.ErrorIs(t, err, context.Canceled)
	unlock()
	unlock, err = store.lock(t.Context(), digest)
	require.NoError(t, err)
	unlock()
	assert.Empty(t, store.busy)
}
