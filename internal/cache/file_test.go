package cache

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/cache/filestate"
	"github.com/slipway-ci/slipway/internal/test/testtool"
)

// settledFile is a file that is worth a note, in which nothing has been changed for a while.
func settledFile(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "big")
	if !filestate.Supported(filepath.Dir(name)) {
		testtool.Skip(t, "times of change, which the file system of the tests' directory has not: set TMPDIR to another")
	}
	require.NoError(t, os.WriteFile(name, bytes.Repeat([]byte("a"), worthNoting), 0o644))
	settle(t, name)
	return name
}

// settle waits until a later change of the file has another time.
func settle(t *testing.T, name string) {
	t.Helper()
	require.Eventually(t, func() bool {
		f, err := filestate.Read(time.Now(), filestate.All, name)
		return assert.NoError(t, err) && f.Settled
	}, 10*time.Second, 20*time.Millisecond)
}

// A file is read again when anything has been done to it, by this process or another, and only then.
func TestFileDigestReadsOnce(t *testing.T) {
	name, dir := settledFile(t), t.TempDir()
	right, err := ReadFileDigest(name)
	require.NoError(t, err)
	digest := func() string {
		t.Helper()
		c, err := Open(dir) // as another process
		require.NoError(t, err)
		digest, err := c.FileDigest(name)
		require.NoError(t, err)
		return digest
	}
	// lie has the cache say something else: who repeats it has not read the file.
	lie := func() {
		t.Helper()
		c, err := Open(dir)
		require.NoError(t, err)
		var note fileDigest
		require.True(t, c.Get(fileKey(name), &note), "there is no note")
		require.NoError(t, c.Put(fileKey(name), fileDigest{note.State, "a lie"}))
	}
	assert.Equal(t, right, digest())
	lie()
	assert.Equal(t, "a lie", digest(), "it was read again")

	require.NoError(t, os.Chtimes(name, time.Now(), time.Now()))
	assert.Equal(t, right, digest(), "touched")
	settle(t, name)
	assert.Equal(t, right, digest())
	lie()
	info, err := os.Stat(name)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(name, bytes.Repeat([]byte("b"), worthNoting), 0o644))
	require.NoError(t, os.Chtimes(name, info.ModTime(), info.ModTime()))
	changed := digest()
	assert.NotEqual(t, "a lie", changed)
	assert.NotEqual(t, right, changed)
	settle(t, name)
	assert.Equal(t, changed, digest())

	require.NoError(t, os.WriteFile(name, []byte("small"), 0o644))
	assert.Equal(t, DigestOf([]byte("small")), digest())
	require.NoError(t, os.Remove(name))
	c, err := Open(dir)
	require.NoError(t, err)
	_, err = c.FileDigest(name)
	assert.ErrorIs(t, err, os.ErrNotExist)
}

// Nothing is noted of a file that may have changed since at what its file system calls the same time.
func TestFileDigestTrustsNothingRecent(t *testing.T) {
	name := settledFile(t)
	c := newCache(t)
	require.NoError(t, os.Chtimes(name, time.Now(), time.Now()))
	_, err := c.FileDigest(name)
	require.NoError(t, err)
	assert.False(t, c.Get(fileKey(name), &fileDigest{}))
}

// A digest is cached once nobody can have written to the file without a trace.
func TestPutFileDigest(t *testing.T) {
	name := settledFile(t)
	c := newCache(t)
	require.NoError(t, os.Chtimes(name, time.Now(), time.Now()))
	note, err := c.PutFileDigest(name, "told")
	require.NoError(t, err)
	require.NoError(t, note())
	settle(t, name)
	assert.Empty(t, c.CachedFileDigest(name), "noted at once")
	require.NoError(t, note())
	assert.Equal(t, "told", c.CachedFileDigest(name))

	require.NoError(t, os.WriteFile(name, bytes.Repeat([]byte("b"), worthNoting), 0o644))
	settle(t, name)
	assert.Empty(t, c.CachedFileDigest(name))
	require.NoError(t, note())
	assert.Empty(t, c.CachedFileDigest(name), "of what was written to since")
	require.NoError(t, os.Remove(name))
	require.NoError(t, note())
	assert.Empty(t, c.CachedFileDigest(name))
	_, err = c.PutFileDigest(name, "told")
	assert.ErrorIs(t, err, fs.ErrNotExist)
}

// Blobs are as files are: they are checked when something has been done to them.
func TestGetBlobReadsOnce(t *testing.T) {
	c := newCache(t)
	digest, err := put(c, "", string(bytes.Repeat([]byte("a"), worthNoting)))
	require.NoError(t, err)
	name := c.blob(digest)
	settle(t, name)
	_, err = get(c, digest)
	require.NoError(t, err)
	require.True(t, c.Get(fileKey(name), &fileDigest{}))
	require.NoError(t, os.WriteFile(name, bytes.Repeat([]byte("b"), worthNoting), 0o644))
	_, err = get(c, digest)
	require.ErrorIs(t, err, os.ErrNotExist)
}

// What is in use is marked so, but rarely, since that is a change.
func TestUsed(t *testing.T) {
	name := settledFile(t)
	before, err := os.Stat(name)
	require.NoError(t, err)
	Used(name)
	after, err := os.Stat(name)
	require.NoError(t, err)
	assert.Equal(t, before.ModTime(), after.ModTime())
	past := time.Now().Add(-recent)
	require.NoError(t, os.Chtimes(name, past, past))
	Used(name)
	after, err = os.Stat(name)
	require.NoError(t, err)
	assert.WithinDuration(t, time.Now(), after.ModTime(), time.Minute)
}
