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
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/slipway-ci/slipway"
	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/build/assemble"
	"github.com/slipway-ci/slipway/internal/fault"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/progress"
	"github.com/slipway-ci/slipway/internal/registry"
	"github.com/slipway-ci/slipway/internal/source"
)

func (a *app) pinCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "pin [flags] [NAME...] [DIR]",
		Short: "Write down the images and packages that builds need",
		Long: `Look up the digest of the builder and of the base that a build with these settings has, the packages
of Debian that it installs, and everything that ` + plan.LockFile + ` has already, and write them into that file,
beside go.work or else go.mod. From then on every build takes these images, whatever their tags come
to mean, and these packages, whatever is newer. One file serves all builds of its directory: name the
images of slipway.yaml or give --all, or run slipway pin once for each build, such as for each runtime.
To drop what no build needs any more, delete the file first, or its lines.`,
		Example: `  slipway pin                          for what slipway build does here
  slipway pin --runtime alpine         for another build of the same directory
  slipway pin --check                  in CI: fail and say which tags have moved, and which packages are newer`,
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
	bases, err := slipway.OpenBases(ctx, client)
	if err != nil {
		return err
	}
	bases.Dir = dir
	p := &pinner{app: a, client: client, bases: bases, display: display, tree: tree}
	plans := map[string][]*plan.Plan{} // by the file that is for them
	for _, image := range images {
		file := path.Join(image.Plan.Source.Dir, plan.LockFile)
		plans[file] = append(plans[file], image.Plan)
	}
	var files []string
	for _, file := range slices.Sorted(maps.Keys(plans)) {
		if err := p.file(ctx, file, filepath.Join(dir, file), plans[file]); err != nil {
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

// pinner finds what plans need, and writes it down.
type pinner struct {
	app     *app
	client  *registry.Client
	bases   *oci.Bases
	display *progress.Display
	tree    *source.Tree
}

// file brings a file, which messages call shown, up to date for plans, or says whether it is.
func (p *pinner) file(ctx context.Context, file, shown string, plans []*plan.Plan) error {
	old, text, err := readLock(p.tree, file, shown)
	if err != nil {
		return err
	}
	refs, requests := slices.Collect(maps.Keys(old.Images)), slices.Collect(maps.Keys(old.Packages))
	for _, plan := range plans {
		refs = append(refs, plan.Floating()...)
		for _, request := range plan.PackageRequests() {
			requests = append(requests, request.String())
		}
	}
	slices.Sort(refs)
	slices.Sort(requests)
	var lock plan.Lock
	if lock.Images, err = p.digests(ctx, slices.Compact(refs)); err != nil {
		return err
	}
	if lock.Packages, err = p.packages(ctx, slices.Compact(requests), old, lock.Images); err != nil {
		return err
	}
	changes := slices.Concat(imageChanges(old.Images, lock.Images), packageChanges(old.Packages, lock.Packages))
	if p.app.PinCheck {
		if changes != nil {
			return fmt.Errorf("%s is out of date: run slipway pin\n%s", shown, strings.Join(changes, "\n"))
		}
		return nil
	}
	for _, change := range changes {
		p.display.Note(change)
	}
	if lock.String() == text {
		return nil
	}
	return p.tree.WriteFile(file, []byte(lock.String()))
}

// readLock reads a lock and its text; both are empty where there is no such file.
func readLock(tree *source.Tree, file, shown string) (plan.Lock, string, error) {
	text, err := tree.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		problem, hint := source.Describe(err)
		return plan.Lock{}, "", fault.Faults{{Field: shown, Problem: problem, Hint: hint}}
	}
	lock, err := plan.ParseLock(string(text))
	if err != nil {
		return plan.Lock{}, "", fault.Faults{{Field: shown, Problem: err.Error(), Hint: "mend it, or delete it and run slipway pin"}}
	}
	return lock, string(text), nil
}

// digests asks the registries what refs stand for.
func (p *pinner) digests(ctx context.Context, refs []string) (map[string]string, error) {
	return eachKey(ctx, p.display, refs, func(ctx context.Context, ref string) (string, error) {
		tag, err := name.NewTag(ref)
		if err != nil {
			return "", err
		}
		descriptor, err := p.client.Get(ctx, tag)
		if err != nil {
			return "", fmt.Errorf("asking for the digest of %s: %w: if no build needs it any more, delete its line of %s", ref, err, plan.LockFile)
		}
		return descriptor.Digest.String(), nil
	})
}

// packages chooses the packages of requests. Bases are those of digests. No suite may be older than the old lock says.
func (p *pinner) packages(ctx context.Context, requests []string, old plan.Lock, digests map[string]string) (map[string]plan.PackageLock, error) {
	notBefore := map[string]time.Time{}
	for _, lock := range old.Packages {
		for suite, date := range lock.Dates {
			if date.After(notBefore[suite]) {
				notBefore[suite] = date
			}
		}
	}
	return eachKey(ctx, p.display, requests, func(ctx context.Context, text string) (lock plan.PackageLock, err error) {
		request, err := plan.ParsePackageRequest(text)
		if err != nil {
			return lock, err
		}
		base := request.Base
		if digest := digests[base]; digest != "" {
			base += "@" + digest
		}
		if lock, err = assemble.ChoosePackages(ctx, p.bases, request, base, notBefore); err != nil {
			err = fmt.Errorf("%w: if no build needs the packages %s any more, delete them from %s", err, text, plan.LockFile)
		}
		return lock, err
	})
}

// eachKey finds the value of each key, some at a time.
func eachKey[T any](ctx context.Context, report build.Reporter, keys []string, find func(context.Context, string) (T, error)) (map[string]T, error) {
	found := make([]T, len(keys))
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(4)
	for i, key := range keys {
		group.Go(func() error {
			return build.Do(report, "", "pin "+key, func(build.Step) (err error) {
				found[i], err = find(groupCtx, key)
				return err
			})
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	all := map[string]T{}
	for i, key := range keys {
		all[key] = found[i]
	}
	return all, nil
}

// imageChanges says what differs, one line for each reference, in order.
func imageChanges(from, to map[string]string) []string {
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

// packageChanges says what differs, one line for each package and platform, in order. Dates alone are no change.
func packageChanges(from, to map[string]plan.PackageLock) []string {
	var changes []string
	for _, text := range slices.Sorted(maps.Keys(to)) {
		request, _ := plan.ParsePackageRequest(text) // it was parsed before
		was, known := from[text]
		if !known {
			changes = append(changes, fmt.Sprintf("packages for %s: new, %d of %s", request.Platform, len(to[text].Packages), text))
			continue
		}
		before := map[string]plan.LockedPackage{}
		for _, p := range was.Packages {
			before[p.Name] = p
		}
		for _, p := range to[text].Packages {
			old, had := before[p.Name]
			delete(before, p.Name)
			switch {
			case !had:
				changes = append(changes, fmt.Sprintf("package %s for %s: new, %s", p.Name, request.Platform, p.Version))
			case old.SHA256 != p.SHA256 && strings.HasPrefix(p.Path, "debian-security/"):
				changes = append(changes, fmt.Sprintf("package %s for %s: %s has security fixes since %s", p.Name, request.Platform, p.Version, old.Version))
			case old.SHA256 != p.SHA256:
				changes = append(changes, fmt.Sprintf("package %s for %s: %s is newer than %s", p.Name, request.Platform, p.Version, old.Version))
			}
		}
		for _, gone := range slices.Sorted(maps.Keys(before)) {
			changes = append(changes, fmt.Sprintf("package %s for %s: no longer needed", gone, request.Platform))
		}
	}
	return slices.Compact(changes)
}
