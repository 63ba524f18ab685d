package main

import (
	"context"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/slipway-ci/slipway"
	"github.com/slipway-ci/slipway/internal/fault"
)

func (a *app) diffCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "diff [flags] BEFORE AFTER",
		Short: "Report what changed between two images",
		Long: `Report what changed from one image to another: base and its packages, Go version, settings, modules,
programs, files, sizes by package and function, and known vulnerabilities with --vulndb. Each image is
a published one, an OCI archive or layout directory, one of slipway.yaml, or the one that slipway build
makes of the Go module in a directory. The first lines say it all; details follow.`,
		Example: `  slipway diff ghcr.io/me/api:v1.2.3 ghcr.io/me/api:v1.3.0
  slipway diff ghcr.io/me/api:v1.2.3 .  what a release of this source would change
  slipway diff --markdown ghcr.io/me/api:latest dist/api.tar >> "$GITHUB_STEP_SUMMARY"
  slipway diff --json old.tar new.tar | jq '.platforms[0].modules'`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return fault.Faults{{Field: "image", Value: strings.Join(args, ", "), Problem: "two are compared", Hint: "give BEFORE and AFTER"}}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return a.diff(c.Context(), args[0], args[1]) },
	}
	a.flags(c).completeImages()
	return c
}

func (a *app) diff(ctx context.Context, before, after string) error {
	if a.JSON && a.Markdown {
		return fault.Faults{{Field: "markdown", Problem: "there is --json besides it", Hint: "leave one of the two out"}}
	}
	named := [2]string{before, after}
	var subjects [2]subject
	var faults [2]error
	for i, name := range named {
		subjects[i], faults[i] = a.subjectOf(name, "neither a directory, nor an archive or a reference")
	}
	if err := fault.Join(faults[:]...); err != nil {
		return err
	}
	var contents [2]*slipway.Contents
	reader, err := a.reader(ctx)
	if err != nil {
		return err
	}
	defer reader.Close()
	for i, is := range subjects {
		if is.ref != "" {
			contents[i], err = reader.ContentsOf(ctx, is.ref, named[i], a.image.Platforms)
		} else {
			contents[i], err = a.contentsOfSource(ctx, is, named[i])
		}
		if err != nil {
			return err
		}
	}
	report, err := reader.Diff(ctx, contents[0], contents[1], a.image.VulnDB)
	if err != nil {
		return err
	}
	switch {
	case a.JSON:
		return a.printJSON(report)
	case a.Markdown:
		_, err = io.WriteString(a.stdout, diffMarkdown(report))
	default:
		_, err = io.WriteString(a.stdout, diffText(report))
	}
	return err
}

func (a *app) contentsOfSource(ctx context.Context, is subject, named string) (*slipway.Contents, error) {
	result, err := a.builtFor(ctx, is, &slipway.Compared{})
	if err != nil {
		return nil, err
	}
	result.Contents.Name = named
	return result.Contents, nil
}
