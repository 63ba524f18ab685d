package dagger_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/test/daggertest"
)

// A prebuild runs in its own image, with its caches, the whole source but for its outputs, and no logins; of its source, the builder gets
// the outputs alone.
func TestPrebuild(t *testing.T) {
	t.Setenv("NETRC", "/nowhere")
	dir := program(t)
	p := resolve(t, dir, plan.Config{
		Runtime: "scratch", Platforms: []string{"linux/amd64"}, RunPrebuild: true, Prebuild: []string{"pnpm", "build"}, PrebuildImage: "node:24.4.1",
		PrebuildOutputs: []string{"web/dist", "page.html"}, PrebuildCaches: []string{"/root/.npm"},
	})
	recorded := daggertest.Start(t, compiles(dir, p))
	result, err := build.BuildOne(t.Context(), newEngine(t), dir, p, build.Discard)
	require.NoError(t, err)
	require.NoError(t, result.Close())

	outputs := []any{"page.html", "web/dist"}
	chain := exports(t, recorded)["amd64"]
	sources := chain.Named("withDirectory")
	source := sources[len(sources)-1].Args["source"].(daggertest.Chain)
	assert.Equal(t, outputs, source.Named("filter")[0].Args["exclude"], "what the source has of them is not compiled")
	checked := source.Named("withDirectory")[0].Args["source"].(daggertest.Chain)
	require.Len(t, execs(checked), 1)
	assert.Equal(t, []string{"sh", "page.html", "web/dist"}, execs(checked)[0][3:])
	made := checked.Named("withDirectory")[0].Args["source"].(daggertest.Chain)
	assert.Equal(t, outputs, made.Named("filter")[0].Args["include"])
	assert.Equal(t, [][]string{{"pnpm", "build"}}, execs(made))
	assert.Equal(t, "docker.io/library/node:24.4.1", made.Named("from")[0].Args["address"])
	require.Len(t, made.Named("withMountedCache"), 1)
	cache := made.Named("withMountedCache")[0]
	assert.Equal(t, "/root/.npm", cache.Args["path"])
	assert.Equal(t, "prebuild:example.com/app:/root/.npm", cache.Args["cache"].(daggertest.Chain)[0].Args["key"])
	all := made.Named("withDirectory")[0].Args["source"].(daggertest.Chain)
	assert.Equal(t, outputs, all.Named("filter")[0].Args["exclude"])
	for _, private := range []string{"withMountedSecret", "withSecretVariable", "withUnixSocket", "withEnvVariable"} {
		assert.Empty(t, made.Named(private))
	}
}

func TestFailedPrebuild(t *testing.T) {
	dir := program(t)
	p := resolve(t, dir, plan.Config{
		Runtime: "scratch", Platforms: []string{"linux/amd64"}, RunPrebuild: true, Prebuild: []string{"pnpm", "build"}, PrebuildImage: "node:24.4.1", PrebuildOutputs: []string{"web"},
	})
	daggertest.Start(t, func(c daggertest.Chain) (any, error) {
		if len(c.Named("withExec"))+len(c.Named("withDirectory")) == 0 {
			return nil, nil // the source
		}
		return nil, &daggertest.ExecFailure{Cmd: p.Prebuild.Command, ExitCode: 7, Stderr: "no lockfile"}
	})
	_, err := build.BuildOne(t.Context(), newEngine(t), dir, p, build.Discard)
	require.ErrorContains(t, err, "running the prebuild: the command pnpm failed (exit status 7):\nno lockfile")
}
