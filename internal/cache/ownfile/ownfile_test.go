package ownfile_test

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/cache/ownfile"
)

// Somebody's directory is moved aside with what is in it.
func TestMoveAsideKeepsDirectories(t *testing.T) {
	name := filepath.Join(t.TempDir(), "entry")
	require.NoError(t, os.MkdirAll(filepath.Join(name, "in"), 0o755))
	require.NoError(t, ownfile.Write(name, func(w io.Writer) error { _, err := io.WriteString(w, "content"); return err }))
	got, err := ownfile.Read(name)
	require.NoError(t, err)
	assert.Equal(t, "content", string(got))
	kept, err := filepath.Glob(filepath.Join(filepath.Dir(name), ".foreign-*", "entry", "in"))
	require.NoError(t, err)
	assert.Len(t, kept, 1)
}
