package slipway_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway"
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
