//go:build admission_e2e

package main

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/slipway-ci/slipway/internal/test/registrytest"
	"github.com/slipway-ci/slipway/internal/test/sigstoretest"
)

// controller is a controller's own code as a command.
type controller struct {
	kind, program string
	// arguments are those by which it judges an image by a policy.
	arguments func(t *testing.T, policy, image string) []string
	// admits is what it prints of an image that the policy is for and admits.
	admits string
}

var controllers = []controller{
	{"policy-controller", "tester", func(_ *testing.T, policy, image string) []string { return []string{"-policy", policy, "-image", image} }, "Verification was successful!"},
	{"kyverno", "kyverno", func(t *testing.T, policy, image string) []string {
		pod := filepath.Join(t.TempDir(), "pod.yaml")
		text := fmt.Sprintf("apiVersion: v1\nkind: Pod\nmetadata: {name: app, namespace: default}\nspec: {containers: [{name: app, image: %q}]}\n", image)
		require.NoError(t, os.WriteFile(pod, []byte(text), 0o600))
		return []string{"apply", policy, "--resource", pod, "--registry", "--detailed-results", "--remove-color"}
	}, "pass: 2, fail: 0, warn: 0, error: 0, skip: 0"},
}

// By the policy that Slipway writes, a controller admits what the key or the identity signed with Slipway's provenance, and nothing else of
// that repository.
func TestAdmission(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("TUF_ROOT", filepath.Join(home, "tuf"))
	registrytest.NoLogin(t)
	host, s := registrytest.StartDistribution(t, false), sigstoretest.Start(t)
	for _, name := range []string{"release", "other"} {
		require.NoError(t, writeKeys(filepath.Join(home, name), keyPassword))
	}
	const source = "../../examples/http-server"
	archive, predicate := filepath.Join(home, "app.tar"), filepath.Join(home, "predicate.json")
	must(t, slipwayCommand(t, []string{sharedCache}, "build", "--runtime", "scratch", "--output", archive, source))
	require.NoError(t, os.WriteFile(predicate, []byte(`{
		"buildDefinition": {"buildType": "https://example.com/build", "externalParameters": {}},
		"runDetails": {"builder": {"id": "https://example.com/github.com/slipway-ci/slipway/engine/host"}}
	}`), 0o600))
	ours, theirs, without := []string{"--runtime", "scratch", source}, []string{"--predicate", predicate, archive}, []string{archive}

	key, other := []string{"--sign-key", filepath.Join(home, "release.key")}, []string{"--sign-key", filepath.Join(home, "other.key")}
	job := []string{"--sign-keyless", "--signing-config", s.Config, "--trusted-root", s.Trusted}
	images := []struct {
		name            string
		content, signer []string
		format          string
		// admitted says by whose policy.
		admitted string
	}{
		{"key", ours, key, "both", "key"},
		{"key2", ours, key, "tags", "key"},
		{"key-bundles", ours, key, "bundle", ""},
		{"key-without-provenance", without, key, "both", ""},
		{"key-of-another-builder", theirs, key, "both", ""},
		{"another-key", ours, other, "both", ""},
		{"unsigned", ours, nil, "both", ""},
		{"job", ours, job, "both", "job"},
		{"job2", ours, job, "bundle", "job"},
		{"job-without-provenance", without, job, "both", ""},
		{"job-of-another-builder", theirs, job, "both", ""},
		{"another-job", ours, job, "both", ""},
	}
	published := map[string]string{}
	for _, image := range images {
		s.Workflow = sigstoretest.Workflow
		if image.name == "another-job" {
			s.Workflow = "me/other/.github/workflows/release.yml@refs/tags/v1"
		}
		environ := append(s.Environ(), sharedCache, "COSIGN_PASSWORD="+keyPassword)
		args := []string{"publish", "--repository", host + "/app/" + image.name, "--tag", "v1"}
		if image.signer != nil {
			args = append(args, "--signature-format", image.format)
		}
		published[image.name] = must(t, slipwayCommand(t, environ, slices.Concat(args, image.signer, image.content)...))
	}

	signers := map[string][]string{
		"key": {"--key", filepath.Join(home, "release.pub")},
		"job": {"--certificate-identity-regexp", "^https://github.com/me/api/", "--certificate-oidc-issuer", sigstoretest.Issuer},
	}
	trust(t, s)
	ran := false
	for _, c := range controllers {
		program, err := exec.LookPath(c.program)
		if err != nil {
			continue
		}
		ran = true
		for signer, flags := range signers {
			admits := func(t *testing.T, repository, image string) bool {
				policy := filepath.Join(t.TempDir(), "policy.yaml")
				text := must(t, slipwayCommand(t, nil, slices.Concat([]string{"policy", "--repository", host + "/app/" + repository}, flags, []string{c.kind})...))
				require.NoError(t, os.WriteFile(policy, []byte(text), 0o600))
				cmd := exec.CommandContext(t.Context(), program, c.arguments(t, policy, image)...)
				// It has no network but this machine's.
				cmd.Env = append(os.Environ(), "HTTPS_PROXY=http://127.0.0.1:1", "NO_PROXY=127.0.0.1")
				out, err := cmd.CombinedOutput()
				t.Logf("%s: %v: %s", image, err, out)
				return err == nil && strings.Contains(string(out), c.admits)
			}
			t.Run(c.kind+"/"+signer, func(t *testing.T) {
				for _, image := range images {
					for _, ref := range []string{published[image.name], host + "/app/" + image.name + ":v1"} {
						assert.Equal(t, image.admitted == signer, admits(t, image.name, ref), ref)
					}
				}
				assert.False(t, admits(t, signer, published[signer+"2"]), "of a repository whose name only begins alike, which the policy is not for")
			})
		}
	}
	require.True(t, ran, "neither tester nor kyverno is on the PATH: CONTRIBUTING.md says how to build them")
}

// trust makes the double's trusted root the one that the controllers' programs use in this test. They get it from a repository of The
// Update Framework that cosign 2 has initialized for them.
func trust(t *testing.T, s *sigstoretest.Sigstore) {
	t.Helper()
	cosign, err := exec.LookPath("cosign2")
	require.NoError(t, err, "cosign 2 is not on the PATH: CONTRIBUTING.md says how to build it")
	const name = "trusted_root.json"
	content, err := json.Marshal(s.Root)
	require.NoError(t, err)
	files := map[string][]byte{"/targets/" + name: content}

	_, private, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	signer, err := signature.LoadED25519Signer(private)
	require.NoError(t, err)
	key, err := metadata.KeyFromPublicKey(private.Public())
	require.NoError(t, err)
	end := time.Now().Add(time.Hour).UTC()
	root, targets := metadata.Root(end), metadata.Targets(end)
	root.Signed.ConsistentSnapshot = false
	for _, role := range metadata.TOP_LEVEL_ROLE_NAMES {
		require.NoError(t, root.Signed.AddKey(key, role))
	}
	targets.Signed.Targets[name], err = metadata.TargetFile().FromBytes(name, content, "sha256", "sha512")
	require.NoError(t, err)
	for file, document := range map[string]interface {
		Sign(signature.Signer) (*metadata.Signature, error)
		ToBytes(bool) ([]byte, error)
	}{"root": root, "targets": targets, "snapshot": metadata.Snapshot(end), "timestamp": metadata.Timestamp(end)} {
		_, err := document.Sign(signer)
		require.NoError(t, err)
		files["/"+file+".json"], err = document.ToBytes(false)
		require.NoError(t, err)
	}

	// cosign has two clients, and only the second one's cache is what the controllers read. It takes that one if the first gets no
	// trusted root.
	var asked atomic.Bool
	mirror := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		content, ok := files[r.URL.Path]
		if !ok || filepath.Base(r.URL.Path) == name && !asked.Swap(true) {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(content)
	}))
	defer mirror.Close()
	must(t, exec.CommandContext(t.Context(), cosign, "initialize", "--mirror", mirror.URL, "--root", mirror.URL+"/root.json"))
}
