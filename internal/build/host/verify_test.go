package host

import (
	"archive/zip"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"

	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/cache/filestate"
)

// moduleCache is a module cache with one module, in which nothing has been changed for an hour.
type moduleCache struct {
	verifier
	kept     string // the directory of the cache
	module   pinned
	zip, dir string
}

func newModuleCache(t *testing.T) moduleCache {
	t.Helper()
	modules, kept := t.TempDir(), t.TempDir()
	opened, err := cache.Open(kept)
	require.NoError(t, err)
	c := moduleCache{
		kept:     kept,
		verifier: verifier{modules: modules, cache: opened, now: func() time.Time { return time.Now().Add(time.Hour) }},
		module:   pinned{Version: module.Version{Path: "example.com/Big", Version: "v1.0.0-Rc"}},
		zip:      filepath.Join(modules, "cache/download/example.com/!big/@v/v1.0.0-!rc.zip"),
		dir:      filepath.Join(modules, "example.com/!big@v1.0.0-!rc"),
	}
	require.NoError(t, os.MkdirAll(filepath.Dir(c.zip), 0o755))
	require.NoError(t, os.MkdirAll(filepath.Join(c.dir, "sub"), 0o755))
	f, err := os.Create(c.zip)
	require.NoError(t, err)
	w := zip.NewWriter(f)
	for name, content := range map[string]string{"go.mod": "module example.com/Big\n", "a.go": "package big\n", "sub/b.go": "package sub\n"} {
		require.NoError(t, os.WriteFile(filepath.Join(c.dir, name), []byte(content), 0o644))
		entry, err := w.CreateHeader(&zip.FileHeader{Name: "example.com/Big@v1.0.0-Rc/" + name, Method: zip.Store})
		require.NoError(t, err)
		_, err = entry.Write([]byte(content))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	require.NoError(t, f.Close())
	c.module.sum, err = dirhash.HashDir(c.dir, "example.com/Big@v1.0.0-Rc", dirhash.Hash1)
	require.NoError(t, err)
	if !filestate.Supported(modules) {
		require.NotEqual(t, "linux", runtime.GOOS, "the tests' directory is on a file system without times of change: set TMPDIR to another")
		t.Skip("no times of change here: go mod verify runs in each build")
	}
	return c
}

// verify verifies the one module, and returns what is said of it.
func (c moduleCache) verify(t *testing.T) (said string, found bool, err error) {
	t.Helper()
	var out bytes.Buffer
	found, err = c.verifier.verify(t.Context(), into{&out}, "go.mod", []pinned{c.module})
	return out.String(), found, err
}

const (
	readNow   = "all modules verified: 1 now, 0 unchanged since an earlier build\n"
	readOnce  = "all modules verified: 0 now, 1 unchanged since an earlier build\n"
	dirAlters = "example.com/Big v1.0.0-Rc: dir has been modified ("
	zipAlters = "example.com/Big v1.0.0-Rc: zip has been modified ("
)

// noteOf is the file of what is cached under a key.
func (c moduleCache) noteOf(key string) string {
	return filepath.Join(c.kept, "notes", cache.DigestOf([]byte(key)))
}

func (c moduleCache) wants(t *testing.T, want string) {
	t.Helper()
	said, found, err := c.verify(t)
	require.NoError(t, err)
	assert.True(t, found)
	assert.Equal(t, want, said)
}

// rewrite gives a file other content, of the same size as a rule, and its old time, without replacing it.
func rewrite(t *testing.T, name string, change func([]byte) []byte) {
	t.Helper()
	info, err := os.Stat(name)
	require.NoError(t, err)
	content, err := os.ReadFile(name)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(name, change(content), info.Mode()))
	require.NoError(t, os.Chtimes(name, info.ModTime(), info.ModTime()))
}

func upper(content []byte) []byte { return bytes.ToUpper(content) }

func TestVerifyReadsOnce(t *testing.T) {
	c := newModuleCache(t)
	c.wants(t, readNow)
	c.wants(t, readOnce)
	c.wants(t, readOnce)
}

// Nothing that is done to a module after it was verified stays hidden.
func TestVerifyFindsChanges(t *testing.T) {
	for name, test := range map[string]struct {
		alter func(*testing.T, moduleCache)
		want  string
	}{
		"content": {func(t *testing.T, c moduleCache) { rewrite(t, filepath.Join(c.dir, "sub/b.go"), upper) }, dirAlters},
		"longer": {func(t *testing.T, c moduleCache) {
			rewrite(t, filepath.Join(c.dir, "a.go"), func(b []byte) []byte { return append(b, '\n') })
		}, dirAlters},
		"another file in its place": {func(t *testing.T, c moduleCache) {
			old, other := filepath.Join(c.dir, "a.go"), filepath.Join(c.modules, "other")
			info, err := os.Stat(old)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(other, []byte("package BIG\n"), info.Mode()))
			require.NoError(t, os.Chtimes(other, info.ModTime(), info.ModTime()))
			require.NoError(t, os.Rename(other, old))
		}, dirAlters},
		"added": {func(t *testing.T, c moduleCache) {
			require.NoError(t, os.WriteFile(filepath.Join(c.dir, "sub/c.go"), nil, 0o644))
		}, dirAlters},
		"removed": {func(t *testing.T, c moduleCache) { require.NoError(t, os.Remove(filepath.Join(c.dir, "a.go"))) }, dirAlters},
		"link": {func(t *testing.T, c moduleCache) {
			require.NoError(t, os.Remove(filepath.Join(c.dir, "a.go")))
			require.NoError(t, os.Symlink("sub/b.go", filepath.Join(c.dir, "a.go")))
		}, dirAlters},
		"zip": {func(t *testing.T, c moduleCache) {
			rewrite(t, c.zip, func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("sub/b.go"), []byte("sub/c.go")) })
		}, zipAlters},
		"content of the zip": {func(t *testing.T, c moduleCache) {
			rewrite(t, c.zip, func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("package"), []byte("PACKAGE")) })
		}, "example.com/Big v1.0.0-Rc: zip: checksum error"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newModuleCache(t)
			c.wants(t, readNow)
			c.wants(t, readOnce)
			test.alter(t, c)
			for range 2 { // finding it out is not remembered either
				_, _, err := c.verify(t)
				require.ErrorIs(t, err, errAltered)
				assert.ErrorContains(t, err, test.want)
			}
		})
	}
}

// A change that leaves the module what go.sum says costs another reading.
func TestVerifyReadsAgain(t *testing.T) {
	c := newModuleCache(t)
	note := func() string {
		t.Helper()
		return c.noteOf(c.moduleKey(c.module))
	}
	for name, alter := range map[string]func(){
		"touched": func() { require.NoError(t, os.Chtimes(filepath.Join(c.dir, "a.go"), time.Now(), time.Now())) },
		"undone": func() {
			rewrite(t, filepath.Join(c.dir, "a.go"), upper)
			rewrite(t, filepath.Join(c.dir, "a.go"), bytes.ToLower)
		},
		"no zip":             func() { require.NoError(t, os.Remove(c.zip)) },
		"a damaged state":    func() { rewrite(t, note(), bytes.ToUpper) },
		"half a state":       func() { rewrite(t, note(), func(b []byte) []byte { return b[:len(b)/2] }) },
		"a state gone":       func() { require.NoError(t, os.Remove(note())) },
		"a state of nothing": func() { require.NoError(t, os.WriteFile(note(), nil, 0o644)) },
	} {
		_, _, err := c.verify(t)
		require.NoError(t, err)
		c.wants(t, readOnce)
		alter()
		c.wants(t, readNow)
		t.Log(name)
	}
	c.module.sum = "h1:" + strings.Repeat("A", 43) + "="
	_, _, err := c.verify(t)
	assert.ErrorContains(t, err, dirAlters, "another go.sum")
}

// What was written a moment ago may be written to again at what the file system calls the same time.
func TestVerifyTrustsNothingRecent(t *testing.T) {
	c := newModuleCache(t)
	now := time.Now()
	c.now = func() time.Time { return now }
	c.wants(t, readNow)
	c.wants(t, readNow)
	c.now = func() time.Time { return time.Now().Add(-time.Hour) } // a clock that was set back
	c.wants(t, readNow)
	c.wants(t, readNow)
	c.now = func() time.Time { return time.Now().Add(time.Hour) }
	c.wants(t, readNow)
	c.wants(t, readOnce)
	c.now = func() time.Time { return now }
	c.wants(t, readNow)
}

// Two module caches do not make each other's states void.
func TestVerifyTwoCaches(t *testing.T) {
	c, other := newModuleCache(t), newModuleCache(t)
	other.cache = c.cache
	c.wants(t, readNow)
	other.wants(t, readNow)
	c.wants(t, readOnce)
	other.wants(t, readOnce)
}

// A Go command may be at work on the cache, for another build.
func TestVerifyBesideAnother(t *testing.T) {
	c := newModuleCache(t)
	name := filepath.Join(c.dir, "a.go")
	whole, err := os.ReadFile(name)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(name, whole[:4], 0o644))
	reads := 0
	c.now = func() time.Time {
		if reads++; reads == 2 { // after the hash
			assert.NoError(t, os.WriteFile(name, whole, 0o644))
		}
		return time.Now().Add(time.Hour)
	}
	c.wants(t, readNow)
	assert.Equal(t, 3, reads)
}

// A link's target may change without the link.
func TestVerifyTrustsNoLinks(t *testing.T) {
	c := newModuleCache(t)
	outside := filepath.Join(c.modules, "outside.go")
	require.NoError(t, os.Rename(filepath.Join(c.dir, "a.go"), outside))
	require.NoError(t, os.Symlink(outside, filepath.Join(c.dir, "a.go")))
	c.wants(t, readNow)
	c.wants(t, readNow)
	rewrite(t, outside, upper)
	_, _, err := c.verify(t)
	assert.ErrorContains(t, err, dirAlters)
}

// The Go command ignores a directory that it has not finished, and so does go mod verify.
func TestVerifyUnfinished(t *testing.T) {
	c := newModuleCache(t)
	require.NoError(t, os.Remove(filepath.Join(c.dir, "a.go")))
	partial := strings.TrimSuffix(c.zip, ".zip") + ".partial"
	require.NoError(t, os.WriteFile(partial, nil, 0o644))
	c.wants(t, readNow)
	c.wants(t, readOnce)
	require.NoError(t, os.Remove(partial))
	_, _, err := c.verify(t)
	assert.ErrorContains(t, err, dirAlters)
}

// A directory without any of the modules is not the module cache, or the Go command knows better.
func TestVerifyNothing(t *testing.T) {
	c := newModuleCache(t)
	c.modules = t.TempDir()
	said, found, err := c.verify(t)
	require.NoError(t, err)
	assert.False(t, found)
	assert.Empty(t, said)
}

// What was downloaded and verified is known as a whole, while nothing changes.
func TestVerifyUnchanged(t *testing.T) {
	c := newModuleCache(t)
	another := pinned{Version: module.Version{Path: "example.com/another", Version: "v1.0.0"}, sum: "h1:x"}
	modules := []pinned{c.module, another}
	unchanged := func(want string) bool {
		t.Helper()
		known, ok := c.unchanged(t.Context(), want, modules)
		assert.True(t, !ok || known == 1, known)
		return ok
	}
	verify := func() {
		t.Helper()
		_, err := c.verifier.verify(t.Context(), into{io.Discard}, "a go.mod", modules)
		require.NoError(t, err)
	}
	assert.False(t, unchanged("a go.mod"))
	verify()
	assert.True(t, unchanged("a go.mod"))
	assert.True(t, unchanged("a go.mod"))
	assert.False(t, unchanged("another go.mod"))

	alter := map[string]func(){
		"content":      func() { rewrite(t, filepath.Join(c.dir, "a.go"), bytes.ToUpper) },
		"content back": func() { rewrite(t, filepath.Join(c.dir, "a.go"), bytes.ToLower) },
		"no zip":       func() { require.NoError(t, os.Remove(c.zip)) },
		"damaged":      func() { rewrite(t, c.noteOf(c.wholeKey("a go.mod")), bytes.ToUpper) },
		"no note":      func() { require.NoError(t, os.Remove(c.noteOf(c.moduleKey(c.module)))) },
		"nothing there": func() {
			require.NoError(t, os.RemoveAll(c.dir))
			require.NoError(t, os.RemoveAll(c.zip))
		},
	}
	for _, name := range []string{"content", "content back", "damaged", "no note", "no zip", "nothing there"} {
		alter[name]()
		assert.False(t, unchanged("a go.mod"), name)
		if name != "content" && name != "nothing there" {
			verify()
			assert.True(t, unchanged("a go.mod"), name)
		}
	}

	c = newModuleCache(t)
	verify()
	_, other, err := c.files(another)
	require.NoError(t, err)
	assert.True(t, unchanged("a go.mod"))
	require.NoError(t, os.MkdirAll(other, 0o755))
	assert.False(t, unchanged("a go.mod"), "of a module that was not there")

	c = newModuleCache(t)
	c.now = time.Now
	verify()
	c.now = func() time.Time { return time.Now().Add(time.Hour) }
	assert.False(t, unchanged("a go.mod"), "of what was new")
}

func TestParseSums(t *testing.T) {
	got := parseSums("example.com/a v1.0.0 h1:x=\nexample.com/a v1.0.0/go.mod h1:y=\n\nexample.com/b v2.0.0+incompatible h1:z=\n" +
		"golang.org/toolchain v0.0.1-go1.26.8.linux-amd64 h1:t=\nexample.com/c v1.0.0 h9:of-the-future\n")
	assert.Equal(t, []pinned{
		{module.Version{Path: "example.com/a", Version: "v1.0.0"}, "h1:x="},
		{module.Version{Path: "example.com/b", Version: "v2.0.0+incompatible"}, "h1:z="},
	}, got)
}
