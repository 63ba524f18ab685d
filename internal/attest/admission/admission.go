// Package admission writes the policies by which a Kubernetes cluster admits what a key or an identity signed, and nothing else from the
// same repositories: those of Kyverno and of Sigstore's policy-controller. Both want provenance that Slipway signed for the image's
// digest. The fields are those of their custom resources.
package admission

import (
	"bytes"
	"regexp"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"go.yaml.in/yaml/v3"

	"github.com/slipway-ci/slipway/internal/attest/keyless"
	"github.com/slipway-ci/slipway/internal/attest/provenance"
)

// Policy is what a cluster admits.
type Policy struct {
	Repositories []name.Repository
	// Key is the public key that signed, in PEM. Without one, Who signed keyless.
	Key string
	Who keyless.Who
}

// Kinds are the policies that there are, by the names of who enforces them.
var Kinds = map[string]func(Policy) ([]byte, error){
	"kyverno":           func(p Policy) ([]byte, error) { return document(p.kyverno()) },
	"policy-controller": func(p Policy) ([]byte, error) { return document(p.policyController()) },
}

// Public services of Sigstore. Both controllers verify by the trusted root of their own installation, and want these names all the same.
const (
	publicRekor  = "https://rekor.sigstore.dev"
	publicFulcio = "https://fulcio.sigstore.dev"
)

// resource is a custom resource of a cluster.
type resource struct {
	APIVersion string   `yaml:"apiVersion"`
	Kind       string   `yaml:"kind"`
	Metadata   metadata `yaml:"metadata"`
	Spec       any      `yaml:"spec"`
}

type metadata struct {
	Name string `yaml:"name"`
}

// identity is whom a certificate has to name. Both controllers have these fields.
type identity struct {
	Issuer        string `yaml:"issuer,omitempty"`
	IssuerRegExp  string `yaml:"issuerRegExp,omitempty"`
	Subject       string `yaml:"subject,omitempty"`
	SubjectRegExp string `yaml:"subjectRegExp,omitempty"`
}

func (p Policy) identity() identity {
	return identity{Issuer: p.Who.Issuer, IssuerRegExp: p.Who.IssuerRegexp, Subject: p.Who.Identity, SubjectRegExp: p.Who.IdentityRegexp}
}

var notInName = regexp.MustCompile(`[^a-z0-9]+`)

// mostOfName is how long the name of a policy of Kyverno can be.
const mostOfName = 63

// metadata names the policy by the first repository.
func (p Policy) metadata() metadata {
	text := "slipway-" + notInName.ReplaceAllString(p.Repositories[0].RepositoryStr(), "-")
	return metadata{strings.TrimRight(text[:min(len(text), mostOfName)], "-")}
}

// patterns match each reference by a tag or digest to the repositories, and none to those whose names only begin alike. Of a repository
// on Docker Hub, hub is what the registry is called.
func (p Policy) patterns(hub ...string) []string {
	var all []string
	for _, r := range p.Repositories {
		registries := []string{r.RegistryStr()}
		if r.RegistryStr() == name.DefaultRegistry {
			registries = hub
		}
		for _, registry := range registries {
			repository := registry + "/" + r.RepositoryStr()
			all = append(all, repository+":*", repository+"@*")
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func document(r resource) ([]byte, error) {
	var b bytes.Buffer
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	if err := encoder.Encode(r); err != nil {
		return nil, err
	}
	return b.Bytes(), encoder.Close()
}

// builders is a pattern of the identities by which Slipway's engines build.
const builders = provenance.BuilderPrefix + "*"
