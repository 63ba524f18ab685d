package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/slipway-ci/slipway/internal/console"
	"github.com/slipway-ci/slipway/internal/dockerfile"
	"github.com/slipway-ci/slipway/internal/fault"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/secret"
	"github.com/slipway-ci/slipway/internal/tracing"
)

// app is one call of the command.
type app struct {
	settings
	environ []string
	// stdout and stderr make what they get harmless. Everything that is printed goes through them.
	stdout, stderr *console.Writer
	// secrets are those that neither prints.
	secrets *secret.Set
	// environment is what is wrong with the variables. It is reported when the work begins, not when help is asked for.
	environment error
	// shows says that plans are shown, or written to other tools, and not carried out.
	shows bool
}

func newRoot(environ []string, stdout, stderr *console.Writer, secrets *secret.Set) *cobra.Command {
	a := &app{environ: environ, stdout: stdout, stderr: stderr, secrets: secrets}
	a.environment = a.read(context.Background(), environ)
	root := &cobra.Command{
		Use:   "slipway",
		Short: "Ship a Go program as a minimal container image",
		Long: `Slipway turns a Go module into a minimal, verified container image for several platforms,
and publishes it. It needs Go and nothing else: no Docker, no daemon, no Dockerfile.

Every flag has a variable, named in its help; a flag wins over its variable. Results go to
standard output, progress and errors to standard error. The exit status is 0 when the work
was done, 1 when it failed, and 2 when the request was wrong and nothing was done.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       versionText(),
	}
	root.PersistentPreRun = func(c *cobra.Command, _ []string) {
		if c.Flags().Lookup("progress") != nil {
			c.SetContext(tracing.Start(c.Context(), environ, c.CommandPath(), versionText()))
		}
	}
	root.SetVersionTemplate("slipway {{.Version}}\n")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return flagFault(c, err)
	})
	root.AddCommand(a.buildCommand(), a.publishCommand(), a.checkCommand(), a.pinCommand(), a.sbomCommand(), a.sizeCommand(), a.diffCommand(), a.inspectCommand(), a.verifyCommand(),
		a.reproduceCommand(), a.copyCommand(), a.policyCommand(), a.planCommand(), a.dockerfileCommand(), a.cacheCommand(), a.doctorCommand(), a.versionCommand())
	// Without this, cobra answers an unknown command with its help and status 0.
	root.Args = cobra.ArbitraryArgs
	root.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return c.Help()
		}
		return fault.Faults{{Field: "command", Value: args[0], Problem: "no such command", Hint: "slipway --help lists the commands"}}
	}
	return root
}

func (a *app) planCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "plan [flags] [NAME] [DIR]",
		Short: "Show what a build would do, without doing it",
		Example: `  slipway plan                         what slipway build would do here
  slipway plan --runtime alpine --json | jq .image
  slipway plan --json > plan.json      to compare with the next one`,
		RunE: func(c *cobra.Command, args []string) error {
			plan, err := a.plan(c.Context(), args)
			if err != nil {
				return err
			}
			if a.JSON {
				return a.printJSON(plan)
			}
			return plan.WriteText(a.stdout)
		},
	}
	a.flags(c).completeImages()
	return c
}

func (a *app) dockerfileCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "dockerfile [flags] [NAME] [DIR]",
		Short: "Write the equivalent Dockerfile of a build",
		Long: `Write the equivalent Dockerfile of a build, with several stages, cache mounts and cross-compilation.
Slipway itself does not use it.`,
		Example: `  slipway dockerfile > Dockerfile
  slipway dockerfile | docker buildx build --platform linux/amd64,linux/arm64 -f - .`,
		RunE: func(c *cobra.Command, args []string) error {
			p, err := a.plan(c.Context(), args)
			if err != nil {
				return err
			}
			text, err := dockerfile.Render(p)
			if err != nil {
				return err
			}
			if len(p.Source.Excluded) > 0 {
				fmt.Fprintln(a.stderr, "slipway: "+plan.IgnoreFile+" leaves out what this build needs: the first lines of the Dockerfile say how to build it nevertheless")
			}
			return a.stdout.Exact(text)
		},
	}
	a.flags(c).completeImages()
	return c
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Show the version of slipway",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fault.Faults{{Field: "argument", Value: args[0], Problem: "the version needs none", Hint: "leave it out"}}
			}
			return nil
		},
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(a.stdout, "slipway "+versionText())
			return err
		},
	}
}

// plan decides what building the one image that args mean does.
func (a *app) plan(ctx context.Context, args []string) (*plan.Plan, error) {
	names, dir, err := nameArgs(args)
	if err != nil {
		return nil, err
	}
	a.shows = true
	images, err := a.plans(ctx, dir, names, nil)
	switch {
	case err != nil:
		return nil, err
	case len(images) > 1:
		return nil, one("image", names, "name one")
	}
	return images[0].Plan, nil
}

func (a *app) printJSON(v any) error {
	encoder := json.NewEncoder(a.stdout)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}
