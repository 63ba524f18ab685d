package host_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/test/enginetest"
	"github.com/slipway-ci/slipway/internal/test/testtool"
)

const embedding = "package main\n\nimport _ \"embed\"\n\n//go:embed dist/page.txt\nvar page string\n\nfunc main() { println(page) }\n"

// prebuilt is a build of a program that embeds what a prebuild makes.
func prebuilt(t *testing.T, dir string, script string, outputs ...string) (*build.Result, error) {
	t.Helper()
	testtool.Need(t, "sh", "dash")
	config := plan.Config{
		Runtime: "scratch", Platforms: []string{"linux/amd64"}, RunPrebuild: true, Prebuild: []string{"sh", "-c", script},
		PrebuildImage: "node:24.4.1", PrebuildOutputs: outputs,
	}
	config.Outputs = plan.Outputs{"dist/app.tar"}
	p, err := plan.Resolve(t.Context(), os.DirFS(dir), config)
	require.NoError(t, err)
	return build.BuildOne(t.Context(), newEngine(t), dir, p, build.Discard)
}

// What is made where Slipway writes, too, is compiled.
func TestPrebuildBesideOutputs(t *testing.T) {
	dir := writeTree(t, map[string]string{"go.mod": "module example.com/app\n\ngo 1.26.8\n", "main.go": embedding})
	require.NoError(t, os.Mkdir(filepath.Join(dir, "dist"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "dist", "app.tar"), []byte("an image"), 0o644))
	result, err := prebuilt(t, dir, "mkdir dist && echo it was made >dist/page.txt", "dist")
	require.NoError(t, err)
	assert.Contains(t, enginetest.Files(t, result.Images[0])["/app/app"].Content, "it was made")
	require.NoError(t, result.Close())
}

// A copy of the source may have links out of it: what is behind them is neither removed nor moved.
func TestPrebuildStaysInItsCopy(t *testing.T) {
	outside := t.TempDir()
	dir := writeTree(t, map[string]string{"go.mod": "module example.com/app\n\ngo 1.26.8\n", "main.go": "package main\n\nfunc main() {}\n"})
	kept := filepath.Join(outside, "dist", "kept")
	require.NoError(t, os.MkdirAll(filepath.Dir(kept), 0o755))
	require.NoError(t, os.WriteFile(kept, nil, 0o644))
	require.NoError(t, os.Symlink(outside, filepath.Join(dir, "web")))
	_, err := prebuilt(t, dir, "true", "web/dist")
	require.ErrorContains(t, err, "removing web/dist from a copy of the source")
	assert.FileExists(t, kept)

	require.NoError(t, os.Remove(filepath.Join(dir, "web")))
	_, err = prebuilt(t, dir, "ln -s "+outside+" web", "web/dist")
	require.ErrorContains(t, err, "taking web/dist from the prebuild")
	assert.FileExists(t, kept)
	_, err = prebuilt(t, dir, "ln -s "+outside+" web", "web")
	require.ErrorContains(t, err, "taking web from the prebuild: it is neither a file nor a directory")
}
