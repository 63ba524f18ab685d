//go:build dagger_e2e

package moduletest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/attest"
	"github.com/slipway-ci/slipway/internal/attest/signing"
	"github.com/slipway-ci/slipway/internal/registry"
	"github.com/slipway-ci/slipway/internal/test/registrytest"
)

// What is published with a login has its attestations, signed and verified, and nothing prints a secret of it. SLIPWAY_E2E_ADDRESS is the IP address,
// a private one, of this machine as the engine's containers reach it.
func TestPublishWithAttestations(t *testing.T) {
	address := os.Getenv("SLIPWAY_E2E_ADDRESS")
	if address == "" {
		t.Skip("SKIPPED: set SLIPWAY_E2E_ADDRESS to this machine's IP address as the engine's containers reach it")
	}
	host := registrytest.StartDistributionAt(t, address, true)
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	file := filepath.Join(t.TempDir(), "release.key")
	require.NoError(t, os.WriteFile(file, text, 0o600))
	t.Setenv("E2E_PASSWORD", registrytest.Password)

	dir := user(t)
	const revision = "0123456789abcdef0123456789abcdef01234567"
	settings := []string{"call", "-vvvv", "--debug", "--runtime", "DISTROLESS", "--revision", revision, "--labels", "org.opencontainers.image.source=https://example.com/me/app"}
	login := []string{"with-login", "--username", registrytest.User, "--password", "env:E2E_PASSWORD"}
	publish := []string{"publish", "--repository", host + "/team/app", "--tags", "v1"}
	sboms := filepath.Join(t.TempDir(), "sboms")
	_, said, err := call(t, dir, slices.Concat(settings, login, publish, []string{"sboms", "export", "--path", sboms})...)
	require.NoError(t, err, said)
	for _, name := range []string{"linux-amd64.cdx.json", "linux-arm64.cdx.json"} {
		text, err := os.ReadFile(filepath.Join(sboms, name))
		require.NoError(t, err)
		assert.Contains(t, string(text), `"bomFormat"`)
	}
	signed := slices.Concat(settings, login, []string{"with-attestations", "--sign-key", "file:" + file}, publish, []string{"reference"})
	out, said, err := call(t, dir, signed...)
	require.NoError(t, err, said)
	for _, secret := range []string{
		registrytest.Password, base64.StdEncoding.EncodeToString([]byte(registrytest.User + ":" + registrytest.Password)),
		strings.Split(string(text), "\n")[1],
	} {
		assert.NotContains(t, out+said, secret)
	}

	registrytest.Login(t, host, registrytest.User, registrytest.Password)
	client, err := registry.New(registry.Options{})
	require.NoError(t, err)
	defer client.Close()
	ref, err := name.ParseReference(host + "/team/app:v1")
	require.NoError(t, err)
	key, err := signing.ParseKey(text, nil)
	require.NoError(t, err)
	verified, err := attest.Verify(t.Context(), client, ref, key.Verifier())
	require.NoError(t, err)
	require.Len(t, verified, 3)
	assert.Equal(t, host+"/team/app@"+verified[0].Digest, strings.TrimSpace(out))
	for _, v := range verified {
		assert.Equal(t, "https://github.com/slipway-ci/slipway/engine/dagger", v.Provenance.RunDetails.Builder.ID)
		dependencies := v.Provenance.BuildDefinition.ResolvedDependencies
		require.Len(t, dependencies, 3)
		assert.Equal(t, revision, dependencies[0].Digest["gitCommit"])
		assert.Equal(t, "git+https://example.com/me/app", dependencies[0].URI)
		assert.Equal(t, "oci://gcr.io/distroless/static-debian13:nonroot", dependencies[1].URI)
		assert.Len(t, dependencies[1].Digest["sha256"], 64)
		assert.Contains(t, dependencies[2].URI, "oci://docker.io/library/golang:")
		assert.Len(t, dependencies[2].Digest["sha256"], 64)
	}

	// Without a login that is right, nothing is pushed, and the user reads why.
	t.Setenv("E2E_PASSWORD", "wrong-horse")
	_, said, err = call(t, dir, slices.Concat(settings, login, publish)...)
	require.Error(t, err)
	assert.Contains(t, said, "401")
	assert.NotContains(t, said, "wrong-horse")
}

// The bill of materials names what the program was built from.
func TestSBOM(t *testing.T) {
	out, said, err := call(t, user(t), "call", "--runtime", "SCRATCH", "sbom", "--platform", "linux/arm64", "--format", "SPDX", "contents")
	require.NoError(t, err, said)
	var document struct {
		Version  string `json:"spdxVersion"`
		Packages []struct{ Name string }
	}
	require.NoError(t, json.Unmarshal([]byte(out), &document))
	assert.Equal(t, "SPDX-2.3", document.Version)
	var names []string
	for _, p := range document.Packages {
		names = append(names, p.Name)
	}
	assert.Contains(t, names, "stdlib")
}
