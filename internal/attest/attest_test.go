package attest_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/attest"
	"github.com/slipway-ci/slipway/internal/attest/provenance"
	"github.com/slipway-ci/slipway/internal/attest/sbom"
	"github.com/slipway-ci/slipway/internal/attest/signing"
	"github.com/slipway-ci/slipway/internal/oci/graph"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/registry"
	"github.com/slipway-ci/slipway/internal/test/registrytest"
)

func newKey(t *testing.T) *signing.Key {
	t.Helper()
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalECPrivateKey(ec)
	require.NoError(t, err)
	key, err := signing.ParseKey(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), nil)
	require.NoError(t, err)
	return key
}

// published is an index of two images in a registry, with its attestations.
type published struct {
	server     *registrytest.Registry
	repository string
	client     *registry.Client
	push       *registry.Push
	index      v1.ImageIndex
	ref        name.Digest
	key        *signing.Key
	build      *provenance.Build
	format     sbom.Format
	signatures attest.Format
}

func begin(t *testing.T) *published {
	t.Helper()
	return beginAt(t, registrytest.Start(t))
}

func beginAt(t *testing.T, server *registrytest.Registry) *published {
	t.Helper()
	registrytest.NoLogin(t)
	p := &published{server: server, repository: server.Host + "/owner/app", key: newKey(t), format: sbom.CycloneDX}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, architecture := range []string{"amd64", "arm64"} {
		layer, err := random.Layer(1000, types.OCILayer)
		require.NoError(t, err)
		img, err := mutate.AppendLayers(mutate.MediaType(empty.Image, types.OCIManifestSchema1), layer)
		require.NoError(t, err)
		config, err := img.ConfigFile()
		require.NoError(t, err)
		config.OS, config.Architecture = "linux", architecture
		img, err = mutate.ConfigFile(img, config)
		require.NoError(t, err)
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: architecture}}})
	}
	p.index = index
	plan, err := plan.Resolve(t.Context(), fstest.MapFS{
		"go.mod":  {Data: []byte("module example.com/hello\n\ngo 1.26.8\n")},
		"main.go": {Data: []byte("package main\n\nfunc main() {}\n")},
	}, plan.Config{})
	require.NoError(t, err)
	p.build = &provenance.Build{Plan: plan, Engine: "host", Version: "v1.2.3", Started: time.Unix(1, 0), Finished: time.Unix(2, 0)}
	p.client, err = registry.New(registry.Options{})
	require.NoError(t, err)
	t.Cleanup(p.client.Close)
	p.push, err = p.client.Push(registry.Target{Repository: p.repository})
	require.NoError(t, err)
	p.ref, err = p.push.Content(t.Context(), index)
	require.NoError(t, err)
	return p
}

func (p *published) options() attest.Options {
	o := attest.Options{Repository: p.repository, SBOM: p.format}
	if p.build != nil {
		o.Provenance = func(base provenance.Image) (any, error) { return p.build.Predicate(base) }
	}
	return o
}

// prove attaches and signs everything.
func (p *published) prove(t *testing.T) {
	t.Helper()
	documents, err := attest.Documents(t.Context(), p.index, p.options())
	require.NoError(t, err)
	attached := documents
	if p.signatures.Has(attest.FormatBundle) {
		bundles, err := attest.Bundles(t.Context(), p.key, p.index, documents)
		require.NoError(t, err)
		attached = slices.Concat(documents, bundles)
	}
	require.NoError(t, attest.Attach(t.Context(), p.push, attached))
	if p.signatures.Has(attest.FormatTags) {
		require.NoError(t, attest.Sign(t.Context(), p.push, p.key, p.repository, p.index, documents))
	}
}

func (p *published) verify(t *testing.T, key *signing.Key) ([]attest.Verified, error) {
	t.Helper()
	return attest.Verify(t.Context(), p.client, p.ref, key.Verifier())
}

// digests are those of the index and of its images.
func (p *published) digests(t *testing.T) []v1.Hash {
	t.Helper()
	manifest, err := p.index.IndexManifest()
	require.NoError(t, err)
	digest, err := p.index.Digest()
	require.NoError(t, err)
	return []v1.Hash{digest, manifest.Manifests[0].Digest, manifest.Manifests[1].Digest}
}

func (p *published) layers(t *testing.T, digest v1.Hash, suffix string) []registry.Layer {
	t.Helper()
	layers, err := registry.Layers(t.Context(), p.client, p.ref.Context().Tag(graph.TagFor(digest, suffix)))
	require.NoError(t, err)
	return layers
}

func TestVerify(t *testing.T) {
	for _, format := range sbom.Formats {
		p := begin(t)
		p.format = format
		p.prove(t)
		verified, err := p.verify(t, p.key)
		require.NoError(t, err)
		require.Len(t, verified, 3)
		digests := p.digests(t)
		for i, want := range []struct {
			platform string
			format   sbom.Format
		}{{"", ""}, {"linux/amd64", format}, {"linux/arm64", format}} {
			assert.Equal(t, digests[i].String(), verified[i].Digest)
			assert.Equal(t, want.platform, verified[i].Platform)
			assert.Equal(t, want.format, verified[i].SBOM)
			assert.Equal(t, "https://github.com/slipway-ci/slipway/engine/host", verified[i].Provenance.RunDetails.Builder.ID)
			assert.Equal(t, time.Unix(2, 0).UTC(), *verified[i].Provenance.RunDetails.Metadata.FinishedOn)
		}
		_, err = p.verify(t, newKey(t))
		assert.ErrorIs(t, err, signing.ErrSignature, "another key")
		assert.Equal(t, 3, strings.Count(err.Error(), "none of its signatures"), "everything that is wrong is reported: %v", err)
	}
}

// Every change after the signing is detected, at the index and at each image.
func TestTampering(t *testing.T) {
	flip := func(l *registry.Layer) {
		l.Content = slices.Clone(l.Content)
		i := strings.Index(string(l.Content), "sha256:") + 8 // in a signature's payload
		if i < 8 {
			i = len(l.Content) / 2 // in an envelope
		}
		l.Content[i] ^= 1
	}
	for name, tamper := range map[string]struct {
		suffix string
		layer  int
		change func(*registry.Layer)
	}{
		"payload": {".sig", 0, flip},
		"signature": {".sig", 0, func(l *registry.Layer) {
			s := []byte(l.Annotations["dev.cosignproject.cosign/signature"])
			s[len(s)/2] ^= 1
			l.Annotations = map[string]string{"dev.cosignproject.cosign/signature": string(s)}
		}},
		"statement":         {".att", -1, flip},
		"bill of materials": {".att", 0, flip},
	} {
		t.Run(name, func(t *testing.T) {
			p := begin(t)
			p.signatures = attest.FormatTags
			p.prove(t)
			for i, digest := range p.digests(t) {
				if name == "bill of materials" && i == 0 {
					continue // an index has none
				}
				before := p.layers(t, digest, tamper.suffix)
				changed := slices.Clone(before)
				at := tamper.layer
				if at < 0 {
					at = len(changed) - 1
				}
				tamper.change(&changed[at])
				rewrite := func(layers []registry.Layer) {
					require.NoError(t, p.push.Rewrite(t.Context(), graph.TagFor(digest, tamper.suffix), nil, func([]registry.Layer) ([]registry.Layer, error) { return layers, nil }))
				}
				rewrite(changed)
				_, err := p.verify(t, p.key)
				require.Error(t, err)
				assert.Contains(t, err.Error(), digest.String())
				p.prove(t)
				_, err = p.verify(t, p.key)
				require.NoError(t, err, "publishing again mends it")
				rewrite(before)
				_, err = p.verify(t, p.key)
				require.NoError(t, err)
			}
		})
	}
}

// A signature and statements of one image prove nothing of another one.
func TestOfAnotherImage(t *testing.T) {
	p := begin(t)
	p.signatures = attest.FormatTags
	p.prove(t)
	digests := p.digests(t)
	for _, suffix := range []string{".sig", ".att"} {
		other := p.layers(t, digests[2], suffix)
		own := p.layers(t, digests[1], suffix)
		put := func(layers []registry.Layer) {
			require.NoError(t, p.push.Rewrite(t.Context(), graph.TagFor(digests[1], suffix), nil, func([]registry.Layer) ([]registry.Layer, error) { return layers, nil }))
		}
		put(other)
		_, err := p.verify(t, p.key)
		require.Error(t, err)
		assert.Contains(t, err.Error(), digests[1].String())
		p.prove(t)
		_, err = p.verify(t, p.key)
		require.NoError(t, err, "what is claimed of another image is not taken for this one's")
		put(own)
	}
	_, err := p.verify(t, p.key)
	require.NoError(t, err)
}

// Two images may be built alike, so that their provenance says the same but for what it is about: that of one, put beside the other, does not
// keep the other's own from being signed.
func TestProvenanceOfAnotherImage(t *testing.T) {
	p := begin(t)
	p.signatures, p.format = attest.FormatTags, ""
	p.prove(t)
	digests := p.digests(t)
	other := p.layers(t, digests[2], ".att")
	require.NoError(t, p.push.Rewrite(t.Context(), graph.TagFor(digests[1], ".att"), nil, func([]registry.Layer) ([]registry.Layer, error) { return other, nil }))
	p.prove(t)
	about := func(l registry.Layer) string {
		statement, err := p.key.Verifier().Open(l.Content, provenance.MediaType)
		require.NoError(t, err)
		return string(statement)
	}
	assert.True(t, slices.ContainsFunc(p.layers(t, digests[1], ".att"), func(l registry.Layer) bool { return strings.Contains(about(l), digests[1].Hex) }))
}

func TestWhatIsMissing(t *testing.T) {
	t.Run("signature", func(t *testing.T) {
		_, err := begin(t).verify(t, newKey(t))
		assert.ErrorContains(t, err, "it is not signed: publish it with --sign-key")
	})
	t.Run("provenance", func(t *testing.T) {
		p := begin(t)
		p.build = nil
		p.prove(t)
		_, err := p.verify(t, p.key)
		assert.ErrorContains(t, err, "no signed provenance")
	})
	t.Run("bill of materials", func(t *testing.T) {
		p := begin(t)
		p.format = ""
		p.prove(t)
		_, err := p.verify(t, p.key)
		assert.ErrorContains(t, err, "no signed bill of materials")
	})
	t.Run("builder", func(t *testing.T) {
		p := begin(t)
		p.signatures = attest.FormatTags
		p.prove(t)
		digest := p.digests(t)[0]
		foreign, err := json.Marshal(provenance.NewStatement("x", digest.String(), provenance.PredicateType, provenance.Predicate{RunDetails: provenance.RunDetails{Builder: provenance.Builder{ID: "https://example.com/else"}}}))
		require.NoError(t, err)
		require.NoError(t, attest.Sign(t.Context(), p.push, p.key, p.repository, p.index, []attest.Document{{
			Subject: v1.Descriptor{Digest: digest}, Statement: foreign, PredicateType: provenance.PredicateType,
		}}))
		_, err = p.verify(t, p.key)
		assert.ErrorContains(t, err, `"https://example.com/else", which is not Slipway`)
	})
}

// What a registry lists and serves is bounded, and is what its content says it is.
func TestVerifyOfHostileRegistries(t *testing.T) {
	verify := func(p *published, answer http.HandlerFunc, part string) error {
		server := registrytest.Start(t, registrytest.Fault{When: registrytest.On(http.MethodGet, part), Do: answer})
		ref, err := name.ParseReference(server.Host + "/app:v1")
		require.NoError(t, err)
		_, err = attest.Verify(t.Context(), p.client, ref, p.key.Verifier())
		return err
	}
	text := func(s string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, s) }
	}
	p := begin(t)
	entry := fmt.Sprintf(`{"digest":%q,"size":1}`, p.digests(t)[0])
	list := func(n int) string { return strings.TrimSuffix(strings.Repeat(entry+",", n), ",") }
	assert.ErrorContains(t, verify(p, text(`{"manifests":[`+list(1000)+`]}`), "/manifests/"), "more than the 200 that are verified")
	assert.ErrorContains(t, verify(p, text(`{"layers":[],"config":{"size":99999999999,"digest":"`+p.digests(t)[0].String()+`"}}`), "/manifests/"), "more than the 8388608 that are read")
	assert.ErrorContains(t, verify(p, registrytest.Endless, "/manifests/"), "more than the 8 MiB")
	assert.ErrorContains(t, verify(p, registrytest.HTML, "/manifests/"), "no manifest")

	// The image, whose signatures hold, and what is under their tags.
	lists := func(layers string) error {
		image := p.digests(t)[1]
		p.server.Break(registrytest.Fault{When: registrytest.On(http.MethodGet, "/manifests/"+graph.TagFor(image, ".sig")), Do: text(`{"config":{},"layers":[` + layers + `]}`)})
		_, err := attest.Verify(t.Context(), p.client, p.ref.Context().Digest(image.String()), p.key.Verifier())
		return err
	}
	assert.ErrorContains(t, lists(list(5000)), "more than the 1000 that are read")
	assert.ErrorContains(t, lists(strings.Replace(entry, `"size":1`, `"size":9000000000000000000`, 1)), "more than the 67108864 bytes that are read")
	assert.ErrorContains(t, lists(strings.Replace(entry, `"size":1`, `"size":-1`, 1)), "bytes that are read")
}

// A manifest that is served as an index still needs its bill of materials.
func TestManifestServedAsIndex(t *testing.T) {
	p := begin(t)
	p.format = ""
	p.prove(t)
	image := p.digests(t)[1]
	desc, err := p.client.Get(t.Context(), p.ref.Context().Digest(image.String()))
	require.NoError(t, err)
	p.server.Break(registrytest.Fault{When: registrytest.On(http.MethodGet, "/manifests/"+image.String()), Do: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", string(types.OCIImageIndex))
		_, _ = w.Write(desc.Manifest)
	}})
	_, err = attest.Verify(t.Context(), p.client, p.ref.Context().Digest(image.String()), p.key.Verifier())
	assert.ErrorContains(t, err, "no signed bill of materials")
}

// An immutable tag is written once; publishing the same again leaves what is there, which still verifies.
func TestSignOnImmutableTags(t *testing.T) {
	for _, status := range []int{400, 401, 403, 409, 412} {
		p := begin(t)
		p.server.Break(registrytest.ImmutableTags(status))
		p.prove(t)
		p.build.Finished = time.Unix(3, 0)
		p.prove(t)
		verified, err := p.verify(t, p.key)
		require.NoError(t, err)
		assert.Equal(t, time.Unix(2, 0).UTC(), *verified[0].Provenance.RunDetails.Metadata.FinishedOn)
		p.key = newKey(t)
		documents, err := attest.Documents(t.Context(), p.index, attest.Options{Repository: p.repository, SBOM: p.format})
		require.NoError(t, err)
		err = attest.Sign(t.Context(), p.push, p.key, p.repository, p.index, documents)
		assert.ErrorContains(t, err, "does not move the tag", "another key's signature is not there")
	}
}

// Keys that sign at once, and the same key twice, lose nothing.
func TestSignAtOnce(t *testing.T) {
	p := begin(t)
	keys := []*signing.Key{newKey(t), newKey(t), newKey(t)}
	keys = append(keys, keys[0])
	o := attest.Options{Repository: p.repository, SBOM: p.format, Provenance: func(base provenance.Image) (any, error) { return p.build.Predicate(base) }}
	errs := make([]error, len(keys))
	var group sync.WaitGroup
	for i, key := range keys {
		build := *p.build
		build.Finished = time.Unix(int64(10+i), 0)
		o.Provenance = func(base provenance.Image) (any, error) { return build.Predicate(base) }
		documents, err := attest.Documents(t.Context(), p.index, o)
		require.NoError(t, err)
		push, err := p.client.Push(registry.Target{Repository: p.repository})
		require.NoError(t, err)
		group.Go(func() { errs[i] = attest.Sign(t.Context(), push, key, p.repository, p.index, documents) })
	}
	group.Wait()
	for i, key := range keys {
		require.NoError(t, errs[i])
		_, err := p.verify(t, key)
		assert.NoError(t, err)
	}
	assert.Len(t, p.layers(t, p.digests(t)[1], ".sig"), 3)
	assert.Len(t, p.layers(t, p.digests(t)[1], ".att"), 6)
}

// Signing again neither piles up signatures nor takes away those of others.
func TestSignAgain(t *testing.T) {
	p := begin(t)
	p.prove(t)
	digest := p.digests(t)[1]
	p.server.Forget()
	p.build.Finished = time.Unix(3, 0)
	p.prove(t)
	for _, r := range p.server.Requests() {
		assert.Contains(t, []string{http.MethodGet, http.MethodHead}, r.Method, "the same build writes nothing: %s", r.Path)
		assert.NotContains(t, r.Path, "/blobs/", "what is listed under tags says enough")
	}
	p.build.Version, p.build.Finished = "v1.2.4", time.Unix(4, 0)
	p.prove(t)
	assert.Len(t, p.layers(t, digest, ".sig"), 1)
	assert.Len(t, p.layers(t, digest, ".att"), 2)
	verified, err := p.verify(t, p.key)
	require.NoError(t, err)
	assert.Equal(t, time.Unix(4, 0).UTC(), *verified[1].Provenance.RunDetails.Metadata.FinishedOn, "the later build")

	first := p.key
	p.key = newKey(t)
	p.prove(t)
	assert.Len(t, p.layers(t, digest, ".sig"), 2)
	assert.Len(t, p.layers(t, digest, ".att"), 4)
	for _, key := range []*signing.Key{first, p.key} {
		_, err := p.verify(t, key)
		require.NoError(t, err)
	}
}
