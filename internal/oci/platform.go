package oci

import (
	"math"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

const (
	// noFit is the fitness of an image that does not run.
	noFit    = -1
	exactFit = math.MaxInt
)

// fitness says how well an image for one platform runs on another: the higher the better, noFit if it does not.
// Processors run what was made for an older variant of their architecture.
func fitness(have, want v1.Platform) int {
	if have.OS != want.OS || have.Architecture != want.Architecture {
		return noFit
	}
	older, newer := variant(have), variant(want)
	switch {
	case older == newer:
		return exactFit
	case older == "":
		return 0
	case level(older) < level(newer):
		return level(older)
	}
	return noFit
}

// variant is the variant of a platform, with the default where it says none. Source:
// https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md#platform-variants and, for the defaults,
// https://github.com/containerd/platforms/blob/v0.2.1/database.go
func variant(p v1.Platform) string {
	if p.Variant != "" {
		return p.Variant
	}
	return map[string]string{"arm64": "v8", "arm": "v7", "amd64": "v1"}[p.Architecture]
}

// level orders variants such as v6, v7, v8.1; it is noFit for those that follow no order.
func level(variant string) int {
	major, minor, _ := strings.Cut(strings.TrimPrefix(variant, "v"), ".")
	m, err := strconv.ParseUint(major, 10, 8)
	if err != nil {
		return noFit
	}
	n, _ := strconv.ParseUint(minor, 10, 8) // none is 0
	return int(m)*1000 + int(n)
}
