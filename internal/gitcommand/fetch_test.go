package gitcommand_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/gitcommand"
)

func TestFetch(t *testing.T) {
	upstream := newRepository(t)
	first := git(t, upstream, "rev-parse", "HEAD")
	git(t, upstream, "tag", "v1.0.0")
	write(t, filepath.Join(upstream, "a.txt"), "second\n")
	git(t, upstream, "commit", "-q", "-a", "-m", "second")
	config := filepath.Join(t.TempDir(), "gitconfig")
	hook := filepath.Join(t.TempDir(), "ran")
	// The user's own configuration says where a host is, and what hooks it has, which are not run.
	hooks := t.TempDir()
	write(t, filepath.Join(hooks, "post-checkout"), "#!/bin/sh\ntouch '"+filepath.ToSlash(hook)+"'\n")
	require.NoError(t, os.Chmod(filepath.Join(hooks, "post-checkout"), 0o755))
	write(t, config, "[url \"file://"+filepath.ToSlash(upstream)+"\"]\n\tinsteadOf = https://git.example.com/repo\n[core]\n\thooksPath = "+filepath.ToSlash(hooks)+"\n")
	environ := append(os.Environ(), "GIT_CONFIG_GLOBAL="+config)

	for _, history := range []bool{false, true} {
		dir := t.TempDir()
		require.NoError(t, gitcommand.Fetch(t.Context(), environ, "https://git.example.com/repo", first, dir, history))
		assert.Equal(t, first, git(t, dir, "rev-parse", "HEAD"))
		if history {
			assert.Equal(t, "v1.0.0", git(t, dir, "tag"))
		}
		status, err := open(t, dir).Status(t.Context())
		require.NoError(t, err)
		assert.False(t, status.Modified)
		assert.NoFileExists(t, hook)
	}
	failed := (*gitcommand.Error)(nil)
	require.ErrorAs(t, gitcommand.Fetch(t.Context(), environ, "https://git.example.com/repo", "0123456789012345678901234567890123456789", t.TempDir(), false), &failed)
	for _, address := range []string{"ext::sh -c touch% x", "/a/directory", "--upload-pack=x", "file:///etc"} {
		require.ErrorContains(t, gitcommand.Fetch(t.Context(), environ, address, first, t.TempDir(), false), "not the URL of a repository")
	}
}
