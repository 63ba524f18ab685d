package registry_test

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/registry"
	"github.com/slipway-ci/slipway/internal/test/registrytest"
)

// Logins that the caller gives come before those of files, in their order, and errors say which was used.
func TestGivenCredentials(t *testing.T) {
	host := registrytest.StartDistribution(t, true)
	login := func(password string) string {
		text, err := registry.LoginConfig(host+"/team/app", registrytest.User, password)
		require.NoError(t, err)
		return text
	}
	get := func(given ...registry.Credentials) string {
		_, err := newClient(t, registry.Options{Credentials: given}).Get(t.Context(), parse(t, host+"/team/app:v1"))
		require.Error(t, err)
		return err.Error()
	}
	other := registry.Credentials{Config: `{"auths":{"other.example":{"auth":"bWU6cHc="}}}`, From: "--registry-config"}
	registrytest.NoLogin(t)
	assert.Contains(t, get(other, registry.Credentials{Config: login(registrytest.Password), From: "--username"}), "MANIFEST_UNKNOWN")
	registrytest.Login(t, host, registrytest.User, registrytest.Password)
	assert.Contains(t, get(other), "MANIFEST_UNKNOWN", "files come after")
	wrong := get(registry.Credentials{Config: login("wrong-horse"), From: "--registry-config"}, registry.Credentials{Config: login(registrytest.Password)})
	assert.Contains(t, wrong, "401")
	assert.Contains(t, wrong, "with the credential from --registry-config")
	assert.NotContains(t, wrong, "wrong-horse")
	registrytest.NoLogin(t)
	assert.Contains(t, get(other), "no entry for "+host+" in --registry-config")
}

func TestLoginConfig(t *testing.T) {
	for repository, want := range map[string]string{
		"ghcr.io/me/app":   `{"auths":{"ghcr.io":{"auth":"bWU6YTpi"}}}`,
		"me/app":           `{"auths":{"docker.io":{"auth":"bWU6YTpi"}}}`,
		"r.example:5000/a": `{"auths":{"r.example:5000":{"auth":"bWU6YTpi"}}}`,
	} {
		text, err := registry.LoginConfig(repository, "me", "a:b")
		require.NoError(t, err)
		assert.Equal(t, want, text)
	}
	_, err := registry.LoginConfig("Not A Repository", "me", "x")
	assert.Error(t, err)
}

// What cannot be read is named by where it was given, and not quoted.
func TestUnreadableGivenCredentials(t *testing.T) {
	_, err := registry.New(registry.Options{
		Credentials: []registry.Credentials{{Config: `{"auths":{"a":{"auth":"c2VjcmV0!"}}}`, From: "--registry-config"}, {Config: `[hunter2]`, From: "another"}},
	})
	require.ErrorContains(t, err, "the credentials in --registry-config cannot be read: an auth in it is not in base64: give a docker config.json")
	require.ErrorContains(t, err, "the credentials in another cannot be read: it is not valid JSON")
	assert.NotContains(t, err.Error(), "hunter2")
}

// Roots are trusted for the registry, and only by the client that they were given to.
func TestRoots(t *testing.T) {
	registrytest.NoLogin(t)
	server := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	root := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	// The name is the certificate's, so that no client falls back to plain http.
	ref := parse(t, strings.TrimPrefix(server.URL, "https://")+"/app:v1")
	_, err := newClient(t, registry.Options{}).Get(t.Context(), ref)
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "404")
	_, err = newClient(t, registry.Options{Roots: root}).Get(t.Context(), ref)
	assert.ErrorContains(t, err, "404")
	_, err = registry.New(registry.Options{Roots: "no certificate"})
	assert.ErrorContains(t, err, "reading root certificates")
}
