package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/oci/graph"
	"github.com/slipway-ci/slipway/internal/registry"
	"github.com/slipway-ci/slipway/internal/test/registrytest"
	"github.com/slipway-ci/slipway/internal/test/testtool"
)

// The real cosign accepts what Slipway signs under tags, and nothing that was changed after.
func TestCosign(t *testing.T) {
	cosign, err := exec.LookPath("cosign")
	if err != nil {
		testtool.Skip(t, "the program cosign on the PATH (go build -C internal/tools/cosign -o DIR/ github.com/sigstore/cosign/v3/cmd/cosign)")
	}
	goEnv := goEnvironment(t) // before another home would give it empty caches
	home := t.TempDir()
	// run gives cosign no network but this machine's, so that nothing but the key can make it accept anything.
	run := func(t *testing.T, args ...string) (string, error) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), cosign, args...)
		cmd.Dir = home
		cmd.Env = []string{"HOME=" + home, "COSIGN_PASSWORD=" + keyPassword, "HTTPS_PROXY=http://127.0.0.1:1", "NO_PROXY=127.0.0.1"}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	// Keys of cosign itself.
	out, err := run(t, "generate-key-pair", "--output-key-prefix", "release")
	require.NoError(t, err, out)
	require.NoError(t, writeKeys(filepath.Join(home, "other"), keyPassword))

	for kind, start := range map[string]func(*testing.T) string{
		"with referrers API": func(t *testing.T) string { return registrytest.StartReferrers(t).Host },
		"docker-registry":    func(t *testing.T) string { return registrytest.StartDistribution(t, false) },
	} {
		t.Run(kind, func(t *testing.T) {
			registrytest.NoLogin(t)
			repository := start(t) + "/team/signed"
			ref := must(t, slipwayCommand(t, append(goEnv, "COSIGN_PASSWORD="+keyPassword), "publish", "--runtime", "scratch", "--sign-key", filepath.Join(home, "release.key"), "--signature-format", "tags",
				"--repository", repository, "--tag", "v1", "../../examples/http-server"))
			must(t, slipwayCommand(t, goEnv, "verify", "--key", filepath.Join(home, "release.pub"), ref))
			root, err := name.NewDigest(ref)
			require.NoError(t, err)
			index, err := remote.Index(root)
			require.NoError(t, err)
			manifest, err := index.IndexManifest()
			require.NoError(t, err)

			cosignOn := func(args ...string) func(string, ...string) (string, error) {
				return func(key string, refs ...string) (string, error) {
					return run(t, slices.Concat(args, []string{"--insecure-ignore-tlog", "--key", filepath.Join(home, key+".pub")}, refs)...)
				}
			}
			signature, provenance := cosignOn("verify"), cosignOn("verify-attestation", "--type", "slsaprovenance1")
			materials := cosignOn("verify-attestation", "--type", "cyclonedx")
			holds := func(verify func(string, ...string) (string, error), refs ...string) {
				t.Helper()
				out, err := verify("release", refs...)
				require.NoError(t, err, out)
			}
			refuses := func(verify func(string, ...string) (string, error), because, key, ref string) {
				t.Helper()
				out, err := verify(key, ref)
				require.Error(t, err, out)
				assert.Contains(t, out, because)
			}
			at := func(i int) string { return root.Context().Digest(manifest.Manifests[i].Digest.String()).String() }
			holds(signature, repository+":v1", at(0), at(1))
			holds(provenance, ref, at(0), at(1))
			holds(materials, at(0), at(1))
			if kind == "docker-registry" {
				return // it only keeps referrers in another way
			}
			refuses(signature, "invalid signature", "other", at(0))
			refuses(provenance, "signatures do not match", "other", at(0))
			refuses(materials, "none of the attestations matched", "release", ref) // an index has none

			// Another byte: of the image, of a statement, of a signature, of what is signed.
			changed, err := random.Image(100, 1)
			require.NoError(t, err)
			tag := root.Context().Tag("v1")
			require.NoError(t, remote.Write(tag, changed))
			refuses(signature, "no signatures found", "release", tag.String())
			retag(t, root.Context(), manifest.Manifests[0].Digest, ".att", func(l *registry.Layer) {
				l.Content[bytes.Index(l.Content, []byte(`"payload":"`))+400] ^= 1
			})
			refuses(provenance, "signatures do not match", "release", at(0))
			refuses(materials, "signatures do not match", "release", at(0))
			retag(t, root.Context(), manifest.Manifests[0].Digest, ".sig", func(l *registry.Layer) {
				raw, err := base64.StdEncoding.DecodeString(l.Annotations["dev.cosignproject.cosign/signature"])
				require.NoError(t, err)
				raw[len(raw)-1] ^= 1
				l.Annotations["dev.cosignproject.cosign/signature"] = base64.StdEncoding.EncodeToString(raw)
			})
			refuses(signature, "invalid signature", "release", at(0))
			retag(t, root.Context(), manifest.Manifests[1].Digest, ".sig", func(l *registry.Layer) {
				l.Content[strings.Index(string(l.Content), "sha256:")+8] ^= 1
			})
			refuses(signature, "invalid signature", "release", at(1))
		})
	}
}

// retag changes all layers of an image of signatures.
func retag(t *testing.T, repository name.Repository, digest v1.Hash, suffix string, change func(*registry.Layer)) {
	t.Helper()
	ref := repository.Tag(graph.TagFor(digest, suffix))
	layers, err := registry.Layers(t.Context(), getter{}, ref)
	require.NoError(t, err)
	require.NotEmpty(t, layers)
	img := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	for _, l := range layers {
		change(&l)
		img, err = mutate.Append(img, mutate.Addendum{Layer: static.NewLayer(l.Content, types.MediaType(l.MediaType)), MediaType: types.MediaType(l.MediaType), Annotations: l.Annotations})
		require.NoError(t, err)
	}
	require.NoError(t, remote.Write(ref, img))
}

// getter reads without Slipway.
type getter struct{}

func (getter) Get(ctx context.Context, ref name.Reference) (*remote.Descriptor, error) {
	return remote.Get(ref, remote.WithContext(ctx))
}
