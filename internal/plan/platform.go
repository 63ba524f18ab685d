package plan

import (
	"fmt"
	"slices"
	"strings"
)

// Platform is what an image runs on. Its text is the usual notation: "linux/amd64", "linux/arm/v7".
type Platform struct {
	OS, Architecture string
	// Variant is empty where it is the architecture's baseline: amd64 v1 and arm64 v8.
	Variant string
}

// architectures are those that Go compiles for on Linux, with the values of the variable that picks the variant.
// Source: go tool dist list; https://go.dev/wiki/MinimumRequirements
var architectures = map[string]struct {
	env      string
	variants map[string]string // variant in OCI's terms -> the variable's value
	baseline string            // the variant that an empty one means
	hidden   bool              // whether the baseline is written as no variant at all
}{
	"386":      {},
	"amd64":    {"GOAMD64", map[string]string{"v1": "v1", "v2": "v2", "v3": "v3", "v4": "v4"}, "v1", true},
	"arm":      {"GOARM", map[string]string{"v5": "5", "v6": "6", "v7": "7"}, "v7", false},
	"arm64":    {"GOARM64", map[string]string{"v8": "v8.0", "v9": "v9.0"}, "v8", true},
	"loong64":  {},
	"mips64le": {},
	"ppc64le":  {},
	"riscv64":  {},
	"s390x":    {},
}

// ParsePlatform reads a platform in the notation OS/ARCHITECTURE[/VARIANT].
func ParsePlatform(s string) (Platform, error) {
	parts := strings.Split(s, "/")
	if len(parts) < 2 || len(parts) > 3 {
		return Platform{}, fmt.Errorf("not of the form OS/ARCHITECTURE[/VARIANT]: write it like linux/amd64 or linux/arm/v7")
	}
	if parts[0] != "linux" {
		return Platform{}, fmt.Errorf("images are built for linux only: write it like linux/amd64")
	}
	arch, known := architectures[parts[1]]
	if !known {
		return Platform{}, fmt.Errorf("unknown architecture %q: choose from %s", parts[1], strings.Join(sortedKeys(architectures), ", "))
	}
	p := Platform{OS: parts[0], Architecture: parts[1], Variant: arch.baseline}
	if len(parts) == 3 {
		p.Variant = parts[2]
		if _, known := arch.variants[p.Variant]; !known {
			if arch.variants == nil {
				return Platform{}, fmt.Errorf("%s has no variants: write linux/%s", parts[1], parts[1])
			}
			return Platform{}, fmt.Errorf("unknown variant %q of %s: choose from %s", p.Variant, parts[1], strings.Join(sortedKeys(arch.variants), ", "))
		}
	}
	if arch.hidden && p.Variant == arch.baseline {
		p.Variant = ""
	}
	return p, nil
}

func (p Platform) String() string {
	s := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		s += "/" + p.Variant
	}
	return s
}

// MarshalText and UnmarshalText make a platform a plain string in JSON.
func (p Platform) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (p *Platform) UnmarshalText(text []byte) (err error) {
	*p, err = ParsePlatform(string(text))
	return err
}

// goEnv are the variables that make Go compile for p.
func (p Platform) goEnv() map[string]string {
	env := map[string]string{"GOOS": p.OS, "GOARCH": p.Architecture}
	arch := architectures[p.Architecture]
	if arch.env != "" {
		variant := p.Variant
		if variant == "" {
			variant = arch.baseline
		}
		env[arch.env] = arch.variants[variant]
	}
	return env
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
