package slipway

import (
	"context"

	"github.com/slipway-ci/slipway/internal/inspect"
)

// Inspection is what is known of an image.
type Inspection = inspect.Report

// InspectedPlatform is what is known of an image for one platform.
type InspectedPlatform = inspect.Platform

// Inspect reports what is known of an image that was built before: in an OCI archive or layout directory, or in a registry, whoever built it.
// Nothing is verified but digests.
func (b *Builder) Inspect(ctx context.Context, named string) (*Inspection, error) {
	at, err := parsePlace("image", named)
	if err != nil {
		return nil, err
	}
	ref, run := named, ""
	switch at.kind {
	case inLayout:
		ref = "oci:" + at.path
		run = ref
	case inArchive:
		ref = "oci-archive:" + at.path
		run = ref
	}
	found, err := b.Bases.Resolve(ctx, ref)
	if err != nil {
		return nil, err
	}
	source, root, err := at.open(ctx, b.Client)
	if err != nil {
		return nil, err
	}
	report, err := inspect.Of(ctx, found, source, root, b.Bases.Cache)
	if err != nil {
		return nil, err
	}
	report.Name = named
	if at.kind == inRegistry {
		report.Reference = at.ref.Context().Digest(root.String()).String()
		run = report.Reference
		if report.Signed() {
			report.Verify = report.VerifyCommand()
		}
	}
	if len(report.Platforms) > 0 {
		report.Run = inspect.RunCommand(run, report.Platforms[0].Ports)
	}
	return report, nil
}
