package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/slipway-ci/slipway/internal/attest/sbom"
	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/progress"
	"github.com/slipway-ci/slipway/internal/registry"
)

// result is what a command that built something writes as JSON.
type result struct {
	Name string `json:"name"`
	// Digest is that of the index, or of the manifest where there is one platform.
	Digest    string           `json:"digest"`
	Output    string           `json:"output,omitempty"`
	Loaded    string           `json:"loaded,omitempty"`
	Reference string           `json:"reference,omitempty"`
	Tags      []string         `json:"tags,omitempty"`
	Platforms []platformResult `json:"platforms"`
}

type platformResult struct {
	Platform string `json:"platform"`
	Digest   string `json:"digest"`
	// Sizes in bytes: of the programs, of the image as it is pulled, and as it is on a node's disk.
	BinarySize   int64 `json:"binarySize"`
	ImageSize    int64 `json:"imageSize"`
	UnpackedSize int64 `json:"unpackedSize"`
}

// delivery is a built image on its way to the user.
type delivery struct {
	job     *job // nil for an archive
	built   *build.Result
	client  *registry.Client
	display *progress.Display
	cache   sbom.Cache
	lane    string // what its steps are told under
	result
	// tag moves the tags of what has been pushed, when all images of the run are up; nil where none are moved.
	tag func(ctx context.Context) error
	// said is what standard output is to say, err why there is nothing to say.
	said string
	err  error
}

// deliver puts the image somewhere and returns what standard output is to say.
type deliver func(ctx context.Context, d *delivery) (string, error)

// moveTags moves the tags of all images, but none if one of the images is not up. Once a tag could not be moved, no image's
// follow.
func moveTags(ctx context.Context, all []*delivery) {
	var stopped atomic.Bool
	for _, d := range all {
		if d.err != nil {
			return
		}
	}
	var group errgroup.Group
	group.SetLimit(deliveries)
	for _, d := range all {
		if d.tag == nil {
			continue
		}
		group.Go(func() error {
			if stopped.Load() {
				return nil
			}
			if d.err = d.tag(ctx); d.err != nil {
				stopped.Store(true)
			}
			return nil
		})
	}
	_ = group.Wait() // each has its error
}

// finish tells what became of the images. See work for list.
func (a *app) finish(display *progress.Display, all []*delivery, list bool) error {
	var rows []progress.Row
	results := []result{}
	var said strings.Builder
	var failed []string
	var errs []error
	for _, d := range all {
		if d.err != nil {
			failed = append(failed, d.Name)
			errs = append(errs, d.err)
			rows = append(rows, progress.Row{Name: d.lane, Failed: true})
			continue
		}
		rows = append(rows, d.rows()...)
		results = append(results, d.result)
		fmt.Fprintln(&said, d.said)
	}
	if len(all) == 1 && errs != nil {
		return errs[0]
	}
	if rows != nil {
		display.Table(rows)
	}
	_ = display.Close() // the work is done, whether or not everything about it could be shown
	var err error
	switch {
	case a.JSON && (list || len(all) == 0):
		err = a.printJSON(results)
	case a.JSON:
		err = a.printJSON(results[0])
	default:
		_, err = io.WriteString(a.stdout, said.String())
	}
	if errs != nil {
		return errors.Join(err, failures(all, failed))
	}
	return err
}

// failures says which images failed, and why: images that failed for the same reason together.
func failures(all []*delivery, failed []string) error {
	var reasons []string
	names := map[string][]string{}
	for _, d := range all {
		if d.err == nil {
			continue
		}
		reason := d.err.Error()
		if names[reason] == nil {
			reasons = append(reasons, reason)
		}
		names[reason] = append(names[reason], d.Name)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d of %d images failed: %s", len(failed), len(all), strings.Join(failed, ", "))
	for _, reason := range reasons {
		fmt.Fprintf(&b, "\n%s: %s", strings.Join(names[reason], ", "), reason)
	}
	b.WriteString(untagged(all))
	return errors.New(b.String())
}

// untagged says whose tags have not moved although their images are up, after one that failed.
func untagged(all []*delivery) string {
	var moved, waiting []string
	for _, d := range all {
		switch {
		case d.Tags != nil:
			moved = append(moved, d.Name)
		case d.tag != nil && d.err == nil:
			waiting = append(waiting, d.Name)
		}
	}
	switch {
	case waiting == nil:
		return ""
	case moved == nil:
		return fmt.Sprintf("\nno tag has moved, since tags move when all images are up; these are up, by their digests: %s", strings.Join(waiting, ", "))
	default:
		return fmt.Sprintf("\ntags have moved of %s, and not of %s", strings.Join(moved, ", "), strings.Join(waiting, ", "))
	}
}

// run delivers.
func (d *delivery) run(ctx context.Context, deliver deliver) {
	d.err = errors.Join(d.deliver(ctx, deliver), d.built.Close())
}

func (d *delivery) deliver(ctx context.Context, deliver deliver) error {
	digest, err := d.built.Artifact.Digest()
	if err != nil {
		return err
	}
	d.Digest = digest.String()
	if d.said, err = deliver(ctx, d); err != nil {
		return err
	}
	for _, img := range d.built.Images {
		row := platformResult{Platform: img.Platform, BinarySize: img.BinarySize}
		digest, err := img.Image.Digest()
		if err != nil {
			return err
		}
		row.Digest = digest.String()
		if row.ImageSize, row.UnpackedSize, err = oci.Sizes(img.Image); err != nil {
			return err
		}
		d.Platforms = append(d.Platforms, row)
	}
	return nil
}

func (d *delivery) rows() []progress.Row {
	var rows []progress.Row
	for _, p := range d.Platforms {
		rows = append(rows, progress.Row{Name: d.lane, Platform: p.Platform, Binary: p.BinarySize, Image: p.ImageSize, Unpacked: p.UnpackedSize, Digest: p.Digest})
	}
	return rows
}

// plan is nil for an archive.
func (d *delivery) plan() *plan.Plan {
	if d.job == nil {
		return nil
	}
	return d.job.plan
}

// step reports what f does.
func (d *delivery) step(name string, f func(io.Writer) error) error {
	step := d.display.Step(d.lane, name)
	err := f(step)
	step.End(err)
	return err
}
