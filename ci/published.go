package main

import (
	"context"
	"strings"

	"github.com/slipway-ci/slipway"
	"github.com/slipway-ci/slipway/ci/internal/dagger"
	engine "github.com/slipway-ci/slipway/internal/build/dagger"
)

// Published is an image, and where it is in a registry.
type Published struct {
	// Reference by digest, like ghcr.io/me/api@sha256:…; empty if nothing was pushed.
	Reference string
	// Digest of the index, or of the image where there is one platform; empty if nothing was pushed.
	Digest string
	// Tags that were moved to the image.
	Tags []string
	// Platforms of the image.
	Platforms []dagger.Platform
	// Bills of materials that were attached, each in a file like linux-amd64.cdx.json or linux-amd64.spdx.json.
	Sboms *dagger.Directory
	// +private
	Of *Slipway
}

// PublishedImages are the images of slipway.yaml, where they are in registries.
type PublishedImages struct {
	// Images in the order of slipway.yaml.
	Images []*Published
}

// newPublished describes the outcome of pushing the chosen image.
func newPublished(of *Slipway, result *slipway.Result) *Published {
	p := &Published{Reference: result.Reference, Tags: result.Tags, Sboms: dag.Directory(), Of: of}
	_, p.Digest, _ = strings.Cut(result.Reference, "@")
	extension := ".cdx.json"
	if of.Sboms == Spdx {
		extension = ".spdx.json"
	}
	for _, image := range result.Platforms {
		p.Platforms = append(p.Platforms, dagger.Platform(image.Platform))
		if image.SBOM != nil {
			p.Sboms = p.Sboms.WithNewFile(strings.ReplaceAll(image.Platform, "/", "-")+extension, string(image.SBOM))
		}
	}
	return p
}

// Open the image for one platform: a container ready for terminal, as-service or export
//
// It is made anew, with the same layers, so that the engine needs neither login nor way to the registry.
func (p *Published) Container(
	ctx context.Context,
	// Platform of the image. Default: the engine's own, if it is one of the image's, else the first of those.
	// +optional
	platform dagger.Platform,
) (_ *dagger.Container, err error) {
	defer worded(&err)
	_, compile, err := p.Of.one(ctx, platform, engine.Capabilities)
	if err != nil {
		return nil, err
	}
	archive, err := p.Of.ImageArchive(ctx)
	if err != nil {
		return nil, err
	}
	return dag.Container(dagger.ContainerOpts{Platform: dagger.Platform(compile.Platform.String())}).Import(archive), nil
}
