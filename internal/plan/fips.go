package plan

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/slipway-ci/slipway/internal/fault"
)

// defaultFIPS is the version of the Go Cryptographic Module that a setting without one means: the one with a certificate, CMVP #5247.
// Go's own word for that, certified, is not known to all releases that have the module, and comes to mean another one.
// Source: https://go.dev/doc/security/fips140
const defaultFIPS = "v1.0.0"

// fipsVersions are what [Config.FIPS] takes besides true, false and other versions.
var fipsVersions = []string{defaultFIPS, "v1.26.0", "certified", "inprocess", "latest", "off"}

// The labels of what changes the programs in ways that the image's users may have to know.
const (
	FIPSLabel        = "io.github.slipway-ci.fips"
	ExperimentsLabel = "io.github.slipway-ci.go-experiments"
)

// fipsVersion is a version of the module, which is called after the release of Go that it was frozen from, but for the first one.
var fipsVersion = regexp.MustCompile(`^v1\.([0-9]+)\.[0-9]+$`)

var fipsSetting = Setting{
	Flag: "fips", Alone: "true", Value: "VERSION", Help: "version of the Go Cryptographic Module to link, as GOFIPS140 takes it, for FIPS 140-3 mode; true is v1.0.0, which has a certificate",
	More:     "--fips alone is true",
	Examples: fipsVersions,
	Form:     fipsVersion,
	Field:    "FIPS",
	read:     func(c Config, s *settings, f *fault.Faults) { s.fips = c.readFIPS(f) },
}

// readFIPS is the value of GOFIPS140; empty for none.
func (c Config) readFIPS(f *fault.Faults) string {
	value := strings.TrimSpace(c.FIPS)
	if on, err := strconv.ParseBool(value); err == nil {
		value = map[bool]string{true: defaultFIPS, false: "off"}[on]
	}
	switch {
	case value == "" || value == "off":
		return ""
	case !fipsVersion.MatchString(value) && !slices.Contains(fipsVersions, value):
		f.Add("fips", c.FIPS, "no version of the Go Cryptographic Module", "choose from "+strings.Join(fipsVersions, ", ")+"; --fips alone is "+defaultFIPS)
		return ""
	}
	return value
}

var goExperimentsSetting = Setting{
	Flag: "go-experiment", Value: "EXPERIMENT", Help: "experiment of the Go toolchain, like jsonv2, as GOEXPERIMENT takes it",
	Field: "GoExperiments",
	read: func(c Config, s *settings, f *fault.Faults) {
		s.experiments = sorted(each(f, "go-experiment", c.GoExperiments, parseExperiment))
	},
}

var experiment = regexp.MustCompile(`^[a-z][a-z0-9]*$`)

func parseExperiment(s string) (string, error) {
	if !experiment.MatchString(s) {
		return "", fmt.Errorf("not an experiment of Go: write a word of lower-case letters and digits, like jsonv2")
	}
	return s, nil
}

// experimentsSince are the releases of Go that experiments begin with, as far as they are known here.
// Source: src/internal/goexperiment/flags.go of each release
var experimentsSince = map[string]string{"synctest": "1.24", "greenteagc": "1.25", "jsonv2": "1.25", "goroutineleakprofile": "1.26", "simd": "1.26"}

// checkGoHas faults a version of Go that is too old for what was asked of it.
func (r resolver) checkGoHas(goVersion string) {
	since := "1.24"
	of := fipsVersion.FindStringSubmatch(r.fips)
	switch {
	case r.fips == "certified" && compareGo(goVersion, "1.26") >= 0:
		since = "1.26.3"
	case r.fips == "certified":
		since = "1.25.10"
	case of != nil && of[1] != "0":
		since = "1." + of[1]
	}
	if r.fips != "" && compareGo(goVersion, since) < 0 {
		r.add("fips", r.fips, "Go "+goVersion+" does not have it", "choose Go "+since+" or newer with --go, or another version")
	}
	if r.fips != "" && slices.Contains(r.experiments, "boringcrypto") {
		r.add("fips", r.fips, "it excludes the experiment boringcrypto", "leave one of the two out")
	}
	for _, word := range r.experiments {
		if since := experimentsSince[strings.TrimPrefix(word, "no")]; since != "" && compareGo(goVersion, since) < 0 {
			r.add("go-experiment", word, "Go "+goVersion+" does not have it", "choose Go "+since+" or newer with --go, or leave it out")
		}
	}
}

// addGoSettings puts what changes the Go command and the standard library into the plan: for compiling as for checks.
func (r resolver) addGoSettings(plan *Plan) {
	add := func(variable, label, value string) {
		if value == "" {
			return
		}
		for _, part := range plan.Parts() {
			part.Env[variable] = value
		}
		plan.Image.Labels[label] = value
	}
	add("GOFIPS140", FIPSLabel, r.fips)
	add("GOEXPERIMENT", ExperimentsLabel, strings.Join(r.experiments, ","))
}
