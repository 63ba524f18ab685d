package slipway_test

import (
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway"
	"github.com/slipway-ci/slipway/internal/registry"
	"github.com/slipway-ci/slipway/internal/test/registrytest"
)

// The image of a tool of checks is pinned where it can be had, and no build and no check needs it.
func TestLockOfTools(t *testing.T) {
	host := registrytest.Start(t).Host
	put := func(image string) {
		img, err := random.Image(100, 1)
		require.NoError(t, err)
		ref, err := name.ParseReference(host + "/" + image)
		require.NoError(t, err)
		require.NoError(t, remote.Write(ref, img))
	}
	client, err := registry.New(registry.Options{Mirrors: []string{"docker.io=" + host}, Bounds: registry.Bounds{Tries: 1}})
	require.NoError(t, err)
	t.Cleanup(client.Close)
	b := builder(t)
	reported := &notes{}
	b.Client, b.Report = client, slipway.Warnings(reported.Warn)
	dir := shop(t, "")
	request := func() *slipway.Request {
		r := &slipway.Request{Dir: dir}
		r.Settings.Runtime, r.Settings.Packages = "scratch", []string{"./api"}
		return r
	}
	tool := func() string {
		p, err := request().PlanChecks(t.Context())
		require.NoError(t, err)
		lint, _ := p.Check("lint")
		return lint.Tool.Image
	}
	lock := func() string {
		images, err := request().PlanUnlocked(t.Context())
		require.NoError(t, err)
		locks, err := b.Lock(t.Context(), images)
		require.NoError(t, err)
		require.NoError(t, locks[0].Write())
		return locks[0].Text
	}

	image := strings.TrimPrefix(tool(), "docker.io/")
	assert.Regexp(t, `^golangci/golangci-lint:v[0-9.]+$`, image, "without a lock, the release is named by its tag")
	put("library/golang:1.26.8-alpine")
	assert.NotContains(t, lock(), "golangci")
	require.Len(t, reported.text, 1)
	assert.Contains(t, reported.text[0], "warning: docker.io/"+image+" is not pinned, so checks on a Dagger engine compile its program: ")
	assert.NotContains(t, reported.text[0], "delete it")
	assert.Empty(t, tool())

	put(image)
	digest := digestOf(t, host+"/"+image)
	assert.Contains(t, lock(), "docker.io/"+image+" "+digest+"\n")
	assert.Len(t, reported.text, 1)
	assert.Equal(t, "docker.io/"+image+"@"+digest, tool())
	images, err := request().Plan(t.Context())
	require.NoError(t, err)
	assert.True(t, strings.HasSuffix(images[0].Plan.Builder, digestOf(t, host+"/library/golang:1.26.8-alpine")))
}
