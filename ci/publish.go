package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	sdk "dagger.io/dagger"

	"github.com/slipway-ci/slipway"
	"github.com/slipway-ci/slipway/ci/internal/dagger"
	engine "github.com/slipway-ci/slipway/internal/build/dagger"
	"github.com/slipway-ci/slipway/internal/config"
	"github.com/slipway-ci/slipway/internal/fault"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/registry"
)

// Build the image for all platforms and push it, as one index
//
// The log names what was pushed, and "publish reference" prints its reference by digest. Without with-login, with-attestations and
// registry-config, the engine pushes, with the login on your machine: nothing is attached or signed, and the digest differs, since
// the engine writes the manifests.
// +cache="session"
func (m *Slipway) Publish(
	ctx context.Context,
	// Repository to push to, with its registry, like ghcr.io/me/api. Default: that of slipway.yaml.
	// +optional
	repository string,
	// Tags to move to the image. Default: those of slipway.yaml, or latest.
	// +optional
	tags []string,
) (_ *Published, err error) {
	defer worded(&err)
	return m.publish(ctx, repository, tags, nothing)
}

// List the images of slipway.yaml
func (m *Slipway) Images(ctx context.Context) (_ []string, err error) {
	defer worded(&err)
	text, err := m.Source.File(config.File).Contents(ctx)
	if err != nil {
		return nil, err
	}
	file, err := config.Parse([]byte(text))
	if err != nil {
		return nil, err
	}
	return file.Names(), nil
}

// Choose an image of slipway.yaml, to build or publish it
func (m *Slipway) Image(
	// Name of the image.
	name string,
) *Slipway {
	one := *m
	one.Chosen = name
	return &one
}

// Build all images of slipway.yaml and push each to its repository
//
// An image that fails does not stop the others, but no tag moves then, except where the engine pushes: see publish.
// +cache="session"
func (m *Slipway) PublishAll(
	ctx context.Context,
	// Tags to move to the images. Default: those of slipway.yaml, or latest.
	// +optional
	tags []string,
) (_ *PublishedImages, err error) {
	defer worded(&err)
	images, err := m.push(ctx, true, "", tags, nothing)
	return &PublishedImages{images}, err
}

// Run all checks, build for all platforms, and publish where a repository is given: the whole pipeline in one call
//
// Without a repository, the result has neither reference nor digest.
// +cache="session"
func (m *Slipway) Ci(
	ctx context.Context,
	// Repository to push to, with its registry, like ghcr.io/me/api. Default: nothing is pushed.
	// +optional
	repository string,
	// Tags to move to the image. Default: those of slipway.yaml, or latest.
	// +optional
	tags []string,
) (_ *Published, err error) {
	defer worded(&err)
	check := func() error { return m.checks(ctx, plan.CheckNames...) }
	if repository != "" {
		return m.publish(ctx, repository, tags, check)
	}
	image, err := m.image(ctx)
	if err == nil {
		err = check()
	}
	if err != nil {
		return nil, err
	}
	describe, err := m.connect(ctx)
	if err != nil {
		return nil, err
	}
	if err := describe(image.Plan).Guard(ctx, image.Plan.Compile...); err != nil {
		return nil, err
	}
	built := &Published{Sboms: dag.Directory(), Of: m}
	for _, p := range image.Plan.Platforms() {
		built.Platforms = append(built.Platforms, dagger.Platform(p.String()))
	}
	return built, nil
}

// nothing is to be done before a push.
func nothing() error { return nil }

// publish pushes the chosen image.
func (m *Slipway) publish(ctx context.Context, repository string, tags []string, first func() error) (*Published, error) {
	images, err := m.push(ctx, false, repository, tags, first)
	if err != nil {
		return nil, err
	}
	return images[0], nil
}

// push builds and pushes the chosen image, or all images of slipway.yaml, and calls first when the request has no faults. The repository
// and tags are those of the file if none are given.
func (m *Slipway) push(ctx context.Context, all bool, repository string, tags []string, first func() error) (_ []*Published, err error) {
	r, done, err := m.request(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, done()) }()
	r.Settings.Repository, r.Settings.Tags = repository, tags
	if all {
		r.All, r.Names = true, nil
	}
	key, keyErr := m.signingKey(ctx)
	to := &slipway.Registry{SBOM: m.Sboms.format(), Provenance: !m.NoProvenance, Key: key}
	r.To = to
	byEngine := m.Password == nil && m.RegistryConfig == nil && m.Sboms == "" && m.RegistryServices == nil
	r.Engine.NoLevels = byEngine
	images, err := r.Plan(ctx)
	if err := errors.Join(err, keyErr); err != nil {
		return nil, err
	}
	b, dir, err := m.builder(ctx, r, images)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	defer dir.remove()
	hint := "; give a login by with-login or registry-config, and the module pushes"
	if !byEngine {
		hint = ""
		if byEngine, err = m.outOfReach(ctx, b.Client, images); err != nil {
			return nil, err
		}
	}
	if err := first(); err != nil {
		return nil, err
	}
	if byEngine {
		for _, image := range images {
			image.Plan.Image.Compression.Level = 1 // the fastest: the engine compresses all layers again
		}
		fmt.Fprintln(stderr, "the engine pushes: nothing is attached, and the digest is another than the command's"+hint)
		to.Push = func(ctx context.Context, image *slipway.Image, built *slipway.Built) (string, error) {
			return m.pushByEngine(ctx, b.Client, image, built)
		}
	}
	results, err := m.buildWith(ctx, b, dir, r, images)
	var pushed []*Published
	var refs []string
	for _, result := range results {
		if result.Err != nil {
			continue
		}
		of := m
		if all {
			of = m.Image(result.Name)
		}
		pushed, refs = append(pushed, newPublished(of, result)), append(refs, result.Reference)
	}
	if err != nil && refs != nil {
		return nil, fmt.Errorf("%w\npublished: %s", err, strings.Join(refs, ", "))
	}
	for _, p := range pushed {
		fmt.Fprintf(stdout, "published %s\n", p.Reference)
		if len(p.Tags) > 0 {
			fmt.Fprintf(stdout, "tags: %s\n", strings.Join(p.Tags, ", "))
		}
	}
	return pushed, err
}

// outOfReach reports whether a registry that images go to is out of the module's reach, such as one on the engine's own machine: the engine
// may know it by its configuration.
func (m *Slipway) outOfReach(ctx context.Context, client *registry.Client, images []*slipway.Image) (bool, error) {
	for _, image := range images {
		err := client.Reach(ctx, image.Target.Repository)
		switch {
		case err == nil:
		case m.Sboms != "":
			return false, fmt.Errorf("%w: name the registry by with-registry-service, or leave out with-attestations, so that the engine pushes", err)
		default:
			warn("from the module, " + err.Error())
			return true, nil
		}
	}
	return false, nil
}

// pushByEngine has the engine push an image, with the client's login, else the engine's own.
func (m *Slipway) pushByEngine(ctx context.Context, logins *registry.Client, image *slipway.Image, built *slipway.Built) (_ string, err error) {
	if len(image.Target.Tags) == 0 {
		return "", fault.Faults{{Field: "tags", Problem: "none remains, and the engine pushes by tags", Hint: "name one, or give a login by with-login"}}
	}
	dir, err := os.MkdirTemp(".", "archive-") // the engine reads below the current directory alone
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	client, err := sdk.Connect(ctx)
	if err != nil {
		return "", err
	}
	archives, err := send(ctx, client, dir, built.Images, image.Plan.Name)
	if err != nil {
		return "", err
	}
	describe, err := m.connect(ctx)
	if err != nil {
		return "", err
	}
	var login engine.Login
	var password string
	if login.User, password, err = logins.Login(ctx, image.Target.Repository); err != nil {
		return "", err
	}
	if password != "" {
		login.Password = client.SetSecret("slipway-registry", password)
	}
	return describe(image.Plan).Push(ctx, archives, image.Target, login)
}
