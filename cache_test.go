package slipway_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway"
	"github.com/slipway-ci/slipway/internal/test/registrytest"
)

// A source of which only some files are brought here has the same results as one that is here: what it embeds counts, too.
func TestResultsOfFetchedSource(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":   "module example.com/fetched\n\ngo 1.26.8\n",
		"main.go":  "package main\n\nimport _ \"embed\"\n\n//go:embed text.txt\nvar text string\n\nfunc main() { println(text) }\n",
		"text.txt": "one",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	cache := "oci:" + filepath.Join(t.TempDir(), "cache")
	run := func(fetched bool) slipway.PlatformImage {
		t.Setenv("XDG_CACHE_HOME", t.TempDir())
		t.Setenv("LocalAppData", t.TempDir())
		b := builder(t)
		images := planned(t, dir, &slipway.Files{}, func(r *slipway.Request) {
			r.All, r.Output, r.Settings.Cache = false, filepath.Join(t.TempDir(), "out.tar"), cache
			if fetched {
				r.Dir = t.TempDir()
				r.Fetch = func(_ context.Context, patterns []string) error {
					for _, name := range []string{"go.mod", "main.go", "text.txt"} {
						wanted := name != "text.txt"
						for _, pattern := range patterns {
							wanted = wanted || pattern == name
						}
						text, err := os.ReadFile(filepath.Join(dir, name))
						if err == nil && wanted {
							err = os.WriteFile(filepath.Join(r.Dir, name), text, 0o644)
						}
						if err != nil {
							return err
						}
					}
					return nil
				}
			}
		})
		results := b.Build(t.Context(), images)
		require.NoError(t, slipway.Failures(results))
		return results[0].Platforms[0]
	}
	first := run(false)
	assert.False(t, first.Cached)
	found := run(true)
	assert.True(t, found.Cached)
	assert.Equal(t, first.Digest, found.Digest)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "text.txt"), []byte("two"), 0o644))
	assert.NotEqual(t, first.Digest, run(true).Digest)
}

// A registry that has both the image and the cache gets each layer once: it mounts those of the cache from the image.
func TestCacheMountsLayers(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module example.com/mounted\n\ngo 1.26.8\n", "main.go": "package main\n\nfunc main() { println(\"mounted\") }\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("LocalAppData", t.TempDir())
	// This registry has the blobs of all repositories in one place, unlike others.
	r := registrytest.Start(t, registrytest.Fault{When: registrytest.On(http.MethodHead, "/v2/team/cache/blobs/"), Do: registrytest.Answer(http.StatusNotFound, "BLOB_UNKNOWN", "")})
	images := planned(t, dir, &slipway.Registry{}, func(request *slipway.Request) {
		request.All, request.Settings.Repository, request.Settings.Cache = false, r.Host+"/team/app", r.Host+"/team/cache"
	})
	results := builder(t).Build(t.Context(), images)
	require.NoError(t, slipway.Failures(results))
	layers := 0
	for _, request := range r.Requests() {
		if request.Method != http.MethodPost || request.Path != "/v2/team/cache/blobs/uploads/" {
			continue
		}
		if strings.Contains(request.Query, "from=team%2Fapp") && strings.Contains(request.Query, "mount=sha256%3A") {
			layers++
		}
	}
	assert.Positive(t, layers)
}
