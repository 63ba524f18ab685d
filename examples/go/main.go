// Examples of how another Dagger module calls Slipway. The Daggerverse shows each at the function that its name ends in.
package main

import (
	"context"

	"github.com/slipway-ci/slipway/examples/go/internal/dagger"
)

// Examples has one function for each example.
type Examples struct{}

// Check a program, and publish it if it passes
// +cache="never"
func (m *Examples) Slipway_CheckAndPublish(
	ctx context.Context,
	// Directory of a Go module.
	source *dagger.Directory,
	// Token for ghcr.io.
	token *dagger.Secret,
) (string, error) {
	return dag.Slipway(dagger.SlipwayOpts{Source: source}).
		WithLogin("me", token).
		Ci(dagger.SlipwayCiOpts{Repository: "ghcr.io/me/api", Tags: []string{"v1.2.3", "latest"}}).
		Reference(ctx)
}

// See what a build would do
func (m *Examples) SlipwayPlan(
	ctx context.Context,
	// Directory of a Go module.
	source *dagger.Directory,
) (string, error) {
	return dag.Slipway(dagger.SlipwayOpts{Source: source}).Plan(ctx)
}

// Write the equivalent Dockerfile of a build
func (m *Examples) SlipwayDockerfile(
	ctx context.Context,
	// Directory of a Go module.
	source *dagger.Directory,
) (string, error) {
	return dag.Slipway(dagger.SlipwayOpts{Source: source}).Dockerfile(ctx)
}

// Build an image for the engine's own platform
func (m *Examples) SlipwayBuild(
	// Directory of a Go module.
	source *dagger.Directory,
) *dagger.Container {
	return dag.Slipway(dagger.SlipwayOpts{Source: source}).Build()
}

// Build an image with nothing in it but the program and what it needs
func (m *Examples) SlipwayBuild_Scratch(
	// Directory of a Go module.
	source *dagger.Directory,
) *dagger.Container {
	return dag.Slipway(dagger.SlipwayOpts{
		Source:  source,
		Runtime: dagger.SlipwayRuntimeScratch,
		Ports:   []string{"8080"},
		Stamps:  []string{"main.version=v1.2.3"},
	}).Build()
}

// Compile for another platform
func (m *Examples) SlipwayBinary(
	// Directory of a Go module.
	source *dagger.Directory,
) *dagger.File {
	return dag.Slipway(dagger.SlipwayOpts{
		Source:    source,
		Platforms: []dagger.Platform{"linux/arm/v7"},
	}).Binary(dagger.SlipwayBinaryOpts{Platform: "linux/arm/v7"})
}

// Build an OCI archive of two programs for two platforms
func (m *Examples) SlipwayImageArchive(
	// Directory of a Go module that has ./cmd/server and ./cmd/migrate.
	source *dagger.Directory,
) *dagger.File {
	return dag.Slipway(dagger.SlipwayOpts{
		Source:    source,
		Packages:  []string{"./cmd/server", "./cmd/migrate"},
		Platforms: []dagger.Platform{"linux/amd64", "linux/arm64"},
	}).ImageArchive()
}

// Run the program beside a test of it
func (m *Examples) SlipwayServe(
	ctx context.Context,
	// Directory of a Go module whose program serves HTTP on port 8080.
	source *dagger.Directory,
) (string, error) {
	server := dag.Slipway(dagger.SlipwayOpts{Source: source, Ports: []string{"8080"}}).Serve()
	return dag.Container().From("alpine:3.24.2").
		WithServiceBinding("api", server).
		WithExec([]string{"wget", "-qO-", "http://api:8080/"}).
		Stdout(ctx)
}

// Publish an image for two platforms
// +cache="never"
func (m *Examples) SlipwayPublish(
	ctx context.Context,
	// Directory of a Go module.
	source *dagger.Directory,
	// Token for ghcr.io.
	token *dagger.Secret,
) (string, error) {
	return dag.Slipway(dagger.SlipwayOpts{Source: source}).
		WithLogin("me", token).
		Publish(dagger.SlipwayPublishOpts{Repository: "ghcr.io/me/api", Tags: []string{"v1.2.3"}}).
		Reference(ctx)
}

// Publish all images of slipway.yaml, signed, with the bills of materials that were attached
// +cache="never"
func (m *Examples) SlipwayPublishAll(
	ctx context.Context,
	// Directory of a Go module with a slipway.yaml.
	source *dagger.Directory,
	// Token for ghcr.io.
	token *dagger.Secret,
	// Private key of cosign.
	key *dagger.Secret,
) (*dagger.Directory, error) {
	images, err := dag.Slipway(dagger.SlipwayOpts{Source: source}).
		WithLogin("me", token).
		WithAttestations(dagger.SlipwayWithAttestationsOpts{Sbom: dagger.SlipwaySbomSpdx, SignKey: key}).
		PublishAll().
		Images(ctx)
	if err != nil {
		return nil, err
	}
	sboms := dag.Directory()
	for _, image := range images {
		digest, err := image.Digest(ctx)
		if err != nil {
			return nil, err
		}
		sboms = sboms.WithDirectory(digest, image.Sboms())
	}
	return sboms, nil
}

// Publish with the login that docker login left on your machine
// +cache="never"
func (m *Examples) SlipwayPublish_LocalLogin(
	ctx context.Context,
	// Directory of a Go module.
	source *dagger.Directory,
) (string, error) {
	return dag.Slipway(dagger.SlipwayOpts{Source: source}).Publish(dagger.SlipwayPublishOpts{Repository: "ghcr.io/me/api"}).Reference(ctx)
}
