package slipway

import (
	"context"
	"os"
	"path"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/slipway-ci/slipway/internal/attest/sbom"
	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/build/host"
	"github.com/slipway-ci/slipway/internal/goenv"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/source"
)

// Document makes the bill of materials of an image for one platform: that of the settings, else linux/amd64 if the image is for it,
// else the image's first. No other is built.
type Document struct{ Format SBOMFormat }

func (*Document) check(image *Image, _ int) error { return image.request.onePlatform() }

func (s *Document) put(ctx context.Context, j *job) error {
	o, err := j.inventory(ctx)
	if err != nil {
		return err
	}
	j.Result.Document, err = sbom.Document(ctx, j.built.Images[0].Image, o, s.Format)
	return err
}

// DocumentOf makes the bill of materials of an image that was built before, for one platform: linux/amd64, if the settings of the
// request name none. ref is a reference, or oci:DIR, or oci-archive:FILE; name is what the document calls it.
func (b *Builder) DocumentOf(ctx context.Context, r *Request, ref, name string, format SBOMFormat) ([]byte, error) {
	platform := defaultPlatform
	if err := r.onePlatform(); err != nil {
		return nil, err
	}
	if len(r.Settings.Platforms) > 0 {
		parsed, err := v1.ParsePlatform(r.Settings.Platforms[0])
		if err != nil {
			return nil, wrongPlatform(r.Settings.Platforms[0], err)
		}
		platform = *parsed
	}
	found, err := b.Bases.Resolve(ctx, ref)
	if err != nil {
		return nil, err
	}
	img, err := found.Image(platform)
	if err != nil {
		return nil, err
	}
	w := newWork(ctx, b, r)
	j := w.job(&Image{request: r}, name)
	o, err := j.inventory(ctx)
	if err != nil {
		return nil, err
	}
	return sbom.Document(ctx, img, o, format)
}

func wrongPlatform(text string, err error) error {
	return Faults{{Field: "platform", Value: text, Problem: err.Error(), Hint: "write it like linux/arm/v7"}}
}

// defaultPlatform is the first of the platforms that a build is for by default.
var defaultPlatform = v1.Platform{OS: "linux", Architecture: "amd64"}

// onePlatform faults several platforms for a bill of materials.
func (r *Request) onePlatform() error {
	platforms := r.Settings.Platforms
	if len(platforms) < 2 {
		return nil
	}
	return Faults{{Field: "platform", Value: strings.Join(platforms, ","), Problem: "several platforms", Hint: "choose one: each has its own bill of materials"}}
}

// described is the plan for the platform whose image a bill of materials describes.
func described(p *Plan) *Plan {
	platforms := p.Platforms()
	i := slices.IndexFunc(platforms, func(platform plan.Platform) bool { return platform.String() == defaultPlatform.String() })
	return p.Only(platforms[max(i, 0)])
}

// inventory is what bills of materials say besides what is in the image. It reads the go.mod files of the plan's source; without a
// plan, the go.mod of the request's directory, which has no effect if it is not the program's.
func (j *job) inventory(ctx context.Context) (sbom.Options, error) {
	o := sbom.Options{Name: j.Name, Version: j.Version}
	if j.built != nil {
		o.Made = j.madeDocument
		if !slices.ContainsFunc(j.built.Images, func(img build.Image) bool { return img.Documents == nil }) {
			return o, nil
		}
	}
	o.Cache = j.known()
	files := []string{"go.mod"}
	if j.image.Plan != nil {
		files = j.image.Plan.ModuleFiles()
	}
	var goMods [][]byte
	// One that cannot be read only makes the graph flatter.
	if tree, err := source.Open(j.request.Dir); err == nil {
		defer tree.Close()
		for _, file := range files {
			if path.Base(file) != "go.mod" {
				continue
			}
			if content, err := tree.ReadFile(file); err == nil {
				goMods = append(goMods, content)
			}
		}
	}
	if j.Modules != nil {
		var err error
		o.Modules, err = j.Modules(ctx, j.image.Plan, goMods)
		return o, err
	}
	cache := goenv.ModuleCache(j.Environ)
	if engine, ok := j.Engine.(*host.Engine); ok && j.image.Plan != nil {
		cache = engine.ModuleCache(j.request.Dir, j.image.Plan)
	}
	if cache != "" {
		o.Modules = sbom.NewModules(os.DirFS(cache), goMods...)
	} else {
		o.Modules = sbom.NewModules(nil, goMods...)
	}
	return o, nil
}
