// Package session is the engine that compiles on the Dagger engine of a session, and assembles the images on this side of it.
package session

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	sdk "dagger.io/dagger"
	"golang.org/x/sync/errgroup"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/build/assemble"
	"github.com/slipway-ci/slipway/internal/build/dagger"
	"github.com/slipway-ci/slipway/internal/check"
	"github.com/slipway-ci/slipway/internal/fault"
	"github.com/slipway-ci/slipway/internal/goenv"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/source"
)

// Engine compiles on the Dagger engine of a session and assembles the images on this side of it, so that they are the host
// engine's to the byte.
type Engine struct {
	bases *oci.Bases
	// describer returns what describes builds of the source tree below a directory, without outputs.
	describer func(ctx context.Context, source string, outputs plan.Outputs) (describe, error)
}

// describe describes the build of a plan.
type describe = func(*plan.Plan) *dagger.Build

var _ build.Engine = (*Engine)(nil)

// New makes an engine of a session, which takes base images from bases. What finds private modules is taken from
// environ, the caller's environment as a list of KEY=VALUE, and from the caller's netrc file and SSH agent. The source is sent to
// the Dagger engine, but for its .git and what a .dockerignore names.
func New(client *sdk.Client, bases *oci.Bases, environ []string) *Engine {
	sender := &sender{client, environ}
	return &Engine{bases, sender.send}
}

// Capabilities are those of the engine that [New] makes with environ.
func Capabilities(environ []string) plan.Capabilities {
	return dagger.Capabilities(goenv.Modules(environ))
}

// Of makes an engine of builds whose source the Dagger engine has already. Of the source tree, only the files that plans place in
// images need to be here.
func Of(describe func(*plan.Plan) *dagger.Build, bases *oci.Bases) *Engine {
	return &Engine{bases, func(context.Context, string, plan.Outputs) (func(*plan.Plan) *dagger.Build, error) {
		return describe, nil
	}}
}

// Build carries plans out. See [build.Engine].
func (e *Engine) Build(
	ctx context.Context, source string, plans []*plan.Plan, report build.Reporter, done func(int, *build.Result, error),
) {
	source, err := filepath.Abs(source)
	var describe describe
	if err == nil {
		var outputs plan.Outputs
		for _, plan := range plans {
			outputs = append(outputs, plan.Source.Outputs...)
		}
		describe, err = e.describer(ctx, source, outputs)
	}
	if err != nil {
		for i := range plans {
			done(i, nil, err)
		}
		return
	}
	var numbers []int
	var able []*plan.Plan
	for i, plan := range plans {
		if err := excluded(plan); err != nil {
			done(i, nil, err)
			continue
		}
		numbers, able = append(numbers, i), append(able, plan)
	}
	assemble.Build(ctx, source, able, e.bases, report, func(g plan.Group, _ string) assemble.Compiler { return &compiler{describe(g.Plan), report} },
		func(i int, r *build.Result, err error) { done(numbers[i], r, err) })
}

// excluded faults a plan that needs what is not sent.
func excluded(p *plan.Plan) error {
	var faults fault.Faults
	for _, name := range p.Source.Excluded {
		faults.Add(plan.IgnoreFile, name, "the build needs it, and it is left out of what the engine gets",
			"add the line !"+name+", or use --engine host")
	}
	return faults.Err()
}

// Checks returns the runner of the plan's checks for the source tree in the directory source, which it sends to the engine.
func (e *Engine) Checks(ctx context.Context, source string, plan *plan.Plan, report build.Reporter) (check.Runner, error) {
	source, err := filepath.Abs(source)
	if err == nil {
		err = excluded(plan)
	}
	if err != nil {
		return nil, err
	}
	describe, err := e.describer(ctx, source, plan.Source.Outputs)
	if err != nil {
		return nil, err
	}
	return &compiler{describe(plan), report}, nil
}

// sender sends sources to the Dagger engine.
type sender struct {
	client  *sdk.Client
	environ []string
}

// send sends the source without outputs, and returns what describes builds of it.
func (e *sender) send(ctx context.Context, source string, outputs plan.Outputs) (describe, error) {
	ignored, err := ignoredBy(source)
	if err != nil {
		return nil, err
	}
	own, err := outputs.In(os.DirFS(source))
	if err != nil {
		return nil, err
	}
	private, err := e.callersPrivate()
	if err != nil {
		return nil, err
	}
	// As it is now, and not as an earlier build in this session saw it; once, for everything that follows.
	tree, err := e.client.Host().Directory(source, sdk.HostDirectoryOpts{Exclude: append(ignored, own...), NoCache: true}).Sync(ctx)
	if err != nil {
		return nil, dagger.Failed("sending the source to the engine", err)
	}
	directory := func(path string) *sdk.Directory {
		return e.client.Host().Directory(path, sdk.HostDirectoryOpts{NoCache: true})
	}
	return func(plan *plan.Plan) *dagger.Build {
		return dagger.New(e.client, tree, plan, private).WithDirectory(directory)
	}, nil
}

func (e *sender) callersPrivate() (dagger.Private, error) {
	private := dagger.Private{Env: goenv.Modules(e.environ)}
	if proxy := private.Env["GOPROXY"]; proxy != "" {
		delete(private.Env, "GOPROXY")
		private.Proxy = e.client.SetSecret("slipway-GOPROXY", proxy)
	}
	netrc, err := goenv.Netrc(e.environ)
	if err != nil {
		return private, err
	}
	if netrc != "" {
		private.Netrc = e.client.SetSecret("slipway-netrc", netrc)
	}
	if agent := goenv.Caller(e.environ)["SSH_AUTH_SOCK"]; agent != "" {
		private.SSH = e.client.Host().UnixSocket(agent)
	}
	return private, nil
}

// compiler fetches what the engine compiles.
type compiler struct {
	build  *dagger.Build
	report build.Reporter
}

// Modules waits for the modules and the prebuild, so that their failure is reported as such.
func (c *compiler) Modules(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	if c.build.Plan().Dependencies.Download != nil {
		group.Go(func() error {
			return build.Do(c.report, "", "modules", func(build.Step) error { return c.build.Modules(ctx) })
		})
	}
	if c.build.Plan().Prebuild != nil {
		group.Go(func() error {
			return build.Do(c.report, "", "prebuild", func(build.Step) error { return c.build.Prebuild(ctx) })
		})
	}
	return group.Wait()
}

// Compile brings the programs of a platform here.
func (c *compiler) Compile(ctx context.Context, p plan.Compile, _ []plan.Program, out string) (map[string]string, error) {
	return nil, build.Do(c.report, p.Platform.String(), "compile", func(build.Step) error { return c.build.Export(ctx, p, out) })
}

// Run implements [check.Runner].
func (c *compiler) Run(ctx context.Context, one plan.Check) (out check.Output, err error) {
	err = build.Do(c.report, "", one.Name, func(build.Step) error {
		out, err = c.build.Run(ctx, one)
		return err
	})
	return out, err
}

// ignoredBy are the patterns of files that are not sent.
func ignoredBy(dir string) (_ []string, err error) {
	tree, err := source.Open(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, tree.Close()) }()
	text, err := tree.ReadFile(plan.IgnoreFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return plan.Ignored(string(text))
}

// List runs go list with args for the packages of c, and returns what it prints, and where the source is in that.
func (e *Engine) List(ctx context.Context, source string, p *plan.Plan, c plan.Compile, args ...string) (out []byte, root string, err error) {
	if source, err = filepath.Abs(source); err != nil {
		return nil, "", err
	}
	describe, err := e.describer(ctx, source, p.Source.Outputs)
	if err != nil {
		return nil, "", err
	}
	text, root, err := describe(p).List(ctx, c, args...)
	return []byte(text), root, err
}

// Close implements [assemble.Compiler]: the engine's caches stay, and belong to nobody.
func (*compiler) Close() error { return nil }
