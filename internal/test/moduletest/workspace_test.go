//go:build dagger_e2e

package moduletest

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// In a repository that has Slipway among its tools, Dagger's own commands find its generators, checks and services, and arguments that are set
// for all calls: as a toolchain on Dagger 0.21, as a module of the workspace on 1.0.
func TestWorkspace(t *testing.T) {
	dir := user(t)
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "dagger", append([]string{"--progress=plain"}, args...)...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%v: %s", args, out)
		return string(out)
	}
	port := freePort(t)
	settings := [][2]string{{"runtime", `"SCRATCH"`}, {"ports", port}, {"environment", "PORT=" + port}}
	if mirrors := os.Getenv("SLIPWAY_MIRRORS"); mirrors != "" {
		settings = append(settings, [2]string{"mirrors", mirrors})
	}
	root, err := filepath.Abs("../../..")
	require.NoError(t, err)
	if daggerOne(t) {
		run("install", root)
		for _, setting := range settings {
			run("settings", "slipway", setting[0], setting[1])
		}
	} else {
		addToolchain(t, dir, root, settings)
		run("functions")
	}

	run("generate", "-y")
	lock, err := os.ReadFile(filepath.Join(dir, "slipway.lock"))
	require.NoError(t, err)
	assert.Regexp(t, `(?m)^docker\.io/library/golang:\S+ sha256:[0-9a-f]{64}$`, string(lock))
	assert.NotContains(t, string(lock), "distroless", "the runtime is set to another")
	run("generate", "-y")
	again, err := os.ReadFile(filepath.Join(dir, "slipway.lock"))
	require.NoError(t, err)
	assert.Equal(t, string(lock), string(again))

	run("check", "slipway:verify", "slipway:vet")
	assert.Contains(t, run("call", "slipway", "plan"), "scratch, on nothing")

	assertServes(t, port, func(ctx context.Context) *exec.Cmd {
		up := exec.CommandContext(ctx, "dagger", "--progress=plain", "up")
		up.Dir = dir
		return up
	})
}

// addToolchain adds the module at root to the repository dir, which a toolchain has to be in, and sets arguments, in the form that is
// documented.
func addToolchain(t *testing.T, dir, root string, settings [][2]string) {
	t.Helper()
	listed, err := exec.Command("git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output()
	require.NoError(t, err)
	const within = "tools/slipway"
	for file := range strings.SplitSeq(strings.TrimSuffix(string(listed), "\x00"), "\x00") {
		text, err := os.ReadFile(filepath.Join(root, file))
		if os.IsNotExist(err) { // deleted, and not committed yet
			continue
		}
		require.NoError(t, err)
		write(t, dir, filepath.Join(within, file), string(text))
	}
	config := documentedToolchain(t)
	config.Toolchains[0].Source = within
	config.Toolchains[0].Customizations = nil
	for _, setting := range settings {
		config.Toolchains[0].Customizations = append(config.Toolchains[0].Customizations, customization{setting[0], setting[1]})
	}
	text, err := json.Marshal(config)
	require.NoError(t, err)
	write(t, dir, "dagger.json", string(text))
}
