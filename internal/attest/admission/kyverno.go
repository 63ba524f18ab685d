package admission

import (
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/slipway-ci/slipway/internal/attest/provenance"
)

// kyverno is a ClusterPolicy. Kyverno reads bundles (SigstoreBundle) of identities alone; by a key, it reads cosign's tags (Cosign).
func (p Policy) kyverno() resource {
	kind, by := "SigstoreBundle", kyvernoSigner{Keyless: &kyvernoKeyless{p.identity(), kyvernoRekor{URL: publicRekor}}}
	if p.Key != "" {
		// A key has neither an entry of the log nor a certificate.
		kind, by = "Cosign", kyvernoSigner{Keys: &kyvernoKeys{p.Key, kyvernoRekor{URL: publicRekor, IgnoreTlog: true}, kyvernoCTLog{IgnoreSCT: true}}}
	}
	signers := []kyvernoSigners{{Entries: []kyvernoSigner{by}}}
	condition := kyvernoCondition{Key: "{{ runDetails.builder.id }}", Operator: "Equals", Value: builders}
	return resource{"kyverno.io/v1", "ClusterPolicy", p.metadata(), kyvernoSpec{
		Webhook: kyvernoWebhook{TimeoutSeconds: 30},
		Rules: []kyvernoRule{{
			Name:  "built-by-slipway",
			Match: kyvernoMatch{Any: []kyvernoResources{{kyvernoKinds{Kinds: []string{"Pod"}}}}},
			VerifyImages: []kyvernoImages{{
				Type: kind, FailureAction: "Enforce", ImageReferences: p.patterns("docker.io", name.DefaultRegistry),
				MutateDigest: true, VerifyDigest: true, Required: true, Attestors: signers,
				Attestations: []kyvernoAttestation{{Type: provenance.PredicateType, Attestors: signers, Conditions: []kyvernoConditions{{All: []kyvernoCondition{condition}}}}},
			}},
		}},
	}}
}

type kyvernoSpec struct {
	Background bool           `yaml:"background"` // verifying asks registries, which scans of what already runs should not
	Webhook    kyvernoWebhook `yaml:"webhookConfiguration"`
	Rules      []kyvernoRule  `yaml:"rules"`
}

type kyvernoWebhook struct {
	TimeoutSeconds int `yaml:"timeoutSeconds"`
}

type kyvernoRule struct {
	Name         string          `yaml:"name"`
	Match        kyvernoMatch    `yaml:"match"`
	VerifyImages []kyvernoImages `yaml:"verifyImages"`
}

type kyvernoMatch struct {
	Any []kyvernoResources `yaml:"any"`
}

type kyvernoResources struct {
	Resources kyvernoKinds `yaml:"resources"`
}

type kyvernoKinds struct {
	Kinds []string `yaml:"kinds"`
}

type kyvernoImages struct {
	Type            string               `yaml:"type"`
	FailureAction   string               `yaml:"failureAction"`
	ImageReferences []string             `yaml:"imageReferences"`
	MutateDigest    bool                 `yaml:"mutateDigest"`
	VerifyDigest    bool                 `yaml:"verifyDigest"`
	Required        bool                 `yaml:"required"`
	Attestors       []kyvernoSigners     `yaml:"attestors"`
	Attestations    []kyvernoAttestation `yaml:"attestations"`
}

type kyvernoSigners struct {
	Entries []kyvernoSigner `yaml:"entries"`
}

type kyvernoSigner struct {
	Keys    *kyvernoKeys    `yaml:"keys,omitempty"`
	Keyless *kyvernoKeyless `yaml:"keyless,omitempty"`
}

type kyvernoKeys struct {
	PublicKeys string       `yaml:"publicKeys"`
	Rekor      kyvernoRekor `yaml:"rekor"`
	CTLog      kyvernoCTLog `yaml:"ctlog"`
}

type kyvernoKeyless struct {
	identity `yaml:",inline"`
	Rekor    kyvernoRekor `yaml:"rekor"`
}

type kyvernoRekor struct {
	URL        string `yaml:"url"`
	IgnoreTlog bool   `yaml:"ignoreTlog,omitempty"`
}

type kyvernoCTLog struct {
	IgnoreSCT bool `yaml:"ignoreSCT"`
}

type kyvernoAttestation struct {
	Type       string              `yaml:"type"`
	Attestors  []kyvernoSigners    `yaml:"attestors"`
	Conditions []kyvernoConditions `yaml:"conditions"`
}

type kyvernoConditions struct {
	All []kyvernoCondition `yaml:"all"`
}

type kyvernoCondition struct {
	Key      string `yaml:"key"`
	Operator string `yaml:"operator"`
	Value    string `yaml:"value"`
}
