//go:build dagger_e2e

package moduletest

import (
	"crypto/rand"
	"os"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/attest"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/registry"
	"github.com/slipway-ci/slipway/internal/test/enginetest"
	"github.com/slipway-ci/slipway/internal/test/registrytest"
)

// Functions that change settings chain.
func TestModifiers(t *testing.T) {
	out, said, err := call(t, user(t), "call", "--user", "4000:4000", "with-runtime", "--runtime", "ALPINE", "with-platforms", "--platforms", "linux/arm/v7",
		"with-runtime", "--runtime", "SCRATCH", "plan", "--as-json")
	require.NoError(t, err, said)
	for _, want := range []string{`"runtime": "scratch"`, `"user": "4000:4000"`, `"GOARM": "7"`} {
		assert.Contains(t, out, want)
	}
	assert.NotContains(t, out, `"GOARCH": "amd64"`)
}

// A container can be the base, in place of an image's name: the image has its files, and its platform.
func TestBaseContainer(t *testing.T) {
	dir := user(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".dockerignore"), []byte("*.tar\n"), 0o644))
	base := []string{"call", "with-base", "--container", "alpine:3.23.5"}
	archive := filepath.Join(t.TempDir(), "image.tar")
	_, said, err := call(t, dir, append(slices.Clone(base), "image-archive", "-o", archive)...)
	require.NoError(t, err, said)
	found, err := (&oci.Bases{}).Resolve(t.Context(), "oci-archive:"+archive)
	require.NoError(t, err)
	platform := v1.Platform{OS: "linux", Architecture: goruntime.GOARCH}
	img, err := found.Image(platform)
	require.NoError(t, err)
	files := enginetest.Files(t, img)
	assert.Contains(t, files["/etc/os-release"].Content, "Alpine")
	assert.Contains(t, files, "/app/http-server")
	assert.NotContains(t, files, "/slipway-base.tar")
	config, err := img.ConfigFile()
	require.NoError(t, err)
	assert.Equal(t, platform.Architecture, config.Architecture)

	out, said, err := call(t, dir, append(slices.Clone(base), "build", "file", "--path", "/etc/os-release", "contents")...)
	require.NoError(t, err, said)
	assert.Contains(t, out, "Alpine")
	_, said, err = call(t, dir, append(slices.Clone(base), "with-platforms", "--platforms", "linux/s390x", "image-archive", "size")...)
	require.Error(t, err)
	assert.Contains(t, said, "it has no image for linux/s390x, only for")
}

// Volumes can be passed in for what is downloaded and compiled: what one call leaves there another finds, and nobody else does.
func TestCaches(t *testing.T) {
	dir := user(t)
	volume := "slipway-e2e-" + strings.ToLower(rand.Text())
	caches := []string{"with-caches", "--modules", volume + "-modules", "--compiled", volume}
	builder := func(with []string, script string) string {
		out, said, err := call(t, dir, slices.Concat([]string{"call"}, with, []string{"builder", "with-exec", "--args", "sh,-c," + script, "stdout"})...)
		require.NoError(t, err, said)
		return strings.TrimSpace(out)
	}
	marks := "ls $GOCACHE/" + volume + " $GOMODCACHE/" + volume + " 2>/dev/null | wc -l"
	builder(caches, "touch $GOCACHE/"+volume+" $GOMODCACHE/"+volume)
	assert.Equal(t, "2", builder(caches, marks))
	assert.Equal(t, "1", builder([]string{"with-caches", "--modules", volume + "-modules"}, marks))
	assert.Equal(t, "0", builder(nil, marks))
}

// A registry can be a service: here one of the caller's machine, on its loopback, which containers of the engine do not reach.
func TestRegistryService(t *testing.T) {
	host := registrytest.StartDistribution(t, true)
	t.Setenv("E2E_PASSWORD", registrytest.Password)
	dir := user(t)
	service := []string{"call", "--runtime", "SCRATCH", "with-registry-service", "--host", "registry.test:5000", "--service", "tcp://" + host}
	publish := []string{"publish", "--repository", "registry.test:5000/team/app", "--tags", "v1", "reference"}
	out, said, err := call(t, dir, slices.Concat(service, []string{"with-login", "--username", registrytest.User, "--password", "env:E2E_PASSWORD"}, publish)...)
	require.NoError(t, err, said)
	repository, digest, _ := strings.Cut(strings.TrimSpace(out), "@")
	assert.Equal(t, "registry.test:5000/team/app", repository)
	registrytest.Login(t, host, registrytest.User, registrytest.Password)
	client, err := registry.New(registry.Options{})
	require.NoError(t, err)
	defer client.Close()
	ref, err := name.ParseReference(host + "/team/app:v1")
	require.NoError(t, err)
	stored, err := client.Get(t.Context(), ref)
	require.NoError(t, err)
	assert.Equal(t, digest, stored.Digest.String())

	_, said, err = call(t, dir, slices.Concat(service, publish)...)
	require.Error(t, err)
	assert.Contains(t, said, "give a login that it accepts, by with-login or --registry-config")
}

// An image that has not changed comes from the cache of another call, to the byte.
func TestCacheInRegistry(t *testing.T) {
	host := registrytest.StartDistribution(t, true)
	t.Setenv("E2E_PASSWORD", registrytest.Password)
	dir := user(t)
	registrytest.Login(t, host, registrytest.User, registrytest.Password)
	client, err := registry.New(registry.Options{})
	require.NoError(t, err)
	defer client.Close()
	publish := func(mode, repository string) (digest string, cached any) {
		out, said, err := call(t, dir, "call", "--runtime", "SCRATCH", "with-registry-service", "--host", "registry.test:5000", "--service", "tcp://"+host,
			"with-login", "--username", registrytest.User, "--password", "env:E2E_PASSWORD", "with-cache", "--repository", "registry.test:5000/team/cache",
			"--mode", mode, "publish", "--repository", "registry.test:5000/"+repository, "reference")
		require.NoError(t, err, said)
		_, digest, _ = strings.Cut(strings.TrimSpace(out), "@")
		subject, err := name.NewDigest(host + "/" + repository + "@" + digest)
		require.NoError(t, err)
		made, err := attest.Provenance(t.Context(), client, subject, nil)
		require.NoError(t, err)
		return digest, made.BuildDefinition.InternalParameters["cached"]
	}
	built, cached := publish("READ_WRITE", "team/first")
	assert.Nil(t, cached)
	found, cached := publish("READ", "team/second")
	assert.Len(t, cached, 2, "an image of each platform")
	assert.Equal(t, built, found)
	built, cached = publish("REFRESH", "team/third")
	assert.Nil(t, cached)
	assert.Equal(t, built, found)
}

// A registry that the module does not reach, and the engine does, is pushed to by the engine, with the login that was given: here one on the
// loopback of the engine's machine.
func TestLoginsOfTheEngine(t *testing.T) {
	host := registrytest.StartDistribution(t, true)
	registrytest.Login(t, host, registrytest.User, registrytest.Password)
	t.Setenv("E2E_PASSWORD", registrytest.Password)
	dir := user(t)
	login := []string{"with-login", "--username", registrytest.User, "--password", "env:E2E_PASSWORD"}
	publish := []string{"publish", "--repository", host + "/team/app", "--tags", "v1", "reference"}
	text, err := registry.LoginConfig(host+"/team/app", registrytest.User, registrytest.Password)
	require.NoError(t, err)
	config := filepath.Join(t.TempDir(), "config.json")
	require.NoError(t, os.WriteFile(config, []byte(text), 0o600))
	for about, words := range map[string][]string{
		"with-login":        slices.Concat([]string{"call", "--runtime", "SCRATCH"}, login, publish),
		"--registry-config": slices.Concat([]string{"call", "--runtime", "SCRATCH", "--registry-config", "file:" + config}, publish),
	} {
		out, said, err := call(t, dir, words...)
		require.NoError(t, err, "%s: %s", about, said)
		assert.Contains(t, said, "the engine pushes: nothing is attached")
		client, err := registry.New(registry.Options{})
		require.NoError(t, err)
		ref, err := name.ParseReference(host + "/team/app:v1")
		require.NoError(t, err)
		stored, err := client.Get(t.Context(), ref)
		require.NoError(t, err)
		assert.Equal(t, host+"/team/app@"+stored.Digest.String(), strings.TrimSpace(out))
		client.Close()
	}
	_, said, err := call(t, dir, slices.Concat([]string{"call", "--runtime", "SCRATCH"}, login, []string{"with-attestations"}, publish)...)
	require.Error(t, err)
	assert.Contains(t, said, "name the registry by with-registry-service, or leave out with-attestations, so that the engine pushes")
	t.Setenv("E2E_PASSWORD", "wrong-horse")
	_, said, err = call(t, dir, slices.Concat([]string{"call", "--runtime", "SCRATCH"}, login, publish)...)
	require.Error(t, err)
	assert.Contains(t, said, "the registry wants a login")
	assert.Contains(t, said, "give a login by with-login or --registry-config")
	assert.NotContains(t, said, "wrong-horse")
}
