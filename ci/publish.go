package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	sdk "dagger.io/dagger"
	"github.com/google/go-containerregistry/pkg/name"
	"golang.org/x/sync/errgroup"

	"github.com/slipway-ci/slipway/ci/internal/dagger"
	"github.com/slipway-ci/slipway/internal/attest"
	"github.com/slipway-ci/slipway/internal/attest/signing"
	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/config"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/publish"
	"github.com/slipway-ci/slipway/internal/publish/target"
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
	// User of the registry. Without it, and without registry-config, the engine pushes by the login that it finds on your machine:
	// it takes images only, so nothing is attached or signed, and writes their manifests itself, so the digest is another.
	// +optional
	username string,
	// Password or token of that user.
	// +optional
	password *dagger.Secret,
	// Format of the bills of materials to attach. Default: CYCLONEDX, but none where the engine pushes.
	// +optional
	sbom Sbom,
	// Leave out the provenance, which otherwise is attached where bills of materials are.
	// +optional
	noProvenance bool,
	// Private key to sign the image, and what is attached, with, as cosign does.
	// +optional
	signKey *dagger.Secret,
	// Password of sign-key.
	// +optional
	signPassword *dagger.Secret,
) (_ string, err error) {
	defer worded(&err)
	one, err := m.image(ctx)
	if err != nil {
		return "", err
	}
	refs, errs := m.push(ctx, []image{one}, repository, tags, account{username, password}, proof{sbom, !noProvenance, signKey, signPassword})
	return refs[0], errs[0]
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

// Build all images of slipway.yaml and push each to its repository. Returns their references by digest, in the file's order.
// An image that fails does not stop the others
// +cache="never"
func (m *Slipway) PublishAll(
	ctx context.Context,
	// Tags to move to the images. Default: those of slipway.yaml, or latest.
	// +optional
	tags []string,
	// User of the registry. Without it, and without registry-config, the engine pushes by the login that it finds on your machine:
	// it takes images only, so nothing is attached or signed, and writes their manifests itself, so the digest is another.
	// +optional
	username string,
	// Password or token of that user.
	// +optional
	password *dagger.Secret,
	// Format of the bills of materials to attach. Default: CYCLONEDX, but none where the engine pushes.
	// +optional
	sbom Sbom,
	// Leave out the provenance, which otherwise is attached where bills of materials are.
	// +optional
	noProvenance bool,
	// Private key to sign the images, and what is attached, with, as cosign does.
	// +optional
	signKey *dagger.Secret,
	// Password of sign-key.
	// +optional
	signPassword *dagger.Secret,
) (_ []string, err error) {
	defer worded(&err)
	all, err := m.images(ctx, func(file *config.Project) ([]config.Image, error) {
		if file == nil {
			return nil, plan.Faults{{Field: "source", Problem: "it has no " + config.File, Hint: "list the images there, or call publish"}}
		}
		return file.Images, nil
	}, plan.ResolveAll)
	if err != nil {
		return nil, err
	}
	refs, errs := m.push(ctx, all, "", tags, account{username, password}, proof{sbom, !noProvenance, signKey, signPassword})
	return refs, failures(all, refs, errs)
}

// sideBySide bounds how many images are published at a time.
const sideBySide = 4

// failures says which images failed, and which did not.
func failures(all []image, refs []string, errs []error) error {
	var done, failed []string
	var reasons strings.Builder
	for i, one := range all {
		if errs[i] == nil {
			done = append(done, refs[i])
			continue
		}
		failed = append(failed, one.plan.Name)
		fmt.Fprintf(&reasons, "\n%s: %v", one.plan.Name, errs[i])
	}
	if failed == nil {
		return nil
	}
	text := fmt.Sprintf("%d of %d images failed: %s%s", len(failed), len(all), strings.Join(failed, ", "), reasons.String())
	if done != nil {
		text += "\npublished: " + strings.Join(done, ", ")
	}
	return errors.New(text)
}

// Run all checks, build for all platforms, and publish where a repository is given: the whole pipeline in one call.
// Returns the reference by digest, or nothing
// +cache="never"
func (m *Slipway) Ci(
	ctx context.Context,
	// Repository to push to, with its registry, like ghcr.io/me/api. Default: nothing is pushed.
	// +optional
	repository string,
	// Tags to move to the image. Default: latest.
	// +optional
	tags []string,
	// User of the registry. Without it, and without registry-config, the engine pushes by the login that it finds on your machine:
	// it takes images only, so nothing is attached or signed, and writes their manifests itself, so the digest is another.
	// +optional
	username string,
	// Password or token of that user.
	// +optional
	password *dagger.Secret,
	// Format of the bills of materials to attach. Default: CYCLONEDX, but none where the engine pushes.
	// +optional
	sbom Sbom,
	// Leave out the provenance, which otherwise is attached where bills of materials are.
	// +optional
	noProvenance bool,
	// Private key to sign the image, and what is attached, with, as cosign does.
	// +optional
	signKey *dagger.Secret,
	// Password of sign-key.
	// +optional
	signPassword *dagger.Secret,
) (_ string, err error) {
	defer worded(&err)
	if err := m.checks(ctx, plan.CheckNames...); err != nil {
		return "", err
	}
	one, err := m.image(ctx)
	if err != nil {
		return "", err
	}
	if repository == "" {
		describe, err := m.connect(ctx)
		if err != nil {
			return "", err
		}
		return "", describe(one.plan).Guard(ctx, one.plan.Compile...)
	}
	refs, errs := m.push(ctx, []image{one}, repository, tags, account{username, password}, proof{sbom, !noProvenance, signKey, signPassword})
	return refs[0], errs[0]
}

// account is a login of a registry; without a password, there is none.
type account struct {
	username string
	password *dagger.Secret
}

func (a account) check() error {
	if (a.username == "") != (a.password == nil) {
		return errors.New("username and password: one without the other: give both or neither")
	}
	return nil
}

// target is where the image goes: to the repository and with the tags, or else those of its settings.
func (one image) target(repository string, tags []string) (to target.Target, err error) {
	if repository != "" {
		one.Repository = repository
	}
	if tags != nil {
		one.Tags = tags
	}
	if to.Repository, to.Tags, _, err = one.Target(one.plan.Name); err != nil {
		return to, err
	}
	if len(one.Tags) == 0 {
		to.Tags = []string{"latest"}
	}
	var faults plan.Faults
	for _, fault := range to.Validate() {
		faults = append(faults, plan.Fault(fault))
	}
	if faults != nil {
		return to, faults
	}
	return to, nil
}

// push builds images and publishes each, as soon as it is there. It returns their references, or why there is none.
func (m *Slipway) push(ctx context.Context, all []image, repository string, tags []string, login account, asked proof) (refs []string, errs []error) {
	begun := time.Now()
	refs, errs = make([]string, len(all)), make([]error, len(all))
	targets := make([]target.Target, len(all))
	key, keyErr := asked.key(ctx)
	var numbers []int
	var images []image
	var plans []*plan.Plan
	var repositories []string
	for i, one := range all {
		to, err := one.target(repository, tags)
		if errs[i] = errors.Join(err, login.check(), keyErr); errs[i] != nil {
			continue
		}
		targets[i] = to
		numbers, images, plans, repositories = append(numbers, i), append(images, one), append(plans, one.plan), append(repositories, to.Repository)
	}
	if plans == nil {
		return refs, errs
	}
	a, err := m.assembler(ctx, images, login, repositories...)
	if err != nil {
		for _, i := range numbers {
			errs[i] = err
		}
		return refs, errs
	}
	byEngine := login.password == nil && m.RegistryConfig == nil && !asked.asked()
	if byEngine {
		fmt.Fprintln(stderr, "the engine pushes: nothing is attached, and the digest is another than the command's; give username and password, or registry-config")
	}
	slots := make(chan struct{}, sideBySide)
	a.build(ctx, plans, func(n int, built *build.Result, err error) {
		i := numbers[n]
		if errs[i] = err; err != nil {
			return
		}
		slots <- struct{}{}
		defer func() { <-slots }()
		if byEngine {
			refs[i], err = a.pushByEngine(ctx, all[i], built, targets[i])
		} else {
			refs[i], err = a.publish(ctx, all[i], built, targets[i], asked, key, begun)
		}
		errs[i] = errors.Join(err, built.Close())
	})
	if err := a.close(); err != nil {
		fmt.Fprintln(stderr, "warning: "+err.Error()) // the images are where they should be
	}
	return refs, errs
}

// publish pushes an image with what is attached to it, before any tag leads to it.
func (a *assembler) publish(
	ctx context.Context, one image, built *build.Result, to target.Target, asked proof, key *signing.Key, begun time.Time,
) (string, error) {
	pushed, err := publish.Begin(a.client, to)
	if err != nil {
		return "", err
	}
	repository, err := name.NewRepository(to.Repository)
	if err != nil {
		return "", err
	}
	var ref name.Digest
	var documents []attest.Document
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		ref, err = pushed.Content(groupCtx, built.Artifact)
		return err
	})
	group.Go(func() (err error) {
		documents, err = a.documents(groupCtx, one, built, repository.Name(), asked, begun)
		return err
	})
	if err := group.Wait(); err != nil {
		return "", err
	}
	if err := a.attach(ctx, pushed, built, repository, documents, key); err != nil {
		return "", err
	}
	return ref.String(), pushed.Tag(ctx)
}

// pushByEngine has the engine push an image, by its own login.
func (a *assembler) pushByEngine(ctx context.Context, one image, built *build.Result, to target.Target) (string, error) {
	if len(to.Tags) == 0 {
		return "", plan.Faults{{Field: "tags", Problem: "none remains, and the engine pushes by tags", Hint: "name one, or give --username and --password"}}
	}
	file, err := archive(ctx, built, one.plan.Name)
	if err != nil {
		return "", err
	}
	client, err := sdk.Connect(ctx)
	if err != nil {
		return "", err
	}
	image, err := public[*sdk.File](ctx, client, file)
	if err != nil {
		return "", err
	}
	return a.describe(one.plan).Push(ctx, image, to)
}
