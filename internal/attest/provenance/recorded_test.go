package provenance_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/attest/provenance"
	"github.com/slipway-ci/slipway/internal/plan"
)

// recorded is what a build's predicate says, once it was published.
func recorded(t *testing.T, b provenance.Build, base provenance.Image) (*provenance.Recorded, error) {
	t.Helper()
	predicate, err := b.Predicate(base)
	require.NoError(t, err)
	text, err := json.Marshal(predicate)
	require.NoError(t, err)
	var published provenance.Predicate
	require.NoError(t, json.Unmarshal(text, &published))
	return published.Recorded()
}

// Everything that decides a build can be read again from its provenance.
func TestRecorded(t *testing.T) {
	config := plan.Config{
		Runtime: "alpine", TZData: true, Stamps: plan.Pairs{"main.version={{.Git.Tag}}"}, Platforms: plan.List{"linux/arm64"}, Env: plan.Pairs{"CHANNEL={{.Env.CHANNEL}}"},
		Healthcheck: plan.Lines{"/app/server", "two words"},
	}
	config.Facts = plan.Facts{Git: plan.Git{Commit: hash, ShortCommit: hash[:7], Tag: "v1"}, Env: map[string]string{"CHANNEL": "stable", "OTHER": "x"}}
	base := provenance.Image{Name: "docker.io/library/alpine:3.24.2", Digest: "sha256:" + strings.Repeat("a", 64)}
	source := provenance.Source{Repository: "https://example.com/r", Revision: hash, Directory: "services/api"}
	got, err := recorded(t, provenance.Build{Plan: planOf(t, config), Config: config, Engine: "dagger", Version: "v1.2.3", Source: source}, base)
	require.NoError(t, err)
	want := config
	want.Go = "1.26.8"
	want.Facts.Env = map[string]string{"CHANNEL": "stable"}
	assert.Equal(t, &provenance.Recorded{Config: want, Source: source, Base: base, Engine: "dagger", Version: "v1.2.3"}, got)

	source.Modified = true
	got, err = recorded(t, provenance.Build{Plan: planOf(t, plan.Config{}), Engine: "host", Source: source}, provenance.Image{})
	require.NoError(t, err)
	assert.Equal(t, source, got.Source)
	assert.Empty(t, got.Base)
}

// What cannot be repeated is named, all at once.
func TestNotRecorded(t *testing.T) {
	config := plan.Config{Env: plan.Pairs{"DB=postgres://u:PW@db/x"}, Labels: plan.Pairs{"l={{.Env.URL}}"}}
	config.Facts.Env = map[string]string{"URL": "https://u:PW@example.com"}
	_, err := recorded(t, provenance.Build{Plan: planOf(t, plan.Config{}), Config: config, Engine: "host"}, provenance.Image{})
	require.ErrorContains(t, err, "the setting SLIPWAY_ENV had a secret in it")
	require.ErrorContains(t, err, "the variable URL had a secret in it")
	require.NotContains(t, err.Error(), "u:PW")

	predicate := provenance.Predicate{BuildDefinition: provenance.BuildDefinition{
		BuildType: provenance.BuildType, ExternalParameters: map[string]any{"SLIPWAY_NEWER": true, "SLIPWAY_ENV": 7},
	}}
	_, err = predicate.Recorded()
	require.ErrorContains(t, err, "the setting SLIPWAY_NEWER is not one of this version of Slipway")
	require.ErrorContains(t, err, "the setting SLIPWAY_ENV has a value of another kind")
	require.ErrorContains(t, err, "it does not say which version of Go compiled")
	predicate.BuildDefinition.BuildType = "https://example.com/other"
	_, err = predicate.Recorded()
	require.ErrorContains(t, err, `its build type is "https://example.com/other"`)
}
