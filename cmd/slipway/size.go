package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/slipway-ci/slipway"
	"github.com/slipway-ci/slipway/internal/cache/temporary"
	"github.com/slipway-ci/slipway/internal/fault"
	"github.com/slipway-ci/slipway/internal/size"
	"github.com/slipway-ci/slipway/internal/size/page"
)

func (a *app) sizeCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "size [flags] [SOURCE|ARCHIVE|REFERENCE|PROGRAM [SOURCE|ARCHIVE|REFERENCE|PROGRAM]]",
		Short: "Report where the bytes of an image are",
		Long: `Report where the bytes of an image are: in which layers, files and packages of the base, and in the
programs by kind, module, package and function, also of stripped programs. The image is the one that
slipway build makes of the Go module in a directory (default: the current one), one of slipway.yaml, an
OCI archive or layout directory, or a published image; or it is a Go program without an image. Of two, the
report is what grew from the first to the second.`,
		Example: `  slipway size                          of the program here
  slipway size --html size.html ghcr.io/me/api:v1.2.3
  slipway size ghcr.io/me/api:v1.2.3 .  what grew since then
  slipway size --json dist/api.tar | jq '.images[0].platforms[0].programs[0].modules[:5]'`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 2 {
				return fault.Faults{{Field: "image", Value: strings.Join(args, ", "), Problem: "more than two were given", Hint: "name one, or two to compare"}}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				args = []string{"."}
			}
			return a.size(c.Context(), args)
		},
	}
	a.flags(c).completeImages()
	return c
}

// size reports where the bytes of one image are, or what changed from one to another.
func (a *app) size(ctx context.Context, args []string) error {
	if a.HTML != "" {
		if err := a.newRequest(".", nil, nil).Writable("html", a.HTML, filepath.Dir(a.HTML)); err != nil {
			return err
		}
	}
	reports := make([]*slipway.SizeReport, len(args))
	for i, arg := range args {
		var err error
		if reports[i], err = a.sizesOf(ctx, arg); err != nil {
			return err
		}
	}
	if a.HTML != "" {
		if err := writePage(a.HTML, reports); err != nil {
			return fmt.Errorf("writing the page %s: %w", a.HTML, err)
		}
	}
	if a.JSON {
		return a.printJSON(size.NewDocument(reports))
	}
	text := sizeText(reports[0])
	if len(reports) == 2 {
		text = growthText(reports[0], reports[1])
	}
	_, err := io.WriteString(a.stdout, text)
	return err
}

func writePage(name string, reports []*slipway.SizeReport) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return temporary.WriteFile(name, func(w io.Writer) error { return page.Write(w, reports) })
}

func (a *app) sizesOf(ctx context.Context, named string) (*slipway.SizeReport, error) {
	if info, err := os.Stat(named); err == nil && info.Mode().IsRegular() && size.IsProgram(named) {
		return slipway.SizesOfProgram(named)
	}
	is, err := a.subjectOf(named, "neither a directory, nor an archive, a program or a reference")
	if err != nil {
		return nil, err
	}
	if is.ref != "" {
		reader, err := a.reader(ctx)
		if err != nil {
			return nil, err
		}
		defer reader.Close()
		return reader.SizesOf(ctx, is.ref, named, a.image.Platforms)
	}
	result, err := a.builtFor(ctx, is, &slipway.Sizes{})
	if err != nil {
		return nil, err
	}
	return result.Sizes, nil
}
