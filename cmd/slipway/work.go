package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/slipway-ci/slipway"
	"github.com/slipway-ci/slipway/internal/attest/provenance"
	"github.com/slipway-ci/slipway/internal/build/dagger/session"
	"github.com/slipway-ci/slipway/internal/build/host"
	"github.com/slipway-ci/slipway/internal/config/options"
	"github.com/slipway-ci/slipway/internal/fault"
	"github.com/slipway-ci/slipway/internal/goenv"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/progress"
	"github.com/slipway-ci/slipway/internal/registry"
)

// work is what build, publish and sbom have in common: they build images of the source in dir and take them somewhere. Whatever can be
// found wrong without building is found first; toErr is what is wrong with where they go.
func (a *app) work(ctx context.Context, dir string, names []string, to slipway.Sink, toErr error) error {
	return a.workThen(ctx, dir, names, to, toErr, func(display *progress.Display, results []*slipway.Result) error {
		return a.finish(display, results, a.All || names != nil)
	})
}

// workThen is work, which gives then the results.
func (a *app) workThen(ctx context.Context, dir string, names []string, to slipway.Sink, toErr error, then func(*progress.Display, []*slipway.Result) error) error {
	return a.workOn(ctx, func() ([]*slipway.Image, error) { return a.plans(ctx, dir, names, to) }, toErr, then)
}

// workOn builds what is planned.
func (a *app) workOn(ctx context.Context, plans func() ([]*slipway.Image, error), toErr error, then func(*progress.Display, []*slipway.Result) error) (err error) {
	images, planErr := plans()
	client, clientErr := a.registry(a.Mirrors)
	display, displayErr := progress.New(ctx, a.Progress, a.stderr, a.environ)
	logins, loginsErr := a.readLogins()
	if err := fault.Join(planErr, toErr, a.knownEngine(), oneOf("cache-mode", a.CacheMode, "no such mode", options.CacheModes), loginsErr, clientErr, displayErr); err != nil {
		return err
	}
	defer client.Close()
	defer display.Close()
	environ, forget, err := a.login(logins)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, forget()) }()
	builder := a.builder(client, display)
	builder.Environ = environ
	if a.ChangedSince != "" {
		if images, err = builder.ChangedSince(ctx, a.ChangedSince, images); err != nil {
			return err
		}
	}
	if len(images) == 0 {
		return then(display, nil)
	}
	bases, err := slipway.OpenBases(ctx, client)
	if err != nil {
		return err
	}
	display.Images(len(images))
	a.noteEngine(display, images)
	a.noteIgnored(display, images[0].Plan)
	builder.Bases, builder.Engine = bases, host.New(bases, environ)
	if a.engineKind() == "dagger" {
		client, err := session.Connect(ctx)
		if err != nil {
			return err
		}
		defer client.Close()
		builder.Engine, builder.BuilderImage = session.New(client, bases, environ), builderImage
	}
	return then(display, builder.Build(ctx, images))
}

// builder is what the command builds with, but for the engine and the bases.
func (a *app) builder(client *registry.Client, display *progress.Display) *slipway.Builder {
	b := &slipway.Builder{Client: client, Environ: a.environ, Version: versionText(), CacheMode: slipway.CacheMode(a.CacheMode)}
	if display != nil {
		b.Report = display
	}
	return b
}

// reader is what reads images that were built before. The caller closes it.
func (a *app) reader(ctx context.Context) (*slipway.Builder, error) {
	client, clientErr := a.registry(a.Mirrors)
	if err := fault.Join(a.environment, clientErr); err != nil {
		return nil, err
	}
	reader := a.builder(client, nil)
	var err error
	if reader.Bases, err = slipway.OpenBases(ctx, client); err != nil {
		client.Close()
		return nil, err
	}
	return reader, nil
}

// builderImage is the image that compiles on a Dagger engine, by its tag: the engine does not say its digest.
func builderImage(_ context.Context, p *plan.Plan) (provenance.Image, error) {
	return provenance.Image{Name: p.Builder}, nil
}

// noteEngine says what builds, and by which version of Go.
func (a *app) noteEngine(display *progress.Display, images []*slipway.Image) {
	kind := a.engineKind()
	versions, packages := map[string][]string{}, map[string]bool{}
	for _, image := range images {
		for _, part := range image.Plan.Parts() {
			if named := versions[part.Go.Version]; !slices.Contains(named, image.Plan.Name) {
				versions[part.Go.Version] = append(named, image.Plan.Name)
			}
		}
		for _, p := range image.Plan.BuilderPackages {
			packages[p] = true
		}
	}
	for _, version := range slices.Sorted(maps.Keys(versions)) {
		display.Note("engine: " + kind + ", " + strings.Join(versions[version], ", ") + " with go" + version)
	}
	if kind == "host" && len(packages) > 0 {
		display.Note("not installed on this machine: " + strings.Join(slices.Sorted(maps.Keys(packages)), ", ") + "; what is on the PATH is used")
	}
}

// finish reports what became of the images: as a list where names or --all asked for one, even if there is one.
func (a *app) finish(display *progress.Display, results []*slipway.Result, list bool) error {
	failures := slipway.Failures(results)
	if len(results) == 1 && failures != nil {
		return failures
	}
	var rows []progress.Row
	done := []*slipway.Result{}
	var text strings.Builder
	for _, r := range results {
		lane := ""
		if list {
			lane = r.Name
		}
		if r.Err != nil {
			rows = append(rows, progress.Row{Name: lane, Failed: true})
			continue
		}
		for _, p := range r.Platforms {
			rows = append(rows, progress.Row{Name: lane, Platform: p.Platform, Binary: p.BinarySize, Image: p.ImageSize, Unpacked: p.UnpackedSize, Digest: p.Digest})
		}
		done = append(done, r)
		fmt.Fprintln(&text, cmp.Or(r.Reference, r.Output, strings.TrimSuffix(string(r.Document), "\n")))
	}
	if rows != nil {
		display.Table(rows)
	}
	_ = display.Close() // the work is done, whether or not everything about it could be shown
	var err error
	switch {
	case a.JSON && (list || len(results) == 0):
		err = a.printJSON(done)
	case a.JSON:
		err = a.printJSON(done[0])
	default:
		_, err = io.WriteString(a.stdout, text.String())
	}
	return errors.Join(err, failures)
}

// noteIgnored names, once, what would change go build and has no effect here.
func (a *app) noteIgnored(display *progress.Display, plan *plan.Plan) {
	env := maps.Clone(plan.Env)
	if len(plan.Compile) == 1 {
		maps.Copy(env, plan.Compile[0].Env)
	}
	if ignored := goenv.Ignored(a.environ, env); len(ignored) > 0 {
		display.Note("of the environment, " + strings.Join(ignored, ", ") + " would change go build and has no effect here: slipway build --help lists the settings")
	}
}

func (a *app) knownEngine() error {
	return oneOf("engine", a.Engine, "no such engine", options.Engines)
}

// oneOf faults a value that is given and none of those that there are.
func oneOf(flag, value, problem string, values []string) error {
	if value == "" || slices.Contains(values, value) {
		return nil
	}
	return fault.Faults{{Field: flag, Value: value, Problem: problem, Hint: "choose from " + strings.Join(values, ", ")}}
}

// engineKind decides what builds: where a Dagger session is at hand, its engine, since whoever began it wants its caches.
func (a *app) engineKind() string {
	switch {
	case a.Engine != "" && a.Engine != "auto":
		return a.Engine
	case slices.ContainsFunc(a.environ, func(kv string) bool { return strings.HasPrefix(kv, "DAGGER_SESSION_PORT=") }):
		return "dagger"
	default:
		return "host"
	}
}

// capabilities are those of the engine that carries plans out; none for a command that shows them.
func (a *app) capabilities() plan.Capabilities {
	switch {
	case a.shows:
		return plan.Capabilities{}
	case a.engineKind() == "dagger":
		return session.Capabilities(a.environ)
	default:
		return host.Capabilities()
	}
}
