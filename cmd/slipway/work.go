package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	sdk "dagger.io/dagger"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/build/dagger/session"
	"github.com/slipway-ci/slipway/internal/build/host"
	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/config"
	"github.com/slipway-ci/slipway/internal/config/options"
	"github.com/slipway-ci/slipway/internal/goenv"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/progress"
	"github.com/slipway-ci/slipway/internal/registry"
)

// deliveries bounds how many images are written or pushed at a time.
const deliveries = 4

// work is what build and publish have in common: all but where images go. Whatever can be found wrong without building is found
// first; planErr is what is wrong with the jobs. list says that results are told as a list, even if there is one.
func (a *app) work(ctx context.Context, dir string, list bool, jobs []*job, planErr error, to func(*job, int) (deliver, error)) (err error) {
	delivers := make([]deliver, max(len(jobs), 1))
	var deliverErrs []error
	if a.environment == nil {
		for i := range delivers {
			// What is wrong with where it goes is told beside what is wrong with the source.
			j := &job{settings: config.Image{Repository: a.Repository, Tags: a.Tags}}
			if i < len(jobs) {
				j = jobs[i]
			}
			delivers[i], err = to(j, len(jobs))
			deliverErrs = append(deliverErrs, err)
		}
	}
	client, clientErr := a.registry(a.Mirrors)
	display, displayErr := progress.New(a.Progress, a.stderr, a.environ)
	logins, loginsErr := a.readLogins()
	if err := errors.Join(planErr, a.knownEngine(), once(deliverErrs), loginsErr, requests(clientErr, displayErr)); err != nil {
		return err
	}
	defer client.Close()
	defer display.Close()

	environ, forget, err := a.login(logins)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, forget()) }()
	if jobs, delivers, err = a.changed(ctx, dir, jobs, delivers, environ, display); err != nil {
		return err
	}
	if len(jobs) == 0 {
		return a.finish(display, nil, list)
	}
	for _, j := range jobs {
		noteSkipped(display, j.plan.Name, j.target.Tags, j.skipped)
	}
	bases, err := openBases(ctx, client)
	if err != nil {
		return err
	}
	kind := a.engineKind()
	versions, packages := map[string][]string{}, map[string]bool{}
	for _, j := range jobs {
		versions[j.plan.Go.Version] = append(versions[j.plan.Go.Version], j.plan.Name)
		for _, p := range j.plan.BuilderPackages {
			packages[p] = true
		}
	}
	for _, version := range slices.Sorted(maps.Keys(versions)) {
		display.Note("engine: " + kind + ", " + strings.Join(versions[version], ", ") + " with go" + version)
	}
	if kind == "host" && len(packages) > 0 {
		display.Note("not installed on this machine: " + strings.Join(slices.Sorted(maps.Keys(packages)), ", ") + "; what is on the PATH is used")
	}
	a.noteIgnored(display, jobs[0].plan)
	var builder build.Engine = host.New(bases, environ)
	if kind == "dagger" {
		client, err := connect(ctx)
		if err != nil {
			return err
		}
		defer client.Close()
		builder = session.New(client, bases, environ)
	}
	plans := make([]*plan.Plan, len(jobs))
	all := make([]*delivery, len(jobs))
	for i, j := range jobs {
		plans[i] = j.plan
		all[i] = &delivery{job: j, client: client, display: display, cache: bases.Cache, result: result{Name: j.plan.Name}}
		if list {
			all[i].lane = j.plan.Name
		}
	}
	slots := make(chan struct{}, deliveries)
	builder.Build(ctx, dir, plans, display, func(i int, built *build.Result, err error) {
		d := all[i]
		if d.built, d.err = built, err; err != nil {
			return
		}
		if _, root := d.job.plan.Image.Labels[plan.RootLabel]; root {
			display.Warn(cmp.Or(d.lane, "the program") + " runs as root, since --allow-root permits it; the image says so in the label " + plan.RootLabel)
		}
		slots <- struct{}{}
		d.run(ctx, delivers[i])
		<-slots
	})
	moveTags(ctx, all)
	return a.finish(display, all, list)
}

// noteIgnored names, once, what would change go build and changes nothing here.
func (a *app) noteIgnored(display *progress.Display, plan *plan.Plan) {
	env := maps.Clone(plan.Env)
	if len(plan.Compile) == 1 {
		maps.Copy(env, plan.Compile[0].Env)
	}
	if ignored := goenv.Ignored(a.environ, env); len(ignored) > 0 {
		display.Note("of the environment, " + strings.Join(ignored, ", ") + " would change go build and changes nothing here: slipway build --help lists the settings")
	}
}

func (a *app) knownEngine() error {
	if a.Engine == "" || slices.Contains(options.Engines, a.Engine) {
		return nil
	}
	return requests(plan.Faults{{Field: "engine", Value: a.Engine, Problem: "no such engine", Hint: "choose from " + strings.Join(options.Engines, ", ")}})
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

// connect joins the Dagger session at hand, or begins one by the dagger command.
func connect(ctx context.Context) (*sdk.Client, error) {
	client, err := sdk.Connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("connecting to a Dagger engine: %w: run slipway by dagger run, check that an engine can be reached, or use --engine host", err)
	}
	return client, nil
}

// openBases opens the cache: of base images, and of what builds keep for the next one.
func openBases(ctx context.Context, client *registry.Client) (*oci.Bases, error) {
	c, err := cache.OpenUser()
	if err != nil {
		return nil, err
	}
	return &oci.Bases{Cache: c, Remote: client, Context: ctx}, nil
}
