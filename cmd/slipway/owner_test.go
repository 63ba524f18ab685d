package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/test/registrytest"
	"github.com/slipway-ci/slipway/internal/test/testtool"
)

// A repository that git refuses to read is published without a source, and the user learns why and what to do.
func TestPublishOfAnotherUsersRepository(t *testing.T) {
	testtool.NeedRoot(t, "a directory of another user")
	git := testtool.Need(t, "git", "git")
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.com/m\n\ngo 1.26.8\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte("package main\n\nfunc main() {}\n"), 0o644))
	for _, args := range [][]string{{"init", "-q"}, {"add", "."}, {"-c", "user.name=n", "-c", "user.email=e@example.com", "commit", "-qm", "c"}} {
		out, err := exec.Command(git, append([]string{"-C", dir}, args...)...).CombinedOutput()
		require.NoError(t, err, string(out))
	}
	require.NoError(t, filepath.WalkDir(dir, func(name string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(name, 1234, 1234)
	}))
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	t.Setenv("SUDO_UID", "")
	registry := registrytest.Start(t)
	said, err := slipwayCommand(t, nil, "publish", "--runtime", "scratch", "--platform", "linux/amd64", "--repository", registry.Host+"/m", "--sbom", "none", dir).CombinedOutput()
	require.NoError(t, err, string(said))
	assert.Contains(t, string(said), "the provenance does not name the commit of the source: detected dubious ownership")
	assert.Contains(t, string(said), "git config --global --add safe.directory "+dir)
}
