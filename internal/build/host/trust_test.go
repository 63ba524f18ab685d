package host_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/build/host"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/test/testtool"
)

// Linters start git in the source, which must not run what the repository says there.
func TestGitOfLinters(t *testing.T) {
	git := testtool.Need(t, "git", "git")
	if runtime.GOOS == "windows" {
		testtool.Skip(t, "a system with env and sh")
	}
	trace := filepath.Join(t.TempDir(), "ran")
	source := t.TempDir()
	run := func(args ...string) {
		t.Helper()
		cmd := exec.Command(git, append([]string{"-C", source, "-c", "user.name=n", "-c", "user.email=e@example.com"}, args...)...)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
	}
	run("init", "-q")
	require.NoError(t, os.WriteFile(filepath.Join(source, "go.mod"), []byte("module example.com/m\n\ngo 1.26.8\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(source, "main.go"), []byte("package main\n\nfunc main() {}\n"), 0o644))
	run("add", ".")
	run("commit", "-qm", "c")
	run("config", "core.fsmonitor", "echo >"+trace+";false")
	p, err := plan.Resolve(t.Context(), os.DirFS(source), plan.Config{Runtime: "scratch"})
	require.NoError(t, err)
	checks, done, err := host.New(nil, os.Environ()).Checks(source, p, build.Discard)
	require.NoError(t, err)
	defer func() { assert.NoError(t, done()) }()
	lint, _ := p.Check("lint")
	require.Contains(t, lint.Command, "env "+plan.CheckGit)
	lint.Command = []string{"sh", "-c", "env " + plan.CheckGit + " git status --short && env " + plan.CheckGit + " git rev-parse --verify HEAD"}
	out, err := checks.Run(t.Context(), lint)
	require.NoError(t, err)
	require.NoError(t, out.Err, out.Stderr)
	assert.Regexp(t, `^[0-9a-f]{40}\n$`, out.Stdout)
	assert.NoFileExists(t, trace)

	require.NoError(t, os.Rename(filepath.Join(source, ".git"), filepath.Join(source, "git")))
	lint.Command = []string{"sh", "-c", "cd git && env " + plan.CheckGit + " git rev-parse HEAD"}
	out, err = checks.Run(t.Context(), lint)
	require.NoError(t, err)
	assert.Error(t, out.Err, "a repository below the source is none")
}

// With cgo the tool itself is still without, for a program with cgo loads plugins.
func TestLintLoadsNoPlugins(t *testing.T) {
	source := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(source, "go.mod"), []byte("module example.com/m\n\ngo 1.26.8\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(source, "main.go"), []byte("package main\n\nfunc main() {}\n"), 0o644))
	p, err := plan.Resolve(t.Context(), os.DirFS(source), plan.Config{CGO: "dynamic", Runtime: "distroless-base"})
	require.NoError(t, err)
	lint, _ := p.Check("lint")
	assert.Equal(t, "0", lint.Env["CGO_ENABLED"])
	assert.Contains(t, lint.Command, "env "+plan.CheckGit+" CGO_ENABLED=1")
}
