package plan

import (
	"slices"
	"strings"

	"github.com/slipway-ci/slipway/internal/fault"
)

// settings are a Config's values, parsed, in the form that a plan has them. What needs the source tree, such as packages and files,
// is parsed as far as that goes without it.
type settings struct {
	packages        []string          // directories
	destinations    map[string]string // where the programs of packages go that do not go to appDir
	builderPackages []string
	generate        []string // patterns, or words of a switch
	prebuildImage   string
	prebuildOutputs []string
	prebuildCaches  []string
	runtimePackages []string
	platforms       []Platform
	runtime         Runtime
	base            string
	cgo             string
	tags            []string
	stamps          []stamp
	fips            string
	experiments     []string
	caCerts         string
	user            string
	userName        string // empty: that of the runtime
	labels          map[string]string
	annotations     map[string]string
	files           []file
	links           []File
	writable        []writable
	capabilities    []string
	// image has what goes into the image's configuration as it is.
	image Image
}

// settings parses c. Each fault that it finds goes to f, and the setting is left out.
func (c Config) settings(f *fault.Faults) settings {
	var s settings
	for _, setting := range Settings() {
		if setting.read != nil {
			setting.read(c, &s, f)
		}
	}
	s.tags = sorted(s.tags)
	return s
}

// each parses every value of a list.
func each[T any](f *fault.Faults, field string, values []string, parse func(string) (T, error)) []T {
	var parsed []T
	for _, v := range values {
		if t, err := parse(strings.TrimSpace(v)); err != nil {
			f.Add(field, v, err.Error(), "")
		} else {
			parsed = append(parsed, t)
		}
	}
	return parsed
}

// sorted is a list whose order has no meaning, in one order and with nothing twice.
func sorted(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}
