package slipway

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"golang.org/x/sync/errgroup"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/build/assemble"
	"github.com/slipway-ci/slipway/internal/distro"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/source"
)

// Lock is a slipway.lock: the images, downloads and packages that builds of its directory take.
type Lock struct {
	// File is its name in the source, with slashes.
	File string
	// Text is what it is to hold. Changes say what of that it does not hold yet, one line for each image, download and package, in order.
	Text    string
	Changes []string

	dir, was string // the source, and what the file holds
}

// Lock looks up what images of [Request.PlanUnlocked] need, and what the lock of each has already, and writes nothing. The locks are in
// the order of their files.
func (b *Builder) Lock(ctx context.Context, images []*Image) (locks []*Lock, err error) {
	if len(images) == 0 {
		return nil, nil
	}
	r := images[0].request
	if err := r.fetchPlaced(ctx, images); err != nil {
		return nil, err
	}
	plans := map[string][]*Plan{} // by the file that is for them
	for _, image := range images {
		file := path.Join(image.Plan.Source.Dir, plan.LockFile)
		plans[file] = append(plans[file], image.Plan)
	}
	tree, err := source.Open(r.Dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, tree.Close()) }()
	for _, file := range slices.Sorted(maps.Keys(plans)) {
		lock, err := b.lock(ctx, tree, &Lock{File: file, dir: r.Dir}, r.shown(file), plans[file])
		if err != nil {
			return nil, err
		}
		locks = append(locks, lock)
	}
	return locks, nil
}

// Write writes the file, unless it is as it should be.
func (l *Lock) Write() (err error) {
	if l.Text == l.was {
		return nil
	}
	tree, err := source.Open(l.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tree.Close()) }()
	return tree.WriteFile(l.File, []byte(l.Text))
}

// lock fills in what a lock, which messages call shown, is to hold for plans.
func (b *Builder) lock(ctx context.Context, tree *source.Tree, l *Lock, shown string, plans []*Plan) (_ *Lock, err error) {
	old, text, err := readLock(tree, l.File, shown)
	if err != nil {
		return nil, err
	}
	var refs, urls, requests, tools []string
	for _, plan := range plans {
		refs = append(refs, plan.Floating()...)
		for _, d := range plan.Downloads() {
			urls = append(urls, d.URL)
		}
		for _, request := range plan.PackageRequests() {
			requests = append(requests, request.String())
		}
		tools = append(tools, plan.FloatingTools()...)
	}
	needed := map[string]bool{}
	for _, key := range slices.Concat(refs, urls, requests, tools) {
		needed[key] = true
	}
	tools = slices.DeleteFunc(tools, func(ref string) bool { return old.Images[ref] != "" }) // those are among the images of the lock
	refs = slices.AppendSeq(refs, maps.Keys(old.Images))
	urls = slices.AppendSeq(urls, maps.Keys(old.Files))
	requests = slices.AppendSeq(requests, maps.Keys(old.Packages))
	slices.Sort(refs)
	slices.Sort(tools)
	slices.Sort(urls)
	slices.Sort(requests)
	var lock plan.Lock
	if lock.Images, err = b.digests(ctx, slices.Compact(refs), needed); err != nil {
		return nil, err
	}
	maps.Copy(lock.Images, b.toolDigests(ctx, slices.Compact(tools)))
	if lock.Files, err = b.downloads(ctx, slices.Compact(urls), needed); err != nil {
		return nil, err
	}
	if lock.Packages, err = b.choosePackages(ctx, slices.Compact(requests), needed, old, lock.Images); err != nil {
		return nil, err
	}
	l.Changes = slices.Concat(imageChanges(old.Images, lock.Images), fileChanges(old.Files, lock.Files), packageChanges(old.Packages, lock.Packages))
	l.was, l.Text = text, lock.String()
	return l, nil
}

// readLock reads a lock and its text; both are empty where there is no such file.
func readLock(tree *source.Tree, file, shown string) (plan.Lock, string, error) {
	text, err := tree.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		problem, hint := source.Describe(err)
		return plan.Lock{}, "", Faults{{Field: shown, Problem: problem, Hint: hint}}
	}
	lock, err := plan.ParseLock(string(text))
	if err != nil {
		return plan.Lock{}, "", Faults{{Field: shown, Problem: err.Error(), Hint: "mend it, or delete it and run slipway pin"}}
	}
	return lock, string(text), nil
}

// toolDigests asks the registries what the images of tools stand for, and leaves out those that cannot be had: no build needs them.
func (b *Builder) toolDigests(ctx context.Context, refs []string) map[string]string {
	found := map[string]string{}
	for _, ref := range refs {
		digest, err := b.digest(ctx, ref)
		if err != nil {
			b.reporter().Warn(fmt.Sprintf("%s is not pinned, so checks on a Dagger engine compile its program: %v", ref, err))
			continue
		}
		found[ref] = digest
	}
	return found
}

// digests asks the registries what refs stand for.
func (b *Builder) digests(ctx context.Context, refs []string, needed map[string]bool) (map[string]string, error) {
	return eachKey(ctx, b.reporter(), refs, needed, func(ctx context.Context, ref string) (string, error) {
		digest, err := b.digest(ctx, ref)
		if err != nil {
			err = fmt.Errorf("asking for the digest of %s: %w", ref, err)
		}
		return digest, err
	})
}

func (b *Builder) digest(ctx context.Context, ref string) (string, error) {
	tag, err := name.NewTag(ref)
	if err != nil {
		return "", err
	}
	descriptor, err := b.Client.Get(ctx, tag)
	if err != nil {
		return "", err
	}
	return descriptor.Digest.String(), nil
}

// downloads fetches what is at urls.
func (b *Builder) downloads(ctx context.Context, urls []string, needed map[string]bool) (map[string]plan.Download, error) {
	return eachKey(ctx, b.reporter(), urls, needed, func(ctx context.Context, url string) (plan.Download, error) {
		return assemble.RecordDownload(ctx, b.Bases, url)
	})
}

// choosePackages chooses the packages of requests. Bases are those of digests. No suite may be older than the old lock says.
func (b *Builder) choosePackages(
	ctx context.Context, requests []string, needed map[string]bool, old plan.Lock, digests map[string]string,
) (map[string]distro.Selection, error) {
	notBefore := map[string]time.Time{}
	for _, lock := range old.Packages {
		for suite, date := range lock.Dates {
			if date.After(notBefore[suite]) {
				notBefore[suite] = date
			}
		}
	}
	return eachKey(ctx, b.reporter(), requests, needed, func(ctx context.Context, text string) (distro.Selection, error) {
		request, err := plan.ParsePackageRequest(text)
		if err != nil {
			return distro.Selection{}, err
		}
		base := request.Base
		if digest := digests[base]; digest != "" {
			base += "@" + digest
		}
		return assemble.ChoosePackages(ctx, b.Bases, request, base, notBefore)
	})
}

// eachKey finds the value of each key, some at a time. Keys that are not needed are those that the lock alone still has.
func eachKey[T any](
	ctx context.Context, report build.Reporter, keys []string, needed map[string]bool, find func(context.Context, string) (T, error),
) (map[string]T, error) {
	found := make([]T, len(keys))
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(4)
	for i, key := range keys {
		group.Go(func() error {
			return build.Do(report, "", "pin "+key, func(build.Step) (err error) {
				found[i], err = find(groupCtx, key)
				switch {
				case err != nil && groupCtx.Err() != nil:
					err = groupCtx.Err() // net/http says what stopped it, which is another key's error
				case err != nil && !needed[key]:
					err = fmt.Errorf("%w; or, since these settings do not need it, delete it from %s if no others do", err, plan.LockFile)
				}
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

// fileChanges says what differs, one line for each URL, in order.
func fileChanges(from, to map[string]plan.Download) []string {
	var changes []string
	for _, url := range slices.Sorted(maps.Keys(to)) {
		switch was, known := from[url]; {
		case !known:
			changes = append(changes, fmt.Sprintf("%s: new, %s", url, to[url].Digest))
		case was != to[url]:
			changes = append(changes, fmt.Sprintf("%s: changed from %s to %s", url, was.Digest, to[url].Digest))
		}
	}
	return changes
}

// packageChanges says what differs, one line for each package and platform, in order. Dates alone are no change.
func packageChanges(from, to map[string]distro.Selection) []string {
	var changes []string
	for _, text := range slices.Sorted(maps.Keys(to)) {
		request, _ := plan.ParsePackageRequest(text) // it was parsed before
		was, known := from[text]
		if !known {
			changes = append(changes, fmt.Sprintf("packages for %s: new, %d of %s", request.Platform, len(to[text].Packages), text))
			continue
		}
		before := map[string]distro.Package{}
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
