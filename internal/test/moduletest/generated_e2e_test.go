//go:build dagger_e2e

package moduletest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The generated code in the repository is what the SDK of the engine generates.
func TestGeneratedCodeIsTheSDKs(t *testing.T) {
	if !daggerOne(t) {
		t.Skip("SKIPPED: Dagger 0.21 generates the code itself, and not the same: put a dagger of version 1.0 on the PATH")
	}
	root, err := filepath.Abs("../../..")
	require.NoError(t, err)
	out := t.TempDir()
	cmd := exec.Command("dagger", "--progress=plain", "-m", "core", "api", "call",
		"module-source", "--ref-string", root, "generated-context-directory", "export", "--path", out)
	said, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", said)
	for _, name := range []string{"dagger.gen.go", "internal/dagger/dagger.gen.go", "internal/dagger/slipway.gen.go"} {
		got, err := os.ReadFile(filepath.Join(root, "ci", name))
		require.NoError(t, err)
		want, err := os.ReadFile(filepath.Join(out, "ci", name))
		if os.IsNotExist(err) { // the engine returns what differs
			continue
		}
		require.NoError(t, err)
		assert.Equal(t, string(want), string(got), "%s: %s", name, regenerate)
	}
}
