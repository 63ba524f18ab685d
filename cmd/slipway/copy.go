package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/slipway-ci/slipway"
	"github.com/slipway-ci/slipway/internal/config"
	"github.com/slipway-ci/slipway/internal/fault"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/progress"
)

func (a *app) copyCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "copy [flags] SOURCE DESTINATION",
		Short: "Copy a published image with everything that is attached to it",
		Long: `Copy an image or index with its SBOMs, provenance and signatures, in whichever form they are, between
registries, or to and from an OCI archive or layout directory. Digests stay as they are, so that the
copy verifies as its source does. What is there is not written again: a copy that was interrupted goes
on. Tags move last. The reference by digest goes to standard output.`,
		Example: `  slipway copy staging.example.com/api:v1.2.3 ghcr.io/me/api:v1.2.3
  slipway copy ghcr.io/me/api:v1.2.3 api.tar
  slipway copy api.tar registry.internal/api:v1.2.3
  slipway copy --platform linux/arm64 ghcr.io/me/api:v1.2.3 oci:layout
  slipway copy --all 'staging.example.com/{{.Name}}:v1' 'ghcr.io/me/{{.Name}}:v1'`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return fault.Faults{{Field: "argument", Value: strings.Join(args, ", "), Problem: fmt.Sprintf("%d were given in place of two", len(args)), Hint: "give SOURCE and DESTINATION"}}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return a.copy(c.Context(), args[0], args[1]) },
	}
	a.flags(c)
	return c
}

func (a *app) copy(ctx context.Context, source, destination string) error {
	copies, copiesErr := a.copies(source, destination)
	client, clientErr := a.registry(nil)
	display, displayErr := progress.New(ctx, a.Progress, a.stderr, a.environ)
	if err := fault.Join(a.environment, copiesErr, clientErr, displayErr); err != nil {
		return err
	}
	defer client.Close()
	defer display.Close()
	copied, err := a.builder(client, display).Copy(ctx, copies)
	if err != nil {
		return err
	}
	if err := display.Close(); err != nil {
		return err
	}
	if a.JSON {
		if !a.All {
			return a.printJSON(copied[0])
		}
		return a.printJSON(copied)
	}
	for _, c := range copied {
		where := c.Reference
		if where == "" {
			where = c.Output + "@" + c.Digest
		}
		if _, err := fmt.Fprintln(a.stdout, where); err != nil {
			return err
		}
	}
	return nil
}

// copies are what to copy: one image, or all of slipway.yaml, by whose names source and destination are filled in.
func (a *app) copies(source, destination string) ([]slipway.Copy, error) {
	if !a.All {
		return []slipway.Copy{{Source: source, Destination: destination, Platform: a.CopyPlatform}}, nil
	}
	project, err := readProject(".")
	if err != nil {
		return nil, err
	}
	if project == nil || len(project.Images) == 0 {
		return nil, fault.Faults{{Field: "all", Problem: "there are no images in " + config.File, Hint: "list them there, or leave --all out"}}
	}
	var copies []slipway.Copy
	var faults []error
	taken := map[string]string{}
	for _, name := range project.Names() {
		from, fromErr := plan.Facts{}.Expand("source", name, source)
		to, toErr := plan.Facts{}.Expand("destination", name, destination)
		if other, is := taken[to]; is && toErr == nil {
			toErr = fault.Faults{{Field: "destination", Value: to, Problem: other + " and " + name + " would both go there", Hint: "write {{.Name}} where their names differ"}}
		}
		taken[to] = name
		faults = append(faults, fromErr, toErr)
		copies = append(copies, slipway.Copy{Source: from, Destination: to, Platform: a.CopyPlatform})
	}
	return copies, fault.Join(faults...)
}
