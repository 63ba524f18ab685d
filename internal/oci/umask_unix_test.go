//go:build unix

package oci

import (
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Not parallel: the umask is that of the process.
func TestUmaskDoesNotMatter(t *testing.T) {
	digests := map[string]bool{}
	for _, mask := range []int{0, 0o027, 0o077} {
		old := syscall.Umask(mask)
		l := newLayer(t, sampleFiles()...)
		path := filepath.Join(t.TempDir(), "image.tar")
		err := WriteArchive(t.Context(), path, imageOf(t, amd64, l), "v1")
		syscall.Umask(old)
		require.NoError(t, err)
		digests[fileDigest(t, path)] = true
	}
	assert.Len(t, digests, 1)
}

func makePipe(name string) error { return syscall.Mkfifo(name, 0o644) }
