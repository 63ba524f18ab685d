package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/config"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/oci/graph"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/progress"
	"github.com/slipway-ci/slipway/internal/publish"
)

// isArchive says whether what is to be published is an archive, and not a directory.
func isArchive(source string) bool {
	info, err := os.Stat(source)
	return err == nil && info.Mode().IsRegular() || err != nil && strings.HasSuffix(source, ".tar")
}

// publishArchive pushes what has been built before.
func (a *app) publishArchive(c *cobra.Command, archive string) error {
	name := strings.TrimSuffix(filepath.Base(archive), ".tar")
	settings := config.Image{Repository: a.Repository, Tags: a.Tags}
	settings.Facts.Env = variables(a.environ)
	repository, tags, skipped, targetErr := settings.Target(name)
	var deliver deliver
	deliverErr := targetErr
	if targetErr == nil {
		deliver, deliverErr = a.push(".", publish.Target{Repository: repository, Tags: tags})
	}
	client, clientErr := a.registry(nil)
	display, displayErr := progress.New(a.Progress, a.stderr, a.environ)
	if err := requests(a.environment, noEffect(c.Flags()), deliverErr, clientErr, displayErr); err != nil {
		return err
	}
	defer client.Close()
	defer display.Close()
	noteSkipped(display, name, tags, skipped)
	bases, err := openBases(c.Context(), client)
	if err != nil {
		return err
	}
	built, err := openArchive(c.Context(), bases, archive)
	if err != nil {
		return fmt.Errorf("%w: give publish an archive that slipway build wrote", err)
	}
	d := &delivery{built: built, client: client, display: display, cache: bases.Cache, result: result{Name: name}}
	d.run(c.Context(), deliver)
	moveTags(c.Context(), []*delivery{d})
	return a.finish(display, []*delivery{d}, false)
}

// noEffect tells of flags that only a build heeds. Variables may be there for other commands.
func noEffect(set *pflag.FlagSet) error {
	var faults []error
	set.Visit(func(f *pflag.Flag) {
		if !slices.Contains([]string{"repository", "tag", "sbom", "predicate", "sign-key", "progress", "json"}, f.Name) {
			faults = append(faults, plan.Fault{
				Field: f.Name, Value: f.Value.String(), Problem: "an archive is published as it is",
				Hint: "leave --" + f.Name + " out, or give it to slipway build",
			})
		}
	})
	return requests(faults...)
}

// openArchive is the result of the build that wrote an archive.
func openArchive(ctx context.Context, bases *oci.Bases, archive string) (*build.Result, error) {
	artifact, err := bases.OpenArchive(ctx, archive)
	if err != nil {
		return nil, err
	}
	images, err := graph.Images(artifact)
	if err != nil {
		return nil, err
	}
	built := &build.Result{Artifact: artifact.(build.Artifact), Close: func() error { return nil }}
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
	if len(config.Config.Entrypoint) == 0 {
		return 0, nil
	}
	files, err := oci.NewFileSystem(ctx, img)
	if err != nil {
		return 0, err
	}
	program, err := files.Stat(config.Config.Entrypoint[0])
	return program.Size, err
}
