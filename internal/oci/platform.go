package oci

import (
	"github.com/containerd/platforms"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	oci "github.com/opencontainers/image-spec/specs-go/v1"
)

// target is a platform that an image has to run on. Processors run what was made for an older variant of their architecture.
type target struct {
	oci.Platform
	comparer platforms.MatchComparer
}

func newTarget(want v1.Platform) target {
	p := normalized(want)
	return target{p, platforms.Only(p)}
}

// runs reports whether an image for a platform runs on the target. Of an architecture whose variants nobody has put into an order, only the
// variant itself does, and what states none. An image for another architecture does not, even where the processor knows that, too: it
// would have other libraries than the program.
func (t target) runs(have v1.Platform) bool {
	p := normalized(have)
	return p.OS == t.OS && p.Architecture == t.Architecture && (p.Variant == "" || t.comparer.Match(p))
}

// prefers reports whether a fits the target better than b.
func (t target) prefers(a, b v1.Platform) bool {
	return t.comparer.Less(normalized(a), normalized(b))
}

// normalized is a platform in the terms of the specification, with the default variant where it states none.
func normalized(p v1.Platform) oci.Platform {
	os := p.OS
	n := platforms.Normalize(oci.Platform{OS: os, Architecture: p.Architecture, Variant: p.Variant})
	if os == "" {
		n.OS = "" // and not the system of this machine
	}
	return n
}
