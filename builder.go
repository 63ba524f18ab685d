package slipway

import (
	"context"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/slipway-ci/slipway/internal/attest"
	"github.com/slipway-ci/slipway/internal/build/host"
	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/registry"
)

// Host is a builder that compiles with this machine's Go, talks to registries by the logins of docker login, and caches what the next build
// needs in the user's directory for caches. environ is the caller's environment, as a list of KEY=VALUE. The caller calls Close.
func Host(ctx context.Context, environ []string) (*Builder, error) {
	client, err := registry.New(registry.Options{})
	if err != nil {
		return nil, err
	}
	bases, err := OpenBases(ctx, client)
	if err != nil {
		client.Close()
		return nil, err
	}
	return &Builder{Engine: host.New(bases, environ), Client: client, Bases: bases, Environ: environ}, nil
}

// Close ends connections.
func (b *Builder) Close() { b.Client.Close() }

// OpenBases opens the cache of base images, which client fetches, and of results of builds.
func OpenBases(ctx context.Context, client *registry.Client) (*oci.Bases, error) {
	c, err := cache.OpenUser()
	if err != nil {
		return nil, err
	}
	return &oci.Bases{Cache: c, Remote: client, Fetch: client.Fetch, Context: ctx}, nil
}

// Verified is an image or index whose signatures and attestations hold.
type Verified = attest.Verified

// Verify verifies a published image: that it and each of its platforms was signed, where it was built from and that Slipway built it,
// and its bills of materials. The first of the result is what the reference leads to.
func (b *Builder) Verify(ctx context.Context, ref name.Reference, by Verifier) ([]Verified, error) {
	return attest.Verify(ctx, b.Client, ref, by)
}
