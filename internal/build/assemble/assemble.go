// Package assemble carries out what all engines do alike: with the programs that an engine compiles, it checks them, lays
// them on the base and puts the images together. So the images are the same, to the byte, whichever engine compiled.
package assemble

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/build/guard"
	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/cache/temporary"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/source"
)

// Compiler is what engines differ in: it compiles for a group of plans. Its methods report their steps themselves.
type Compiler interface {
	// Modules downloads and verifies what the plans say.
	Modules(ctx context.Context) error
	// Compile leaves the programs of c, by their names, in the directory out. It is called for several platforms at a time,
	// after Modules. digests has the SHA-256, in hexadecimal digits, of those that were noted to be what they are; others may be
	// missing. Where they turn out to be something else, it is called again, with another directory.
	Compile(ctx context.Context, c plan.Compile, programs []plan.Program, out string) (digests map[string]string, err error)
	// Close is called when nobody needs the programs any more.
	Close() error
}

// Build carries out plans for the source tree below the directory root. compiler makes the engine's compiler for a group of plans,
// which may write below the directory dir; it is removed at the end. See [build.Engine].
func Build(
	ctx context.Context, root string, plans []*plan.Plan, bases *oci.Bases, report build.Reporter,
	compiler func(g plan.Group, dir string) Compiler, done func(i int, r *build.Result, err error),
) {
	all := func(err error) {
		for i := range plans {
			done(i, nil, err)
		}
	}
	dir, err := temporary.NewDir()
	if err != nil {
		all(fmt.Errorf("making a directory for the build: %w", err))
		return
	}
	layers := bases.Cache
	if layers == nil {
		if layers, err = cache.Open(filepath.Join(dir.Path, "layers")); err != nil {
			all(errors.Join(err, dir.Remove()))
			return
		}
	}
	tree, err := source.Open(root)
	if err != nil {
		all(errors.Join(fmt.Errorf("opening the source: %w", err), dir.Remove()))
		return
	}
	s := &shared{
		source: tree, dir: dir, cache: layers, bases: newBases(ctx, bases, report), report: report, lanes: len(plans) > 1,
		slots: make(chan struct{}, runtime.GOMAXPROCS(0)),
	}
	s.open.Store(int64(len(plans)))
	executions := make([]*execution, len(plans))
	var parts []*part // of all executions
	var compiled []*plan.Plan
	for i, p := range plans {
		executions[i] = &execution{shared: s, plan: p}
		for _, one := range p.Parts() {
			executions[i].parts = append(executions[i].parts, &part{plan: one, number: len(parts)})
			parts = append(parts, executions[i].parts[len(executions[i].parts)-1])
			compiled = append(compiled, one)
		}
	}
	for n, members := range plan.Share(compiled) {
		own := filepath.Join(dir.Path, strconv.Itoa(n))
		c := compiler(members, own)
		s.compilers = append(s.compilers, c)
		g := newGroup(ctx, s, members, c, own)
		for _, i := range members.Members {
			parts[i].group = g
		}
	}
	var images sync.WaitGroup
	for i, b := range executions {
		images.Go(func() {
			result, err := b.run(ctx)
			if ctx.Err() != nil {
				err = context.Cause(ctx) // what the steps say is that they were stopped
			}
			if err != nil {
				done(i, nil, errors.Join(err, s.close()))
				return
			}
			result.Close = s.close
			done(i, result, nil)
		})
	}
	images.Wait()
}

// shared is what all builds of a call have in common.
type shared struct {
	source *source.Tree
	dir    *temporary.Dir // everything that the builds write; removed when the last is closed
	open   atomic.Int64
	cache  *cache.Cache
	bases  *baseImages
	report build.Reporter
	lanes  bool // whether lanes need the name of an image
	// compilers are those of all groups, closed with the last build.
	compilers []Compiler
	slots     chan struct{} // as many as the machine has processors
}

func (s *shared) close() error {
	if s.open.Add(-1) > 0 {
		return nil
	}
	var errs []error
	for _, c := range s.compilers {
		errs = append(errs, c.Close())
	}
	return errors.Join(append(errs, s.source.Close(), s.dir.Remove())...)
}

// work runs f when a processor is free.
func (s *shared) work(ctx context.Context, f func() error) error {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
		return f()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// baseImages finds each base once.
type baseImages struct {
	ctx    context.Context
	bases  *oci.Bases
	report build.Reporter
	mu     sync.Mutex
	found  map[string]func() (*oci.Base, error)
	files  map[v1.Hash]func() (*oci.FileSystem, error)
}

// pullShown is from how many bytes on fetching a blob is a step.
const pullShown = 1 << 20

func newBases(ctx context.Context, bases *oci.Bases, report build.Reporter) *baseImages {
	reporting := *bases
	reporting.Pulling = func(ctx context.Context, blob v1.Descriptor, pull func(context.Context) error) error {
		if blob.Size < pullShown {
			return pull(ctx)
		}
		return build.Do(report, "", "pull "+blob.Digest.Hex[:12], func(step build.Step) error { return pull(build.Transfer(ctx, step, blob.Size)) })
	}
	return &baseImages{
		ctx: ctx, bases: &reporting, report: report, found: map[string]func() (*oci.Base, error){}, files: map[v1.Hash]func() (*oci.FileSystem, error){},
	}
}

// fileSystem is a copy of the base's file system for a platform; an empty one for no base.
func (b *baseImages) fileSystem(base *oci.Base, platform v1.Platform) (*oci.FileSystem, error) {
	if base == nil {
		return oci.NewFileSystem(b.ctx, nil)
	}
	img, err := base.Image(platform)
	if err != nil {
		return nil, err
	}
	digest, err := img.Digest()
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	read, ok := b.files[digest]
	if !ok {
		read = sync.OnceValues(func() (*oci.FileSystem, error) { return oci.NewFileSystem(b.ctx, img) })
		b.files[digest] = read
	}
	b.mu.Unlock()
	files, err := read()
	if err != nil {
		return nil, err
	}
	return files.Copy(), nil
}

// resolve is the base called ref, which has the platforms; nil for none.
func (b *baseImages) resolve(ref string, platforms []plan.Platform) (*oci.Base, error) {
	if ref == "" {
		return nil, nil
	}
	b.mu.Lock()
	find, ok := b.found[ref]
	if !ok {
		find = sync.OnceValues(func() (base *oci.Base, err error) {
			err = build.Do(b.report, "", "base", func(build.Step) error {
				base, err = b.bases.Resolve(b.ctx, ref)
				return err
			})
			return base, err
		})
		b.found[ref] = find
	}
	b.mu.Unlock()
	base, err := find()
	if err != nil {
		return nil, err
	}
	group := errgroup.Group{}
	for _, p := range platforms {
		group.Go(func() error {
			_, err := base.Image(ociPlatform(p))
			return err
		})
	}
	return base, group.Wait()
}

// execution is one plan being carried out.
type execution struct {
	*shared
	plan  *plan.Plan
	parts []*part

	base *oci.Base // nil for none
	// contents are what comes into the images, in the plan's order of platforms.
	contents []*contents
}

// lane is what the steps for a platform are reported under.
func (b *execution) lane(platform string) string {
	if b.lanes {
		return b.plan.Name + " " + platform
	}
	return platform
}

func (b *execution) run(ctx context.Context) (*build.Result, error) {
	// After a failure, the groups' other work is of no use. The first failure is reported: others may follow from it.
	var failure error
	leave := sync.OnceFunc(func() {
		for _, p := range b.parts {
			if p.waiting.Add(-1) == 0 {
				p.cancel()
			}
		}
	})
	defer leave()
	var failed sync.Once
	beside := func(tasks ...func(context.Context) error) error {
		group, ctx := errgroup.WithContext(ctx)
		for _, task := range tasks {
			group.Go(func() error {
				err := task(ctx)
				if err != nil {
					failed.Do(func() { failure = err })
					leave()
				}
				return err
			})
		}
		if group.Wait() != nil {
			return failure
		}
		return nil
	}
	// Work that does not need the modules goes on beside their download.
	first := []func(context.Context) error{func(ctx context.Context) (err error) {
		if b.base, err = b.bases.resolve(b.plan.Image.Base, b.plan.Platforms()); err != nil {
			return err
		}
		return b.prepare(ctx)
	}}
	for _, p := range b.parts {
		first = append(first, func(context.Context) error { return p.modules() })
	}
	if err := beside(first...); err != nil {
		return nil, err
	}
	images := make([]build.Image, len(b.plan.Compile))
	var platforms []func(context.Context) error
	for i := range b.plan.Compile {
		platforms = append(platforms, func(ctx context.Context) (err error) {
			images[i], err = b.platform(ctx, i)
			return err
		})
	}
	if err := beside(platforms...); err != nil {
		return nil, err
	}

	result := &build.Result{Images: images, Artifact: images[0].Image}
	if len(images) > 1 {
		members := make([]v1.Image, len(images))
		for i, img := range images {
			members[i] = img.Image
		}
		index, err := oci.NewIndex(members, b.plan.Image.Annotations)
		if err != nil {
			return nil, err
		}
		result.Artifact = index
	}
	return result, nil
}

func ociPlatform(p plan.Platform) v1.Platform {
	return v1.Platform{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant}
}

// prepare makes the layers that need no programs.
func (b *execution) prepare(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for i := range b.plan.Platforms() {
		c := &contents{execution: b}
		b.contents = append(b.contents, c)
		group.Go(func() error { return c.prepare(ctx, i) })
	}
	return group.Wait()
}

// platform compiles, guards and assembles for the platform with that number.
func (b *execution) platform(ctx context.Context, number int) (built build.Image, err error) {
	programs, group := make(programDirs, len(b.parts)), errgroup.Group{}
	for i, p := range b.parts {
		group.Go(func() (err error) {
			programs[i], err = p.programs(number)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return build.Image{}, err
	}
	built, err = b.image(ctx, number, programs)
	if err == nil {
		return built, nil
	}
	again := false
	for i, p := range b.parts {
		if !p.altered(err, programs[i]) {
			continue
		}
		made, err := p.recompile(number, programs[i])
		if err != nil {
			return build.Image{}, err
		}
		programs[i], again = made, true
	}
	if again {
		return b.image(ctx, number, programs)
	}
	return build.Image{}, err
}

// image guards and assembles.
func (b *execution) image(ctx context.Context, number int, programs programDirs) (built build.Image, err error) {
	platform, contents := b.plan.Compile[number].Platform, b.contents[number]
	err = b.work(ctx, func() error {
		var size int64
		err := build.Do(b.report, b.lane(platform.String()), "guard", func(build.Step) error {
			var faults []error
			for i, p := range b.parts {
				own, err := guard.CheckAll(programs[i].dir, p.plan, p.plan.Compile[number])
				size, faults = size+own, append(faults, err)
			}
			return errors.Join(faults...)
		})
		if err != nil {
			return err
		}
		return build.Do(b.report, b.lane(platform.String()), "assemble", func(build.Step) error {
			img, err := b.assemble(ctx, platform, contents, programs)
			built = build.Image{Image: img, Platform: platform.String(), BinarySize: size, Packages: contents.packages}
			return err
		})
	})
	return built, err
}

// assemble puts the image of a platform together.
func (b *execution) assemble(ctx context.Context, platform plan.Platform, contents *contents, programs programDirs) (v1.Image, error) {
	layers, err := contents.layers(ctx, programs)
	if err != nil {
		return nil, err
	}
	plan := b.plan.Image
	spec := oci.Spec{
		Platform: ociPlatform(platform),
		Base:     b.base,
		Layers:   layers,
		Config: v1.Config{
			User: plan.User, Entrypoint: plan.Entrypoint, Cmd: plan.Args, Env: plan.Env, WorkingDir: plan.WorkingDir,
			ExposedPorts: set(plan.Ports), Volumes: set(plan.Volumes), Labels: plan.Labels, StopSignal: plan.StopSignal,
			Healthcheck: healthcheck(plan.Healthcheck),
		},
		Path:        plan.Path,
		Annotations: plan.Annotations,
		Created:     b.created(),
	}
	return oci.New(spec)
}

// healthcheck is a health check as Docker's configuration has it. Source:
// https://github.com/moby/docker-image-spec/blob/main/spec.md
func healthcheck(h *plan.Healthcheck) *v1.HealthConfig {
	if h == nil {
		return nil
	}
	return &v1.HealthConfig{
		Test: append([]string{"CMD"}, h.Command...), Interval: time.Duration(h.Interval), Timeout: time.Duration(h.Timeout),
		StartPeriod: time.Duration(h.StartPeriod), Retries: h.Retries,
	}
}

// set is a list as a configuration has it.
func set(list []string) map[string]struct{} {
	all := map[string]struct{}{}
	for _, value := range list {
		all[value] = struct{}{}
	}
	return all
}

func (b *execution) created() time.Time { return time.Unix(b.plan.Image.Created, 0).UTC() }
