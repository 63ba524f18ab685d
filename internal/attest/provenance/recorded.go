package provenance

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/secret"
)

// Recorded is what a predicate says that a build needs in order to be repeated.
type Recorded struct {
	// Config are the settings, with the version of Go that compiled.
	Config plan.Config
	// Source is where the source came from. Its repository is empty if nobody else can fetch it.
	Source Source
	// Base is what the index's images are built on; empty for none.
	Base Image
	// Engine is what carried the plan out, and Version that of Slipway.
	Engine, Version string
}

// internal are the internal parameters, as far as they are needed to repeat a build.
type internal struct {
	Go  string            `json:"go"`
	Git plan.Git          `json:"git"`
	Env map[string]string `json:"env"`
	// Directory is that of the source in its repository; empty for its top.
	Directory string `json:"directory"`
}

// Recorded reads what the predicate says. The error names everything that keeps the build from being repeated.
func (p Predicate) Recorded() (*Recorded, error) {
	if p.BuildDefinition.BuildType != BuildType {
		return nil, fmt.Errorf("its build type is %q, and not %q", p.BuildDefinition.BuildType, BuildType)
	}
	r := &Recorded{Engine: strings.TrimPrefix(p.RunDetails.Builder.ID, BuilderPrefix), Version: p.RunDetails.Builder.Version["slipway"]}
	var faults []error
	given := maps.Clone(p.BuildDefinition.ExternalParameters)
	for _, s := range plan.Settings() {
		value, is := given[s.Variable]
		delete(given, s.Variable)
		if !is {
			continue
		}
		text, err := json.Marshal(value)
		if err == nil {
			err = json.Unmarshal(text, s.In(&r.Config).Addr().Interface())
		}
		switch {
		case err != nil:
			faults = append(faults, fmt.Errorf("the setting %s has a value of another kind: %w", s.Variable, err))
		case hidden(s.In(&r.Config)):
			faults = append(faults, fmt.Errorf("the setting %s had a secret in it, which nobody wrote down", s.Variable))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		faults = append(faults, fmt.Errorf("the setting %s is not one of this version of Slipway", name))
	}
	var more internal
	text, err := json.Marshal(p.BuildDefinition.InternalParameters)
	if err == nil {
		err = json.Unmarshal(text, &more)
	}
	if err != nil {
		faults = append(faults, fmt.Errorf("its internal parameters: %w", err))
	}
	if r.Config.Go = more.Go; more.Go == "" {
		faults = append(faults, errors.New("it does not say which version of Go compiled"))
	}
	for _, name := range slices.Sorted(maps.Keys(more.Env)) {
		if hidden(reflect.ValueOf(more.Env[name])) {
			faults = append(faults, fmt.Errorf("the variable %s had a secret in it, which nobody wrote down", name))
		}
	}
	r.Config.Facts = plan.Facts{Git: more.Git, Env: more.Env}
	for _, d := range p.BuildDefinition.ResolvedDependencies {
		switch d.Name {
		case "source":
			commit, _ := d.Annotations["commit"].(string) // of a source that was modified
			r.Source = Source{
				Repository: strings.TrimPrefix(d.URI, "git+"), Revision: cmp.Or(d.Digest["gitCommit"], commit), Directory: more.Directory, Modified: d.Annotations["modified"] == true,
			}
		case "base":
			r.Base.Name = strings.TrimPrefix(d.URI, "oci://")
			if hex := d.Digest["sha256"]; hex != "" {
				r.Base.Digest = "sha256:" + hex
			}
		}
	}
	return r, errors.Join(faults...)
}

// hidden reports whether a setting had a secret, which is not in the predicate.
func hidden(setting reflect.Value) bool {
	switch setting.Kind() {
	case reflect.String:
		return strings.Contains(setting.String(), secret.Redacted)
	case reflect.Slice:
		for i := range setting.Len() {
			if hidden(setting.Index(i)) {
				return true
			}
		}
	}
	return false
}
