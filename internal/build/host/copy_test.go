package host

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/source"
)

func TestCopySource(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "deep", "to")
	require.NoError(t, os.Mkdir(filepath.Dir(to), 0o755))
	require.NoError(t, os.MkdirAll(filepath.Join(from, "sub", ".git"), 0o755))
	for name, mode := range map[string]os.FileMode{"read-only": 0o444, "sub/run.sh": 0o755, "sub/.git/HEAD": 0o644, ".git": 0o644, "../outside": 0o644} {
		require.NoError(t, os.WriteFile(filepath.Join(from, name), []byte(name), mode))
	}
	require.NoError(t, os.Symlink("../read-only", filepath.Join(from, "sub", "inside")))
	require.NoError(t, os.Symlink("../../outside", filepath.Join(from, "sub", "out")))
	require.NoError(t, copySource(t.Context(), to, from))

	for _, name := range []string{"read-only", "sub/inside"} {
		content, err := os.ReadFile(filepath.Join(to, name))
		require.NoError(t, err)
		assert.Equal(t, "read-only", string(content))
	}
	content, err := os.ReadFile(filepath.Join(to, "sub/out"))
	require.NoError(t, err)
	assert.Equal(t, "../outside", string(content), "a link out of the source leads where it led")
	info, err := os.Stat(filepath.Join(to, "read-only"))
	require.NoError(t, err)
	assert.NotZero(t, info.Mode()&0o200, "a generator may write it anew")
	info, err = os.Stat(filepath.Join(to, "sub/run.sh"))
	require.NoError(t, err)
	assert.NotZero(t, info.Mode()&0o100)
	assert.NoFileExists(t, filepath.Join(to, ".git"))
	assert.NoDirExists(t, filepath.Join(to, "sub/.git"))
	link, err := os.Readlink(filepath.Join(to, "sub/inside"))
	require.NoError(t, err)
	assert.Equal(t, "../read-only", link, "a link within the source leads within the copy")
}

// Where temporary files are in the source, the copy is in it, too.
func TestCopySourceIntoItself(t *testing.T) {
	from := t.TempDir()
	to := filepath.Join(from, "tmp", "slipway", "source")
	require.NoError(t, os.MkdirAll(filepath.Dir(to), 0o755))
	for _, name := range []string{"main.go", "tmp/other", "tmp/slipway/other"} {
		require.NoError(t, os.WriteFile(filepath.Join(from, name), []byte(name), 0o644))
	}
	require.NoError(t, copySource(t.Context(), to, from))
	assert.FileExists(t, filepath.Join(to, "main.go"))
	assert.FileExists(t, filepath.Join(to, "tmp", "other"))
	assert.NoDirExists(t, filepath.Join(to, "tmp", "slipway"))
}

// What was listed may be gone when it is its turn.
func TestCopyFileThatIsGone(t *testing.T) {
	tree, err := source.Open(t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, tree.Close()) })
	to := filepath.Join(t.TempDir(), "part")
	require.NoError(t, copyFile(to, tree, "part"))
	assert.NoFileExists(t, to)
}
