package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"

	"github.com/slipway-ci/slipway/dockerfile"
	"github.com/slipway-ci/slipway/pipeline"
)

// app is one call of the command.
type app struct {
	settings
	environ        []string
	stdout, stderr io.Writer
	// environment is what is wrong with the variables. It is told when the work begins, not when help is asked for.
	environment error
}

func newRoot(environ []string, stdout, stderr io.Writer) *cobra.Command {
	a := &app{environ: environ, stdout: stdout, stderr: stderr}
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
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return requestError{fmt.Errorf("%w: %s --help lists the flags", err, c.CommandPath())}
	})
	root.AddCommand(a.buildCommand(), a.publishCommand(), a.checkCommand(), a.pinCommand(), a.sbomCommand(), a.verifyCommand(),
		a.planCommand(), a.dockerfileCommand(), a.versionCommand())
	// Without this, cobra answers an unknown command with its help and status 0.
	root.Args = cobra.ArbitraryArgs
	root.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return c.Help()
		}
		return requestError{fmt.Errorf("there is no command %q: slipway --help lists the commands", args[0])}
	}
	return root
}

// oneDir lets a command take the source's folder as its only argument.
func oneDir(_ *cobra.Command, args []string) error {
	if len(args) > 1 {
		return requestError{fmt.Errorf("one folder is built at a time, and %d were given: %s", len(args), strings.Join(args, ", "))}
	}
	return nil
}

// dirOf is the source's folder.
func dirOf(args []string) string {
	if len(args) == 0 {
		return "."
	}
	return args[0]
}

func (a *app) planCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "plan [flags] [DIR]",
		Short: "Show what a build would do, without doing it",
		Example: `  slipway plan                         what slipway build would do here
  slipway plan --runtime alpine --json | jq .image
  slipway plan --json > plan.json      to compare with the next one`,
		Args: oneDir,
		RunE: func(c *cobra.Command, args []string) error {
			plan, err := a.plan(c.Context(), dirOf(args))
			if err != nil {
				return err
			}
			if a.JSON {
				return a.printJSON(plan)
			}
			return plan.WriteText(a.stdout)
		},
	}
	f := a.flags(c)
	f.plan(&a.settings)
	f.json(&a.options, "write the plan as JSON")
	return c
}

func (a *app) dockerfileCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "dockerfile [flags] [DIR]",
		Short: "Write the Dockerfile that a build stands for",
		Long: `Write the multi-stage Dockerfile that a build stands for, with cache mounts and a stage that
cross-compiles. Slipway itself does not use it.`,
		Example: `  slipway dockerfile > Dockerfile
  slipway dockerfile | docker buildx build --platform linux/amd64,linux/arm64 -f - .`,
		Args: oneDir,
		RunE: func(c *cobra.Command, args []string) error {
			plan, err := a.plan(c.Context(), dirOf(args))
			if err != nil {
				return err
			}
			text, err := dockerfile.Render(plan)
			if err != nil {
				return requestError{err}
			}
			_, err = io.WriteString(a.stdout, text)
			return err
		},
	}
	a.flags(c).plan(&a.settings)
	return c
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Show the version of slipway",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(a.stdout, "slipway "+versionText())
			return err
		},
	}
}

// plan decides what building dir means.
func (a *app) plan(ctx context.Context, dir string) (*pipeline.Plan, error) {
	plan, _, err := a.planBy(ctx, dir, pipeline.Resolve)
	return plan, err
}

// planBy is plan, decided by resolve. It returns the settings too, with what auto stands for.
func (a *app) planBy(
	ctx context.Context, dir string, resolve func(context.Context, fs.FS, pipeline.Config) (*pipeline.Plan, error),
) (*pipeline.Plan, pipeline.Config, error) {
	if a.environment != nil {
		return nil, a.config, a.environment
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, a.config, pipeline.Faults{{Field: "source", Value: dir, Problem: "not a folder", Remedy: "give slipway the folder of a Go module"}}
	}
	config := a.config
	if config.Revision == "auto" {
		revision, err := headRevision(ctx, dir)
		if err != nil {
			return nil, config, err
		}
		config.Revision = revision
	}
	// Files that cannot be read are told together with all else that is wrong.
	certs, certErr := a.readCACerts()
	config.CACerts = certs
	plan, err := resolve(ctx, os.DirFS(dir), config)
	return plan, config, errors.Join(certErr, err)
}

// headRevision asks git for the commit of dir. A work tree that differs from it is marked: the image is not what the
// commit holds.
func headRevision(ctx context.Context, dir string) (string, error) {
	git := func(args ...string) (string, error) {
		out, err := exec.CommandContext(ctx, "git", append([]string{"-C", dir}, args...)...).Output()
		if err != nil {
			if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
				err = fmt.Errorf("git: %s", bytes.TrimSpace(exit.Stderr))
			}
			return "", pipeline.Faults{{Field: "revision", Value: "auto", Problem: err.Error(), Remedy: "give the commit's hash, or build in a git repository"}}
		}
		return strings.TrimSpace(string(out)), nil
	}
	commit, err := git("rev-parse", "HEAD")
	if err != nil {
		return "", err
	}
	changes, err := git("status", "--porcelain", "--", ".")
	if err != nil {
		return "", err
	}
	if changes != "" {
		commit += "-dirty"
	}
	return commit, nil
}

func (a *app) printJSON(v any) error {
	encoder := json.NewEncoder(a.stdout)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}
