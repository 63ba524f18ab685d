package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/spf13/cobra"

	"github.com/slipway-ci/slipway"
	"github.com/slipway-ci/slipway/internal/config/options"
	"github.com/slipway-ci/slipway/internal/fault"
)

// format reads a flag for a format; empty is the default.
func format(field, value string, more ...string) (slipway.SBOMFormat, error) {
	switch {
	case value == "":
		return slipway.SBOMFormats[0], nil
	case slices.Contains(more, value):
		return "", nil
	case !slices.Contains(options.SBOMFormats(), value):
		return "", fault.Faults{{Field: field, Value: value, Problem: "no such format", Hint: "choose from " + strings.Join(append(options.SBOMFormats(), more...), ", ")}}
	}
	return slipway.SBOMFormat(value), nil
}

func (a *app) sbomCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "sbom [flags] [NAME] [DIR|ARCHIVE|REFERENCE]",
		Short: "Write the bill of materials of an image",
		Long: `Write the bill of materials of an image to standard output: of the one that slipway build makes
of the Go module in DIR (default: the current directory), of an image of slipway.yaml, of an OCI archive or layout directory, or of a
published image. It says what the programs were built from and what the base consists of, for one
platform.`,
		Example: `  slipway sbom --platform linux/amd64 > sbom.cdx.json
  slipway sbom --format spdx dist/api.tar
  slipway sbom --platform linux/arm64 ghcr.io/me/api:v1.2.3`,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 && strings.Contains(args[0], "/") { // also a reference
				return a.sbom(c.Context(), args[0], nil)
			}
			names, source, err := nameArgs(args)
			if err == nil && len(names) > 1 {
				err = one("image", names, "name one")
			}
			if err != nil {
				return err
			}
			return a.sbom(c.Context(), source, names)
		},
	}
	a.flags(c)
	return c
}

// sbom takes source for what it is: a directory with Go in it is built, and everything else has an image in it.
func (a *app) sbom(ctx context.Context, source string, names []string) error {
	format, err := format("format", a.Format)
	if err != nil {
		return fault.Join(a.environment, err)
	}
	if info, err := os.Stat(source); err == nil && info.IsDir() && !isLayout(source) {
		return a.work(ctx, source, names, &slipway.Document{Format: format}, nil)
	} else if err == nil && info.IsDir() {
		return a.sbomOfImage(ctx, "oci:"+source, filepath.Base(source), format)
	} else if err == nil {
		return a.sbomOfImage(ctx, "oci-archive:"+source, strings.TrimSuffix(filepath.Base(source), ".tar"), format)
	}
	ref, err := name.ParseReference(source)
	if err != nil || strings.HasSuffix(source, ".tar") || strings.HasPrefix(source, ".") {
		return fault.Join(a.environment, fault.Faults{{Field: "source", Value: source, Problem: "neither a directory, nor an archive, nor a reference", Hint: "name one of them"}})
	}
	repository := ref.Context().RepositoryStr()
	return a.sbomOfImage(ctx, source, repository[strings.LastIndex(repository, "/")+1:], format)
}

func isLayout(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "oci-layout"))
	return err == nil
}

// sbomOfImage is of an image that was built before.
func (a *app) sbomOfImage(ctx context.Context, ref, title string, format slipway.SBOMFormat) error {
	reader, err := a.reader(ctx)
	if err != nil {
		return err
	}
	defer reader.Close()
	document, err := reader.DocumentOf(ctx, a.newRequest(".", nil, nil), ref, title, format)
	if err != nil {
		return err
	}
	_, err = a.stdout.Write(document)
	return err
}
