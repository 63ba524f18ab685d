//go:build unix

package source_test

import (
	"net"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/source"
)

// Without the mend, opening the pipe waits for a writer for ever.
func TestPipesAndSocketsAreRefusedAtOnce(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o644))
	socket, err := net.Listen("unix", filepath.Join(dir, "socket"))
	require.NoError(t, err)
	defer socket.Close()
	tree := open(t, dir)
	_, err = tree.ReadFile("pipe")
	assert.ErrorIs(t, err, source.ErrIrregular)
	_, err = tree.ReadFile("socket")
	assert.Error(t, err)
	content, err := source.ReadFile(filepath.Join(dir, "pipe"))
	assert.NoError(t, err)
	assert.Empty(t, content, "nobody writes to it")
}
