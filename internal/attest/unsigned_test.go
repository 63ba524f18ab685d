package attest_test

import (
	"bytes"
	"net/http"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/attest"
	"github.com/slipway-ci/slipway/internal/attest/sbom"
	"github.com/slipway-ci/slipway/internal/test/registrytest"
)

// A bill of materials counts if it is signed: one that is not stands for nothing where there is no other, and changes nothing
// beside one that is.
func TestUnsignedBillOfMaterials(t *testing.T) {
	for _, format := range []attest.Format{attest.FormatBundle, attest.FormatTags} {
		t.Run(string(format), func(t *testing.T) {
			p := begin(t)
			p.signatures, p.format = format, ""
			p.prove(t)
			unsigned, err := attest.Documents(t.Context(), p.index, attest.Options{Repository: p.repository, SBOM: sbom.SPDX})
			require.NoError(t, err)
			require.NoError(t, attest.Attach(t.Context(), p.push, unsigned))
			_, err = p.verify(t, p.key)
			require.ErrorContains(t, err, "no signed bill of materials")

			p.format = sbom.CycloneDX
			p.prove(t)
			verified, err := p.verify(t, p.key)
			require.NoError(t, err)
			assert.Equal(t, sbom.CycloneDX, verified[1].SBOM, "that which is signed, and not the other")
		})
	}
}

// An image or index of which a byte was changed is another one, which nobody signed, whatever the registry serves it as.
func TestChangedImage(t *testing.T) {
	p := begin(t)
	p.prove(t)
	for _, digest := range p.digests(t)[:2] {
		desc, err := p.client.Get(t.Context(), p.ref.Context().Digest(digest.String()))
		require.NoError(t, err)
		changed := bytes.Replace(desc.Manifest, []byte(`{`), []byte(`{ `), 1)
		serve := func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", string(desc.MediaType))
			w.Header().Set("Docker-Content-Digest", digest.String())
			_, _ = w.Write(changed)
		}
		for at, problem := range map[string]string{"@" + digest.String(): "does not match requested digest", ":v1": "it is not signed"} {
			p.server.Break(registrytest.Fault{When: registrytest.On(http.MethodGet, "/manifests/"+at[1:]), Do: serve})
			ref, err := name.ParseReference(p.repository + at)
			require.NoError(t, err)
			_, err = attest.Verify(t.Context(), p.client, ref, p.key.Verifier())
			assert.ErrorContains(t, err, problem)
		}
	}
}
