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
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/slipway-ci/slipway/engine"
	"github.com/slipway-ci/slipway/image"
	"github.com/slipway-ci/slipway/image/roots"
	"github.com/slipway-ci/slipway/internal/guard"
	"github.com/slipway-ci/slipway/pipeline"
)

// Compiler is what engines differ in. Its methods report their steps themselves.
type Compiler interface {
	// Modules downloads and verifies what the plan says.
	Modules(ctx context.Context) error
	// Compile leaves the plan's programs, by their names, in the folder out. It is called for several platforms at a time,
	// after Modules.
	Compile(ctx context.Context, c pipeline.Compile, out string) error
}

// Build carries out plan for the source tree below the folder source. compiler makes the engine's compiler, which may write
// below the folder dir; it is removed at the end. See [engine.Engine].
func Build(
	ctx context.Context, source string, plan *pipeline.Plan, bases *image.Bases, report engine.Reporter, compiler func(dir string) Compiler,
) (*engine.Result, error) {
	dir, err := os.MkdirTemp("", "slipway-")
	if err != nil {
		return nil, fmt.Errorf("making a folder for the build: %w", err)
	}
	b := &build{plan: plan, report: report, bases: bases, source: source, dir: dir, compiler: compiler(dir)}
	result, err := b.run(ctx)
	if ctx.Err() != nil {
		err = context.Cause(ctx) // what the steps say is that they were stopped
	}
	if err != nil {
		return nil, errors.Join(err, b.close())
	}
	result.Close = b.close
	return result, nil
}

// build is one plan being carried out.
type build struct {
	plan     *pipeline.Plan
	report   engine.Reporter
	bases    *image.Bases
	source   string
	dir      string // everything that the build writes; removed at its end
	compiler Compiler

	// store keeps layers for the next build, if it is that of the bases.
	store *image.Store
	base  *image.Base // nil for none
	// shared are the layers that are the same on all platforms, by their place in the plan; nil where they are not.
	shared []v1.Layer
}

func (b *build) close() error { return os.RemoveAll(b.dir) }

func (b *build) run(ctx context.Context) (*engine.Result, error) {
	if b.store = b.bases.Store; b.store == nil {
		var err error
		if b.store, err = image.OpenStore(filepath.Join(b.dir, "layers")); err != nil {
			return nil, err
		}
	}
	// What does not need the modules goes on beside their download.
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error { return b.compiler.Modules(groupCtx) })
	group.Go(func() error { return b.resolveBase(groupCtx) })
	group.Go(func() error { return b.sharedLayers(groupCtx) })
	if err := group.Wait(); err != nil {
		return nil, err
	}

	images := make([]engine.Image, len(b.plan.Compile))
	group, groupCtx = errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, c := range b.plan.Compile {
		group.Go(func() (err error) {
			images[i], err = b.platform(groupCtx, c)
			return err
		})
	}
	if err := group.Wait(); err != nil {
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

// resolveBase finds the base, and whether it has every platform, before anything is compiled in vain.
func (b *build) resolveBase(ctx context.Context) error {
	if b.plan.Image.Base == "" {
		return nil
	}
	return engine.Do(b.report, "", "base", func(engine.Step) (err error) {
		if b.base, err = b.bases.Resolve(ctx, b.plan.Image.Base); err != nil {
			return err
		}
		group := errgroup.Group{}
		for _, p := range b.plan.Platforms() {
			group.Go(func() error {
				_, err := b.base.Image(ociPlatform(p))
				return err
			})
		}
		return group.Wait()
	})
}

func ociPlatform(p pipeline.Platform) v1.Platform {
	return v1.Platform{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant}
}

// sharedLayers makes the layers that hold nothing of a platform.
func (b *build) sharedLayers(ctx context.Context) error {
	b.shared = make([]v1.Layer, len(b.plan.Image.Layers))
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
		b.shared[i] = made
	}
	return nil
}

// platform compiles, guards and assembles for one platform.
func (b *build) platform(ctx context.Context, c pipeline.Compile) (engine.Image, error) {
	lane := c.Platform.String()
	out := filepath.Join(b.dir, "out", strings.ReplaceAll(lane, "/", "-"))
	if err := os.MkdirAll(out, 0o755); err != nil {
		return engine.Image{}, err
	}
	if err := b.compiler.Compile(ctx, c, out); err != nil {
		return engine.Image{}, err
	}
	var size int64
	err := engine.Do(b.report, lane, "guard", func(engine.Step) (err error) {
		size, err = guard.CheckAll(out, b.plan, c)
		return err
	})
	if err != nil {
		return engine.Image{}, err
	}
	var img v1.Image
	err = engine.Do(b.report, lane, "assemble", func(engine.Step) (err error) {
		img, err = b.assemble(ctx, c.Platform, out)
		return err
	})
	return engine.Image{Image: img, Platform: lane, BinarySize: size}, err
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
		made := b.shared[i]
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
	made, err := image.NewLayer(ctx, b.store, files, b.created())
	if err != nil {
		return nil, fmt.Errorf("making the layer %s: %w", layer.Name, err)
	}
	return made, nil
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
		return image.FromDisk(f.Path, f.Mode.FileMode(), filepath.Join(out, f.Program))
	case f.Source != "":
		return image.FromDisk(f.Path, f.Mode.FileMode(), filepath.Join(b.source, f.Source))
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
