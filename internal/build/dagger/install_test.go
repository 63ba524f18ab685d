package dagger_test

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/build/dagger"
	"github.com/slipway-ci/slipway/internal/build/dagger/session"
	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/test/daggertest"
	"github.com/slipway-ci/slipway/internal/test/enginetest"
)

// Packages are installed by the engine, as the plan says. What that adds to the base is a layer of the image, below those with files, and
// what files are added to, such as the list of users, is what it left.
func TestPackagesAreInstalled(t *testing.T) {
	dir := program(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.com/app\n\ngo 1.26.8\n"), 0o644))
	store, err := cache.Open(t.TempDir())
	require.NoError(t, err)
	layout, err := (&oci.Bases{Cache: store}).Resolve(t.Context(), "oci:"+enginetest.WriteBase(t, []enginetest.Entry{
		enginetest.Directory("etc/", 0o755, 0), enginetest.Regular("etc/passwd", 0o644, 0, "root:x:0:0::/:\n"), enginetest.Regular("gone", 0o644, 0, ""),
	}))
	require.NoError(t, err)
	base, err := layout.Image(v1.Platform{OS: "linux", Architecture: "amd64"})
	require.NoError(t, err)
	require.NoError(t, oci.WriteArchive(t.Context(), filepath.Join(dir, "base.tar"), base, ""))
	p := resolve(t, dir, plan.Config{Runtime: "alpine", Base: "oci-archive:base.tar", RuntimePackages: []string{"curl"}, Platforms: []string{"linux/amd64"}})

	compiled := compiles(dir, p)
	recorded := daggertest.Start(t, func(c daggertest.Chain) (any, error) {
		if len(c.Named("asTarball")) == 0 {
			return compiled(c)
		}
		installed, err := mutate.AppendLayers(base, tarLayer(t, "usr/bin/curl", "curl", "etc/passwd", "root:x:0:0::/:\ncurl:x:7:7::/:\n", ".wh.gone", ""))
		require.NoError(t, err)
		file := c[len(c)-1].Args["path"].(string)
		return file, oci.WriteArchive(t.Context(), file, installed, "")
	})
	client := connect(t)
	engine := session.Of(func(p *plan.Plan) *dagger.Build {
		return dagger.New(client, client.Host().Directory(dir), p, dagger.Private{})
	}, &oci.Bases{Cache: store, Dir: dir})
	result, err := build.BuildOne(t.Context(), engine, dir, p, build.Discard)
	require.NoError(t, err)
	defer func() { assert.NoError(t, result.Close()) }()

	files := enginetest.Files(t, result.Images[0])
	assert.Equal(t, "curl", files["/usr/bin/curl"].Content)
	assert.Contains(t, files["/etc/passwd"].Content, "curl:x:7:7::/:\napp:x:1000:1000:")
	assert.NotContains(t, files, "/gone")
	assert.Contains(t, files, "/app/app")
	config, err := result.Images[0].ConfigFile()
	require.NoError(t, err)
	var history []string
	for _, h := range config.History {
		history = append(history, h.CreatedBy)
	}
	assert.Equal(t, "slipway: packages", history[slices.IndexFunc(history, func(h string) bool { return h != "" })])

	at := slices.IndexFunc(recorded.Asked(), func(c daggertest.Chain) bool { return len(c.Named("asTarball")) > 0 })
	chain := recorded.Asked()[at]
	assert.Equal(t, "linux/amd64", chain[0].Args["platform"])
	assert.Len(t, chain.Named("import"), 1)
	assert.Equal(t, [][]string{p.Image.Install}, execs(chain))
}

// tarLayer is a layer of regular files, given as names and contents.
func tarLayer(t *testing.T, files ...string) v1.Layer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		require.NoError(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: files[i], Mode: 0o644, Size: int64(len(files[i+1]))}))
		_, err := io.WriteString(w, files[i+1])
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil }, tarball.WithMediaType(types.OCILayer))
	require.NoError(t, err)
	return layer
}
