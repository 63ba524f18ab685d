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
	"strings"
	"sync"
	"time"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/build/assemble"
	"github.com/slipway-ci/slipway/internal/build/gocache"
	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/gocommand"
	"github.com/slipway-ci/slipway/internal/goenv"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/source"
)

// Engine builds on this machine.
type Engine struct {
	bases   *oci.Bases
	environ []string
	shared  func(image string) *gocache.Cache // nil for none
}

var _ build.Engine = (*Engine)(nil)

// New makes an engine that takes base images from bases. environ, a list of KEY=VALUE, is the caller's environment: what
// finds modules is taken from it, and nothing else.
func New(bases *oci.Bases, environ []string) *Engine {
	return &Engine{bases: bases, environ: environ}
}

// Sharing is an engine that shares compiled packages: cache returns where those of an image are, nil for nowhere.
func (e *Engine) Sharing(cache func(image string) *gocache.Cache) *Engine {
	return &Engine{e.bases, e.environ, cache}
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
	compiler := func(g plan.Group, dir string) assemble.Compiler {
		modules := goenv.ModuleCache(e.environ)
		c := &compiler{plan: g.Plan, report: report, source: source, dir: dir, caller: goenv.Caller(e.environ), cache: e.bases.Cache}
		c.verifier = verifier{modules: modules, cache: e.bases.Cache, now: time.Now}
		if e.bases.Cache != nil {
			c.states = newStates(source, g.Plan, modules)
		}
		if e.shared != nil {
			c.share(ctx, e, g.Images)
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

// download downloads and verifies. The Go command works on copies of go.mod, go.sum and the workspace files: nothing may change in the source. What it
// adds to go.sum there is not needed for compiling, or compiling fails for the want of it; what it adds to go.work.sum, it would
// add whenever it compiles. Modules that cannot be had are no error yet: go build may not need them.
func (c *compiler) download(ctx context.Context) error {
	var missing []error // reported before anything is downloaded in vain
	for _, p := range c.plan.Compile {
		if p.C != nil {
			_, err := FindCompiler(p)
			missing = append(missing, err)
		}
	}
	if err := errors.Join(missing...); err != nil {
		return err
	}
	if err := c.trust(); err != nil {
		return err
	}
	if err := c.debugger(ctx); err != nil {
		return err
	}
	dependencies := c.plan.Dependencies
	if dependencies.Download == nil {
		return nil
	}
	files, err := c.read(dependencies.Files...)
	if err != nil {
		return err
	}
	want := fmt.Sprintf("%q %q %q", dependencies.Download, c.plan.Env, files)
	if c.plan.Source.Workspace {
		want += fmt.Sprintf(" %q", c.lists())
	}
	workSum := c.workSum()
	if c.verifier.usable() {
		completed := maps.Clone(files)
		if text, ok := c.verifier.completed(want); ok {
			completed[workSum] = text
		}
		if known, ok := c.verifier.unchanged(ctx, want, sums(completed)); ok {
			c.verified = want
			if c.plan.Source.Workspace {
				if err := c.replaceWorkSum(completed[workSum]); err != nil {
					return err
				}
			}
			return build.Do(c.report, "", "verify", func(step build.Step) error {
				step.Skip(build.Skipped{Reason: fmt.Sprintf("%d modules are as they were when they were verified", known)})
				return nil
			})
		}
	}
	copies := filepath.Join(c.dir, "modules")
	for name, content := range files {
		to := filepath.Join(copies, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(to, []byte(content), 0o644); err != nil {
			return err
		}
	}
	completed := maps.Clone(files)
	err = build.Do(c.report, "", "download", func(step build.Step) error {
		cmd := command{dir: filepath.Join(copies, c.plan.Source.Dir), args: dependencies.Download, what: "downloading modules"}
		c.undownloaded = c.verifier.counted(ctx, step, sums(files), func() error { return c.goCommand(ctx, step, cmd, nil) })
		if c.undownloaded != nil && !gocommand.Missing(c.undownloaded) {
			return c.undownloaded
		}
		if c.undownloaded != nil {
			if _, err := fmt.Fprintln(step, "not all modules can be downloaded: the build goes on, and fails if it needs one that is missing"); err != nil {
				return err
			}
		}
		if !c.plan.Source.Workspace {
			return nil
		}
		if completed[workSum], err = c.completeWorkSum(ctx, step, copies); err != nil || completed[workSum] == files[workSum] {
			return err
		}
		_, err = fmt.Fprintf(step, "%s is incomplete, and was completed for this build: run go mod download and commit the file\n", workSum)
		return err
	})
	if err != nil {
		return err
	}
	return build.Do(c.report, "", "verify", func(step build.Step) error {
		if err := c.verify(ctx, step, copies, want, sums(completed)); err != nil || c.verified == "" || completed[workSum] == files[workSum] {
			return err
		}
		return c.verifier.putCompleted(want, completed[workSum])
	})
}

// read reads files of the source.
func (c *compiler) read(names ...string) (_ map[string]string, err error) {
	tree, err := source.Open(c.source)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, tree.Close()) }()
	files := map[string]string{}
	for _, name := range names {
		content, err := tree.ReadFile(name)
		if err != nil {
			return nil, err
		}
		files[name] = string(content)
	}
	return files, nil
}

const poisoned = "The module cache was changed after the download: empty it with go clean -modcache."

// verify verifies the modules by the verifier. If that is not possible, or finds an altered module, go mod verify runs in copies of go.mod,
// go.sum and the workspace files, so that the Go command reports it. That may report nothing: it skips modules that replace others.
func (c *compiler) verify(ctx context.Context, step build.Step, copies, want string, modules []pinned) error {
	var altered error
	if c.verifier.usable() {
		found, err := c.verifier.verify(ctx, step, want, modules)
		if !errors.Is(err, errAltered) && (found || err != nil) {
			if err == nil {
				c.verified = want
			}
			return err
		}
		altered = err
	}
	if c.undownloaded != nil { // go mod verify reads the go.mod files of all modules
		if altered == nil {
			altered = c.verifier.all(ctx, modules)
		}
		if altered != nil {
			return fmt.Errorf("verifying modules: %w\n%s", altered, poisoned)
		}
		return nil
	}
	cmd := command{
		dir: filepath.Join(copies, c.plan.Source.Dir), args: c.plan.Dependencies.Verify, what: "verifying modules",
		hint: poisoned,
	}
	if err := c.goCommand(ctx, step, cmd, nil); err != nil {
		return err
	}
	if altered != nil {
		return fmt.Errorf("%s: %w\n%s", cmd.what, altered, cmd.hint)
	}
	return nil
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
