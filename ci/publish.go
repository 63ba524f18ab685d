package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	sdk "dagger.io/dagger"

	"github.com/slipway-ci/slipway"
	"github.com/slipway-ci/slipway/ci/internal/dagger"
	engine "github.com/slipway-ci/slipway/internal/build/dagger"
	"github.com/slipway-ci/slipway/internal/config"
	"github.com/slipway-ci/slipway/internal/fault"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/plan"
)

// Build the image for all platforms and push it, as one index. Returns its reference by digest
// +cache="never"
func (m *Slipway) Publish(
	ctx context.Context,
	// Repository to push to, with its registry, like ghcr.io/me/api. Default: that of slipway.yaml.
	// +optional
	repository string,
	// Tags to move to the image. Default: those of slipway.yaml, or latest.
	// +optional
	tags []string,
	// User of the registry.
	// Without it and registry-config, the engine pushes, with the login on your machine: nothing is attached or signed, and
	// the digest differs, since the engine writes the manifests.
	// +optional
	username string,
	// Password or token of that user.
	// +optional
	password *dagger.Secret,
	// Format of the bills of materials to attach. Default: CYCLONEDX, but none where the engine pushes.
	// +optional
	sbom Sbom,
	// Attach no provenance. Default: it is attached with the bills of materials.
	// +optional
	noProvenance bool,
	// Private key that signs the image and its attestations, as cosign does.
	// +optional
	signKey *dagger.Secret,
	// Password of sign-key.
	// +optional
	signPassword *dagger.Secret,
) (_ string, err error) {
	defer worded(&err)
	refs, err := m.push(ctx, false, repository, tags, account{username, password}, attestations{sbom, !noProvenance, signKey, signPassword})
	return strings.Join(refs, ""), err
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

// Build all images of slipway.yaml and push each to its repository. Returns their references by digest, in the file's order
//
// An image that fails does not stop the others, but no tag moves then, except where the engine pushes.
// +cache="never"
func (m *Slipway) PublishAll(
	ctx context.Context,
	// Tags to move to the images. Default: those of slipway.yaml, or latest.
	// +optional
	tags []string,
	// User of the registry.
	// Without it and registry-config, the engine pushes, with the login on your machine: nothing is attached or signed, and
	// the digest differs, since the engine writes the manifests.
	// +optional
	username string,
	// Password or token of that user.
	// +optional
	password *dagger.Secret,
	// Format of the bills of materials to attach. Default: CYCLONEDX, but none where the engine pushes.
	// +optional
	sbom Sbom,
	// Attach no provenance. Default: it is attached with the bills of materials.
	// +optional
	noProvenance bool,
	// Private key that signs the images and their attestations, as cosign does.
	// +optional
	signKey *dagger.Secret,
	// Password of sign-key.
	// +optional
	signPassword *dagger.Secret,
) (_ []string, err error) {
	defer worded(&err)
	return m.push(ctx, true, "", tags, account{username, password}, attestations{sbom, !noProvenance, signKey, signPassword})
}

// Run all checks, build for all platforms, and publish where a repository is given: the whole pipeline in one call
//
// Returns the reference by digest, or nothing.
// +cache="never"
func (m *Slipway) Ci(
	ctx context.Context,
	// Repository to push to, with its registry, like ghcr.io/me/api. Default: nothing is pushed.
	// +optional
	repository string,
	// Tags to move to the image. Default: those of slipway.yaml, or latest.
	// +optional
	tags []string,
	// User of the registry.
	// Without it and registry-config, the engine pushes, with the login on your machine: nothing is attached or signed, and
	// the digest differs, since the engine writes the manifests.
	// +optional
	username string,
	// Password or token of that user.
	// +optional
	password *dagger.Secret,
	// Format of the bills of materials to attach. Default: CYCLONEDX, but none where the engine pushes.
	// +optional
	sbom Sbom,
	// Attach no provenance. Default: it is attached with the bills of materials.
	// +optional
	noProvenance bool,
	// Private key that signs the image and its attestations, as cosign does.
	// +optional
	signKey *dagger.Secret,
	// Password of sign-key.
	// +optional
	signPassword *dagger.Secret,
) (_ string, err error) {
	defer worded(&err)
	login, asked := account{username, password}, attestations{sbom, !noProvenance, signKey, signPassword}
	check := func() error { return m.checks(ctx, plan.CheckNames...) }
	if repository != "" {
		refs, err := m.pushAfter(ctx, check, false, repository, tags, login, asked)
		return strings.Join(refs, ""), err
	}
	image, err := m.image(ctx)
	if err == nil {
		err = check()
	}
	if err != nil {
		return "", err
	}
	describe, err := m.connect(ctx)
	if err != nil {
		return "", err
	}
	return "", describe(image.Plan).Guard(ctx, image.Plan.Compile...)
}

// account is a login of a registry; without a password, there is none.
type account struct {
	username string
	password *dagger.Secret
}

func (a account) check() error {
	if (a.username == "") != (a.password == nil) {
		return fault.Faults{{Field: "username and password", Problem: "one without the other", Hint: "give both or neither"}}
	}
	return nil
}

// push builds and publishes the chosen image, or all images of slipway.yaml, and returns their references. The repository and tags are
// those of the file if none are given.
func (m *Slipway) push(ctx context.Context, all bool, repository string, tags []string, login account, asked attestations) ([]string, error) {
	return m.pushAfter(ctx, func() error { return nil }, all, repository, tags, login, asked)
}

// pushAfter is push that calls first when the request has no faults.
func (m *Slipway) pushAfter(
	ctx context.Context, first func() error, all bool, repository string, tags []string, login account, asked attestations,
) (_ []string, err error) {
	r, done, err := m.request()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, done()) }()
	r.Settings.Repository, r.Settings.Tags = repository, tags
	if all {
		r.All, r.Names = true, nil
	}
	key, keyErr := asked.key(ctx)
	to := &slipway.Registry{SBOM: asked.sbom.format(), Provenance: asked.provenance, Key: key}
	byEngine := login.password == nil && m.RegistryConfig == nil && !asked.asked()
	if byEngine {
		to = &slipway.Registry{Push: m.pushByEngine}
		r.Engine.NoLevels = true
	}
	r.To = to
	images, err := r.Plan(ctx)
	if err := errors.Join(err, login.check(), keyErr); err != nil {
		return nil, err
	}
	if err := first(); err != nil {
		return nil, err
	}
	if byEngine {
		fmt.Fprintln(stderr, "the engine pushes: nothing is attached, and the digest is another than the command's; give username and password, or registry-config")
	}
	results, err := m.build(ctx, r, images, login)
	var refs []string
	for _, result := range results {
		if result.Err == nil {
			refs = append(refs, result.Reference)
		}
	}
	if err != nil && refs != nil {
		err = fmt.Errorf("%w\npublished: %s", err, strings.Join(refs, ", "))
	}
	return refs, err
}

// pushByEngine has the engine push an image, with the engine's login.
func (m *Slipway) pushByEngine(ctx context.Context, image *slipway.Image, built *slipway.Built) (_ string, err error) {
	if len(image.Target.Tags) == 0 {
		return "", fault.Faults{{Field: "tags", Problem: "none remains, and the engine pushes by tags", Hint: "name one, or give --username and --password"}}
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
	var archives []engine.Archive
	for _, img := range built.Images {
		file := path.Join(dir, strings.ReplaceAll(img.Platform, "/", "-")+".tar")
		if err := oci.WriteArchive(ctx, file, img.Image, image.Plan.Name); err != nil {
			return "", err
		}
		archive, err := dag.CurrentModule().WorkdirFile(file).Sync(ctx)
		if err != nil {
			return "", err
		}
		public, err := public[*sdk.File](ctx, client, archive)
		if err != nil {
			return "", err
		}
		manifest, err := img.Manifest()
		if err != nil {
			return "", err
		}
		archives = append(archives, engine.Archive{Platform: img.Platform, File: public, Annotations: manifest.Annotations})
	}
	describe, err := m.connect(ctx)
	if err != nil {
		return "", err
	}
	return describe(image.Plan).Push(ctx, archives, image.Target)
}
