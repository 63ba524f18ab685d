package cache

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

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func newCache(t testing.TB) *Cache {
	t.Helper()
	c, err := Open(t.TempDir())
	require.NoError(t, err)
	return c
}

func put(c *Cache, want, content string) (string, error) {
	digest, _, err := c.PutBlob(want, func(w io.Writer) error { _, err := io.WriteString(w, content); return err })
	return digest, err
}

func get(c *Cache, digest string) (string, error) {
	content, err := c.GetBlob(digest)
	if err != nil {
		return "", err
	}
	raw, err := io.ReadAll(content)
	return string(raw), errors.Join(err, content.Close())
}

func TestBlobs(t *testing.T) {
	c := newCache(t)
	digest, err := put(c, "", "content")
	require.NoError(t, err)
	assert.Equal(t, DigestOf([]byte("content")), digest)
	got, err := get(c, digest)
	require.NoError(t, err)
	assert.Equal(t, "content", got)
	assert.FileExists(t, filepath.Join(c.dir, "blobs", "sha256", digest))

	content, err := c.GetBlob(digest)
	require.NoError(t, err)
	size, err := content.Size()
	require.NoError(t, errors.Join(err, content.Close()))
	assert.EqualValues(t, len("content"), size)

	_, err = get(c, DigestOf([]byte("other")))
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestDamagedBlobsAreAbsent(t *testing.T) {
	for name, damage := range map[string]func(string) error{
		"a byte changed": func(name string) error { return os.WriteFile(name, []byte("cOntent"), 0o644) },
		"cut off":        func(name string) error { return os.Truncate(name, 3) },
		"emptied":        func(name string) error { return os.Truncate(name, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCache(t)
			digest, err := put(c, "", "content")
			require.NoError(t, err)
			file := filepath.Join(c.dir, "blobs", "sha256", digest)
			require.NoError(t, damage(file))
			_, err = get(c, digest)
			require.ErrorIs(t, err, fs.ErrNotExist)
			assert.NoFileExists(t, file)
			_, err = put(c, digest, "content")
			require.NoError(t, err)
			_, err = get(c, digest)
			require.NoError(t, err)
		})
	}
}

func TestNothingIsKeptOfAFailedWrite(t *testing.T) {
	c := newCache(t)
	_, err := put(c, DigestOf([]byte("content")), "something else")
	require.ErrorIs(t, err, ErrDamaged)
	broken := errors.New("broken")
	_, _, err = c.PutBlob("", func(w io.Writer) error {
		_, err := io.WriteString(w, "half")
		return errors.Join(err, broken)
	})
	require.ErrorIs(t, err, broken)
	entries, err := os.ReadDir(filepath.Join(c.dir, "blobs", "sha256"))
	require.NoError(t, err)
	assert.Empty(t, entries)
}

func TestCacheIsShared(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	for range 8 { // each in the place of a process
		c, err := Open(dir)
		require.NoError(t, err)
		for i := range 20 {
			wg.Go(func() {
				content := strings.Repeat(fmt.Sprint(i%5), 100_000)
				digest, err := put(c, "", content)
				if !assert.NoError(t, err) {
					return
				}
				got, err := get(c, digest)
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

func TestLockEndsWithContext(t *testing.T) {
	c := newCache(t)
	digest := DigestOf(nil)
	unlock, err := c.Lock(t.Context(), digest)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = c.Lock(ctx, digest)
	require.ErrorIs(t, err, context.Canceled)
	unlock()
	unlock, err = c.Lock(t.Context(), digest)
	require.NoError(t, err)
	unlock()
	assert.Empty(t, c.busy)
}
