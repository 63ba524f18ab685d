package slipway_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/test/registrytest"
)

// What is known of a source that is elsewhere is enough to fetch it and to build it again. A base that is a file must be in it.
func TestRecipeOfFetchedSource(t *testing.T) {
	elsewhere, b := shop(t, ""), builder(t)
	base := planned(t, elsewhere, &slipway.Files{}, func(r *slipway.Request) {
		r.All, r.Settings.Packages, r.Output = false, []string{"./web"}, filepath.Join(elsewhere, "base.tar")
	})
	require.NoError(t, slipway.Failures(b.Build(t.Context(), base)))
	dir, reference := t.TempDir(), registrytest.Start(t).Host+"/api"
	images := planned(t, dir, &slipway.Registry{Provenance: true}, func(r *slipway.Request) {
		r.All, r.Directory, r.Fetch = false, "services/shop", func(_ context.Context, patterns []string) error {
			if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
				return nil
			}
			return os.CopyFS(dir, os.DirFS(elsewhere))
		}
		r.Settings.Packages, r.Settings.Runtime, r.Settings.Base = []string{"./api"}, "", "oci-archive:base.tar"
		r.Settings.Repository, r.Settings.Revision = reference, "0123456789012345678901234567890123456789"
		r.Settings.Labels = []string{"org.opencontainers.image.source=https://git.example.com/shop"}
	})
	b.Bases.Dir = dir
	require.NoError(t, slipway.Failures(b.Build(t.Context(), images)))
	b.Bases.Dir = ""
	ref, err := name.ParseReference(reference)
	require.NoError(t, err)
	recipe, err := b.Recipe(t.Context(), ref, nil)
	require.NoError(t, err)
	assert.Equal(t, "https://git.example.com/shop", recipe.Repository)
	assert.Equal(t, "0123456789012345678901234567890123456789", recipe.Revision)
	assert.Equal(t, "services/shop", recipe.Directory)

	require.NoError(t, os.Rename(filepath.Join(elsewhere, "base.tar"), filepath.Join(dir, "elsewhere.tar")))
	_, err = recipe.Plan(t.Context(), elsewhere, plan.Capabilities{})
	assert.ErrorContains(t, err, "finding the base oci-archive:base.tar: ")
	assert.ErrorContains(t, err, "put it there, and give the source by --source")
	again, err := recipe.Plan(t.Context(), dir, plan.Capabilities{})
	require.NoError(t, err)
	results := b.Build(t.Context(), again)
	require.NoError(t, slipway.Failures(results))
	assert.True(t, results[0].Reproduction.Equal)
}
