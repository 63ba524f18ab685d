package changed_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/build/host"
	"github.com/slipway-ci/slipway/internal/changed"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/test/testtool"
)

// repo is a git repository in a directory.
type repo struct {
	t   testing.TB
	dir string
}

// newRepo makes a repository with one commit, which the tag v1 names.
func newRepo(t testing.TB, archive string) *repo {
	t.Helper()
	r := &repo{t, t.TempDir()}
	r.git("init", "-q", "-b", "main")
	r.extract(archive)
	r.commit()
	r.git("tag", "v1")
	return r
}

// git runs git as nobody in particular, whose settings are git's own.
func (r *repo) git(args ...string) string {
	r.t.Helper()
	cmd := exec.Command(testtool.Need(r.t, "git", "git"), append([]string{"-C", r.dir}, args...)...)
	cmd.Env = append(
		os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com",
		"GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com", "GIT_AUTHOR_DATE=1700000000 +0000", "GIT_COMMITTER_DATE=1700000000 +0000",
		"GIT_ALLOW_PROTOCOL=file",
	)
	out, err := cmd.CombinedOutput()
	require.NoError(r.t, err, "git %s: %s", strings.Join(args, " "), out)
	return strings.TrimSpace(string(out))
}

func (r *repo) commit() {
	r.t.Helper()
	r.git("add", "-A")
	r.git("commit", "-q", "--allow-empty", "-m", "a commit")
}

func (r *repo) path(name string) string { return filepath.Join(r.dir, filepath.FromSlash(name)) }

func (r *repo) extract(archive string) {
	r.t.Helper()
	for _, f := range txtar.Parse([]byte(archive)).Files {
		r.write(f.Name, string(f.Data))
	}
}

func (r *repo) write(name, content string) {
	r.t.Helper()
	require.NoError(r.t, os.MkdirAll(filepath.Dir(r.path(name)), 0o755))
	require.NoError(r.t, os.WriteFile(r.path(name), []byte(content), 0o644))
}

func (r *repo) read(name string) string {
	r.t.Helper()
	content, err := os.ReadFile(r.path(name))
	require.NoError(r.t, err)
	return string(content)
}

func (r *repo) remove(name string) {
	r.t.Helper()
	require.NoError(r.t, os.RemoveAll(r.path(name)))
}

func (r *repo) rename(from, to string) {
	r.t.Helper()
	require.NoError(r.t, os.MkdirAll(filepath.Dir(r.path(to)), 0o755))
	require.NoError(r.t, os.Rename(r.path(from), r.path(to)))
}

func (r *repo) symlink(target, name string) {
	r.t.Helper()
	require.NoError(r.t, os.MkdirAll(filepath.Dir(r.path(name)), 0o755))
	require.NoError(r.t, os.Symlink(target, r.path(name)))
}

func (r *repo) chmod(name string, mode os.FileMode) {
	r.t.Helper()
	require.NoError(r.t, os.Chmod(r.path(name), mode))
}

// planned plans an image of one platform.
func planned(t testing.TB, source, name string, config plan.Config) changed.Image {
	t.Helper()
	if config.Base == "" {
		config.Runtime = "scratch"
	}
	if len(config.Platforms) == 0 {
		config.Platforms = []string{"linux/amd64"}
	}
	plan, err := plan.Resolve(t.Context(), os.DirFS(source), config)
	require.NoError(t, err)
	return changed.Image{Name: name, Plan: plan, Config: config}
}

// lister is the go list of the host engine for a source.
func lister(source string, env ...string) changed.List {
	e := host.New(&oci.Bases{}, append(os.Environ(), env...))
	return func(ctx context.Context, plan *plan.Plan, c plan.Compile, args ...string) ([]byte, error) {
		return e.List(ctx, source, plan, c, args...)
	}
}

// reasons are why images are in or out, by their names.
func reasons(t testing.TB, source string, images ...changed.Image) map[string]string {
	t.Helper()
	verdicts, err := changed.Since(t.Context(), source, "v1", images, lister(source))
	require.NoError(t, err)
	require.Len(t, verdicts, len(images))
	reasons := map[string]string{}
	for i, v := range verdicts {
		require.Equal(t, images[i].Name, v.Name)
		require.Equal(t, v.In, v.Reason != changed.Unchanged, v.Reason)
		require.NotEmpty(t, v.Reason)
		reasons[v.Name] = v.Reason
	}
	return reasons
}
