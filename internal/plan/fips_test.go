package plan

import (
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestFIPSAndExperiments(t *testing.T) {
	source := fstest.MapFS{
		"go.mod":  {Data: []byte("module example.com/m\n\ngo 1.21\n")},
		"main.go": {Data: []byte("package main\n")},
	}
	for _, test := range []struct {
		config     Config
		fips, want string // GOFIPS140, GOEXPERIMENT
		fault      string
	}{
		{Config{Go: "1.21.13"}, "", "", ""},
		{Config{Go: "1.21.13", FIPS: "false"}, "", "", ""},
		{Config{Go: "1.24.0", FIPS: "true"}, "v1.0.0", "", ""},
		{Config{Go: "1.23.12", FIPS: "true"}, "", "", `fips "v1.0.0": Go 1.23.12 does not have it: choose Go 1.24 or newer with --go, or another version`},
		{Config{Go: "1.26.0", FIPS: "v1.26.0"}, "v1.26.0", "", ""},
		{Config{Go: "1.25.14", FIPS: "v1.26.0"}, "", "", "choose Go 1.26 or newer"},
		{Config{Go: "1.25.9", FIPS: "certified"}, "", "", "choose Go 1.25.10 or newer"},
		{Config{Go: "1.25.10", FIPS: "certified"}, "certified", "", ""},
		{Config{Go: "1.26.2", FIPS: "certified"}, "", "", "choose Go 1.26.3 or newer"},
		{Config{Go: "1.27.4", FIPS: "latest"}, "latest", "", ""},
		{Config{Go: "1.27.4", FIPS: "yes"}, "", "", `fips "yes": no version of the Go Cryptographic Module: choose from v1.0.0, v1.26.0, certified, inprocess, latest, off; --fips alone is v1.0.0`},
		{Config{Go: "1.27.4", FIPS: "latest", GoExperiments: []string{"boringcrypto"}}, "", "", "it excludes the experiment boringcrypto"},
		{Config{Go: "1.27.4", GoExperiments: []string{"jsonv2", "arenas", "jsonv2"}}, "", "arenas,jsonv2", ""},
		{Config{Go: "1.24.13", GoExperiments: []string{"jsonv2"}}, "", "", `go-experiment "jsonv2": Go 1.24.13 does not have it: choose Go 1.25 or newer`},
		{Config{Go: "1.27.4", GoExperiments: []string{"json v2"}}, "", "", `go-experiment "json v2": not an experiment of Go`},
	} {
		plan, err := Resolve(t.Context(), source, test.config)
		if test.fault != "" {
			assert.ErrorContains(t, err, test.fault, "%+v", test)
			continue
		}
		require.NoError(t, err, "%+v", test)
		for value, names := range map[string][2]string{test.fips: {"GOFIPS140", FIPSLabel}, test.want: {"GOEXPERIMENT", ExperimentsLabel}} {
			if value == "" {
				continue
			}
			assert.Equal(t, value, plan.Env[names[0]])
			assert.Equal(t, value, plan.Image.Labels[names[1]])
		}
		if test.fips == "" {
			assert.NotContains(t, plan.Env, "GOFIPS140")
		}
		if test.want == "" {
			assert.NotContains(t, plan.Env, "GOEXPERIMENT")
		}
	}
}

// Build constraints know the experiments.
func TestExperimentsInConstraints(t *testing.T) {
	source := fstest.MapFS{
		"go.mod":  {Data: []byte("module example.com/m\n\ngo 1.26.8\n")},
		"main.go": {Data: []byte("//go:build goexperiment.jsonv2\n\npackage main\n")},
	}
	_, err := Resolve(t.Context(), source, Config{})
	assert.ErrorContains(t, err, "add --go-experiment jsonv2")
	_, err = Resolve(t.Context(), source, Config{GoExperiments: []string{"jsonv2"}})
	assert.NoError(t, err)
}
