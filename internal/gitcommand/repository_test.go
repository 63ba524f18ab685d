package gitcommand_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/gitcommand"
)

func TestStatus(t *testing.T) {
	dir := newRepository(t)
	head := git(t, dir, "rev-parse", "HEAD")
	status := func(dir string) gitcommand.Status {
		t.Helper()
		s, err := open(t, dir).Status(t.Context())
		require.NoError(t, err)
		return s
	}
	assert.Equal(t, gitcommand.Status{Commit: head, Branch: "main"}, status(dir))
	write(t, filepath.Join(dir, "sub", "new dir", "ü"), "")
	assert.Equal(t, []string{"sub/new dir/ü"}, status(dir).Untracked)
	assert.Equal(t, []string{"new dir/ü"}, status(filepath.Join(dir, "sub")).Untracked)
	write(t, filepath.Join(dir, "a.txt"), "other\n")
	assert.True(t, status(dir).Modified)
	assert.False(t, status(filepath.Join(dir, "sub")).Modified)
	modified, err := open(t, filepath.Join(dir, "sub")).Modified(t.Context())
	require.NoError(t, err)
	assert.True(t, modified, "of the whole work tree")

	git(t, dir, "checkout", "-q", "--detach")
	assert.Empty(t, status(dir).Branch)
	assert.Equal(t, "sub/", open(t, filepath.Join(dir, "sub")).Prefix())
}

// What is in a submodule counts, whatever .gitmodules says.
func TestSubmodules(t *testing.T) {
	dir := newRepository(t)
	git(t, dir, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", newRepository(t), "mod ule")
	git(t, dir, "config", "--file", ".gitmodules", "submodule.mod ule.ignore", "all")
	git(t, dir, "add", "-A")
	git(t, dir, "commit", "-q", "-m", "module")
	modified := func() bool {
		t.Helper()
		s, err := open(t, dir).Status(t.Context())
		require.NoError(t, err)
		return s.Modified
	}
	assert.False(t, modified())
	write(t, filepath.Join(dir, "mod ule", "new"), "")
	assert.True(t, modified())
	require.NoError(t, os.Remove(filepath.Join(dir, "mod ule", "new")))
	assert.False(t, modified())
	write(t, filepath.Join(dir, "mod ule", "a.txt"), "other\n")
	assert.True(t, modified())
}

// Everything by which a revision can be named is lent, in further work trees as well.
func TestRevisions(t *testing.T) {
	origin := newRepository(t)
	dir := filepath.Join(t.TempDir(), "clone")
	git(t, origin, "clone", "-q", "file://"+filepath.ToSlash(origin), dir)
	first := git(t, dir, "rev-parse", "HEAD")
	git(t, dir, "commit", "-q", "--allow-empty", "-m", "second")
	git(t, dir, "pack-refs", "--all")
	tree := filepath.Join(t.TempDir(), "tree")
	git(t, dir, "worktree", "add", "-q", "-b", "other", tree)
	git(t, tree, "commit", "-q", "--allow-empty", "-m", "third")
	for at, revisions := range map[string][]string{
		dir:  {"@{u}", "origin/main", "HEAD@{1}", "HEAD~1", "main^"},
		tree: {"HEAD~2", "origin/main", "main~1", "other@{1}~1", "HEAD@{1}~1"},
	} {
		for _, rev := range revisions {
			got, err := open(t, at).Run(t.Context(), "rev-parse", "--verify", rev)
			require.NoError(t, err, rev)
			assert.Equal(t, first, strings.TrimSpace(got), rev)
		}
	}
	assert.Equal(t, "file://"+filepath.ToSlash(origin), open(t, tree).Origin())
	assert.FileExists(t, filepath.Join(dir, ".git", "HEAD"))
}

// A repository of a format that is not known is not read, since git would refuse it.
func TestFormats(t *testing.T) {
	dir := newRepository(t)
	git(t, dir, "config", "core.repositoryformatversion", "1")
	git(t, dir, "config", "extensions.noop", "true")
	open(t, dir)
	git(t, dir, "config", "extensions.refstorage", "program://x")
	_, err := gitcommand.Open(t.Context(), dir)
	assert.ErrorContains(t, err, `extension refstorage = "program://x", which is not known here`)
}

// A repository that lacks something says what, whatever advice git gives before that.
func TestDamaged(t *testing.T) {
	dir := newRepository(t)
	tree := git(t, dir, "rev-parse", "HEAD^{tree}")
	require.NoError(t, os.Remove(filepath.Join(dir, ".git", "objects", tree[:2], tree[2:])))
	_, err := open(t, dir).Status(t.Context())
	require.EqualError(t, err, "bad tree object HEAD")
}

// Files that are excluded are no more untracked, and the repository's own list of them stays as it is.
func TestExclude(t *testing.T) {
	dir := newRepository(t)
	write(t, filepath.Join(dir, ".git", "info", "exclude"), "*.log")
	for _, name := range []string{"a[b]/dist/x.tar", "a[b]/dist/x.txt", "a[b]/sub/dist/x.tar", "dist/x.tar", "a[b]/y.log"} {
		write(t, filepath.Join(dir, filepath.FromSlash(name)), name)
	}
	r := open(t, filepath.Join(dir, "a[b]"))
	require.NoError(t, r.Exclude([]string{"dist/*.tar"}))
	status, err := r.Status(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{"dist/x.txt", "sub/dist/x.tar"}, status.Untracked)
	own, err := os.ReadFile(filepath.Join(dir, ".git", "info", "exclude"))
	require.NoError(t, err)
	assert.Equal(t, "*.log", string(own))
}
