//go:build dagger_e2e

package moduletest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/test/registrytest"
)

// What the module publishes is built again by the command, on either engine, from the repository that the provenance names, and so is
// what the command publishes. A changed line is a difference. SLIPWAY_E2E_ADDRESS is this machine's IP address as the engine's containers
// reach it.
func TestReproduce(t *testing.T) {
	address := os.Getenv("SLIPWAY_E2E_ADDRESS")
	if address == "" {
		t.Skip("SKIPPED: set SLIPWAY_E2E_ADDRESS to this machine's IP address as the engine's containers reach it")
	}
	host := registrytest.StartDistributionAt(t, address, true)
	slipway := filepath.Join(t.TempDir(), "slipway")
	out, err := exec.Command("go", "build", "-o", slipway, "../../../cmd/slipway").CombinedOutput()
	require.NoError(t, err, string(out))

	// A program in a subdirectory of its repository.
	repository := filepath.Join(t.TempDir(), "shop")
	dir := filepath.Join(repository, "services", "web")
	require.NoError(t, os.CopyFS(dir, os.DirFS("../../../examples/http-server")))
	config := filepath.Join(t.TempDir(), "gitconfig")
	text := fmt.Sprintf("[user]\nname = x\nemail = x@example.com\n[url \"file://%s/\"]\ninsteadOf = https://git.example.com/\n", filepath.Dir(repository))
	require.NoError(t, os.WriteFile(config, []byte(text), 0o600))
	t.Setenv("GIT_CONFIG_GLOBAL", config)
	git := func(args ...string) string {
		out, err := exec.Command("git", append([]string{"-C", repository}, args...)...).CombinedOutput()
		require.NoError(t, err, string(out))
		return strings.TrimSpace(string(out))
	}
	git("init", "-q")
	git("remote", "add", "origin", "https://git.example.com/shop")
	git("add", ".")
	git("commit", "-q", "-m", "first")

	t.Setenv("E2E_PASSWORD", registrytest.Password)
	_, said, err := call(t, dir, "call", "--runtime", "SCRATCH", "--revision", git("rev-parse", "HEAD"), "--labels", "org.opencontainers.image.source=https://git.example.com/shop",
		"with-login", "--username", registrytest.User, "--password", "env:E2E_PASSWORD", "publish", "--repository", host+"/team/module", "--tags", "v1", "reference")
	require.NoError(t, err, said)
	registrytest.Login(t, host, registrytest.User, registrytest.Password)
	run := func(args ...string) (string, error) {
		cmd := exec.Command(slipway, args...)
		cmd.Env = withoutOurs(os.Environ())
		var said bytes.Buffer
		cmd.Stderr = &said
		out, err := cmd.Output()
		t.Log(said.String())
		return string(out), err
	}
	for _, engine := range []string{"host", "dagger"} {
		_, err := run("publish", "--engine", engine, "--runtime", "scratch", "--repository", host+"/team/"+engine, "--tag", "v1", dir)
		require.NoError(t, err)
	}
	for _, c := range []struct{ name, engine string }{{"module", "host"}, {"module", "dagger"}, {"host", "dagger"}, {"dagger", "host"}} {
		out, err := run("reproduce", "--engine", c.engine, host+"/team/"+c.name+":v1")
		require.NoError(t, err, c)
		assert.Equal(t, 2, strings.Count(out, "equal      linux/"), "%v: %s", c, out)
	}
	program := filepath.Join(dir, "main.go")
	source, err := os.ReadFile(program)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(program, bytes.Replace(source, []byte("func main() {"), []byte("func main() {\n\tprintln(1)"), 1), 0o644))
	for _, engine := range []string{"host", "dagger"} {
		out, err := run("reproduce", "--engine", engine, "--source", dir, host+"/team/module:v1")
		require.Error(t, err)
		assert.Contains(t, out, "different  linux/amd64  layer ")
		assert.Contains(t, out, "~ /app/http-server")
	}
}
