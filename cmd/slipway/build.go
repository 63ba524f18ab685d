package main

import (
	"github.com/spf13/cobra"

	"github.com/slipway-ci/slipway"
)

func (a *app) buildCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "build [flags] [NAME...] [DIR]",
		Short: "Build an image into an archive or a directory",
		Long: `Build the Go module in DIR (default: the current directory) into a container image: download and
verify its modules, compile it for every platform, check the programs, and assemble one image.
With slipway.yaml there, build the images that are named, or all of them: a word is a directory unless
the file has an image of that name. The path of each result goes to standard output.`,
		Example: `  slipway build                        the only program here, for amd64 and arm64
  slipway build --runtime scratch --port 8080 ./services/api
  slipway build --load && docker run --rm api:latest
  slipway build --package ./cmd/server --stamp main.version=v1.2.3 --output dist/server.tar
  slipway build api worker             two of the images in slipway.yaml
  slipway build --all --changed-since origin/main`,
		RunE: func(c *cobra.Command, args []string) error {
			names, dir, err := nameArgs(args)
			if err != nil {
				return err
			}
			return a.work(c.Context(), dir, names, &slipway.Files{Load: a.Load}, nil)
		},
	}
	a.flags(c).completeImages()
	return c
}
