// Package assemble carries out what all engines do alike: with the programs that an engine compiles, it checks them, lays
// them on the base and puts the images together. So the images are the same, to the byte, whichever engine compiled.
package assemble

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/slipway-ci/slipway/engine"
	"github.com/slipway-ci/slipway/image"
	"github.com/slipway-ci/slipway/image/roots"
	"github.com/slipway-ci/slipway/internal/guard"
	"github.com/slipway-ci/slipway/internal/source"
	"github.com/slipway-ci/slipway/internal/temporary"
	"github.com/slipway-ci/slipway/pipeline"
)

// Compiler is what engines differ in: it compiles for a group of plans. Its methods report their steps themselves.
type Compiler interface {
	// Modules downloads and verifies what the plans say.
	Modules(ctx context.Context) error
	// Compile leaves the programs of c, by their names, in the folder out. It is called for several platforms at a time,
	// after Modules.
	Compile(ctx context.Context, c pipeline.Compile, programs []pipeline.Program, out string) error
	// Close is called when nobody needs the programs any more.
	Close() error
}

// Build carries out plans for the source tree below the directory root. compiler makes the engine's compiler for a group's plan,
// which may write below the folder dir; it is removed at the end. See [engine.Engine].
func Build(
	ctx context.Context, root string, plans []*pipeline.Plan, bases *image.Bases, report engine.Reporter,
	compiler func(plan *pipeline.Plan, dir string) Compiler, done func(i int, r *engine.Result, err error),
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
	store := bases.Store
	if store == nil {
		if store, err = image.OpenStore(filepath.Join(dir.Path, "layers")); err != nil {
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
		source: tree, dir: dir, store: store, bases: newBases(ctx, bases, report), report: report, lanes: len(plans) > 1,
		slots: make(chan struct{}, runtime.GOMAXPROCS(0)),
	}
	s.open.Store(int64(len(plans)))
	var images sync.WaitGroup
	for n, members := range pipeline.Share(plans) {
		own := filepath.Join(dir.Path, strconv.Itoa(n))
		if err := os.Mkdir(own, 0o755); err != nil {
			for _, i := range members.Members {
				done(i, nil, errors.Join(err, s.close()))
			}
			continue
		}
		c := compiler(members.Plan, own)
		s.compilers = append(s.compilers, c)
		g := newGroup(ctx, s, members, c, own)
		for _, i := range members.Members {
			b := &build{shared: s, group: g, plan: plans[i], number: i}
			images.Go(func() {
				result, err := b.run()
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
	}
	images.Wait()
}

// shared is what all builds of a call have in common.
type shared struct {
	source *source.Tree
	dir    *temporary.Dir // everything that the builds write; removed when the last is closed
	open   atomic.Int64
	store  *image.Store
	bases  *baseImages
	report engine.Reporter
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

// group compiles for the plans that compile together. What it does is done once, for the first who asks, and stopped when no
// image waits for it any more.
type group struct {
	*shared
	pipeline.Group
	ctx      context.Context
	cancel   context.CancelFunc
	waiting  atomic.Int64
	compiler Compiler
	dir      string
	modules  func() error
	compiled map[pipeline.Platform]func() error
}

func newGroup(ctx context.Context, s *shared, members pipeline.Group, compiler Compiler, dir string) *group {
	g := &group{shared: s, Group: members, compiler: compiler, dir: dir, compiled: map[pipeline.Platform]func() error{}}
	g.ctx, g.cancel = context.WithCancel(ctx)
	g.waiting.Store(int64(len(members.Members)))
	g.modules = sync.OnceValue(func() error { return compiler.Modules(g.ctx) })
	for _, c := range members.Plan.Compile {
		g.compiled[c.Platform] = sync.OnceValue(func() error { return g.compile(c, members.Compiled(c), g.out(c.Platform)) })
	}
	return g
}

// out is the folder of the programs for a platform.
func (g *group) out(p pipeline.Platform) string {
	return filepath.Join(g.dir, "out", strings.ReplaceAll(p.String(), "/", "-"))
}

func (g *group) compile(c pipeline.Compile, programs []pipeline.Program, out string) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	return g.work(g.ctx, func() error { return g.compiler.Compile(g.ctx, c, programs, out) })
}

// programs finds the programs of an image for a platform. If they fail to compile with those of other images, they are compiled
// alone: go build does not say whose fault it was.
func (g *group) programs(b *build, c pipeline.Compile) (dir string, err error) {
	dir = g.out(c.Platform)
	err = g.compiled[c.Platform]()
	if err == nil || len(g.Members) == 1 || g.ctx.Err() != nil {
		return dir, err
	}
	dir += "-" + strconv.Itoa(b.number)
	return dir, g.compile(c, b.plan.Programs, dir)
}

// baseImages finds each base once.
type baseImages struct {
	ctx    context.Context
	bases  *image.Bases
	report engine.Reporter
	mu     sync.Mutex
	found  map[string]func() (*image.Base, error)
}

func newBases(ctx context.Context, bases *image.Bases, report engine.Reporter) *baseImages {
	return &baseImages{ctx: ctx, bases: bases, report: report, found: map[string]func() (*image.Base, error){}}
}

// resolve is the base called ref, which has the platforms; nil for none.
func (b *baseImages) resolve(ref string, platforms []pipeline.Platform) (*image.Base, error) {
	if ref == "" {
		return nil, nil
	}
	b.mu.Lock()
	find, ok := b.found[ref]
	if !ok {
		find = sync.OnceValues(func() (base *image.Base, err error) {
			err = engine.Do(b.report, "", "base", func(engine.Step) error {
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

// build is one plan being carried out.
type build struct {
	*shared
	group  *group
	plan   *pipeline.Plan
	number int

	base *image.Base // nil for none
	// layers are those that are the same on all platforms, by their place in the plan; nil where they are not.
	layers []v1.Layer
}

// lane is what the steps for a platform are told under.
func (b *build) lane(platform string) string {
	if b.lanes {
		return b.plan.Name + " " + platform
	}
	return platform
}

func (b *build) run() (*engine.Result, error) {
	// What fails needs no more of the group's work. The first failure is the one to tell: others may follow from it.
	var failure error
	leave := sync.OnceFunc(func() {
		if b.group.waiting.Add(-1) == 0 {
			b.group.cancel()
		}
	})
	defer leave()
	var first sync.Once
	beside := func(tasks ...func(context.Context) error) error {
		group, ctx := errgroup.WithContext(b.group.ctx)
		for _, task := range tasks {
			group.Go(func() error {
				err := task(ctx)
				if err != nil {
					first.Do(func() { failure = err })
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
	// What does not need the modules goes on beside their download.
	err := beside(
		func(context.Context) error { return b.group.modules() },
		func(context.Context) (err error) {
			b.base, err = b.bases.resolve(b.plan.Image.Base, b.plan.Platforms())
			return err
		},
		b.sharedLayers,
	)
	if err != nil {
		return nil, err
	}
	images := make([]engine.Image, len(b.plan.Compile))
	var platforms []func(context.Context) error
	for i, c := range b.plan.Compile {
		platforms = append(platforms, func(ctx context.Context) (err error) {
			images[i], err = b.platform(ctx, c)
			return err
		})
	}
	if err := beside(platforms...); err != nil {
		return nil, err
	}

	result := &engine.Result{Images: images, Artifact: images[0].Image}
	if len(images) > 1 {
		members := make([]v1.Image, len(images))
		for i, img := range images {
			members[i] = img.Image
		}
		index, err := image.NewIndex(members, b.plan.Image.Annotations)
		if err != nil {
			return nil, err
		}
		result.Artifact = index
	}
	return result, nil
}

func ociPlatform(p pipeline.Platform) v1.Platform {
	return v1.Platform{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant}
}

// sharedLayers makes the layers that hold nothing of a platform.
func (b *build) sharedLayers(ctx context.Context) error {
	b.layers = make([]v1.Layer, len(b.plan.Image.Layers))
	for i, layer := range b.plan.Image.Layers {
		own := false
		for _, f := range layer.Files {
			own = own || f.Program != "" || f.Append != "" || f.CACerts != "" && !f.Certificates
		}
		if own {
			continue
		}
		made, err := b.layer(ctx, layer, nil, "")
		if err != nil {
			return err
		}
		b.layers[i] = made
	}
	return nil
}

// platform compiles, guards and assembles for one platform.
func (b *build) platform(ctx context.Context, c pipeline.Compile) (built engine.Image, err error) {
	out, err := b.group.programs(b, c)
	if err != nil {
		return engine.Image{}, err
	}
	err = b.work(ctx, func() error {
		var size int64
		err := engine.Do(b.report, b.lane(c.Platform.String()), "guard", func(engine.Step) (err error) {
			size, err = guard.CheckAll(out, b.plan, c)
			return err
		})
		if err != nil {
			return err
		}
		return engine.Do(b.report, b.lane(c.Platform.String()), "assemble", func(engine.Step) error {
			img, err := b.assemble(ctx, c.Platform, out)
			built = engine.Image{Image: img, Platform: c.Platform.String(), BinarySize: size}
			return err
		})
	})
	return built, err
}

// assemble puts the image of a platform together.
func (b *build) assemble(ctx context.Context, platform pipeline.Platform, out string) (v1.Image, error) {
	plan := b.plan.Image
	spec := image.Spec{
		Platform:    ociPlatform(platform),
		Base:        b.base,
		User:        plan.User,
		Entrypoint:  plan.Entrypoint,
		Cmd:         plan.Args,
		Env:         plan.Env,
		WorkingDir:  plan.WorkingDir,
		Ports:       plan.Ports,
		Labels:      plan.Labels,
		Annotations: plan.Annotations,
		Created:     b.created(),
	}
	var base v1.Image
	if b.base != nil {
		var err error
		if base, err = b.base.Image(spec.Platform); err != nil {
			return nil, err
		}
	}
	for i, layer := range plan.Layers {
		made := b.layers[i]
		if made == nil {
			var err error
			if made, err = b.layer(ctx, layer, base, out); err != nil {
				return nil, err
			}
		}
		spec.Layers = append(spec.Layers, image.Layer{Layer: made, CreatedBy: "slipway: " + layer.Name})
	}
	return image.New(spec)
}

func (b *build) created() time.Time { return time.Unix(b.plan.Image.Created, 0).UTC() }

// layer makes one layer. Programs are in the folder out; base is what Append extends.
func (b *build) layer(ctx context.Context, layer pipeline.Layer, base v1.Image, out string) (v1.Layer, error) {
	var files []image.File
	for _, f := range layer.Files {
		file, err := b.file(f, base, out)
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	made, err := image.NewLayer(ctx, b.store, files, b.created(), compression(b.plan.Image.Compression))
	if err != nil {
		return nil, fmt.Errorf("making the layer %s: %w", layer.Name, err)
	}
	return made, nil
}

func compression(c pipeline.Compression) image.Compression {
	return image.Compression{Zstd: c.Format == pipeline.Zstd, Level: c.Level}
}

// bundle is the certificates that f adds to.
func (b *build) bundle(f pipeline.File, base v1.Image) (string, error) {
	if f.Certificates || base == nil {
		return string(roots.PEM()), nil
	}
	content, err := image.ReadFile(base, f.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return string(roots.PEM()), nil
	}
	return string(content), err
}

func (b *build) file(f pipeline.File, base v1.Image, out string) (image.File, error) {
	switch {
	case f.Dir:
		uid, gid, err := f.IDs()
		return image.File{Path: f.Path, Mode: os.ModeDir | f.Mode.FileMode(), UID: uid, GID: gid}, err
	case f.Program != "":
		return b.store.FromDisk(f.Path, f.Mode.FileMode(), filepath.Join(out, f.Program))
	case f.Source != "":
		return image.FromFS(f.Path, f.Mode.FileMode(), b.source, f.Source)
	case f.Certificates || f.CACerts != "":
		bundle, err := b.bundle(f, base)
		if err != nil {
			return image.File{}, fmt.Errorf("reading %s of the base %s: %w", f.Path, b.plan.Image.Base, err)
		}
		return image.FromBytes(f.Path, f.Mode.FileMode(), []byte(f.Bundle(bundle))), nil
	case f.Append != "":
		content, err := image.ReadFile(base, f.Path)
		if err != nil {
			return image.File{}, fmt.Errorf("reading %s of the base %s: %w", f.Path, b.plan.Image.Base, err)
		}
		return image.FromBytes(f.Path, f.Mode.FileMode(), []byte(f.Appended(string(content)))), nil
	default:
		return image.FromBytes(f.Path, f.Mode.FileMode(), []byte(f.Text)), nil
	}
}
