package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFullCacheIsNamed(t *testing.T) {
	cache, err := os.UserCacheDir()
	require.NoError(t, err)
	full := func(path string) string {
		return message(fmt.Errorf("keeping a layer: %w", &fs.PathError{Op: "write", Path: path, Err: syscall.ENOSPC}))
	}
	require.Contains(t, full(filepath.Join(cache, "slipway", "blobs", "x")), "The disk of Slipway's cache")
	require.NotContains(t, full(filepath.Join(cache, "slipway", "blobs", "x")), "TMPDIR")
	require.NotContains(t, full("elsewhere"), "The disk of")
}
