package oci

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/cache/fingerprint"
	"github.com/slipway-ci/slipway/internal/test/testtool"
)

// settledFile is a file that is worth a note, in which nothing has been changed for a while.
func settledFile(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "big")
	if !fingerprint.Supported(filepath.Dir(name)) {
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
		f, err := fingerprint.Look(time.Now(), fingerprint.All, name)
		return assert.NoError(t, err) && f.Sound
	}, 10*time.Second, 20*time.Millisecond)
}

// A file is read again when anything has been done to it, by this process or another, and only then.
func TestFileSumReadsOnce(t *testing.T) {
	name, dir := settledFile(t), t.TempDir()
	right, err := FileSum(name)
	require.NoError(t, err)
	sum := func() string {
		t.Helper()
		store, err := OpenStore(dir) // as another process
		require.NoError(t, err)
		sum, err := store.FileSum(name)
		require.NoError(t, err)
		return sum
	}
	// lie makes the note say something else: who tells it has not read the file.
	lie := func() {
		t.Helper()
		store, err := OpenStore(dir)
		require.NoError(t, err)
		var note fileSum
		require.True(t, store.Recall(sumKey(name), &note), "there is no note")
		require.NoError(t, store.Remember(sumKey(name), fileSum{note.Fingerprint, "a lie"}))
	}
	assert.Equal(t, right, sum())
	lie()
	assert.Equal(t, "a lie", sum(), "it was read again")

	require.NoError(t, os.Chtimes(name, time.Now(), time.Now()))
	assert.Equal(t, right, sum(), "touched")
	settle(t, name)
	assert.Equal(t, right, sum())
	lie()
	info, err := os.Stat(name)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(name, bytes.Repeat([]byte("b"), worthNoting), 0o644))
	require.NoError(t, os.Chtimes(name, info.ModTime(), info.ModTime()))
	changed := sum()
	assert.NotEqual(t, "a lie", changed)
	assert.NotEqual(t, right, changed)
	settle(t, name)
	assert.Equal(t, changed, sum())

	require.NoError(t, os.WriteFile(name, []byte("small"), 0o644))
	assert.Equal(t, sha256Of([]byte("small")).Hex, sum())
	require.NoError(t, os.Remove(name))
	store, err := OpenStore(dir)
	require.NoError(t, err)
	_, err = store.FileSum(name)
	assert.ErrorIs(t, err, os.ErrNotExist)
}

// Nothing is noted of a file that may have changed since at what its file system calls the same time.
func TestFileSumTrustsNothingRecent(t *testing.T) {
	name := settledFile(t)
	store := newStore(t)
	require.NoError(t, os.Chtimes(name, time.Now(), time.Now()))
	_, err := store.FileSum(name)
	require.NoError(t, err)
	assert.False(t, store.Recall(sumKey(name), &fileSum{}))
}

// A sum is noted once nobody can have written to the file without a trace.
func TestLater(t *testing.T) {
	name := settledFile(t)
	store := newStore(t)
	require.NoError(t, os.Chtimes(name, time.Now(), time.Now()))
	note, err := store.Later(name, "told")
	require.NoError(t, err)
	require.NoError(t, note())
	settle(t, name)
	assert.Empty(t, store.NotedSum(name), "noted at once")
	require.NoError(t, note())
	assert.Equal(t, "told", store.NotedSum(name))

	require.NoError(t, os.WriteFile(name, bytes.Repeat([]byte("b"), worthNoting), 0o644))
	settle(t, name)
	assert.Empty(t, store.NotedSum(name))
	require.NoError(t, note())
	assert.Empty(t, store.NotedSum(name), "of what was written to since")
	require.NoError(t, os.Remove(name))
	require.NoError(t, note())
	assert.Empty(t, store.NotedSum(name))
	_, err = store.Later(name, "told")
	assert.ErrorIs(t, err, fs.ErrNotExist)
}

// Blobs are as files are: they are checked when something has been done to them.
func TestOpenReadsOnce(t *testing.T) {
	store := newStore(t)
	digest, err := put(store, v1.Hash{}, string(bytes.Repeat([]byte("a"), worthNoting)))
	require.NoError(t, err)
	name, err := store.name(digest)
	require.NoError(t, err)
	settle(t, name)
	_, err = get(store, digest)
	require.NoError(t, err)
	require.True(t, store.Recall(sumKey(name), &fileSum{}))
	require.NoError(t, os.WriteFile(name, bytes.Repeat([]byte("b"), worthNoting), 0o644))
	_, err = get(store, digest)
	require.ErrorIs(t, err, os.ErrNotExist)
}

// What is in use is touched, but rarely, since that is a change.
func TestTouch(t *testing.T) {
	name := settledFile(t)
	before, err := os.Stat(name)
	require.NoError(t, err)
	Touch(name)
	after, err := os.Stat(name)
	require.NoError(t, err)
	assert.Equal(t, before.ModTime(), after.ModTime())
	past := time.Now().Add(-recent)
	require.NoError(t, os.Chtimes(name, past, past))
	Touch(name)
	after, err = os.Stat(name)
	require.NoError(t, err)
	assert.WithinDuration(t, time.Now(), after.ModTime(), time.Minute)
}
