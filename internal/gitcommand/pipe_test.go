//go:build unix

package gitcommand_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/gitcommand"
)

// A pipe in the place of a file that git would read keeps nobody waiting.
func TestPipe(t *testing.T) {
	for _, name := range []string{"HEAD", "index", "config", "packed-refs", "info/exclude", "info/attributes"} {
		dir := newRepository(t)
		pipe := filepath.Join(dir, ".git", filepath.FromSlash(name))
		if err := os.Remove(pipe); err != nil {
			require.ErrorIs(t, err, os.ErrNotExist)
		}
		require.NoError(t, os.MkdirAll(filepath.Dir(pipe), 0o755))
		require.NoError(t, syscall.Mkfifo(pipe, 0o644))
		_, err := gitcommand.Open(t.Context(), dir)
		require.ErrorContains(t, err, "regular file", name)
	}
}
