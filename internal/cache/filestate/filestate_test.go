//go:build linux || darwin

package filestate_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/cache/filestate"
	"github.com/slipway-ci/slipway/internal/test/testtool"
)

// tree is a directory with a few files.
func tree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if !filestate.Supported(dir) {
		testtool.Skip(t, "times of change, which the file system of the tests' directory has not: set TMPDIR to another")
	}
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "sub", "empty"), 0o755))
	for _, name := range []string{"a.go", "b.txt", "sub/c.go"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(name), 0o644))
	}
	return dir
}

func read(t *testing.T, include filestate.Include, names ...string) filestate.State {
	t.Helper()
	// Later, when all has settled.
	f, err := filestate.Read(time.Now().Add(time.Hour), include, names...)
	require.NoError(t, err)
	return f
}

// write gives a file other content, and its old time, without replacing it.
func write(t *testing.T, name, content string) {
	t.Helper()
	info, err := os.Stat(name)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(name, []byte(content), info.Mode()))
	require.NoError(t, os.Chtimes(name, info.ModTime(), info.ModTime()))
}

func TestReadSeesChanges(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, dir string){
		"same size and time": func(t *testing.T, dir string) { write(t, filepath.Join(dir, "sub/c.go"), "sub/d.go") },
		"longer":             func(t *testing.T, dir string) { write(t, filepath.Join(dir, "a.go"), "longer") },
		"mode":               func(t *testing.T, dir string) { require.NoError(t, os.Chmod(filepath.Join(dir, "a.go"), 0o755)) },
		"added": func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "sub/d"), nil, 0o644))
		},
		"removed": func(t *testing.T, dir string) { require.NoError(t, os.Remove(filepath.Join(dir, "b.txt"))) },
		"renamed": func(t *testing.T, dir string) {
			require.NoError(t, os.Rename(filepath.Join(dir, "sub"), filepath.Join(dir, "bus")))
		},
		"one level up": func(t *testing.T, dir string) {
			require.NoError(t, os.Rename(filepath.Join(dir, "sub/c.go"), filepath.Join(dir, "c.go")))
		},
		"a directory for a file": func(t *testing.T, dir string) {
			require.NoError(t, os.Remove(filepath.Join(dir, "a.go")))
			require.NoError(t, os.Mkdir(filepath.Join(dir, "a.go"), 0o755))
		},
		"all gone": func(t *testing.T, dir string) { require.NoError(t, os.RemoveAll(dir)) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := tree(t)
			before := read(t, filestate.All, dir)
			assert.True(t, before.Settled)
			assert.True(t, before.Exists)
			assert.Equal(t, before, read(t, filestate.All, dir))
			change(t, dir)
			assert.NotEqual(t, before.Digest, read(t, filestate.All, dir).Digest)
		})
	}
}

// Directories change when something that is not included is put into them.
func TestReadIncludes(t *testing.T) {
	dir := tree(t)
	code := func(_ string, e fs.DirEntry) bool {
		return e.IsDir() && e.Name() != "no" || strings.HasSuffix(e.Name(), ".go")
	}
	before := read(t, code, dir)
	write(t, filepath.Join(dir, "b.txt"), "other")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "sub", "c.txt"), nil, 0o644))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "no", "a.go"), 0o755))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "nothing"), 0o755))
	require.NoError(t, os.Symlink("b.txt", filepath.Join(dir, "link")))
	assert.Equal(t, before, read(t, code, dir))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "sub", "d.go"), nil, 0o644))
	assert.NotEqual(t, before.Digest, read(t, code, dir).Digest)
}

func TestReadNothing(t *testing.T) {
	dir := tree(t)
	a, none := filepath.Join(dir, "a.go"), filepath.Join(dir, "none")
	nothing := read(t, filestate.All, none)
	assert.False(t, nothing.Exists)
	assert.True(t, nothing.Settled)
	assert.NotEqual(t, nothing, read(t, filestate.All, none, a))
}

// What was written a moment ago may be written to again at what the file system calls the same time.
func TestReadTrustsNothingRecent(t *testing.T) {
	name := filepath.Join(tree(t), "a.go")
	now := time.Now()
	sound := func(later time.Duration) bool {
		t.Helper()
		f, err := filestate.Read(now.Add(later), filestate.All, name)
		require.NoError(t, err)
		return f.Settled
	}
	assert.False(t, sound(0))
	assert.False(t, sound(100*time.Millisecond))
	assert.False(t, sound(-time.Hour), "a clock that was set back")
	assert.True(t, sound(3*time.Second))
	write(t, name, "again")
	now = time.Now()
	assert.False(t, sound(0))
}

// A link's target may change without the link.
func TestReadTrustsNoLinks(t *testing.T) {
	dir := tree(t)
	link := filepath.Join(dir, "link.go")
	require.NoError(t, os.Symlink("a.go", link))
	assert.False(t, read(t, filestate.All, dir).Settled)
	assert.False(t, read(t, filestate.All, link).Settled)
}
