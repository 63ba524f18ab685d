package oci

import (
	"slices"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What runs on a platform, the best first. Variants of no order are on their own.
func TestTarget(t *testing.T) {
	all := []string{
		"linux/386", "linux/amd64", "linux/amd64/v2", "linux/amd64/v4", "linux/x86_64/v3", "windows/amd64",
		"linux/arm/v5", "linux/arm/v6", "linux/arm", "linux/arm/v8",
		"linux/aarch64", "linux/arm64/v8.2", "linux/arm64/v9", "linux/riscv64", "linux/riscv64/rva20u64", "linux/riscv64/rva22u64",
	}
	for want, fitting := range map[string][]string{
		"linux/amd64":            {"linux/amd64"},
		"linux/amd64/v1":         {"linux/amd64"},
		"linux/amd64/v2":         {"linux/amd64/v2", "linux/amd64"},
		"linux/amd64/v3":         {"linux/x86_64/v3", "linux/amd64/v2", "linux/amd64"},
		"linux/386":              {"linux/386"},
		"linux/arm":              {"linux/arm", "linux/arm/v6", "linux/arm/v5"},
		"linux/arm/v5":           {"linux/arm/v5"},
		"linux/arm/v6":           {"linux/arm/v6", "linux/arm/v5"},
		"linux/arm64":            {"linux/aarch64"},
		"linux/arm64/v8":         {"linux/aarch64"},
		"linux/arm64/v8.5":       {"linux/arm64/v8.2", "linux/aarch64"},
		"linux/arm64/v9":         {"linux/arm64/v9", "linux/arm64/v8.2", "linux/aarch64"},
		"linux/riscv64/rva22u64": {"linux/riscv64/rva22u64", "linux/riscv64"},
		"windows/amd64":          {"windows/amd64"},
		"linux/s390x":            nil,
	} {
		platform, err := v1.ParsePlatform(want)
		require.NoError(t, err)
		target := newTarget(*platform)
		var found []v1.Platform
		for _, name := range all {
			have, err := v1.ParsePlatform(name)
			require.NoError(t, err)
			if target.runs(*have) {
				found = append(found, *have)
			}
		}
		slices.SortStableFunc(found, func(a, b v1.Platform) int {
			switch {
			case target.prefers(a, b):
				return -1
			case target.prefers(b, a):
				return 1
			}
			return 0
		})
		var names []string
		for _, p := range found {
			names = append(names, p.String())
		}
		assert.Equal(t, fitting, names, want)
		assert.False(t, target.runs(v1.Platform{Architecture: platform.Architecture, Variant: platform.Variant}), "no system is not this machine's")
	}
}
