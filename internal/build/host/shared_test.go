package host_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/build/gocache"
	"github.com/slipway-ci/slipway/internal/build/host"
	"github.com/slipway-ci/slipway/internal/build/slot"
	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/plan"
)

// output is what steps write.
type output struct {
	mu sync.Mutex
	strings.Builder
}

func (o *output) Step(string, string) build.Step { return o }
func (o *output) End(error)                      {}
func (o *output) Part(build.Part)                {}
func (o *output) Skip(build.Skipped)             {}
func (o *output) Progress(build.Progress)        {}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.Builder.Write(p)
}

// The Go command itself takes what another machine compiled, and the image is the same. The machine compiles what is new alone, which
// saves the other one that.
func TestSharedPackages(t *testing.T) {
	dir := writeTree(t, map[string]string{
		"go.mod": "module example.com/hello\n\ngo 1.26\n", "main.go": "package main\n\nimport \"example.com/hello/text\"\n\nfunc main() { println(text.Text) }\n",
	})
	require.NoError(t, os.Mkdir(filepath.Join(dir, "text"), 0o755))
	edit := func(text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "text", "text.go"), []byte("package text\n\nconst Text = \""+text+"\"\n"), 0o644))
	}
	edit("one")
	layout := filepath.Join(t.TempDir(), "cache")
	repository, err := slot.Open("oci:"+layout, nil)
	require.NoError(t, err)
	var digest string
	// builds builds on a machine whose Go cache is in that directory, and reports its steps.
	builds := func(goCache string, shared bool) string {
		t.Helper()
		e, sharing := newMachine(t, repository, "GOCACHE="+goCache)
		if shared {
			e = sharing
		}
		p, err := plan.Resolve(t.Context(), os.DirFS(dir), plan.Config{Runtime: "scratch", Platforms: []string{"linux/amd64"}, Go: "1.26.8"})
		require.NoError(t, err)
		var report output
		built, err := build.BuildOne(t.Context(), e, dir, p, &report)
		require.NoError(t, err)
		is, err := built.Artifact.Digest()
		require.NoError(t, err)
		require.NoError(t, built.Close())
		digest = is.String()
		return report.String()
	}
	out, err := exec.Command("go", "env", "GOCACHE").Output()
	require.NoError(t, err)
	warm := strings.TrimSpace(string(out))
	builds(warm, true)
	plain := digest
	blobs := func() int {
		names, err := filepath.Glob(filepath.Join(layout, "blobs", "sha256", "*"))
		require.NoError(t, err)
		return len(names)
	}
	before := blobs()

	cold := filepath.Join(t.TempDir(), "cold")
	assert.Contains(t, builds(cold, true), "MB of compiled packages come from shared")
	assert.Equal(t, plain, digest)
	objects, err := filepath.Glob(filepath.Join(cold, "*", "*-d"))
	require.NoError(t, err)
	for _, name := range objects { // the Go command lists packages, too, and keeps what it saw
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		assert.False(t, strings.HasPrefix(string(text), "!<arch>"), "no package was compiled or taken over")
	}

	edit("two")
	builds(filepath.Join(t.TempDir(), "cold"), true)
	edited := digest
	assert.NotEqual(t, plain, edited)
	assert.Equal(t, before+1, blobs(), "the blob of what is new, beside the one that stays")
	builds(warm, false)
	assert.Equal(t, edited, digest, "the digest is that of a build without the cache")
}

// newMachine returns the engine of a machine without caches of Slipway, and the one that shares by a repository what it compiles.
func newMachine(t *testing.T, repository slot.Repository, environ ...string) (bare, sharing *host.Engine) {
	t.Helper()
	store, err := cache.Open(t.TempDir())
	require.NoError(t, err)
	bare = host.New(&oci.Bases{Cache: store}, append(os.Environ(), environ...))
	return bare, bare.Sharing(func(string) *gocache.Cache {
		return &gocache.Cache{
			Repository: repository, Name: "shared", Branches: []string{"main"}, Local: store, Warn: func(text string) { t.Error(text) },
		}
	})
}
