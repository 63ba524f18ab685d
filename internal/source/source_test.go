package source_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/source"
)

// write makes files below dir.
func write(t *testing.T, dir string, names ...string) {
	t.Helper()
	for _, name := range names {
		at := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(at), 0o755))
		require.NoError(t, os.WriteFile(at, []byte(name), 0o644))
	}
}

func open(t *testing.T, dir string) *source.Tree {
	t.Helper()
	tree, err := source.Open(dir)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, tree.Close()) })
	return tree
}

func TestWhatLinksLeadToIsMissed(t *testing.T) {
	for target, complete := range map[string]bool{
		"b": true, "../a": true, "..": true, "c": false, "../c": false, "../e/b": false,
		"../../elsewhere": true, "/elsewhere": true, "link": true,
	} {
		dir := t.TempDir()
		write(t, dir, "a", "d/b")
		require.NoError(t, os.Symlink(target, filepath.Join(dir, "d", "link")))
		got, err := open(t, dir).Complete()
		require.NoError(t, err, target)
		assert.Equal(t, complete, got, target)
	}
}

func TestLinksAreFollowedWithinTheSourceAlone(t *testing.T) {
	outside, dir := t.TempDir(), t.TempDir()
	write(t, outside, "secret", "d/secret")
	write(t, dir, "a", "d/b")
	up, err := filepath.Rel(dir, outside)
	require.NoError(t, err)
	for name, target := range map[string]string{
		"inside": "d/b", "directory": "d", "chain": "inside",
		"absolute": filepath.Join(outside, "secret"), "relative": filepath.Join(up, "secret"), "outside": outside,
		"step": "relative", "parent": "d/../..", "d/up": "../../" + filepath.Base(outside),
	} {
		require.NoError(t, os.Symlink(target, filepath.Join(dir, name)))
	}
	tree := open(t, dir)
	for name, want := range map[string]string{"a": "a", "inside": "d/b", "directory/b": "d/b", "chain": "d/b"} {
		got, err := tree.ReadFile(name)
		require.NoError(t, err)
		assert.Equal(t, want, string(got))
	}
	for _, name := range []string{"absolute", "relative", "outside", "outside/secret", "step", "parent", "d/up", "d/up/secret"} {
		_, err := tree.ReadFile(name)
		assert.ErrorIs(t, err, source.ErrOutside, name)
		_, err = tree.Open(name)
		assert.ErrorIs(t, err, source.ErrOutside, name)
		_, err = tree.Stat(name)
		assert.ErrorIs(t, err, source.ErrOutside, name)
		_, err = tree.ReadDir(name)
		assert.ErrorIs(t, err, source.ErrOutside, name)
		assert.NotContains(t, err.Error(), outside, "the error does not say where it leads")
	}
	_, err = tree.ReadFile("nothing")
	assert.ErrorIs(t, err, fs.ErrNotExist)
}

func TestFilesAreBounded(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, ".dockerignore", "big.go")
	require.NoError(t, os.Truncate(filepath.Join(dir, ".dockerignore"), 1<<20+1))
	require.NoError(t, os.Truncate(filepath.Join(dir, "big.go"), 64<<20+1))
	tree := open(t, dir)
	_, err := tree.ReadFile(".dockerignore")
	assert.EqualError(t, err, "read .dockerignore: larger than 1 MiB, which is as much as Slipway reads of such a file")
	_, err = tree.ReadFile("big.go")
	assert.ErrorAs(t, err, &source.TooLarge{})
	_, err = source.ReadFile(filepath.Join(dir, "big.go"))
	assert.ErrorAs(t, err, &source.TooLarge{})
	require.NoError(t, os.Truncate(filepath.Join(dir, ".dockerignore"), 1<<20))
	content, err := tree.ReadFile(".dockerignore")
	require.NoError(t, err)
	assert.Len(t, content, 1<<20)
}

func TestWriteFileReplacesALink(t *testing.T) {
	outside, dir := t.TempDir(), t.TempDir()
	write(t, outside, "precious")
	require.NoError(t, os.Symlink(filepath.Join(outside, "precious"), filepath.Join(dir, "report")))
	require.NoError(t, os.Symlink(outside, filepath.Join(dir, "out")))
	tree := open(t, dir)
	require.NoError(t, tree.WriteFile("report", []byte("new")))
	assert.ErrorIs(t, tree.WriteFile("out/precious", []byte("new")), source.ErrOutside)
	content, err := os.ReadFile(filepath.Join(outside, "precious"))
	require.NoError(t, err)
	assert.Equal(t, "precious", string(content))
	content, err = tree.ReadFile("report")
	require.NoError(t, err)
	assert.Equal(t, "new", string(content))
	entries, err := tree.ReadDir(".")
	require.NoError(t, err)
	assert.Len(t, entries, 2, "nothing else is left")
}

func TestOutputsLeaveADirectoryOnlyByTheUsersOwnLinks(t *testing.T) {
	outside, users := t.TempDir(), t.TempDir()
	dir := filepath.Join(outside, "source")
	write(t, dir, "dist/a", "go.mod")
	require.NoError(t, os.Symlink(outside, filepath.Join(dir, "out")))
	require.NoError(t, os.Symlink("dist", filepath.Join(dir, "same")))
	require.NoError(t, os.Symlink(outside, filepath.Join(users, "link")))
	for _, name := range []string{"dist/x.tar", "same/x.tar", "new/x.tar", "x.tar"} {
		assert.NoError(t, source.CheckOutput(filepath.Join(dir, name), dir), name)
	}
	assert.NoError(t, source.CheckOutput(filepath.Join(users, "link", "x.tar"), dir))
	assert.NoError(t, source.CheckOutput(filepath.Join(users, "link", "source", "dist", "x.tar"), dir))
	for _, name := range []string{"out", "out/x.tar", "out/source/dist/x.tar"} {
		assert.ErrorIs(t, source.CheckOutput(filepath.Join(dir, name), dir), source.ErrOutside, name)
	}
	assert.ErrorIs(t, source.CheckOutput(filepath.Join(users, "link", "source", "out", "x.tar"), dir), source.ErrOutside)

	name, ok := source.Within(filepath.Join(users, "link", "source", "dist", "x.tar"), dir)
	assert.True(t, ok)
	assert.Equal(t, "dist/x.tar", name)
	_, ok = source.Within(filepath.Join(users, "x.tar"), dir)
	assert.False(t, ok)
}

func TestADirectoryInThePlaceOfAFileIsReportedAsThat(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "slipway.yaml"), 0o755))
	_, err := open(t, dir).ReadFile("slipway.yaml")
	problem, hint := source.Describe(err)
	assert.Equal(t, "is a directory", problem)
	assert.Equal(t, "put a file in its place", hint)
}
