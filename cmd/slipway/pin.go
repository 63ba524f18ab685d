package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/slipway-ci/slipway"
	"github.com/slipway-ci/slipway/internal/fault"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/progress"
)

func (a *app) pinCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "pin [flags] [NAME...] [DIR]",
		Short: "Write down the images, downloads and packages that builds need",
		Long: `Look up the digest of the builder and of the base that a build with these settings has, and of each
file that it downloads, the packages of Debian or Alpine that it installs, and everything that
` + plan.LockFile + ` has already, and write them into that file, beside go.work or else go.mod. From then on
every build takes these images, whatever their tags come to mean, these files and no others, and
these packages, whatever is newer. One file serves all builds of its directory: name the images of
slipway.yaml or give --all, or run slipway pin once for each build, such as for each runtime.
To drop what no build needs any more, delete the file first, or its lines.`,
		Example: `  slipway pin                          for what slipway build does here
  slipway pin --runtime alpine         for another build of the same directory
  slipway pin --check                  in CI: fail and say which tags have moved, which files changed, and which packages are newer`,
		RunE: func(c *cobra.Command, args []string) error { return a.pin(c.Context(), args) },
	}
	a.flags(c).completeImages()
	return c
}

func (a *app) pin(ctx context.Context, args []string) (err error) {
	names, dir, err := nameArgs(args)
	if err != nil {
		return err
	}
	a.shows = true
	images, planErr := a.newRequest(dir, names, nil).PlanUnlocked(ctx)
	client, clientErr := a.registry(a.Mirrors)
	display, displayErr := progress.New(ctx, a.Progress, a.stderr, a.environ)
	if err := fault.Join(a.environment, orDirectory(planErr), clientErr, displayErr); err != nil {
		return err
	}
	defer client.Close()
	defer display.Close()
	bases, err := slipway.OpenBases(ctx, client)
	if err != nil {
		return err
	}
	bases.Dir = dir // of local bases
	builder := a.builder(client, display)
	builder.Bases = bases
	locks, err := builder.Lock(ctx, images)
	if err != nil {
		return err
	}
	if a.PinCheck {
		_ = display.Close() // the work is done
		return outOfDate(dir, locks)
	}
	for _, lock := range locks {
		for _, change := range lock.Changes {
			display.Note(change)
		}
		if err := lock.Write(); err != nil {
			return err
		}
	}
	_ = display.Close() // the work is done
	for _, lock := range locks {
		if _, err := fmt.Fprintln(a.stdout, filepath.Join(dir, lock.File)); err != nil {
			return err
		}
	}
	return nil
}

// outOfDate is about the locks that are to change.
func outOfDate(dir string, locks []*slipway.Lock) error {
	var errs []error
	for _, lock := range locks {
		if lock.Changes != nil {
			errs = append(errs, fmt.Errorf("%s is out of date: run slipway pin\n%s", filepath.Join(dir, lock.File), strings.Join(lock.Changes, "\n")))
		}
	}
	return errors.Join(errs...)
}
