package registry_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/registry"
	"github.com/slipway-ci/slipway/internal/test/registrytest"
)

// Any answer of a registry will do, whatever it says.
func TestReach(t *testing.T) {
	refusing := registrytest.Start(t, registrytest.Fault{When: registrytest.On("", "/"), Do: registrytest.Answer(503, "UNAVAILABLE", "come back later")}).Host
	private := registrytest.StartDistribution(t, true)
	registrytest.NoLogin(t)
	client := newClient(t, registry.Options{Services: map[string]string{"registry.test:5000": private}})
	for _, host := range []string{refusing, private, "registry.test:5000"} {
		assert.NoError(t, client.Reach(t.Context(), host+"/team/app"), host)
	}
	down := registrytest.FreeAddress(t)
	assert.ErrorContains(t, client.Reach(t.Context(), down+"/team/app"), down)
	assert.Error(t, client.Reach(t.Context(), "Not A Repository"))
}

func TestClientLogin(t *testing.T) {
	registrytest.NoLogin(t)
	login, err := registry.LoginConfig("r.example/team/app", "me", "a:b")
	require.NoError(t, err)
	client := newClient(t, registry.Options{Credentials: []registry.Credentials{
		{Config: login, From: "with-login"}, {Config: `{"auths":{"token.example":{"identitytoken":"x"}}}`, From: "--registry-config"},
	}})
	for repository, want := range map[string]string{"r.example/team/app": "me a:b", "other.example/app": " ", "token.example/app": " "} {
		user, password, err := client.Login(t.Context(), repository)
		require.NoError(t, err)
		assert.Equal(t, want, user+" "+password)
	}
}
