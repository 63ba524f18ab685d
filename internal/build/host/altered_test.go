//go:build unix

package host_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/plan"
)

// before calls a function when a step begins.
type before struct {
	listener
	step string
	call func()
}

func (b *before) Step(_, name string) build.Step {
	if name == b.step && b.call != nil {
		call := b.call
		b.call = nil
		call()
	}
	return b
}

// cachedProgram is the cache's only program.
func (b builder) cachedProgram(t *testing.T) string {
	t.Helper()
	var found []string
	require.NoError(t, filepath.WalkDir(filepath.Join(b.cache, "programs"), func(name string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() && filepath.Ext(name) != ".lock" {
			found = append(found, name)
		}
		return err
	}))
	require.Len(t, found, 1)
	return found[0]
}

// Whatever is in the cached program's place by the time that it is assembled, the image has the program that was compiled.
func TestProgramIsWhatWasNoted(t *testing.T) {
	dir := writeTree(t, hello)
	config := plan.Config{Runtime: "scratch", Platforms: []string{"linux/amd64"}}
	want, _, err := newBuilder(t).build(dir, config)
	require.NoError(t, err)
	for name, put := range map[string]func(name string, content []byte) error{
		"another program": func(name string, content []byte) error {
			return os.WriteFile(name, bytes.ReplaceAll(content, []byte("hello"), []byte("jello")), 0o755)
		},
		"a part of it": func(name string, content []byte) error { return os.Truncate(name, int64(len(content)/2)) },
		"nothing":      func(name string, _ []byte) error { return os.Remove(name) },
	} {
		for _, step := range []string{"guard", "assemble"} {
			t.Run(name+" before "+step, func(t *testing.T) {
				b := newBuilder(t)
				plan, err := plan.Resolve(t.Context(), os.DirFS(dir), config)
				require.NoError(t, err)
				report := &before{step: step, call: func() {
					program := b.cachedProgram(t)
					content, err := os.ReadFile(program)
					require.NoError(t, err)
					require.NoError(t, put(program, content))
				}}
				built, err := build.BuildOne(t.Context(), b, dir, plan, report)
				require.NoError(t, err)
				require.Nil(t, report.call, "nothing was put in its place")
				got, err := built.Artifact.Digest()
				require.NoError(t, err)
				assert.Equal(t, want, got.String())
				require.NoError(t, built.Close())
				again, _, err := b.build(dir, config)
				require.NoError(t, err)
				assert.Equal(t, want, again)
			})
		}
	}
}

// Whatever somebody has put in the place of the cached programs, their directory and the notes is no error, and not for ever.
func TestForeignThingsInTheCache(t *testing.T) {
	dir := writeTree(t, hello)
	config := plan.Config{Runtime: "scratch", Platforms: []string{"linux/amd64"}}
	b := newBuilder(t)
	want, _, err := b.build(dir, config)
	require.NoError(t, err)
	program := b.cachedProgram(t)
	for name, put := range map[string]func() error{
		"directory":            func() error { return os.MkdirAll(filepath.Join(program, "in"), 0o755) },
		"link":                 func() error { return os.Symlink("nowhere", program) },
		"pipe":                 func() error { return syscall.Mkfifo(program, 0o644) },
		"no program":           func() error { return os.WriteFile(program, []byte("text"), 0o755) },
		"file for a directory": func() error { return os.WriteFile(filepath.Dir(program), nil, 0o644) },
		"file for all":         func() error { return os.WriteFile(filepath.Dir(filepath.Dir(program)), nil, 0o644) },
		"notes":                func() error { return os.WriteFile(filepath.Join(b.cache, "notes"), nil, 0o644) },
	} {
		gone := program
		switch name {
		case "file for a directory":
			gone = filepath.Dir(program)
		case "file for all":
			gone = filepath.Dir(filepath.Dir(program))
		case "notes":
			gone = filepath.Join(b.cache, "notes")
		}
		require.NoError(t, os.RemoveAll(gone))
		require.NoError(t, put(), name)
		got, _, err := b.build(dir, config)
		require.NoError(t, err, name)
		assert.Equal(t, want, got, name)
	}
}
