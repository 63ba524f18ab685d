package host_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/mod/module"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/build/slot"
	"github.com/slipway-ci/slipway/internal/plan"
)

// A new machine builds by the packages' files alone, with no module proxy and nothing in its module cache, and as without a cache. What they
// are not enough for is built with whole modules.
func TestSharedSources(t *testing.T) {
	proxy := t.TempDir()
	lib := t.TempDir()
	goMod := "module example.com/lib\n\ngo 1.26\n"
	for name, text := range map[string]string{
		"go.mod": goMod, "LICENSE": "MIT", "lib.go": "package lib\n\nconst Name = \"lib\"\n", "lib_test.go": "package lib\n",
		"other/other.go": "package other\n\nconst Name = \"other\"\n",
	} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(lib, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(lib, name), []byte(text), 0o644))
	}
	sum := addTree(t, proxy, module.Version{Path: "example.com/lib", Version: "v1.0.0"}, goMod, lib)
	dir := writeTree(t, map[string]string{"go.mod": "module example.com/app\n\ngo 1.26.8\n\nrequire example.com/lib v1.0.0\n", "go.sum": sum})
	edit := func(imported, text string) {
		main := "package main\n\nimport \"example.com/" + imported + "\"\n\nfunc main() { println(" + text + ") }\n"
		require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte(main), 0o644))
	}
	out, err := exec.Command("go", "env", "GOCACHE").Output()
	require.NoError(t, err)
	layout := filepath.Join(t.TempDir(), "cache")
	repository, err := slot.Open("oci:"+layout, nil)
	require.NoError(t, err)

	// builds builds on a new machine, and reports its steps, the digest of its image, and what is in its module cache then.
	builds := func(proxy string, shared bool) (report, digest string, modules []string, err error) {
		t.Helper()
		moduleCache := t.TempDir()
		t.Cleanup(func() { _ = exec.Command("chmod", "-R", "u+w", moduleCache).Run() }) // so that it can be removed
		bare, sharing := newMachine(t, repository, "GOCACHE="+strings.TrimSpace(string(out)), "GOMODCACHE="+moduleCache, "GOPROXY="+proxy, "GOSUMDB=off")
		e := bare
		if shared {
			e = sharing
		}
		p, err := plan.Resolve(t.Context(), os.DirFS(dir), plan.Config{Runtime: "scratch", Platforms: []string{"linux/amd64"}, Go: "1.26.8"})
		require.NoError(t, err)
		var steps output
		built, err := build.BuildOne(t.Context(), e, dir, p, &steps)
		list := func() (names []string) {
			entries, err := os.ReadDir(moduleCache)
			require.NoError(t, err)
			for _, e := range entries {
				names = append(names, e.Name())
			}
			return names
		}
		if err != nil {
			return steps.String(), "", list(), err
		}
		is, err := built.Artifact.Digest()
		require.NoError(t, err)
		// Bills of materials find licences, and what is cached of results is listed, without the whole modules.
		assert.FileExists(t, filepath.Join(bare.ModuleCache(dir, p), "example.com", "lib@v1.0.0", "LICENSE"))
		listed, err := bare.List(t.Context(), dir, p, p.Compile[0], "-deps", "-json=Module")
		require.NoError(t, err)
		assert.Contains(t, string(listed), "example.com/lib")
		modules = list()
		require.NoError(t, built.Close())
		assert.Equal(t, moduleCache, bare.ModuleCache(dir, p))
		return steps.String(), is.String(), modules, nil
	}
	nearby, none := "file://"+filepath.ToSlash(proxy), "file://"+filepath.ToSlash(filepath.Join(proxy, "none"))
	const taken = "the packages' files of modules come from shared"

	edit("lib", "lib.Name")
	report, first, modules, err := builds(nearby, true)
	require.NoError(t, err)
	assert.NotContains(t, report, taken)
	assert.Equal(t, []string{"cache", "example.com"}, modules)

	edit("lib", `lib.Name + "edited"`)
	report, edited, modules, err := builds(none, true)
	require.NoError(t, err)
	assert.Contains(t, report, taken)
	assert.Empty(t, modules, "nothing of it gets into the user's module cache")
	assert.NotEqual(t, first, edited)
	_, plain, _, err := builds(nearby, false)
	require.NoError(t, err)
	assert.Equal(t, plain, edited, "the digest is that of a build without the cache")

	edit("lib", "lib.Nothing")
	report, _, _, fails := builds(nearby, true)
	assert.Contains(t, report, taken)
	_, _, _, plainly := builds(nearby, false)
	require.Error(t, plainly)
	assert.EqualError(t, fails, plainly.Error())

	edit("lib/other", "other.Name")
	report, other, modules, err := builds(nearby, true)
	require.NoError(t, err)
	assert.Contains(t, report, taken)
	assert.Contains(t, modules, "example.com", "a package that was not recorded needs whole modules")
	_, plain, _, err = builds(nearby, false)
	require.NoError(t, err)
	assert.Equal(t, plain, other)

	edit("lib/other", `other.Name + "edited"`)
	_, _, modules, err = builds(none, true)
	require.NoError(t, err, "it is recorded by now")
	assert.Empty(t, modules)

	blobs, err := filepath.Glob(filepath.Join(layout, "blobs", "sha256", "*"))
	require.NoError(t, err)
	for _, name := range blobs {
		content, err := os.ReadFile(name)
		require.NoError(t, err)
		if bytes.HasPrefix(content, []byte("\x28\xb5\x2f\xfd")) { // zstd
			content[len(content)/2] ^= 1
			require.NoError(t, os.WriteFile(name, content, 0o644))
		}
	}
	report, other, modules, err = builds(nearby, true)
	require.NoError(t, err)
	assert.Contains(t, report, "no modules are taken from shared: ")
	assert.Contains(t, modules, "example.com")
	_, plain, _, err = builds(nearby, false)
	require.NoError(t, err)
	assert.Equal(t, plain, other)
}
