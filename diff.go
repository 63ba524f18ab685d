package slipway

import (
	"context"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/slipway-ci/slipway/internal/attest/sbom"
	"github.com/slipway-ci/slipway/internal/diff"
	"github.com/slipway-ci/slipway/internal/vulndb"
)

// Contents are what was read of an image to compare it with another.
type Contents = diff.Image

// Difference is what changed from one image to another.
type Difference = diff.Report

// Compared reads images to compare them, all their platforms, and keeps none.
type Compared struct{}

func (*Compared) check(*Image, int) error { return nil }

func (*Compared) put(ctx context.Context, j *job) error {
	return j.step("read", func(io.Writer) (err error) {
		j.Contents, err = j.contents(ctx)
		return err
	})
}

// contents reads what was built.
func (j *job) contents(ctx context.Context) (*Contents, error) {
	contents := &Contents{Name: j.Name, Digest: j.Digest}
	for _, img := range j.built.Images {
		digest, err := img.Digest()
		if err != nil {
			return nil, err
		}
		platform, err := diff.Read(ctx, img, digest, j.known())
		if err != nil {
			return nil, err
		}
		contents.Platforms = append(contents.Platforms, platform)
	}
	return contents, nil
}

// known has what was found in layers before.
func (b *Builder) known() sbom.Cache {
	if b.Bases.Cache == nil {
		return nil
	}
	return b.Bases.Cache
}

// ContentsOf reads an image that was built before, as [Builder.SizesOf] does.
func (b *Builder) ContentsOf(ctx context.Context, ref, name string, platforms []string) (*Contents, error) {
	contents := &Contents{Name: name}
	digest, err := b.eachPlatform(ctx, ref, platforms, func(img v1.Image, digest v1.Hash) error {
		platform, err := diff.Read(ctx, img, digest, b.known())
		contents.Platforms = append(contents.Platforms, platform)
		return err
	})
	if err != nil {
		return nil, err
	}
	contents.Digest = digest.String()
	return contents, nil
}

// Diff finds what changed from one image to another. vulnDB is the URL of a database of vulnerabilities, which are compared, too; empty
// for none.
func (b *Builder) Diff(ctx context.Context, before, after *Contents, vulnDB string) (*Difference, error) {
	report := diff.Compare(before, after)
	if vulnDB == "" {
		return report, nil
	}
	return report, report.AddVulnerabilities(ctx, vulndb.Open(vulnDB, b.Client.Fetch), before, after)
}
