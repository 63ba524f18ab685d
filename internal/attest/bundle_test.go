package attest_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/attest"
	"github.com/slipway-ci/slipway/internal/attest/provenance"
	"github.com/slipway-ci/slipway/internal/attest/signing"
	"github.com/slipway-ci/slipway/internal/test/registrytest"
)

// registries are those that list what refers to an image, and those where it is listed under the fallback tag.
var registries = map[string]func(testing.TB, ...registrytest.Fault) *registrytest.Registry{
	"with referrers API": registrytest.StartReferrers, "without referrers API": registrytest.Start,
}

// Each format verifies without the other, and is reported.
func TestFormats(t *testing.T) {
	for kind, start := range registries {
		for format, reported := range map[attest.Format][]attest.Format{
			"":                  {attest.FormatBundle, attest.FormatTags},
			attest.FormatBoth:   {attest.FormatBundle, attest.FormatTags},
			attest.FormatBundle: {attest.FormatBundle},
			attest.FormatTags:   {attest.FormatTags},
		} {
			t.Run(kind+"/"+string(format), func(t *testing.T) {
				p := beginAt(t, start(t))
				p.signatures = format
				p.prove(t)
				verified, err := p.verify(t, p.key)
				require.NoError(t, err)
				for i, digest := range p.digests(t) {
					assert.Equal(t, reported, verified[i].Signatures)
					assert.Equal(t, slices.Contains(reported, attest.FormatTags), len(p.layers(t, digest, ".sig")) == 1)
					assert.Equal(t, slices.Contains(reported, attest.FormatTags), len(p.layers(t, digest, ".att")) > 0)
				}
				assert.NotNil(t, verified[0].Provenance.RunDetails.Metadata)
				_, err = p.verify(t, newKey(t))
				assert.ErrorIs(t, err, signing.ErrSignature, "another key")
			})
		}
	}
}

// What refers to an image is listed at once: the fallback tag is written once for each. Publishing the same again, which signs
// anew and has another time, writes nothing.
func TestBundlesAreWrittenOnce(t *testing.T) {
	for kind, start := range registries {
		t.Run(kind, func(t *testing.T) {
			p := beginAt(t, start(t))
			p.signatures = attest.FormatBundle
			writes := func(part string) (n int) {
				for _, r := range p.server.Requests() {
					if r.Method != http.MethodGet && r.Method != http.MethodHead && strings.Contains(r.Path, part) {
						n++
					}
				}
				return n
			}
			p.server.Forget()
			p.prove(t)
			if kind == "without referrers API" {
				assert.Equal(t, 3, writes("/manifests/sha256-"))
			} else {
				assert.Zero(t, writes("/manifests/sha256-"))
			}
			p.server.Forget()
			p.build.Finished = time.Unix(3, 0)
			p.prove(t)
			assert.Zero(t, writes(""))

			p.key = newKey(t)
			p.prove(t)
			assert.NotZero(t, writes(""), "another key signs anew")
			_, err := p.verify(t, p.key)
			require.NoError(t, err)
		})
	}
}

// Publishing again with bundles asks the registry no more than without: they are in the same lists as other attachments.
func TestBundlesCostNoRequests(t *testing.T) {
	requests := func(format attest.Format) int {
		p := begin(t)
		p.signatures = format
		p.prove(t)
		p.server.Forget()
		p.prove(t)
		return len(p.server.Requests())
	}
	assert.Equal(t, requests(attest.FormatTags), requests(attest.FormatBoth))
}

// A bundle is as cosign writes it, and listed as such.
func TestBundleAsCosignWritesIt(t *testing.T) {
	p := begin(t)
	p.signatures = attest.FormatBundle
	p.prove(t)
	image := p.digests(t)[1]
	listed, err := p.client.Referrers(t.Context(), p.ref.Context().Digest(image.String()))
	require.NoError(t, err)
	var kinds []string
	for _, d := range listed {
		if d.ArtifactType != "application/vnd.dev.sigstore.bundle.v0.3+json" {
			continue
		}
		assert.Equal(t, "dsse-envelope", d.Annotations["dev.sigstore.bundle.content"])
		kinds = append(kinds, d.Annotations["dev.sigstore.bundle.predicateType"])
	}
	slices.Sort(kinds)
	assert.Equal(t, []string{"https://cyclonedx.org/bom", "https://sigstore.dev/cosign/sign/v1", "https://slsa.dev/provenance/v1"}, kinds)
	documents := made(t, p.key, p.index, nil)
	var b struct {
		MediaType            string
		VerificationMaterial struct{ PublicKey struct{ Hint []byte } }
		DsseEnvelope         struct {
			Payload     []byte
			PayloadType string
			Signatures  []struct{ Sig []byte }
		}
	}
	require.NoError(t, json.Unmarshal(documents[1].Content, &b))
	assert.Equal(t, "application/vnd.dev.sigstore.bundle.v0.3+json", b.MediaType)
	assert.Len(t, b.VerificationMaterial.PublicKey.Hint, 32)
	assert.Equal(t, "application/vnd.in-toto+json", b.DsseEnvelope.PayloadType)
	assert.Len(t, b.DsseEnvelope.Signatures, 1)
	assert.JSONEq(t, `{"_type": "https://in-toto.io/Statement/v1", "subject": [{"digest": {"sha256": "`+image.Hex+`"}}],
		"predicateType": "https://sigstore.dev/cosign/sign/v1", "predicate": {}}`, string(b.DsseEnvelope.Payload))
}

// made are bundles that are signed already.
func made(t *testing.T, signer attest.Signer, index v1.ImageIndex, documents []attest.Document) []attest.Document {
	t.Helper()
	bundles, err := attest.Bundles(t.Context(), signer, index, documents)
	require.NoError(t, err)
	for i, b := range bundles {
		bundles[i].Content, err = b.Make(t.Context())
		require.NoError(t, err)
	}
	return bundles
}

// Bundles prove nothing if they were changed, are of another key or of another image, at the index and at each image.
func TestForgedBundles(t *testing.T) {
	flip := func(pick func(envelope map[string]any) (holder map[string]any, field string)) func(attest.Document) attest.Document {
		return func(d attest.Document) attest.Document {
			var b map[string]any
			if json.Unmarshal(d.Content, &b) != nil {
				return d
			}
			holder, field := pick(b["dsseEnvelope"].(map[string]any))
			raw, _ := base64.StdEncoding.DecodeString(holder[field].(string))
			raw[len(raw)-3] ^= 1
			holder[field] = base64.StdEncoding.EncodeToString(raw)
			d.Content, _ = json.Marshal(b)
			return d
		}
	}
	payload := flip(func(e map[string]any) (map[string]any, string) { return e, "payload" })
	signature := flip(func(e map[string]any) (map[string]any, string) {
		return e["signatures"].([]any)[0].(map[string]any), "sig"
	})
	for name, test := range map[string]struct {
		kind  string
		forge func(attest.Document) attest.Document
	}{
		"payload of the signature":     {attest.SignatureType, payload},
		"signature":                    {attest.SignatureType, signature},
		"payload of the provenance":    {provenance.PredicateType, payload},
		"signature of the provenance":  {provenance.PredicateType, signature},
		"bill of materials":            {"https://cyclonedx.org/bom", payload},
		"no bundle":                    {attest.SignatureType, func(d attest.Document) attest.Document { d.Content = []byte("[]"); return d }},
		"a statement of another image": {attest.SignatureType, nil},
	} {
		t.Run(name, func(t *testing.T) {
			p := begin(t)
			documents, err := attest.Documents(t.Context(), p.index, p.options())
			require.NoError(t, err)
			bundles := made(t, p.key, p.index, documents)
			digests := p.digests(t)
			plain := made(t, p.key, p.index, nil)
			of := func(digest v1.Hash) []byte { return plain[slices.Index(digests, digest)].Content }
			for i, d := range bundles {
				if d.PredicateType != test.kind {
					continue
				}
				if test.forge == nil {
					bundles[i].Content = of(digests[(slices.Index(digests, d.Subject.Digest)+1)%len(digests)])
					continue
				}
				bundles[i] = test.forge(d)
			}
			require.NoError(t, attest.Attach(t.Context(), p.push, bundles))
			_, err = p.verify(t, p.key)
			require.Error(t, err)
			for _, digest := range digests {
				if test.kind == "https://cyclonedx.org/bom" && digest == digests[0] {
					continue // an index has none
				}
				assert.ErrorContains(t, err, digest.String())
			}
			p.signatures = attest.FormatTags
			p.prove(t)
			_, err = p.verify(t, p.key)
			require.NoError(t, err, "what is forged keeps nothing from being verified that is not")
		})
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Of several builds of the same image, the provenance of the last counts; one that is not Slipway's does not.
func TestProvenanceOfSeveralBuilds(t *testing.T) {
	p := begin(t)
	p.signatures = attest.FormatBundle
	p.prove(t)
	p.build.Version, p.build.Finished = "v1.2.4", time.Unix(5, 0)
	p.prove(t)
	p.build.Version, p.build.Finished = "v1.2.2", time.Unix(4, 0)
	p.prove(t)
	foreign := attest.Document{Subject: v1.Descriptor{Digest: p.digests(t)[0]}, PredicateType: provenance.PredicateType}
	foreign.Statement = must(json.Marshal(provenance.NewStatement("x", foreign.Subject.Digest.String(), provenance.PredicateType,
		provenance.Predicate{RunDetails: provenance.RunDetails{Builder: provenance.Builder{ID: "https://example.com/else"}}})))
	bundles, err := attest.Bundles(t.Context(), p.key, p.index, []attest.Document{foreign})
	require.NoError(t, err)
	require.NoError(t, attest.Attach(t.Context(), p.push, bundles))
	verified, err := p.verify(t, p.key)
	require.NoError(t, err)
	for _, v := range verified {
		assert.Equal(t, time.Unix(5, 0).UTC(), *v.Provenance.RunDetails.Metadata.FinishedOn)
	}
}

// What a list of referrers has is bounded, and read whatever the list calls it.
func TestListsOfReferrers(t *testing.T) {
	p := beginAt(t, registrytest.StartReferrers(t))
	p.signatures = attest.FormatBundle
	p.prove(t)
	image := p.digests(t)[1]
	subject := p.ref.Context().Digest(image.String())
	verify := func() error {
		_, err := attest.Verify(t.Context(), p.client, subject, p.key.Verifier())
		return err
	}
	require.NoError(t, verify(), "go-containerregistry's registry lists the configuration's type")
	listed, err := p.client.Referrers(t.Context(), subject)
	require.NoError(t, err)
	require.NotEmpty(t, listed)
	entries := func(of []v1.Descriptor) string {
		raw, err := json.Marshal(of)
		require.NoError(t, err)
		return strings.Trim(string(raw), "[]")
	}
	lists := func(entries string) {
		p.server.Break(registrytest.Fault{When: registrytest.On(http.MethodGet, "/referrers/"), Do: registrytest.Page(entries, "")})
	}
	gone := listed[0]
	gone.Digest = p.digests(t)[0]
	lists(entries(append([]v1.Descriptor{gone}, listed...)))
	require.NoError(t, verify(), "an index refers to nothing")
	gone.Digest.Hex = strings.Repeat("0", 64)
	lists(entries(append([]v1.Descriptor{gone}, listed...)))
	require.NoError(t, verify(), "what is gone")
	lists(entries([]v1.Descriptor{gone}))
	require.ErrorContains(t, verify(), "which is attached: ")
	var many []v1.Descriptor
	for range 1200 {
		many = append(many, listed...)
	}
	lists(entries(many[:1200]))
	p.server.Forget()
	_ = verify()
	assert.Less(t, len(p.server.Requests()), 2100)
	for i := range listed {
		listed[i].ArtifactType = "application/vnd.other"
	}
	lists(entries(listed))
	assert.ErrorContains(t, verify(), "it is not signed")
}
