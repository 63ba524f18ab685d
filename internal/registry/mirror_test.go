package registry_test

import (
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/registry"
	"github.com/slipway-ci/slipway/internal/test/registrytest"
)

func TestMirrors(t *testing.T) {
	registrytest.NoLogin(t)
	empty, full := registrytest.Start(t), registrytest.Start(t)
	image := put(t, full.Host+"/hub/library/alpine:3.22")
	client := newClient(t, registry.Options{Mirrors: []string{
		"docker.io=" + empty.Host,
		"docker.io=http://" + full.Host + "/hub/",
		"ghcr.io=" + empty.Host,
	}})
	for _, reference := range []string{"alpine:3.22", "docker.io/library/alpine:3.22", "alpine@" + digestOf(t, image)} {
		empty.Forget()
		full.Forget()
		desc, err := client.Get(t.Context(), parse(t, reference))
		require.NoError(t, err)
		require.Equal(t, digestOf(t, image), desc.Digest.String())
		require.Len(t, empty.Requests(), 1, "the first mirror is asked first")
		require.Contains(t, full.Requests()[0].Path, "/v2/hub/library/alpine/manifests/")
		pulled, err := desc.Image()
		require.NoError(t, err)
		layers, err := pulled.Layers()
		require.NoError(t, err)
		require.Equal(t, full.Host, layers[0].(*remote.MountableLayer).Reference.Context().RegistryStr(),
			"a layer is mounted from where it lies")
	}
}

func TestMirrorsThenOriginal(t *testing.T) {
	registrytest.NoLogin(t)
	mirror, original := registrytest.Start(t), registrytest.Start(t)
	image := put(t, original.Host+"/app:v1")
	client := newClient(t, registry.Options{Mirrors: []string{original.Host + "=" + mirror.Host}})

	desc, err := client.Get(t.Context(), parse(t, original.Host+"/app:v1"))
	require.NoError(t, err)
	require.Equal(t, digestOf(t, image), desc.Digest.String())

	_, err = client.Get(t.Context(), parse(t, original.Host+"/app:v2"))
	lines := strings.Split(err.Error(), "\n")
	require.Len(t, lines, 2)
	require.Contains(t, lines[0], original.Host+"/app:v2")
	require.Contains(t, lines[1], mirror.Host+"/app:v2")
}

func TestMirrorFaults(t *testing.T) {
	for value, says := range map[string]string{
		"docker.io":                            "write HOST=MIRROR[/PREFIX]",
		"docker.io=":                           "write HOST=MIRROR[/PREFIX]",
		"=mirror.example":                      "write HOST=MIRROR[/PREFIX]",
		"https://docker.io=mirror.example":     "write it without scheme and path",
		"docker.io/library=mirror.example":     "write it without scheme and path",
		"docker.io=http://":                    "no valid host",
		"docker.io=ftp://mirror.example":       "no valid host",
		"docker.io=mirror.example/Hub":         `the prefix "Hub" is not a repository path`,
		"docker.io=mirror.example/a/../b":      `the prefix "a/../b" is not a repository path`,
		"docker.io=https://me:pw@mirror.local": "give a login by docker login",
	} {
		_, err := registry.New(registry.Options{Mirrors: []string{value}})
		require.ErrorContains(t, err, says, value)
		require.ErrorContains(t, err, `mirror "`)
		require.NotContains(t, err.Error(), "me:pw")
	}
	_, err := registry.New(registry.Options{Mirrors: []string{"one", "a.example=b.example", "two"}})
	require.ErrorContains(t, err, `mirror "one"`)
	require.ErrorContains(t, err, `mirror "two"`)
}
