package host

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// distribution makes a Go distribution of a version in the directory root.
func distribution(t *testing.T, root, version string) {
	t.Helper()
	for name, content := range map[string]string{
		"VERSION": version + "\ntime 2026-01-01T00:00:00Z\n", "bin/go": "go", "pkg/tool/x/compile": "compile", "src/net/http/server.go": "package http",
		"src/net/http/server_test.go": "package http", "src/net/testdata/x": "x", "src/cmd/go/main.go": "package main", "doc/x": "x",
	} {
		name = filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
		require.NoError(t, os.WriteFile(name, []byte(content), 0o755))
	}
}

// The distribution that compiles is the one of the plan's version: that on the PATH, or one in the module cache.
func TestFindToolchain(t *testing.T) {
	root, modules := t.TempDir(), t.TempDir()
	root, err := filepath.EvalSymlinks(root)
	require.NoError(t, err)
	distribution(t, root, "go9.9.9")
	bin := t.TempDir()
	require.NoError(t, os.Symlink(filepath.Join(root, "bin/go"), filepath.Join(bin, "go")))
	t.Setenv("PATH", bin)
	got, err := findToolchain("9.9.9", modules)
	require.NoError(t, err)
	assert.Equal(t, root, got)
	_, err = findToolchain("9.9.8", modules)
	require.ErrorIs(t, err, os.ErrNotExist)
	other := filepath.Join(modules, "golang.org", "toolchain@v0.0.1-go9.9.8."+runtime.GOOS+"-"+runtime.GOARCH)
	distribution(t, other, "go9.9.8")
	got, err = findToolchain("9.9.8", modules)
	require.NoError(t, err)
	assert.Equal(t, other, got)
	require.NoError(t, os.WriteFile(filepath.Join(other, "VERSION"), []byte("go9.9.7\n"), 0o644))
	_, err = findToolchain("9.9.8", modules)
	require.Error(t, err)
	// A go command that belongs to nothing, as a script does.
	require.NoError(t, os.Remove(filepath.Join(bin, "go")))
	require.NoError(t, os.WriteFile(filepath.Join(bin, "go"), []byte("#!/bin/sh\n"), 0o755))
	_, err = findToolchain("9.9.9", modules)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestLookAtToolchain(t *testing.T) {
	root := t.TempDir()
	distribution(t, root, "go9.9.9")
	t.Setenv("PATH", filepath.Join(root, "bin"))
	read := func() string {
		t.Helper()
		f, err := toolchainState("9.9.9", t.TempDir())
		require.NoError(t, err)
		assert.True(t, f.Exists)
		return f.Digest
	}
	before := read()
	for name, counts := range map[string]bool{
		"bin/go": true, "pkg/tool/x/compile": true, "src/net/http/server.go": true, "src/net/http/more.go": true, "go.env": true,
		"src/net/http/server_test.go": false, "src/net/testdata/x": false, "src/cmd/go/main.go": false, "doc/x": false,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(root, name), []byte(name), 0o755))
		after := read()
		assert.Equal(t, counts, before != after, name)
		before = after
	}
}
