package host

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/build/gocache"
	"github.com/slipway-ci/slipway/internal/build/modcache"
	"github.com/slipway-ci/slipway/internal/build/slot"
	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/goenv"
	"github.com/slipway-ci/slipway/internal/plan"
)

// sources shares the packages' files of modules between machines. Its module cache is one of this build alone: nothing that lacks files gets
// into the user's.
type sources struct {
	cache  *gocache.Cache
	images []string
	engine *Engine
	// What would be downloaded, and the files that say so.
	want  string
	files map[string]string

	// succeeded gets whether go build has for all platforms, once.
	succeeded chan bool
	once      sync.Once

	mu sync.Mutex
	// dir is the module cache, empty while whole modules are used.
	dir string
	// left is for how many platforms nothing has been compiled yet.
	left int
}

// shareSources has the packages' files shared, as compiled packages are.
func (c *compiler) shareSources(ctx context.Context, e *Engine, images []string) {
	p := c.plan
	if len(c.shared) == 0 || len(c.shared) < len(p.Compile) || p.Source.Workspace || p.Generate != nil || p.Prebuild != nil || p.Debugger != nil {
		return
	}
	s := &sources{cache: e.shared(images[0]), images: images, engine: e, left: len(p.Compile), succeeded: make(chan bool, 1)}
	c.sources = s
	var saving sync.WaitGroup
	saving.Go(func() {
		if !<-s.succeeded {
			return
		}
		if err := c.saveSources(ctx); err != nil && ctx.Err() == nil {
			s.cache.Warn(fmt.Sprintf("the packages' files of modules are not in the cache %s: %v", s.cache.Name, err))
		}
	})
	c.atClose(func() error {
		s.once.Do(func() { s.succeeded <- false })
		saving.Wait()
		return nil
	})
}

// goMod is the go.mod of the source, if modules are as it says: none stands for another.
func (c *compiler) goMod() (*modfile.File, bool) {
	name := path.Join(c.plan.Source.Dir, "go.mod")
	file, err := modfile.Parse(name, []byte(c.sources.files[name]), nil)
	if err != nil {
		return nil, false
	}
	return file, !slices.ContainsFunc(file.Replace, func(r *modfile.Replace) bool { return r.New.Version != "" })
}

// key is that of the set of this build.
func (s *sources) key() string {
	text, _ := json.Marshal(s.files) // strings can be written
	return cache.DigestOf(text)
}

// takeSources takes the packages' files from the cache, where this machine lacks modules, and reports whether it did.
func (c *compiler) takeSources(ctx context.Context) (taken bool) {
	s := c.sources
	file, ok := c.goMod()
	if !ok || s.cache.Mode == slot.Refresh || !c.ownToolchain() {
		return false
	}
	var required []module.Version
	for _, r := range file.Require {
		if !slices.ContainsFunc(file.Replace, func(other *modfile.Replace) bool { return other.Old.Path == r.Mod.Path }) {
			required = append(required, r.Mod)
		}
	}
	if !modcache.Lacks(goenv.ModuleCache(s.engine.environ), required) {
		return false
	}
	_ = build.Do(c.report, "", "cache", func(step build.Step) error {
		dir, err := c.unpackSources(ctx)
		switch {
		case err != nil:
			_, err = fmt.Fprintf(step, "no modules are taken from %s: %v\n", s.cache.Name, err)
		case dir != "":
			taken = true
			s.dir = dir
			s.engine.partial.Store(s.want, dir)
			c.atClose(func() error {
				s.engine.partial.CompareAndDelete(s.want, dir)
				return nil
			})
			_, err = fmt.Fprintf(step, "the packages' files of modules come from %s, and are what go.sum says\n", s.cache.Name)
		}
		return err
	})
	return taken
}

// ownToolchain reports whether the go command on the PATH compiles, and none of the module cache.
func (c *compiler) ownToolchain() bool {
	root, err := findToolchain(c.plan.Go.Version, "")
	if err != nil {
		return false
	}
	is, err := versionOf(root)
	return err == nil && is == "go"+c.plan.Go.Version
}

// unpackSources makes a module cache of what the cache has; empty for nothing.
func (c *compiler) unpackSources(ctx context.Context) (dir string, err error) {
	s := c.sources
	asking, cancel := context.WithTimeout(ctx, gocache.Patience)
	defer cancel()
	set, err := modcache.Fetch(asking, s.cache.Repository, s.images[0], s.cache.Branches, s.key())
	if err != nil || set == nil {
		return "", err
	}
	dir = filepath.Join(c.dir, "partial")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", err
	}
	if err := modcache.Unpack(set, dir, platformNames(c.plan), modcache.ParseSums(s.files)); err != nil {
		return "", errors.Join(err, os.RemoveAll(dir))
	}
	return dir, nil
}

func platformNames(p *plan.Plan) (names []string) {
	for _, platform := range p.Platforms() {
		names = append(names, platform.String())
	}
	return names
}

// partialEnv is env for a Go command that has a module cache with the packages' files alone.
func partialEnv(env map[string]string, dir string) map[string]string {
	env = maps.Clone(env)
	if env == nil {
		env = map[string]string{}
	}
	env["GOMODCACHE"], env["GOPROXY"] = dir, "off"
	return env
}

// fromSources runs go build by the packages' files where they were taken. If that fails, it downloads whole modules, and runs it again: what
// is reported, and what is made, is what it would be without a cache.
func (c *compiler) fromSources(ctx context.Context, step build.Step, env map[string]string, run func(build.Step, map[string]string) error) error {
	if dir := c.sources.partial(); dir != "" {
		held := &heldStep{Step: step}
		err := run(held, partialEnv(env, dir))
		if err == nil {
			_, err = step.Write(held.text.Bytes())
			return err
		}
		if ctx.Err() != nil {
			return err
		}
		if err := c.leaveSources(ctx); err != nil {
			return err
		}
	}
	return run(step, env)
}

// partial is the module cache with the packages' files; empty for none.
func (s *sources) partial() string {
	if s == nil {
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dir
}

// leaveSources has whole modules used from now on.
func (c *compiler) leaveSources(ctx context.Context) error {
	s := c.sources
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dir == "" {
		return nil
	}
	s.engine.partial.CompareAndDelete(s.want, s.dir)
	s.dir = ""
	return c.downloadAll(ctx, s.want, s.files)
}

// heldStep holds back what a command prints.
type heldStep struct {
	build.Step
	text bytes.Buffer
}

func (h *heldStep) Write(p []byte) (int, error) { return h.text.Write(p) }

// partialModules is the module cache of a build under way that has the packages' files alone.
func (e *Engine) partialModules(c *compiler) (dir string, ok bool) {
	files, err := c.read(c.plan.Dependencies.Files...)
	if err != nil {
		return "", false
	}
	found, ok := e.partial.Load(c.wanted(files))
	if !ok {
		return "", false
	}
	return found.(string), true
}

// ModuleCache is where the modules of a plan are that is being built, or was before its result is closed.
func (e *Engine) ModuleCache(source string, p *plan.Plan) string {
	if dir, ok := e.partialModules(&compiler{plan: p, source: source}); ok {
		return dir
	}
	return goenv.ModuleCache(e.environ)
}

// compiled has the packages' files saved, in the background, once go build has succeeded for all platforms.
func (s *sources) compiled(c *compiler) {
	if s == nil || s.want == "" {
		return
	}
	s.mu.Lock()
	s.left--
	due := s.left == 0 && s.dir == ""
	s.mu.Unlock()
	if _, ok := c.goMod(); due && ok && s.cache.Mode != slot.Read && c.undownloaded == nil {
		s.once.Do(func() { s.succeeded <- true })
	}
}

// saveSources saves the files of the packages that go list names, unless this machine has done so for these modules.
func (c *compiler) saveSources(ctx context.Context) error {
	s := c.sources
	noted := "modcache 1 " + s.cache.Name + " " + s.key()
	if s.cache.Mode != slot.Refresh && s.cache.Local.Get(noted, new(bool)) {
		return nil
	}
	var packages []modcache.Package
	for _, p := range c.plan.Compile {
		out, err := s.engine.List(ctx, c.source, c.plan, p, "-deps", "-json=ImportPath,Standard,Module")
		if err != nil {
			return err
		}
		for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
			var one struct {
				ImportPath string
				Module     *struct {
					module.Version
					Replace *struct{}
				}
			}
			if err := decoder.Decode(&one); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return fmt.Errorf("reading the output of go list: %w", err)
			}
			if m := one.Module; m != nil && m.Replace == nil && m.Version.Version != "" {
				packages = append(packages, modcache.Package{Module: m.Version, ImportPath: one.ImportPath})
			}
		}
	}
	if len(packages) == 0 {
		return nil
	}
	set, err := modcache.Pack(ctx, goenv.ModuleCache(s.engine.environ), packages, platformNames(c.plan), modcache.ParseSums(s.files))
	if err != nil {
		return err
	}
	if set == nil { // it is too large
		return s.cache.Local.Put(noted, true)
	}
	if err := modcache.Save(ctx, s.cache.Repository, s.images, s.cache.Branches[0], s.key(), set); err != nil {
		return err
	}
	return s.cache.Local.Put(noted, true)
}
