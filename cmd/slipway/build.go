package main

import (
	"github.com/spf13/cobra"

	"github.com/slipway-ci/slipway/internal/plan"
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
			jobs, err := a.jobs(c.Context(), dir, names, plan.ResolveAll)
			return a.work(c.Context(), dir, a.All || names != nil, jobs, err, a.writeFrom(dir))
		},
	}
	f := a.flags(c)
	f.completeImages()
	f.options("all")
	f.options("changed-since")
	f.plan()
	f.options("output")
	f.options("load")
	f.work()
	f.options("json")
	return c
}

func (a *app) publishCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "publish [flags] [NAME...] [DIR|ARCHIVE]",
		Short: "Build an image and push it to a registry",
		Long: `Build the Go module in DIR (default: the current directory) as slipway build does, and push the
image; or push what slipway build wrote into ARCHIVE, as it is. Bills of materials and provenance
are attached to it, and signed with --sign-key. Tags move last, when everything that they lead to is
there. Credentials are those of docker login. The image's reference by digest goes to standard
output.`,
		Example: `  slipway publish --repository ghcr.io/me/api --tag v1.2.3 --tag latest
  slipway publish --repository ghcr.io/me/api dist/api.tar
  slipway publish --all --repository 'ghcr.io/me/{{.Name}}' --tag '{{.Git.Tag}}'
  kubectl set image deployment/api api="$(slipway publish --repository ghcr.io/me/api)"`,
		RunE: func(c *cobra.Command, args []string) error {
			names, dir, err := nameArgs(args)
			switch {
			case err != nil:
				return err
			case len(names) == 0 && isArchive(dir):
				return a.publishArchive(c, dir)
			}
			jobs, err := a.pushed(c.Context(), dir, names)
			if err == nil && a.Provenance {
				go func() { _, _ = a.readSource(c.Context(), dir) }() // git takes as long as a build without changes
			}
			return a.work(c.Context(), dir, a.All || names != nil, jobs, err, a.pushFrom(dir))
		},
	}
	f := a.flags(c)
	f.completeImages()
	f.options("all")
	f.options("changed-since")
	f.options("repository")
	f.options("tag")
	f.options("sbom")
	f.options("provenance")
	f.options("predicate")
	f.options("sign-key")
	f.plan()
	f.work()
	f.options("json")
	return c
}
