package slipway

import (
	"context"
	"io"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/slipway-ci/slipway/internal/size"
)

// SizeReport says where the bytes of an image are.
type SizeReport = size.Report

// Sizes measures images, all their platforms, and keeps none.
type Sizes struct{}

func (*Sizes) check(*Image, int) error { return nil }

func (*Sizes) put(ctx context.Context, j *job) error {
	j.Result.Sizes = &SizeReport{Name: j.Name}
	return j.step("size", func(io.Writer) error {
		for _, img := range j.built.Images {
			platform, err := size.Of(ctx, img)
			if err != nil {
				return err
			}
			j.Result.Sizes.Platforms = append(j.Result.Sizes.Platforms, platform)
		}
		return nil
	})
}

// SizesOf measures an image that was built before, for these platforms, or all that it has. ref is a reference, or oci:DIR, or
// oci-archive:FILE; name is what the report calls it.
func (b *Builder) SizesOf(ctx context.Context, ref, name string, platforms []string) (*SizeReport, error) {
	report := &SizeReport{Name: name}
	_, err := b.eachPlatform(ctx, ref, platforms, func(img v1.Image, _ v1.Hash) error {
		platform, err := size.Of(ctx, img)
		report.Platforms = append(report.Platforms, platform)
		return err
	})
	if err != nil {
		return nil, err
	}
	return report, nil
}

// eachPlatform calls visit for the images of these platforms, or of all that there are, with their digests. It returns that of the whole.
func (b *Builder) eachPlatform(ctx context.Context, ref string, platforms []string, visit func(v1.Image, v1.Hash) error) (v1.Hash, error) {
	found, err := b.Bases.Resolve(ctx, ref)
	if err != nil {
		return v1.Hash{}, err
	}
	var wanted []v1.Platform
	for _, text := range platforms {
		parsed, err := v1.ParsePlatform(text)
		if err != nil {
			return v1.Hash{}, wrongPlatform(text, err)
		}
		wanted = append(wanted, *parsed)
	}
	has, err := found.Platforms(ctx)
	if err != nil {
		return v1.Hash{}, err
	}
	if wanted == nil {
		for _, d := range has {
			if same := func(p v1.Platform) bool { return p.Equals(*d.Platform) }; !slices.ContainsFunc(wanted, same) {
				wanted = append(wanted, *d.Platform)
			}
		}
	}
	for _, p := range wanted {
		img, err := found.Image(p)
		if err != nil {
			return v1.Hash{}, err
		}
		digest, err := img.Digest()
		if err != nil {
			return v1.Hash{}, err
		}
		for _, d := range has { // whose manifest may have been another, with the media types of Docker
			if d.Platform.Equals(p) {
				digest = d.Digest
				break
			}
		}
		if err := visit(img, digest); err != nil {
			return v1.Hash{}, err
		}
	}
	return found.Digest, nil
}

// SizesOfProgram measures a program that is a file of this machine.
func SizesOfProgram(file string) (*SizeReport, error) {
	platform, err := size.OfProgram(file)
	if err != nil {
		return nil, err
	}
	return &SizeReport{Name: file, Platforms: []*size.Platform{platform}}, nil
}
