package dagger_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/attest/provenance"
	"github.com/slipway-ci/slipway/internal/build/dagger"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/publish/target"
	"github.com/slipway-ci/slipway/internal/test/daggertest"
)

// Proof is pushed by the command, with the image of all platforms. Secrets are in no argument and no plain variable, no source
// but go.mod is there, and every publishing runs.
func TestPublishWithProof(t *testing.T) {
	dir := program(t)
	plan := resolve(t, dir, plan.Config{})
	compiled := compiles(dir, plan)
	recorded := daggertest.Start(t, func(c daggertest.Chain) (any, error) {
		if found, ok := located(c); ok {
			return found, nil
		}
		switch last := c[len(c)-1]; last.Name {
		case "plaintext":
			return "hunter2", nil
		case "imageRef":
			return c.Named("from")[0].Args["address"].(string) + "@sha256:" + strings.Repeat("b", 64), nil
		case "stdout":
			return "registry.example/team/app@sha256:abc\n", nil
		}
		return compiled(c)
	})
	client := connect(t)
	build := dagger.New(client, client.Host().Directory(dir), plan, dagger.Private{})
	to := target.Target{Repository: "registry.example/team/app", Tags: []string{"v1", "v2"}}
	publish := func() daggertest.Chain {
		ref, err := build.PublishWithProof(t.Context(), to, &dagger.Login{User: "me", Password: client.SetSecret("password", "hunter2")}, dagger.Proof{
			Slipway: client.Directory().WithNewFile("go.mod", "module slipway"), SBOM: "spdx", Provenance: &provenance.Build{},
			Key: client.SetSecret("key", "BEGIN KEY"), Password: client.SetSecret("key-password", "sesame"),
		})
		require.NoError(t, err)
		assert.Equal(t, "registry.example/team/app@sha256:abc", ref)
		asked := recorded.Asked()
		return asked[len(asked)-1]
	}
	chain := publish()
	assert.Equal(t, [][]string{{
		"slipway", "publish", "--progress", "plain", "--repository", "registry.example/team/app", "--sbom", "spdx", "--tag", "v1", "--tag", "v2",
		"--predicate", "predicate.json", "--sign-key", "env:SIGN_KEY", "app.tar",
	}}, execs(chain))
	var secrets []any
	for _, call := range chain.Named("withSecretVariable") {
		secrets = append(secrets, call.Args["name"])
	}
	assert.Equal(t, []any{"DOCKER_AUTH_CONFIG", "SIGN_KEY", "COSIGN_PASSWORD"}, secrets)
	archive := chain.Named("withMountedFile")[0].Args["source"].(daggertest.Chain)
	assert.Len(t, archive.Named("asTarball")[0].Args["platformVariants"], 2)
	caches := chain.Named("withMountedCache")
	kept := caches[len(caches)-1]
	assert.Equal(t, "slipway", kept.Args["cache"].(daggertest.Chain)[0].Args["key"])
	assert.Equal(t, kept.Args["path"], variable(chain, "XDG_CACHE_HOME"))
	source := chain.Named("withDirectory")[0].Args["source"].(daggertest.Chain)
	assert.Equal(t, []any{"go.mod"}, source.Named("filter")[0].Args["include"])
	predicate := chain.Named("withNewFile")[0].Args["contents"].(string)
	assert.Contains(t, predicate, `"https://github.com/slipway-ci/slipway/engine/dagger"`)
	assert.Contains(t, predicate, `{"name":"base","uri":"oci://`+plan.Image.Base+`","digest":{"sha256":"bbbb`)
	assert.Contains(t, predicate, `{"name":"builder","uri":"oci://`+plan.Builder+`","digest":{"sha256":"bbbb`)
	assert.NotEqual(t, variable(chain, "STARTED_AT"), variable(publish(), "STARTED_AT"))
	command := chain.Named("withFile")[0].Args["source"].(daggertest.Chain)
	assert.Equal(t, [][]string{{"go", "build", "-trimpath", "-buildvcs=false", "-o", "/usr/local/bin/slipway", "./cmd/slipway"}}, execs(command))
	for _, query := range recorded.Queries() {
		for _, secret := range []string{"hunter2", "BEGIN KEY", "sesame", "bWU6aHVudGVyMg"} {
			assert.False(t, strings.Contains(query, secret) && !strings.Contains(query, "setSecret("), query)
		}
	}
}

// variable is the value that a container's variable is given last; nil for none.
func variable(c daggertest.Chain, name string) (value any) {
	for _, call := range c.Named("withEnvVariable") {
		if call.Args["name"] == name {
			value = call.Args["value"]
		}
	}
	return value
}
