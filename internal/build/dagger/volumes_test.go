package dagger_test

import (
	"strings"
	"testing"

	sdk "dagger.io/dagger"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/build/dagger"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/test/daggertest"
)

// A volume that is passed in is in the place of the plan's own, and the others stay.
func TestVolumes(t *testing.T) {
	dir := program(t)
	plan := resolve(t, dir, plan.Config{})
	recorded := daggertest.Start(t, func(daggertest.Chain) (any, error) { return "out", nil })
	client := connect(t)
	own := dagger.New(client, client.Host().Directory(dir), plan, dagger.Private{})
	build := own.WithVolumes(map[string]*sdk.CacheVolume{"GOCACHE": client.CacheVolume("mine")})
	require.NoError(t, build.Export(t.Context(), plan.Compile[0], t.TempDir()))
	queries := strings.Join(recorded.Queries(), "\n")
	assert.Contains(t, queries, `cacheVolume(key:"mine")`)
	assert.Contains(t, queries, `cacheVolume(key:"go-mod")`)
	assert.NotContains(t, queries, `cacheVolume(key:"go-build")`)
	require.NoError(t, own.Export(t.Context(), plan.Compile[0], t.TempDir()))
	assert.Contains(t, strings.Join(recorded.Queries(), "\n"), `cacheVolume(key:"go-build")`)
}
