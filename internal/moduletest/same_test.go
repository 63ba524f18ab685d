//go:build dagger_e2e

package moduletest

import (
	"os"
	"path/filepath"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/engine"
	"github.com/slipway-ci/slipway/engine/enginetest"
	"github.com/slipway-ci/slipway/engine/host"
	"github.com/slipway-ci/slipway/image"
	"github.com/slipway-ci/slipway/pipeline"
)

// The module's image is the host engine's but for times: the same configuration, and the same paths, modes, owners and
// content.
func TestSameImageAsOnTheHost(t *testing.T) {
	dir := user(t)
	archive := filepath.Join(t.TempDir(), "image.tar")
	_, said, err := call(t, dir, "call", "--runtime", "SCRATCH", "--ports", "8080", "--env", "A=b", "--args", "x",
		"--labels", "a.label=1", "--files", "README.md:/doc/:0600", "image-archive", "-o", archive)
	require.NoError(t, err, said)
	base, err := (&image.Bases{}).Resolve(t.Context(), "oci-archive:"+archive)
	require.NoError(t, err)

	plan, err := pipeline.Resolve(t.Context(), os.DirFS(dir), pipeline.Config{
		Runtime: "scratch", Ports: []string{"8080"}, Env: []string{"A=b"}, Args: []string{"x"},
		Labels: []string{"a.label=1"}, Files: []string{"README.md:/doc/:0600"},
	})
	require.NoError(t, err)
	built, err := host.New(&image.Bases{}, os.Environ()).Build(t.Context(), dir, plan, engine.Discard)
	require.NoError(t, err)
	defer func() { assert.NoError(t, built.Close()) }()
	for i, p := range plan.Platforms() {
		got, err := base.Image(v1.Platform{OS: p.OS, Architecture: p.Architecture})
		require.NoError(t, err)
		want := built.Images[i]
		gotConfig, err := got.ConfigFile()
		require.NoError(t, err)
		wantConfig, err := want.ConfigFile()
		require.NoError(t, err)
		assert.Equal(t, wantConfig.Config, gotConfig.Config)
		assert.Equal(t, files(t, want), files(t, got), p.String())
	}
}

// files are an image's files without their times.
func files(t *testing.T, img v1.Image) map[string]string {
	t.Helper()
	all := map[string]string{}
	for name, f := range enginetest.Files(t, img) {
		all[name] = f.Owned() + " " + f.Link + " " + f.Content
	}
	delete(all, "/")
	return all
}
