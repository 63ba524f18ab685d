//go:build dagger_e2e

package moduletest

import (
	"os"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/test/enginetest"
)

// A file by its URL is in the image when pin has recorded it, in the engine's container and in the module's image.
func TestDownloads(t *testing.T) {
	const url, want = "https://proxy.golang.org/golang.org/x/mod/@v/v0.20.0.mod", "module golang.org/x/mod"
	dir := user(t)
	settings := []string{"call", "--runtime", "SCRATCH", "--files", url + ":/doc/mod"}
	_, said, err := call(t, dir, append(slices.Clone(settings), "build", "sync")...)
	require.Error(t, err)
	assert.Contains(t, said, "call pin")
	lock, said, err := call(t, dir, append(slices.Clone(settings), "pin", "after", "file", "--path", "slipway.lock", "contents")...)
	require.NoError(t, err, said)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "slipway.lock"), []byte(lock), 0o644))

	out, said, err := call(t, dir, append(slices.Clone(settings), "build", "file", "--path", "/doc/mod", "contents")...)
	require.NoError(t, err, said)
	assert.Contains(t, out, want)
	archive := filepath.Join(t.TempDir(), "image.tar")
	_, said, err = call(t, dir, append(slices.Clone(settings), "image-archive", "-o", archive)...)
	require.NoError(t, err, said)
	base, err := (&oci.Bases{}).Resolve(t.Context(), "oci-archive:"+archive)
	require.NoError(t, err)
	img, err := base.Image(v1.Platform{OS: "linux", Architecture: goruntime.GOARCH})
	require.NoError(t, err)
	assert.Contains(t, enginetest.Files(t, img)["/doc/mod"].Content, want)
}
