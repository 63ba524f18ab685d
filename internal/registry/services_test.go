package registry_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/registry"
	"github.com/slipway-ci/slipway/internal/test/registrytest"
)

// A registry whose name means nothing to the network is reached by its address, without TLS and past proxies, with the login of its name.
func TestServices(t *testing.T) {
	host := registrytest.StartDistribution(t, true)
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	login, err := registry.LoginConfig("registry.test:5000/team/app", registrytest.User, registrytest.Password)
	require.NoError(t, err)
	registrytest.NoLogin(t)
	client := newClient(t, registry.Options{
		Services: map[string]string{"registry.test:5000": host}, Credentials: []registry.Credentials{{Config: login, From: "with-login"}},
	})
	pushed, err := push(t.Context(), client, registry.Target{Repository: "registry.test:5000/team/app", Tags: []string{"v1"}}, twoPlatforms(t))
	require.NoError(t, err)
	assert.Equal(t, "registry.test:5000/team/app", pushed.Context().Name())
	got, err := client.Get(t.Context(), parse(t, "registry.test:5000/team/app:v1"))
	require.NoError(t, err)
	assert.Equal(t, pushed.DigestStr(), got.Digest.String())

	registrytest.Login(t, host, registrytest.User, registrytest.Password)
	stored, err := newClient(t, registry.Options{}).Get(t.Context(), parse(t, host+"/team/app:v1"))
	require.NoError(t, err)
	assert.Equal(t, got.Digest, stored.Digest)
	_, err = newClient(t, registry.Options{Bounds: registry.Bounds{Tries: 1}}).Get(t.Context(), parse(t, "registry.test:5000/team/app:v1"))
	require.Error(t, err, "it is a name for that client alone")
}
