package main

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/attest/signing"
	"github.com/slipway-ci/slipway/internal/oci/graph"
	"github.com/slipway-ci/slipway/internal/registry"
	"github.com/slipway-ci/slipway/internal/test/registrytest"
	"github.com/slipway-ci/slipway/internal/test/testtool"
)

// verifiers are programs that verify an image by a public key: its signature, its provenance and the bill of materials of one of its
// platforms.
type verifiers struct {
	home    string
	paths   map[string]string
	archive string
	index   v1.ImageIndex
	image   v1.Hash // of one platform
}

var verifierNames = []string{"Slipway", "cosign 2", "cosign 3"}

func startVerifiers(t *testing.T) *verifiers {
	t.Helper()
	testtool.NeedTime(t, "verifiers")
	v := &verifiers{paths: map[string]string{}}
	for program, at := range map[string]string{
		"cosign": "internal/tools/cosign -o DIR/ github.com/sigstore/cosign/v3", "cosign2": "internal/tools/cosign2 -o DIR/cosign2 github.com/sigstore/cosign/v2", "oras": "internal/tools/oras -o DIR/ oras.land/oras",
		"regctl": "internal/tools/regctl -o DIR/ github.com/regclient/regclient",
	} {
		path, err := exec.LookPath(program)
		if err != nil {
			testtool.Skip(t, "the program "+program+" on the PATH (go build -C "+at+"/cmd/"+strings.TrimSuffix(program, "2")+")")
		}
		v.paths[program] = path
	}
	environ := goEnvironment(t)
	registrytest.NoLogin(t)
	v.home = t.TempDir()
	v.archive = filepath.Join(v.home, "app.tar")
	must(t, slipwayCommand(t, environ, "build", "--runtime", "scratch", "--output", v.archive, "../../examples/http-server"))
	require.NoError(t, os.WriteFile(filepath.Join(v.home, "predicate.json"), []byte(`{"buildDefinition": {"buildType": "https://example.com/build",
		"externalParameters": {}}, "runDetails": {"builder": {"id": "https://github.com/slipway-ci/slipway/engine/host"}}}`), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(v.home, "root.json"), []byte(`{"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1"}`), 0o600))
	require.NoError(t, writeKeys(filepath.Join(v.home, "release"), keyPassword))
	require.NoError(t, writeKeys(filepath.Join(v.home, "other"), keyPassword))
	return v
}

// run gives a program no network but this machine's.
func (v *verifiers) run(t *testing.T, program string, args ...string) error {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), v.paths[program], args...)
	cmd.Dir = v.home
	cmd.Env = []string{"HOME=" + v.home, "HTTPS_PROXY=http://127.0.0.1:1", "NO_PROXY=127.0.0.1"}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %q: %w: %s", program, args, err, out)
	}
	return nil
}

func (v *verifiers) slipway(t *testing.T, args ...string) error {
	t.Helper()
	cmd := slipwayCommand(t, []string{"COSIGN_PASSWORD=" + keyPassword}, args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("slipway %q: %w: %s", args, err, out)
	}
	return nil
}

// publish signs the image by a key, in a format.
func (v *verifiers) publish(t *testing.T, repository, key, format string) {
	t.Helper()
	require.NoError(t, v.slipway(t, "publish", "--predicate", filepath.Join(v.home, "predicate.json"), "--sign-key", filepath.Join(v.home, key+".key"),
		"--signature-format", format, "--repository", repository, "--tag", "v1", v.archive))
	if v.index != nil {
		return
	}
	ref, err := name.ParseReference(repository + ":v1")
	require.NoError(t, err)
	v.index, err = remote.Index(ref)
	require.NoError(t, err)
	manifest, err := v.index.IndexManifest()
	require.NoError(t, err)
	v.image = manifest.Manifests[0].Digest
}

// verify is nil if the verifier accepts all of what is under the tag v1.
func (v *verifiers) verify(t *testing.T, verifier, repository, key string) error {
	t.Helper()
	return errors.Join(v.verdicts(t, verifier, repository, key)...)
}

// verdicts are what a verifier says of the signature under the tag v1, of the provenance there, and of an image's bill of materials; that of
// Slipway is one.
func (v *verifiers) verdicts(t *testing.T, verifier, repository, key string) []error {
	t.Helper()
	public := filepath.Join(v.home, key+".pub")
	program := map[string]string{"cosign 2": "cosign2", "cosign 3": "cosign"}[verifier]
	if program == "" {
		return []error{v.slipway(t, "verify", "--key", public, repository+":v1")}
	}
	by := []string{"--insecure-ignore-tlog", "--key", public}
	if verifier == "cosign 2" {
		// It wants Sigstore's keys for a bundle, even if a key is given, and has no network to fetch them by.
		by = append(by, "--trusted-root", filepath.Join(v.home, "root.json"))
	}
	return []error{
		v.run(t, program, slices.Concat([]string{"verify"}, by, []string{repository + ":v1"})...),
		v.run(t, program, slices.Concat([]string{"verify-attestation", "--type", "slsaprovenance1"}, by, []string{repository + ":v1"})...),
		v.run(t, program, slices.Concat([]string{"verify-attestation", "--type", "cyclonedx"}, by, []string{repository + "@" + v.image.String()})...),
	}
}

// registriesOfVerifiers are those that list what refers to an image, and those that do not.
func registriesOfVerifiers(t *testing.T) map[string]string {
	t.Helper()
	return map[string]string{"yes": registrytest.StartReferrers(t).Host, "no": registrytest.StartDistribution(t, false)}
}

// The tables in docs/supply-chain.md say which verifier accepts what, in which form, where, and after which copy. Nothing is in them that
// was not run.
func TestVerifiers(t *testing.T) {
	v := startVerifiers(t)
	// mark says where a verifier accepts: errs are those on a registry with the referrers API and on one without.
	mark := func(errs ...error) string {
		accepted := 0
		for _, err := range errs {
			if err == nil {
				accepted++
			}
		}
		switch {
		case accepted == len(errs):
			return "yes"
		case accepted == 0:
			return "no"
		case errs[0] == nil:
			return "with the API"
		}
		return "without it"
	}
	formats := []string{"both", "bundle", "tags"}
	var table strings.Builder
	fmt.Fprintln(&table, "| image | `--signature-format` | "+strings.Join(verifierNames, " | ")+" |")
	fmt.Fprintln(&table, "| --- | --- |"+strings.Repeat(" --- |", len(verifierNames)))
	hosts := registriesOfVerifiers(t)
	regctl := func(flag string) func(t *testing.T, from, to string) error {
		return func(t *testing.T, from, to string) error {
			plain := []string{"--host", "reg=" + hosts["yes"] + ",tls=disabled", "--host", "reg=" + hosts["no"] + ",tls=disabled"}
			return v.run(t, "regctl", append(plain, "image", "copy", flag, from+":v1", to+":v1")...)
		}
	}
	copies := []struct {
		name string
		copy func(t *testing.T, from, to string) error
	}{
		{"published", nil},
		{"after `slipway copy`", func(t *testing.T, from, to string) error { return v.slipway(t, "copy", from+":v1", to) }},
		{"after `slipway copy`, through an archive", func(t *testing.T, from, to string) error {
			archive := filepath.Join(t.TempDir(), "copy.tar")
			return errors.Join(v.slipway(t, "copy", from+":v1", archive), v.slipway(t, "copy", archive, to+":v1"))
		}},
		{"after `oras cp -r`", func(t *testing.T, from, to string) error {
			return v.run(t, "oras", "cp", "-r", "--from-plain-http", "--to-plain-http", from+":v1", to+":v1")
		}},
		{"after `regctl image copy --referrers`", regctl("--referrers")},
		{"after `regctl image copy --digest-tags`", regctl("--digest-tags")},
	}
	for _, format := range formats {
		for _, host := range hosts {
			v.publish(t, host+"/app/"+format, "release", format)
		}
	}
	for i, c := range copies {
		for _, format := range formats {
			repositories := map[string]string{}
			for api, host := range hosts {
				repositories[api] = host + "/app/" + format
				if c.copy != nil {
					to := fmt.Sprintf("%s/copy%d/%s", host, i, format)
					require.NoError(t, c.copy(t, repositories[api], to))
					repositories[api] = to
				}
			}
			fmt.Fprintf(&table, "| %s | `%s` |", c.name, format)
			for _, verifier := range verifierNames {
				with, without := v.verify(t, verifier, repositories["yes"], "release"), v.verify(t, verifier, repositories["no"], "release")
				t.Logf("%s, %s, %s: %v, %v", c.name, format, verifier, with, without)
				fmt.Fprintf(&table, " %s |", mark(with, without))
			}
			fmt.Fprintln(&table)
		}
	}
	tableIs(t, "verifiers", table.String())

	table.Reset()
	fmt.Fprintln(&table, "| key | `--signature-format` | "+strings.Join(verifierNames, " | ")+" |")
	fmt.Fprintln(&table, "| --- | --- |"+strings.Repeat(" --- |", len(verifierNames)))
	for _, kind := range []string{"ECDSA, P-256", "ECDSA, P-384", "Ed25519", "RSA, 3072 bits"} {
		file := strings.NewReplacer(", ", "-", " ", "-").Replace(strings.ToLower(kind))
		writePlainKey(t, filepath.Join(v.home, file), kind)
		for _, format := range []string{"bundle", "tags"} {
			repository := hosts["yes"] + "/" + file + "/" + format
			v.publish(t, repository, file, format)
			fmt.Fprintf(&table, "| %s | `%s` |", kind, format)
			for _, verifier := range verifierNames {
				err := v.verify(t, verifier, repository, file)
				t.Logf("%s, %s, %s: %v", kind, format, verifier, err)
				fmt.Fprintf(&table, " %s |", mark(err))
			}
			fmt.Fprintln(&table)
		}
	}
	tableIs(t, "keys", table.String())
}

// writePlainKey makes a key pair as openssl does.
func writePlainKey(t *testing.T, file, kind string) {
	t.Helper()
	var key crypto.Signer
	var err error
	switch kind {
	case "ECDSA, P-256":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ECDSA, P-384":
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "Ed25519":
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		key, err = rsa.GenerateKey(rand.Reader, 3072)
	}
	require.NoError(t, err)
	private, err1 := x509.MarshalPKCS8PrivateKey(key)
	public, err2 := x509.MarshalPKIXPublicKey(key.Public())
	require.NoError(t, errors.Join(err1, err2,
		os.WriteFile(file+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600),
		os.WriteFile(file+".pub", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), 0o644)))
}

// tableIs compares a table of docs/supply-chain.md, which is between two comments with its name, or writes it anew.
func tableIs(t *testing.T, name, want string) {
	t.Helper()
	const file = "../../docs/supply-chain.md"
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	begin, end := "<!-- "+name+": written by TestVerifiers -->\n", "<!-- end of "+name+" -->"
	before, rest, found := strings.Cut(string(text), begin)
	require.True(t, found, name)
	is, after, found := strings.Cut(rest, end)
	require.True(t, found, name)
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(before+begin+want+end+after), 0o644))
		return
	}
	assert.Equal(t, want, is, "go test ./cmd/slipway -run TestVerifiers -update writes it")
}

// proof is what is attached to one image or index.
type proof struct{ bundles, signatures, envelopes []registry.Layer }

// Every verifier refuses another key, a changed byte, what was signed for something else, and an index whose platforms were swapped, in
// each form.
func TestVerifiersRefuse(t *testing.T) {
	v := startVerifiers(t)
	client, err := registry.New(registry.Options{})
	require.NoError(t, err)
	t.Cleanup(client.Close)
	host := registrytest.StartReferrers(t).Host
	for _, format := range []string{"bundle", "tags"} {
		v.publish(t, host+"/app/"+format, "release", format)
		repository, err := name.NewRepository(host + "/app/" + format)
		require.NoError(t, err)
		manifest, err := v.index.IndexManifest()
		require.NoError(t, err)
		digest, err := v.index.Digest()
		require.NoError(t, err)
		proofs := map[v1.Hash]proof{}
		for _, d := range append([]v1.Descriptor{{Digest: digest}}, manifest.Manifests...) {
			proofs[d.Digest] = v.proof(t, client, repository, d.Digest)
		}
		swapped := manifest.DeepCopy()
		swapped.Manifests[0].Platform, swapped.Manifests[1].Platform = swapped.Manifests[1].Platform, swapped.Manifests[0].Platform
		other := manifest.DeepCopy()
		other.Annotations = map[string]string{"other": "index"}
		at := func(i int) func(l *registry.Layer) {
			return func(l *registry.Layer) {
				l.Content = bytes.Clone(l.Content)
				l.Content[i] ^= 1
			}
		}
		for _, test := range []struct {
			name   string
			key    string
			index  *v1.IndexManifest
			change func(p proof) proof
			holds  bool
		}{
			{"nothing", "release", nil, nil, true},
			{"another key", "other", nil, nil, false},
			{"another index", "release", other, nil, false},
			{"platforms", "release", swapped, nil, false},
			{"a byte of each", "release", nil, func(p proof) proof {
				return proof{each(p.bundles, flipSigned), each(p.signatures, at(len(`{"critical":{"identity":{"docker-reference":"`))), each(p.envelopes, flipSigned)}
			}, false},
		} {
			t.Run(format+"/"+test.name, func(t *testing.T) {
				to := host + "/" + strings.ReplaceAll(test.name, " ", "-") + "/" + format
				all := map[v1.Hash]proof{}
				index := indexOf(t, v.index, test.index)
				for subject, p := range proofs {
					if subject == digest {
						if test.change != nil {
							p = test.change(p)
						}
						subject = mustDigestOf(t, index)
					}
					all[subject] = p
				}
				v.put(t, client, to, index, all)
				for _, verifier := range verifierNames {
					verdicts := v.verdicts(t, verifier, to, test.key)
					if test.holds {
						assert.NoError(t, errors.Join(verdicts...), verifier)
						continue
					}
					for _, err := range verdicts[:min(2, len(verdicts))] { // what is forged is the index's
						assert.Error(t, err, verifier)
					}
				}
			})
		}
	}
}

func each(layers []registry.Layer, change func(*registry.Layer)) []registry.Layer {
	layers = slices.Clone(layers)
	for i := range layers {
		change(&layers[i])
	}
	return layers
}

// flipSigned changes a byte of the statement in an envelope, or in a bundle.
func flipSigned(l *registry.Layer) {
	l.Content = bytes.Clone(l.Content)
	l.Content[bytes.Index(l.Content, []byte(`"payload":"`))+60] ^= 1
}

func mustDigestOf(t *testing.T, index v1.ImageIndex) v1.Hash {
	t.Helper()
	digest, err := index.Digest()
	require.NoError(t, err)
	return digest
}

type anyIndex = v1.ImageIndex

// changedIndex is an index with the images of another.
type changedIndex struct {
	anyIndex
	manifest *v1.IndexManifest
	raw      []byte
}

func (c *changedIndex) IndexManifest() (*v1.IndexManifest, error) { return c.manifest, nil }
func (c *changedIndex) RawManifest() ([]byte, error)              { return c.raw, nil }
func (c *changedIndex) Size() (int64, error)                      { return int64(len(c.raw)), nil }

func (c *changedIndex) Digest() (v1.Hash, error) {
	digest, _, err := v1.SHA256(bytes.NewReader(c.raw))
	return digest, err
}

func indexOf(t *testing.T, whole v1.ImageIndex, manifest *v1.IndexManifest) v1.ImageIndex {
	t.Helper()
	if manifest == nil {
		return whole
	}
	raw, err := json.Marshal(manifest)
	require.NoError(t, err)
	return &changedIndex{whole, manifest, raw}
}

// proof reads what is attached to a digest.
func (v *verifiers) proof(t *testing.T, client *registry.Client, repository name.Repository, digest v1.Hash) proof {
	t.Helper()
	bundles, err1 := registry.Referring(t.Context(), client, repository.Digest(digest.String()), func(v1.Descriptor) bool { return true })
	signatures, err2 := registry.Layers(t.Context(), client, repository.Tag(graph.TagFor(digest, ".sig")))
	envelopes, err3 := registry.Layers(t.Context(), client, repository.Tag(graph.TagFor(digest, ".att")))
	require.NoError(t, errors.Join(err1, err2, err3))
	bundles = slices.DeleteFunc(bundles, func(l registry.Layer) bool { return !signing.IsBundle(l.MediaType) })
	return proof{bundles, signatures, envelopes}
}

// put writes an index with its images, and what is to be attached to each.
func (v *verifiers) put(t *testing.T, client *registry.Client, repository string, index v1.ImageIndex, proofs map[v1.Hash]proof) {
	t.Helper()
	tag, err := name.NewTag(repository + ":v1")
	require.NoError(t, err)
	require.NoError(t, remote.WriteIndex(tag, index))
	push, err := client.Push(registry.Target{Repository: repository})
	require.NoError(t, err)
	for digest, p := range proofs {
		desc, err := remote.Get(tag.Context().Digest(digest.String()))
		require.NoError(t, err)
		var attachments []registry.Attachment
		for _, b := range p.bundles {
			attachments = append(attachments, registry.Attachment{Subject: desc.Descriptor, MediaType: b.MediaType, Content: b.Content})
		}
		require.NoError(t, push.Attach(t.Context(), attachments))
		for suffix, layers := range map[string][]registry.Layer{".sig": p.signatures, ".att": p.envelopes} {
			if len(layers) > 0 {
				require.NoError(t, push.Rewrite(t.Context(), graph.TagFor(digest, suffix), nil, func([]registry.Layer) ([]registry.Layer, error) { return layers, nil }))
			}
		}
	}
}
