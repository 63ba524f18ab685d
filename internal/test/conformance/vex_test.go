package conformance

import (
	"encoding/json"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	discovery "github.com/openvex/discovery/pkg/oci"
	"github.com/openvex/go-vex/pkg/attestation"
	openvex "github.com/openvex/go-vex/pkg/vex"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/attest"
	"github.com/slipway-ci/slipway/internal/attest/vex"
	"github.com/slipway-ci/slipway/internal/test/registrytest"
)

// OpenVEX's own library reads what is attached, and finds in it what concerns an image and a package by the names that its module for
// registries gives them, as grype does. Of an index, the documents about it and about the image of the scanned platform match.
func TestVEXMatches(t *testing.T) {
	repository := registrytest.Start(t).Host + "/owner/app"
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, architecture := range []string{"amd64", "arm64"} {
		img, err := random.Image(100, 1)
		require.NoError(t, err)
		img, err = mutate.ConfigFile(mutate.MediaType(img, types.OCIManifestSchema1), &v1.ConfigFile{OS: "linux", Architecture: architecture})
		require.NoError(t, err)
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: architecture}}})
	}
	tag, err := name.NewTag(repository + ":v1")
	require.NoError(t, err)
	require.NoError(t, remote.WriteIndex(tag, index))
	documents, err := attest.Documents(t.Context(), index, attest.Options{Repository: repository, Author: "me", VEX: []vex.Statement{
		{
			Vulnerability: vex.Vulnerability{Name: "GO-2022-1059", Aliases: []string{"CVE-2022-32149", "GHSA-69ch-w2m2-3vjp"}}, Status: vex.NotAffected, Justification: "vulnerable_code_not_in_execute_path", Expires: "2999-12-31",
			Products: []vex.Product{{Subcomponents: []vex.Component{{ID: vex.Module("golang.org/x/text")}}}},
		},
		{
			Vulnerability: vex.Vulnerability{Name: "GO-2025-3503", Aliases: []string{"CVE-2025-22870"}}, Status: vex.NotAffected, Justification: "inline_mitigations_already_exist", Expires: "2999-12-31",
		},
	}})
	require.NoError(t, err)
	require.Len(t, documents, 3)
	digest, err := index.Digest()
	require.NoError(t, err)
	manifest, err := index.IndexManifest()
	require.NoError(t, err)
	image := manifest.Manifests[0].Digest.String()
	// concerns reports whether one of the documents says of a package in an image that the vulnerability does not affect it.
	concerns := func(vulnerability, reference, system, part string) bool {
		architecture := ""
		if system != "" {
			architecture = "amd64"
		}
		names, err := discovery.GenerateReferenceIdentifiers(reference, system, architecture)
		require.NoError(t, err)
		found := false
		for _, d := range documents {
			var statement struct {
				PredicateType string          `json:"predicateType"`
				Predicate     json.RawMessage `json:"predicate"`
			}
			require.NoError(t, json.Unmarshal(d.Statement, &statement))
			assert.Equal(t, attestation.New().PredicateType, statement.PredicateType)
			document, err := openvex.Parse(statement.Predicate)
			require.NoError(t, err)
			for i := range document.Statements {
				require.NoError(t, document.Statements[i].Validate())
			}
			for _, product := range names.ToStringSlice() {
				for _, s := range document.Matches(vulnerability, product, []string{part}) {
					found = found || s.Status == openvex.StatusNotAffected
				}
			}
		}
		return found
	}
	for reference, system := range map[string]string{
		repository + ":v1":                               "linux",
		repository + "@" + digest.String():               "linux",
		repository + "@" + image:                         "linux",
		repository + ":v1@" + image:                      "",
		"index.docker.io/another/app@" + digest.String(): "", // a copy
	} {
		for _, name := range []string{"GO-2022-1059", "CVE-2022-32149", "GHSA-69ch-w2m2-3vjp"} {
			assert.True(t, concerns(name, reference, system, "pkg:golang/golang.org/x/text@v0.3.7"), "%s of %s", name, reference)
			assert.False(t, concerns(name, reference, system, "pkg:golang/golang.org/x/net@v0.3.7"), "another module in %s", reference)
		}
		assert.True(t, concerns("CVE-2025-22870", reference, system, "pkg:golang/stdlib@1.26.8"), "a statement without subcomponents, about %s", reference)
		assert.False(t, concerns("CVE-2025-22871", reference, system, "pkg:golang/stdlib@1.26.8"), "another vulnerability")
	}
	other := "index.docker.io/owner/app@sha256:" + digest.Hex[1:] + "0"
	assert.False(t, concerns("CVE-2025-22870", other, "", "pkg:golang/stdlib@1.26.8"), "another image")
}
