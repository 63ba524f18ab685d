package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestFilesInTheRepositoryAreCurrent(t *testing.T) {
	for path, content := range files {
		want, err := content()
		require.NoError(t, err)
		got, err := os.ReadFile(filepath.Join("../../..", filepath.FromSlash(path)))
		require.NoError(t, err)
		assert.Equal(t, string(want), string(got), "%s: run go generate ./internal/config", path)
	}
}
