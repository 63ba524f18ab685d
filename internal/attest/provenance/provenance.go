// Package provenance says where an image comes from: an in-toto statement with the SLSA v1 provenance predicate, of the
// source, the settings, the builder and the time. What is not known is left out.
//
// It is the only part of Slipway's output that a clock gets into, and no part of the image.
package provenance

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/package-url/packageurl-go"

	"github.com/slipway-ci/slipway/internal/distro"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/secret"
)

// Types of the documents. Sources: https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md and
// https://slsa.dev/spec/v1.0/provenance
const (
	StatementType = "https://in-toto.io/Statement/v1"
	PredicateType = "https://slsa.dev/provenance/v1"
	MediaType     = "application/vnd.in-toto+json"
)

// BuildType says how to read the parameters: docs/supply-chain.md describes them.
const BuildType = "https://github.com/slipway-ci/slipway/build/v1"

// BuilderPrefix begins the builder's identity, which ends in the engine's name.
const BuilderPrefix = "https://github.com/slipway-ci/slipway/engine/"

// Statement is an in-toto statement. Predicate is of the type that PredicateType names.
type Statement struct {
	Type          string     `json:"_type"`
	Subject       []Resource `json:"subject"`
	PredicateType string     `json:"predicateType"`
	Predicate     any        `json:"predicate"`
}

// Resource is in-toto's descriptor of a thing. Source:
// https://github.com/in-toto/attestation/blob/main/spec/v1/resource_descriptor.md
type Resource struct {
	Name        string            `json:"name,omitempty"`
	URI         string            `json:"uri,omitempty"`
	Digest      map[string]string `json:"digest,omitempty"`
	Annotations map[string]any    `json:"annotations,omitempty"`
}

// NewStatement is a statement about an image or index. digest is like "sha256:…".
func NewStatement(name, digest, predicateType string, predicate any) Statement {
	subject := Resource{Name: name, Digest: digestSet(digest)}
	return Statement{Type: StatementType, Subject: []Resource{subject}, PredicateType: predicateType, Predicate: predicate}
}

// digestSet is in-toto's notation for a digest like "sha256:…"; nil for none.
func digestSet(digest string) map[string]string {
	algorithm, hex, found := strings.Cut(digest, ":")
	if !found {
		return nil
	}
	return map[string]string{algorithm: hex}
}

// Predicate is the SLSA v1 provenance.
type Predicate struct {
	BuildDefinition BuildDefinition `json:"buildDefinition"`
	RunDetails      RunDetails      `json:"runDetails"`
}

// Identity is the same for predicates, in JSON, of the same build of the same, whichever run it was and whenever: hexadecimal
// digits. It is empty for what is no predicate.
func Identity(predicate []byte) string {
	var all map[string]any
	if json.Unmarshal(predicate, &all) != nil {
		return ""
	}
	if run, ok := all["runDetails"].(map[string]any); ok {
		delete(run, "metadata")
	}
	text, err := json.Marshal(all)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// BuildDefinition is what went into the build.
type BuildDefinition struct {
	BuildType            string         `json:"buildType"`
	ExternalParameters   map[string]any `json:"externalParameters"`
	InternalParameters   map[string]any `json:"internalParameters,omitempty"`
	ResolvedDependencies []Resource     `json:"resolvedDependencies,omitempty"`
}

// RunDetails is who built, and when.
type RunDetails struct {
	Builder  Builder   `json:"builder"`
	Metadata *Metadata `json:"metadata,omitempty"`
}

// Builder is what carried the plan out.
type Builder struct {
	ID      string            `json:"id"`
	Version map[string]string `json:"version,omitempty"`
}

// Metadata is about one run.
type Metadata struct {
	InvocationID string     `json:"invocationId,omitempty"`
	StartedOn    *time.Time `json:"startedOn,omitempty"`
	FinishedOn   *time.Time `json:"finishedOn,omitempty"`
}

// sourceLabel is the label by which an image names its repository. Source:
// https://github.com/opencontainers/image-spec/blob/v1.1.1/annotations.md#pre-defined-annotation-keys
const sourceLabel = "org.opencontainers.image.source"

// Build is what is known of a build.
type Build struct {
	// Plan and Config are what was built. Plan.Builder is named only where the engine used it: see BuilderImages.
	Plan   *plan.Plan
	Config plan.Config
	// Engine is what carried the plan out, "host" or "dagger"; Version is Slipway's.
	Engine, Version string
	// Source is where the source came from, CI what ran the build. Both may be empty. Where neither knows the repository, the image's
	// label org.opencontainers.image.source does.
	Source Source
	CI     CI
	// BuilderImages are the images that compiled, one for each module or workspace; none where this machine did.
	BuilderImages []Image
	// Packages were installed in the images of any platform.
	Packages []distro.Package
	// Cached are the images that a cache had, and Compiled those that were compiled from packages of a cache.
	Cached, Compiled []Cached
	// Started and Finished are left out if they are zero.
	Started, Finished time.Time
}

// Cached is an image that came from a cache, or whose packages did.
type Cached struct {
	Platform string `json:"platform"`
	// Cache is the repository; empty for a directory. Key is the digest of everything that decided the image; empty for packages.
	Cache string `json:"cache,omitempty"`
	Key   string `json:"key,omitempty"`
	// Signed says that it was signed by the key that signs this.
	Signed bool `json:"signed,omitempty"`
}

// Image is a reference, and its digest as far as that is known.
type Image struct {
	Name   string
	Digest string
}

// Predicate is the build's provenance, for an image on base, which is empty for none.
func (b Build) Predicate(base Image) (Predicate, error) {
	hashed := *b.Plan
	hashed.Notes = nil // they are for people, and change with Slipway's tables; the build is the same
	p, err := json.Marshal(hashed)
	if err != nil {
		return Predicate{}, fmt.Errorf("encoding the plan: %w", err)
	}
	sum := sha256.Sum256(p)
	internal := map[string]any{
		"go":   b.Plan.Go.Version,
		"plan": map[string]any{"digest": map[string]string{"sha256": hex.EncodeToString(sum[:])}},
	}
	if b.CI != (CI{}) {
		internal["ci"] = b.CI
	}
	if git := b.Config.Facts.Git; git != (plan.Git{}) {
		internal["git"] = git
	}
	if b.Source.Directory != "" {
		internal["directory"] = b.Source.Directory
	}
	if env := b.Config.NamedVariables(); len(env) > 0 {
		for name, value := range env {
			env[name] = secret.Hide(value)
		}
		internal["env"] = env
	}
	if b.Cached != nil {
		internal["cached"] = b.Cached
	}
	if b.Compiled != nil {
		internal["compiledFrom"] = b.Compiled
	}
	builder := Builder{ID: BuilderPrefix + b.Engine}
	if b.Version != "" {
		builder.Version = map[string]string{"slipway": b.Version}
	}
	metadata := &Metadata{InvocationID: b.CI.Run, StartedOn: moment(b.Started), FinishedOn: moment(b.Finished)}
	if *metadata == (Metadata{}) {
		metadata = nil
	}
	return Predicate{
		BuildDefinition: BuildDefinition{
			BuildType: BuildType, ExternalParameters: parameters(b.Config), InternalParameters: internal, ResolvedDependencies: b.dependencies(base),
		},
		RunDetails: RunDetails{Builder: builder, Metadata: metadata},
	}, nil
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Second)
	return &t
}

// withoutSecrets is a setting without what has the form of a secret, such as a login in a URL: a statement is for everybody.
func withoutSecrets(setting reflect.Value) any {
	switch setting.Kind() {
	case reflect.String:
		return secret.Hide(setting.String())
	case reflect.Slice:
		hidden := make([]string, setting.Len())
		for i := range hidden {
			hidden[i] = secret.Hide(setting.Index(i).String())
		}
		return hidden
	}
	return setting.Interface()
}

// parameters are the settings that the user made, by the names of their variables.
func parameters(config plan.Config) map[string]any {
	made := map[string]any{}
	for _, s := range plan.Settings() {
		if value := s.In(&config); !value.IsZero() {
			made[s.Variable] = withoutSecrets(value)
		}
	}
	return made
}

func (b Build) dependencies(base Image) []Resource {
	var all []Resource
	source := b.Source.orElse(b.CI.Source)
	if source.Repository == "" {
		source.Repository = cleanURL(b.Plan.Image.Labels[sourceLabel])
	}
	if source.Revision != "" {
		r := Resource{Name: "source", URI: source.Repository}
		if r.URI != "" {
			r.URI = "git+" + r.URI
		}
		if source.Modified {
			// The source differs from that commit, so its digest would be false.
			r.Annotations = map[string]any{"commit": source.Revision, "modified": true}
		} else {
			r.Digest = map[string]string{"gitCommit": source.Revision}
		}
		all = append(all, r)
	}
	for i, image := range append([]Image{base}, b.BuilderImages...) {
		if image == (Image{}) || slices.Contains(b.BuilderImages[:max(i-1, 0)], image) {
			continue
		}
		r := Resource{Name: "base", Digest: digestSet(image.Digest)}
		if i > 0 {
			r.Name = "builder"
		}
		if image.Name != "" {
			r.URI = "oci://" + image.Name
		}
		all = append(all, r)
	}
	if p := b.Plan.Prebuild; p != nil && b.BuilderImages != nil { // the host engine runs it on its machine
		ref, digest, _ := strings.Cut(p.Image, "@")
		all = append(all, Resource{Name: "prebuild", URI: "oci://" + ref, Digest: digestSet(digest)})
	}
	if d := b.Plan.Image.Distribution; d != nil {
		all = append(all, packages(d.Name, b.Packages)...)
	}
	for _, d := range b.Plan.Downloads() {
		all = append(all, Resource{Name: "file", URI: secret.Hide(d.URL), Digest: digestSet(d.Digest)})
	}
	return all
}

// packages are those of a distribution, each once, in the order of their names.
func packages(distribution string, installed []distro.Package) []Resource {
	installed = slices.Clone(installed)
	slices.SortFunc(installed, func(a, b distro.Package) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Version, b.Version), strings.Compare(a.SHA256, b.SHA256))
	})
	installed = slices.CompactFunc(installed, func(a, b distro.Package) bool { return a.SHA256 == b.SHA256 })
	var all []Resource
	for _, p := range installed {
		kind, architecture := packageurl.TypeApk, path.Base(path.Dir(p.Path))
		if name, ok := strings.CutSuffix(path.Base(p.Path), ".deb"); ok {
			kind, architecture = packageurl.TypeDebian, name[strings.LastIndex(name, "_")+1:]
		}
		qualifiers := packageurl.QualifiersFromMap(map[string]string{"arch": architecture})
		url := packageurl.NewPackageURL(kind, distribution, p.Name, p.Version, qualifiers, "").ToString()
		all = append(all, Resource{Name: "package", URI: url, Digest: map[string]string{"sha256": p.SHA256}})
	}
	return all
}
