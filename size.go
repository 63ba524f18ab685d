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
	found, err := b.Bases.Resolve(ctx, ref)
	if err != nil {
		return nil, err
	}
	var wanted []v1.Platform
	for _, text := range platforms {
		parsed, err := v1.ParsePlatform(text)
		if err != nil {
			return nil, wrongPlatform(text, err)
		}
		wanted = append(wanted, *parsed)
	}
	if wanted == nil {
		has, err := found.Platforms(ctx)
		if err != nil {
			return nil, err
		}
		for _, d := range has {
			if same := func(p v1.Platform) bool { return p.Equals(*d.Platform) }; !slices.ContainsFunc(wanted, same) {
				wanted = append(wanted, *d.Platform)
			}
		}
	}
	report := &SizeReport{Name: name}
	for _, p := range wanted {
		img, err := found.Image(p)
		if err != nil {
			return nil, err
		}
		platform, err := size.Of(ctx, img)
		if err != nil {
			return nil, err
		}
		report.Platforms = append(report.Platforms, platform)
	}
	return report, nil
}

// SizesOfProgram measures a program that is a file of this machine.
func SizesOfProgram(file string) (*SizeReport, error) {
	platform, err := size.OfProgram(file)
	if err != nil {
		return nil, err
	}
	return &SizeReport{Name: file, Platforms: []*size.Platform{platform}}, nil
}
