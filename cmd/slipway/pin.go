package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/fault"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/progress"
	"github.com/slipway-ci/slipway/internal/registry"
	"github.com/slipway-ci/slipway/internal/source"
)

func (a *app) pinCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "pin [flags] [NAME...] [DIR]",
		Short: "Write down the digests of the images that builds need",
		Long: `Look up the digest of the builder and of the base that a build with these settings has, and of
all that ` + plan.LockFile + ` has already, and write them into that file, beside go.work or else
go.mod. From then on every build takes these images, even if their tags move. One file
serves all builds of its directory: name the images of slipway.yaml or use --all, or run slipway pin
once for each build, such as for each runtime.
To drop what no build needs any more, delete the file first, or its lines.`,
		Example: `  slipway pin                          for what slipway build does here
  slipway pin --runtime alpine         for another build of the same directory
  slipway pin --check                  in CI: fail and say which tags have moved`,
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
	display, displayErr := progress.New(a.Progress, a.stderr, a.environ)
	if err := fault.Join(a.environment, orDirectory(planErr), clientErr, displayErr); err != nil {
		return err
	}
	defer client.Close()
	defer display.Close()
	tree, err := source.Open(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tree.Close()) }()
	floating := map[string][]string{} // by the file that is to have them
	for _, image := range images {
		file := path.Join(image.Plan.Source.Dir, plan.LockFile)
		floating[file] = append(floating[file], image.Plan.Floating()...)
	}
	var files []string
	for _, file := range slices.Sorted(maps.Keys(floating)) {
		if err := a.pinFile(ctx, client, display, tree, file, filepath.Join(dir, file), floating[file]); err != nil {
			return err
		}
		files = append(files, filepath.Join(dir, file))
	}
	_ = display.Close() // the work is done
	if a.PinCheck {
		return nil
	}
	_, err = fmt.Fprintln(a.stdout, strings.Join(files, "\n"))
	return err
}

// pinFile brings a file, which messages call shown, up to date, or reports whether it is.
func (a *app) pinFile(ctx context.Context, client *registry.Client, display *progress.Display, tree *source.Tree, file, shown string, floating []string) error {
	old, text, err := readLock(tree, file, shown)
	if err != nil {
		return err
	}
	refs := slices.Concat(slices.Collect(maps.Keys(old)), floating)
	slices.Sort(refs)
	lock, err := digests(ctx, client, display, slices.Compact(refs))
	if err != nil {
		return err
	}
	changes := lockChanges(old, lock)
	if a.PinCheck {
		if changes != nil {
			return fmt.Errorf("%s is out of date: run slipway pin\n%s", shown, strings.Join(changes, "\n"))
		}
		return nil
	}
	for _, change := range changes {
		display.Note(change)
	}
	if lock.String() == text {
		return nil
	}
	return tree.WriteFile(file, []byte(lock.String()))
}

// readLock reads a lock and its text; both are empty where there is no such file.
func readLock(tree *source.Tree, file, shown string) (plan.Lock, string, error) {
	text, err := tree.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		problem, hint := source.Describe(err)
		return nil, "", fault.Faults{{Field: shown, Problem: problem, Hint: hint}}
	}
	lock, err := plan.ParseLock(string(text))
	if err != nil {
		return nil, "", fault.Faults{{Field: shown, Problem: err.Error(), Hint: "mend it, or delete it and run slipway pin"}}
	}
	return lock, string(text), nil
}

// digests asks the registries what refs stand for.
func digests(ctx context.Context, client *registry.Client, report build.Reporter, refs []string) (plan.Lock, error) {
	found := make([]string, len(refs))
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(4)
	for i, ref := range refs {
		group.Go(func() error {
			return build.Do(report, "", "pin "+ref, func(build.Step) error {
				tag, err := name.NewTag(ref)
				if err != nil {
					return err
				}
				descriptor, err := client.Get(groupCtx, tag)
				if err != nil {
					return fmt.Errorf("asking for the digest of %s: %w: if no build needs it any more, delete its line of %s", ref, err, plan.LockFile)
				}
				found[i] = descriptor.Digest.String()
				return nil
			})
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	lock := plan.Lock{}
	for i, ref := range refs {
		lock[ref] = found[i]
	}
	return lock, nil
}

// lockChanges says what differs, one line for each reference, in order.
func lockChanges(from, to plan.Lock) []string {
	var changes []string
	for _, ref := range slices.Sorted(maps.Keys(to)) {
		switch from[ref] {
		case to[ref]:
		case "":
			changes = append(changes, fmt.Sprintf("%s: new, %s", ref, to[ref]))
		default:
			changes = append(changes, fmt.Sprintf("%s: moved from %s to %s", ref, from[ref], to[ref]))
		}
	}
	return changes
}
