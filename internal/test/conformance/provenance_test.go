package conformance

import (
	"encoding/json"
	"os"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	slsa "github.com/in-toto/attestation/go/predicates/provenance/v1"
	intoto "github.com/in-toto/attestation/go/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/slipway-ci/slipway/internal/attest/provenance"
	"github.com/slipway-ci/slipway/internal/plan"
)

// A statement is one that in-toto's own types can hold, field by field, and find valid.
func TestProvenanceIsValid(t *testing.T) {
	config := plan.Config{Runtime: "alpine", Ports: []string{"8080"}}
	plan, err := plan.Resolve(t.Context(), os.DirFS("../../../examples/http-server"), config)
	if err != nil {
		t.Fatal(err)
	}
	hash := "0123456789abcdef0123456789abcdef01234567"
	predicate, err := provenance.Build{
		Plan: plan, Config: config, Engine: "host", Version: "v1", Started: time.Now(), Finished: time.Now(),
		Source:        provenance.Source{Repository: "https://example.com/r", Revision: hash, Modified: true},
		CI:            provenance.ReadCI([]string{"GITHUB_ACTIONS=true", "GITHUB_REF=refs/heads/main"}),
		BuilderImages: []provenance.Image{{Name: plan.Builder}},
	}.Predicate(provenance.Image{Name: plan.Image.Base, Digest: "sha256:" + hash + hash[:24]})
	if err != nil {
		t.Fatal(err)
	}
	digest := v1.Hash{Algorithm: "sha256", Hex: hash + hash[:24]}
	raw, err := json.Marshal(provenance.NewStatement("example.com/r", digest.String(), provenance.PredicateType, predicate))
	if err != nil {
		t.Fatal(err)
	}
	var statement intoto.Statement
	if err := protojson.Unmarshal(raw, &statement); err != nil { // it refuses fields that it does not know
		t.Fatal(err)
	}
	if err := statement.Validate(); err != nil {
		t.Error(err)
	}
	inner, err := json.Marshal(predicate)
	if err != nil {
		t.Fatal(err)
	}
	var p slsa.Provenance
	if err := protojson.Unmarshal(inner, &p); err != nil {
		t.Fatal(err)
	}
	if err := p.Validate(); err != nil {
		t.Errorf("%v\n%s", err, inner)
	}
}
