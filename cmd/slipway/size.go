package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/spf13/cobra"

	"github.com/slipway-ci/slipway"
	"github.com/slipway-ci/slipway/internal/cache/temporary"
	"github.com/slipway-ci/slipway/internal/config"
	"github.com/slipway-ci/slipway/internal/fault"
	"github.com/slipway-ci/slipway/internal/progress"
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

// sizesOf takes what was named for what it is: an image of slipway.yaml and a directory with Go in it are built, and everything else has
// an image in it, or is a program.
func (a *app) sizesOf(ctx context.Context, named string) (*slipway.SizeReport, error) {
	project, err := readProject(".")
	if err != nil {
		return nil, err
	}
	if project != nil && slices.ContainsFunc(project.Images, func(i config.Image) bool { return i.Name == named }) {
		return a.sizesOfSource(ctx, ".", []string{named})
	}
	info, err := os.Stat(named)
	switch {
	case err != nil:
		return a.sizesOfReference(ctx, named)
	case info.IsDir() && isLayout(named):
		return a.sizesOfImage(ctx, "oci:"+named, named)
	case info.IsDir():
		return a.sizesOfSource(ctx, named, nil)
	case size.IsProgram(named):
		return slipway.SizesOfProgram(named)
	default:
		return a.sizesOfImage(ctx, "oci-archive:"+named, named)
	}
}

func (a *app) sizesOfReference(ctx context.Context, named string) (*slipway.SizeReport, error) {
	_, err := name.ParseReference(named)
	ofFile := strings.HasPrefix(named, "oci:") || strings.HasPrefix(named, "oci-archive:")
	if !ofFile && (err != nil || strings.HasSuffix(named, ".tar") || strings.HasPrefix(named, ".")) {
		return nil, fault.Join(a.environment, fault.Faults{{Field: "image", Value: named, Problem: "neither a directory, nor an archive, a program or a reference", Hint: "name one of them"}})
	}
	return a.sizesOfImage(ctx, named, named)
}

// sizesOfImage is of an image that was built before.
func (a *app) sizesOfImage(ctx context.Context, ref, title string) (*slipway.SizeReport, error) {
	reader, err := a.reader(ctx)
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	return reader.SizesOf(ctx, ref, title, a.image.Platforms)
}

func (a *app) sizesOfSource(ctx context.Context, dir string, names []string) (report *slipway.SizeReport, err error) {
	err = a.workThen(ctx, dir, names, &slipway.Sizes{}, nil, func(display *progress.Display, results []*slipway.Result) error {
		report = results[0].Sizes
		return errors.Join(slipway.Failures(results), display.Close())
	})
	return report, err
}
