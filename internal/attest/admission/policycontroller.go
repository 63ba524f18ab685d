package admission

import (
	"fmt"
	"regexp"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/slipway-ci/slipway/internal/attest/provenance"
)

// policyController is a ClusterImagePolicy. policy-controller reads bundles of identities alone; by a key, it reads cosign's tags. Where it
// is to verify attestations, it verifies no other signature: the provenance that was signed names the image's digest.
func (p Policy) policyController() resource {
	by := authority{Name: "slipway", Attestations: []attestation{{
		Name: "provenance", PredicateType: provenance.PredicateType,
		Policy: rule{Type: "cue", Data: fmt.Sprintf("predicate: runDetails: builder: id: =~#\"^%s\"#\n", regexp.QuoteMeta(provenance.BuilderPrefix))},
	}}}
	if p.Key != "" {
		by.Key = &keyData{Data: p.Key}
	} else {
		by.Format, by.CTLog, by.Keyless = "bundle", &service{URL: publicRekor}, &certified{URL: publicFulcio, Identities: []identity{p.identity()}}
	}
	spec := imagePolicy{Mode: "enforce", Authorities: []authority{by}}
	for _, pattern := range p.patterns(name.DefaultRegistry) {
		spec.Images = append(spec.Images, image{Glob: pattern})
	}
	return resource{"policy.sigstore.dev/v1beta1", "ClusterImagePolicy", p.metadata(), spec}
}

type imagePolicy struct {
	Mode        string      `yaml:"mode"`
	Images      []image     `yaml:"images"`
	Authorities []authority `yaml:"authorities"`
}

type image struct {
	Glob string `yaml:"glob"`
}

type authority struct {
	Name         string        `yaml:"name"`
	Key          *keyData      `yaml:"key,omitempty"`
	Keyless      *certified    `yaml:"keyless,omitempty"`
	CTLog        *service      `yaml:"ctlog,omitempty"`
	Format       string        `yaml:"signatureFormat,omitempty"`
	Attestations []attestation `yaml:"attestations"`
}

type keyData struct {
	Data string `yaml:"data"`
}

type certified struct {
	URL        string     `yaml:"url"`
	Identities []identity `yaml:"identities"`
}

type service struct {
	URL string `yaml:"url"`
}

type attestation struct {
	Name          string `yaml:"name"`
	PredicateType string `yaml:"predicateType"`
	Policy        rule   `yaml:"policy"`
}

type rule struct {
	Type string `yaml:"type"`
	Data string `yaml:"data"`
}
