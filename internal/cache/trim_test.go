package cache

import (
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/cache/temporary"
)

// What was used least recently goes first, and what is in use stays.
func TestTrim(t *testing.T) {
	c := newCache(t)
	add := func(name string, age time.Duration) string {
		name = filepath.Join(c.dir, "blobs", "sha256", name)
		require.NoError(t, os.WriteFile(name, make([]byte, 100), 0o644))
		then := time.Now().Add(-age)
		require.NoError(t, os.Chtimes(name, then, then))
		return name
	}
	old, older, used := add("old", 2*time.Hour), add("older", 3*time.Hour), add("used", 0)
	require.NoError(t, c.trim(200))
	assert.NoFileExists(t, older)
	assert.FileExists(t, old)
	require.NoError(t, c.trim(0))
	assert.NoFileExists(t, old)
	assert.FileExists(t, used)
}

// setUsed makes all files below dir, and its lock file, look as if they were used a while ago.
func setUsed(t *testing.T, dir string, age time.Duration) {
	t.Helper()
	then := time.Now().Add(-age)
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	for _, name := range append(names, dir+lockSuffix) {
		require.NoError(t, os.Chtimes(name, then, then))
	}
}

// A claimed directory stays however old it is, with its lock file: else two would have it.
func TestTrimLeavesWhatIsClaimed(t *testing.T) {
	c := newCache(t)
	claim := func(key string) (string, func() error) {
		dir, release, err := c.Claim("programs", key)
		require.NoError(t, err)
		return dir, release
	}
	mine, release := claim("mine")
	require.NotNil(t, release)
	require.NoError(t, os.WriteFile(filepath.Join(mine, "program"), make([]byte, 100), 0o755))
	free, freed := claim("free")
	require.NoError(t, os.WriteFile(filepath.Join(free, "program"), make([]byte, 100), 0o755))
	require.NoError(t, freed())
	setUsed(t, mine, 3*time.Hour)
	setUsed(t, free, 2*time.Hour)

	require.NoError(t, c.trim(0))
	assert.FileExists(t, filepath.Join(mine, "program"))
	_, other := claim("mine")
	assert.Nil(t, other, "somebody has it")
	assert.NoDirExists(t, free)
	assert.NoFileExists(t, free+lockSuffix)

	require.NoError(t, release())
	setUsed(t, mine, 3*time.Hour)
	require.NoError(t, c.trim(0))
	assert.NoDirExists(t, mine)
	assert.NoFileExists(t, mine+lockSuffix)
	mine, release = claim("mine")
	assert.DirExists(t, mine)
	require.NoError(t, release())
}

// A directory goes as a whole: what is left of it would be no use.
func TestTrimRemovesWholeClaims(t *testing.T) {
	c := newCache(t)
	dir, release, err := c.Claim("programs", "key")
	require.NoError(t, err)
	for _, name := range []string{"old", "new"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), make([]byte, 100), 0o755))
	}
	require.NoError(t, release())
	setUsed(t, dir, 2*time.Hour)
	require.NoError(t, os.Chtimes(filepath.Join(dir, "new"), time.Now(), time.Now()))
	require.NoError(t, c.trim(0))
	assert.FileExists(t, filepath.Join(dir, "old"), "its neighbour was used in the last hour")
	setUsed(t, dir, 2*time.Hour)
	require.NoError(t, c.trim(100))
	assert.NoDirExists(t, dir)
}

// A directory that programs share counts as what was accounted, is not read for that, and goes as a whole.
func TestTrimOfSharedDirectories(t *testing.T) {
	c := newCache(t)
	dir := c.Shared("gocache", "key")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "00"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "00", "file"), make([]byte, 100), 0o644))
	before, _, err := c.Usage()
	require.NoError(t, err)
	assert.Equal(t, int64(100), before)
	require.NoError(t, c.Account(dir, func() int64 { return 5000 }))
	require.NoError(t, c.Account(dir, func() int64 { panic("it was accounted a moment ago") }))
	used, _, err := c.Usage()
	require.NoError(t, err)
	assert.Equal(t, int64(5000), used)
	require.NoError(t, c.trim(0))
	assert.DirExists(t, dir, "it was used in the last hour")
	old := time.Now().Add(-2 * time.Hour)
	require.NoError(t, os.Chtimes(filepath.Join(dir, ".size"), old, old))
	require.NoError(t, c.trim(5000))
	assert.DirExists(t, dir)
	require.NoError(t, c.trim(4999))
	assert.NoDirExists(t, dir)
}

// What others are writing is theirs to remove.
func TestTrimLeavesUnfinishedFiles(t *testing.T) {
	c := newCache(t)
	part, err := temporary.Fill(c.dir, func(io.Writer) error { return nil })
	require.NoError(t, err)
	then := time.Now().Add(-2 * time.Hour)
	for _, name := range []string{part.Name(), filepath.Join(filepath.Dir(part.Name()), "lock")} {
		require.NoError(t, os.Chtimes(name, then, then))
	}
	require.NoError(t, c.trim(0))
	require.NoError(t, part.Commit(filepath.Join(c.dir, "whole")))
}

func TestClaimReplacesWhatIsForeign(t *testing.T) {
	c := newCache(t)
	require.NoError(t, os.MkdirAll(filepath.Join(c.dir, "programs", "key.lock", "x"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(c.dir, "programs", "key"), nil, 0o644))
	dir, release, err := c.Claim("programs", "key")
	require.NoError(t, err)
	require.NotNil(t, release)
	assert.DirExists(t, dir)
	require.NoError(t, release())
}
