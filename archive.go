package slipway

import (
	"context"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/oci/graph"
)

// PlanArchive decides where the image in an archive goes. Its name is that of the file. PlanArchive reads neither source nor archive.
func (r *Request) PlanArchive(archive string) (*Image, error) {
	image := &Image{Settings: r.settings(), request: r, archive: archive}
	image.Settings.Facts.Env = variables(r.Environ)
	var err error
	image.Target, image.Skipped, err = targetOf(image.Settings, image.archiveName())
	if to, pushes := r.To.(*Registry); pushes {
		image.vex = to.VEX
	}
	return image, err
}

func (i *Image) archiveName() string { return strings.TrimSuffix(filepath.Base(i.archive), ".tar") }

// PublishArchive pushes an image of [Request.PlanArchive] unchanged.
func (b *Builder) PublishArchive(ctx context.Context, image *Image) *Result {
	j := newWork(ctx, b, image.request).job(image, image.archiveName())
	if j.built, j.Err = openArchive(ctx, b.Bases, image.archive); j.Err != nil {
		j.Err = fmt.Errorf("%w: give publish an archive that slipway build wrote", j.Err)
		return j.Result
	}
	j.run(ctx)
	return finish(ctx, []*job{j})[0]
}

// openArchive returns the result of the build that wrote an archive.
func openArchive(ctx context.Context, bases *oci.Bases, archive string) (*Built, error) {
	artifact, err := bases.OpenArchive(ctx, archive)
	if err != nil {
		return nil, err
	}
	images, err := graph.Images(artifact)
	if err != nil {
		return nil, err
	}
	built := &Built{Artifact: artifact.(build.Artifact), Close: func() error { return nil }}
	for _, img := range images {
		config, err := img.ConfigFile()
		if err != nil {
			return nil, err
		}
		programs, err := programsSize(ctx, img, config)
		if err != nil {
			return nil, err
		}
		built.Images = append(built.Images, build.Image{Image: img, Platform: config.Platform().String(), BinarySize: programs})
	}
	return built, nil
}

// programsSize is the size of the program that the image runs.
func programsSize(ctx context.Context, img v1.Image, config *v1.ConfigFile) (int64, error) {
	command := slices.Concat(config.Config.Entrypoint, config.Config.Cmd)
	if len(command) == 0 || !path.IsAbs(command[0]) { // what is on the PATH is the base's
		return 0, nil
	}
	files, err := oci.NewFileSystem(ctx, img)
	if err != nil {
		return 0, err
	}
	program, err := files.Stat(command[0])
	return program.Size, err
}
