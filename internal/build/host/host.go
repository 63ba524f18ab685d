// Package host is the engine that needs no container runtime: it runs this machine's Go command and assembles the images
// itself.
package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/build/assemble"
	"github.com/slipway-ci/slipway/internal/build/gocache"
	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/goenv"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/plan"
)

// Engine builds on this machine.
type Engine struct {
	bases   *oci.Bases
	environ []string
	shared  func(image string) *gocache.Cache // nil for none
	// partial are the module caches with the packages' files alone of builds under way, by what these would have downloaded.
	partial *sync.Map
}

var _ build.Engine = (*Engine)(nil)

// New makes an engine that takes base images from bases. environ, a list of KEY=VALUE, is the caller's environment: what
// finds modules is taken from it, and nothing else.
func New(bases *oci.Bases, environ []string) *Engine {
	return &Engine{bases: bases, environ: environ, partial: &sync.Map{}}
}

// Sharing is an engine that shares compiled packages: cache returns where those of an image are, nil for nowhere.
func (e *Engine) Sharing(cache func(image string) *gocache.Cache) *Engine {
	return &Engine{e.bases, e.environ, cache, e.partial}
}

var errNoGo = errors.New("there is no go command on the PATH: install Go 1.21 or newer from https://go.dev/dl, or use --engine dagger")

// Build carries plans out. See [build.Engine].
func (e *Engine) Build(
	ctx context.Context, source string, plans []*plan.Plan, report build.Reporter, done func(int, *build.Result, error),
) {
	_, err := exec.LookPath("go")
	if err != nil {
		err = errNoGo
	} else {
		source, err = filepath.Abs(source)
	}
	if err != nil {
		for i := range plans {
			done(i, nil, err)
		}
		return
	}
	// Bills of materials read the modules of all programs of an image in one place.
	alone := !slices.ContainsFunc(plans, func(p *plan.Plan) bool { return len(p.OtherModules) > 0 })
	compiler := func(g plan.Group, dir string) assemble.Compiler {
		modules := goenv.ModuleCache(e.environ)
		c := &compiler{plan: g.Plan, report: report, source: source, dir: dir, caller: goenv.Caller(e.environ), cache: e.bases.Cache}
		c.verifier = verifier{modules: modules, cache: e.bases.Cache, now: time.Now}
		if e.bases.Cache != nil {
			c.states = newStates(source, g.Plan, modules)
		}
		if e.shared != nil {
			c.share(ctx, e, g.Images)
			if alone {
				c.shareSources(ctx, e, g.Images)
			}
		}
		return c
	}
	assemble.Build(ctx, source, plans, e.bases, report, compiler, done)
}

// Capabilities are this engine's.
func Capabilities() (c plan.Capabilities) {
	if canRace() {
		c.Race = plan.RaceAlways
	}
	return c
}

// compiler runs the Go command.
type compiler struct {
	plan   *plan.Plan
	report build.Reporter
	source string // the user's, or once something was written to it a copy
	dir    string // for what it writes
	caller map[string]string
	// bundle is the file of certificates to trust; empty for those of this machine.
	bundle string
	// cache has the programs of earlier builds; nil for none.
	cache *cache.Cache
	// verifier has what was verified; its zero value is for none that does.
	verifier verifier
	// verified names the modules that are what go.sum says, once they have been found to be; empty where that is not known.
	verified string
	// undownloaded is why modules are missing, which matters if compiling needs them; nil if they are all there.
	undownloaded error
	// replaced are files of the source, by their names in it, with the files that the Go command is to see in their place.
	replaced map[string]string
	// flags are more GOFLAGS than the plan's, of method overlay.
	flags string
	// modules is GOMODCACHE, once the debugger is in it.
	modules string

	// states are nil without a cache.
	states *states
	// shared are the builds that share compiled packages, by platform.
	shared map[plan.Platform]*gocache.Session
	// sources shares what packages are compiled from; nil for none that does.
	sources *sources

	mu      sync.Mutex
	vcs     map[string]string // of method repository
	closers []func() error    // what Close does, from the last to the first
}

// Modules downloads, verifies, and writes what is to be compiled besides the source.
func (c *compiler) Modules(ctx context.Context) error {
	if c.states != nil {
		go func() { _, _ = c.states.toolchain() }() // while the modules are verified
	}
	if err := errors.Join(c.download(ctx), c.overlay()); err != nil {
		return err
	}
	if c.plan.Prebuild != nil {
		if err := c.prebuild(ctx); err != nil {
			return err
		}
	}
	if c.plan.Generate == nil {
		return nil
	}
	return build.Do(c.report, "", "generate", func(step build.Step) error {
		if err := c.copySource(ctx); err != nil {
			return err
		}
		cmd := command{dir: filepath.Join(c.source, c.plan.Source.Dir), args: c.plan.Generate, what: "generating code"}
		return c.goCommand(ctx, step, cmd, nil)
	})
}

// sourceCopy is the directory of the copy of the source that is written to, below that of the compiler.
const sourceCopy = "source"

// copySource has a copy of the source compiled, which the first call makes.
func (c *compiler) copySource(ctx context.Context) error {
	to := filepath.Join(c.dir, sourceCopy)
	if c.source == to {
		return nil
	}
	if err := copySource(ctx, to, c.source); err != nil {
		return fmt.Errorf("copying the source: %w", err)
	}
	c.source = to
	return c.overlay()
}

// debugger downloads the debugger's source, where the plan has one, and finds the module cache that it is in.
func (c *compiler) debugger(ctx context.Context) error {
	if c.plan.Debugger == nil {
		return nil
	}
	empty := filepath.Join(c.dir, "empty")
	if err := os.Mkdir(empty, 0o755); err != nil {
		return err
	}
	return build.Do(c.report, "", "debugger", func(step build.Step) error {
		cmd := command{dir: empty, args: c.plan.Debugger.Download, what: "downloading the debugger"}
		if err := c.goCommand(ctx, step, cmd, c.plan.Debugger.Env); err != nil {
			return err
		}
		var out bytes.Buffer
		cmd = command{dir: empty, args: []string{"go", "env", "GOMODCACHE"}, what: "finding the module cache"}
		err := c.goCommand(ctx, into{&out}, cmd, c.plan.Debugger.Env)
		c.modules = strings.TrimSpace(out.String())
		return err
	})
}

// into is a step that nobody hears of: what a command prints is wanted.
type into struct{ io.Writer }

func (into) Progress(build.Progress) {}

func (into) Part(build.Part) {}

func (into) Skip(build.Skipped) {}

func (into) End(error) {}

// Compile runs go build once for all programs, and once more for the debugger.
func (c *compiler) Compile(ctx context.Context, p plan.Compile, programs []plan.Program, out string) (digests map[string]string, err error) {
	lane := p.Platform.String()
	err = build.Do(c.report, lane, "compile", func(step build.Step) (err error) {
		env := maps.Clone(p.Env)
		if c.plan.Source.VCS != nil {
			repository, err := c.repository(ctx)
			if err != nil {
				return err
			}
			maps.Copy(env, repository)
		}
		if p.C != nil {
			cc, err := FindCompiler(p)
			if err != nil {
				return err
			}
			maps.Copy(env, plan.CompilerEnv(cc))
		}
		session := c.shared[p.Platform]
		if session != nil {
			maps.Copy(env, session.Environ())
		}
		if digests, err = c.compile(ctx, step, p, programs, env, out); err != nil {
			return errors.Join(c.undownloaded, err)
		}
		if session != nil {
			session.Compiled()
		}
		c.sources.compiled(c)
		if c.plan.Debugger == nil {
			return nil
		}
		maps.Copy(env, c.plan.Debugger.Env)
		cmd := command{dir: c.dir, args: c.plan.Debugger.Command(c.modules, out), what: "compiling the debugger for " + lane}
		return c.goCommand(ctx, step, cmd, env)
	})
	return digests, err
}

// goCommand runs cmd in the environment that the plan makes, to which env is added.
func (c *compiler) goCommand(ctx context.Context, step build.Step, cmd command, env map[string]string) error {
	tmp := filepath.Join(c.dir, "tmp")
	if err := os.MkdirAll(tmp, 0o755); err != nil {
		return err
	}
	own := map[string]string{"TMPDIR": tmp, "GOTMPDIR": tmp, "PWD": cmd.dir, "LC_ALL": "C"}
	if c.bundle != "" {
		own["SSL_CERT_FILE"], own["GIT_SSL_CAINFO"] = c.bundle, c.bundle
	}
	if env = maps.Clone(env); c.flags != "" {
		if env == nil {
			env = map[string]string{}
		}
		env["GOFLAGS"] = strings.TrimSpace(env["GOFLAGS"] + " " + c.flags)
	}
	cmd.env = join(c.caller, own, c.plan.Env, env)
	return cmd.run(ctx, step)
}
