package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"github.com/slipway-ci/slipway"
	"github.com/slipway-ci/slipway/ci/internal/dagger"
	engine "github.com/slipway-ci/slipway/internal/build/dagger"
	"github.com/slipway-ci/slipway/internal/dockerfile"
	"github.com/slipway-ci/slipway/internal/plan"
)

// Show what a build would do, without doing it
func (m *Slipway) Plan(
	ctx context.Context,
	// Write it as JSON, which is the same from run to run.
	// +optional
	asJSON bool,
) (_ string, err error) {
	defer worded(&err)
	image, err := m.image(ctx)
	if err != nil {
		return "", err
	}
	if asJSON {
		text, err := json.MarshalIndent(image.Plan, "", "  ")
		return stdout.Clean(string(text)), err
	}
	var text strings.Builder
	err = image.Plan.WriteText(&text)
	return stdout.Clean(text.String()), err
}

// Write the equivalent Dockerfile of the build
func (m *Slipway) Dockerfile(ctx context.Context) (_ string, err error) {
	defer worded(&err)
	image, err := m.image(ctx)
	if err != nil {
		return "", err
	}
	return dockerfile.Render(image.Plan)
}

// Build the image for one platform: a container ready for terminal, as-service or export
func (m *Slipway) Build(
	ctx context.Context,
	// Platform to build for. Default: the engine's own, if it is one of the build's, else the first of those.
	// +optional
	platform dagger.Platform,
) (_ *dagger.Container, err error) {
	defer worded(&err)
	build, compile, err := m.open(ctx, platform, engine.ContainerCapabilities)
	if err != nil {
		return nil, err
	}
	return container(ctx, build, compile)
}

// container is the image for a platform of a build.
func container(ctx context.Context, build *engine.Build, compile plan.Compile) (*dagger.Container, error) {
	ctr, err := build.Container(ctx, compile)
	if err != nil {
		return nil, err
	}
	return own[*dagger.Container](ctx, ctr)
}

// Open the container that compiles, with modules, source and caches: ready for terminal or another tool
func (m *Slipway) Builder(
	ctx context.Context,
	// Platform to compile for. Default: the engine's own, if it is one of the build's, else the first of those.
	// +optional
	platform dagger.Platform,
) (_ *dagger.Container, err error) {
	defer worded(&err)
	build, compile, err := m.open(ctx, platform, engine.Capabilities)
	if err != nil {
		return nil, err
	}
	return own[*dagger.Container](ctx, build.Builder(compile))
}

// Compile the program for one platform, without an image
func (m *Slipway) Binary(
	ctx context.Context,
	// Platform to compile for. Default: the engine's own, if it is one of the build's, else the first of those.
	// +optional
	platform dagger.Platform,
) (_ *dagger.File, err error) {
	defer worded(&err)
	build, compile, err := m.open(ctx, platform, engine.Capabilities)
	if err != nil {
		return nil, err
	}
	compiled, err := build.Programs(ctx, compile)
	if err != nil {
		return nil, err
	}
	programs, err := own[*dagger.Directory](ctx, compiled[0])
	if err != nil {
		return nil, err
	}
	return programs.File(build.Plan().Programs[0].Name), nil
}

// Compile all programs for all platforms, each platform in a directory like linux-arm64
func (m *Slipway) Binaries(ctx context.Context) (_ *dagger.Directory, err error) {
	defer worded(&err)
	image, err := m.image(ctx)
	if err != nil {
		return nil, err
	}
	describe, err := m.connect(ctx)
	if err != nil {
		return nil, err
	}
	build := describe(image.Plan)
	compiled, err := build.Programs(ctx, image.Plan.Compile...)
	if err != nil {
		return nil, err
	}
	all := dag.Directory()
	for i, compile := range image.Plan.Compile {
		programs, err := own[*dagger.Directory](ctx, compiled[i])
		if err != nil {
			return nil, err
		}
		all = all.WithDirectory(strings.ReplaceAll(compile.Platform.String(), "/", "-"), programs)
	}
	return all, nil
}

// Build the image for all platforms, as one OCI archive
func (m *Slipway) ImageArchive(ctx context.Context) (_ *dagger.File, err error) {
	defer worded(&err)
	r, done, err := m.request(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, done()) }()
	dir, err := os.MkdirTemp(".", "archive-") // the engine reads below the current directory alone
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	r.To = &slipway.Files{}
	images, err := r.Plan(ctx)
	if err != nil {
		return nil, err
	}
	r.Output = path.Join(dir, images[0].Plan.Name+".tar")
	if _, err := m.build(ctx, r, images); err != nil {
		return nil, err
	}
	return dag.CurrentModule().WorkdirFile(r.Output).Sync(ctx)
}

// Run the program as a service, on the ports of the setting ports
//
// Ports below 1024 are for programs that run as root: "serve up --ports 80:8080" brings the program's port 8080 to port 80 of your machine.
// +up
func (m *Slipway) Serve(ctx context.Context) (_ *dagger.Service, err error) {
	defer worded(&err)
	build, compile, err := m.open(ctx, "", engine.ContainerCapabilities)
	if err != nil {
		return nil, err
	}
	if err := engine.CheckService(build.Plan().Image); err != nil {
		return nil, err
	}
	ctr, err := container(ctx, build, compile)
	if err != nil {
		return nil, err
	}
	return ctr.AsService(dagger.ContainerAsServiceOpts{UseEntrypoint: true}), nil
}

// open returns the build of the chosen image on this session's engine, and its compilation for one platform.
func (m *Slipway) open(ctx context.Context, platform dagger.Platform, capabilities func(map[string]string) plan.Capabilities) (*engine.Build, plan.Compile, error) {
	image, compile, err := m.one(ctx, platform, capabilities)
	if err != nil {
		return nil, plan.Compile{}, err
	}
	describe, err := m.connect(ctx)
	if err != nil {
		return nil, plan.Compile{}, err
	}
	return describe(image.Plan), compile, nil
}

// one returns the chosen image and its compilation for one platform.
func (m *Slipway) one(ctx context.Context, platform dagger.Platform, capabilities func(map[string]string) plan.Capabilities) (*slipway.Image, plan.Compile, error) {
	image, err := m.imageOn(ctx, capabilities)
	if err != nil {
		return nil, plan.Compile{}, err
	}
	wanted := platform
	if wanted == "" {
		own, err := dag.DefaultPlatform(ctx)
		if err != nil {
			return nil, plan.Compile{}, err
		}
		wanted = own
	}
	parsed, err := plan.ParsePlatform(string(wanted))
	if err != nil && platform != "" {
		return nil, plan.Compile{}, fmt.Errorf("platform %q: %w", platform, err)
	}
	var have []string
	for _, compile := range image.Plan.Compile {
		if err == nil && compile.Platform == parsed {
			return image, compile, nil
		}
		have = append(have, compile.Platform.String())
	}
	if platform != "" {
		return nil, plan.Compile{}, fmt.Errorf("platform %q: not one of the build's: choose from %s, or add it with --platforms", platform, strings.Join(have, ", "))
	}
	return image, image.Plan.Compile[0], nil
}
