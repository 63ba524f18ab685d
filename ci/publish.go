package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	sdk "dagger.io/dagger"
	"golang.org/x/sync/errgroup"

	"github.com/slipway-ci/slipway/ci/internal/dagger"
	engine "github.com/slipway-ci/slipway/internal/build/dagger"
	"github.com/slipway-ci/slipway/internal/config"
	"github.com/slipway-ci/slipway/internal/plan"
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
	// User of the registry. Default: the login that the engine finds on your machine.
	// +optional
	username string,
	// Password or token of that user.
	// +optional
	password *dagger.Secret,
	// Format of the bills of materials to attach. Default: CYCLONEDX, but none by the engine's login: it is for images only.
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
	return m.push(ctx, one, repository, tags, account{username, password}, proof{sbom, !noProvenance, signKey, signPassword})
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
	// User of the registry. Default: the login that the engine finds on your machine.
	// +optional
	username string,
	// Password or token of that user.
	// +optional
	password *dagger.Secret,
	// Format of the bills of materials to attach. Default: CYCLONEDX, but none by the engine's login: it is for images only.
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
	connect, err := m.connect(ctx)
	if err != nil {
		return nil, err
	}
	plans := make([]*plan.Plan, len(all))
	for i, one := range all {
		plans[i] = one.plan
	}
	builds := engine.Share(ctx, plans, connect)
	asked := proof{sbom, !noProvenance, signKey, signPassword}
	refs, errs := make([]string, len(all)), make([]error, len(all))
	group := errgroup.Group{}
	group.SetLimit(sideBySide)
	for i, one := range all {
		group.Go(func() error {
			refs[i], errs[i] = pushBuild(ctx, builds[i], one, "", tags, account{username, password}, asked)
			return nil
		})
	}
	_ = group.Wait()
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
	// User of the registry. Default: the login that the engine finds on your machine.
	// +optional
	username string,
	// Password or token of that user.
	// +optional
	password *dagger.Secret,
	// Format of the bills of materials to attach. Default: CYCLONEDX, but none by the engine's login: it is for images only.
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
	build, one, err := m.open(ctx)
	if err != nil {
		return "", err
	}
	if repository == "" {
		return "", build.Guard(ctx, one.plan.Compile...)
	}
	return pushBuild(ctx, build, one, repository, tags, account{username, password}, proof{sbom, !noProvenance, signKey, signPassword})
}

// proof is what was asked for beside an image.
type proof struct {
	sbom                  Sbom
	provenance            bool
	signKey, signPassword *dagger.Secret
}

// account is a login of a registry; without a password, the engine's own.
type account struct {
	username string
	password *dagger.Secret
}

func (m *Slipway) push(ctx context.Context, one image, repository string, tags []string, login account, asked proof) (string, error) {
	connect, err := m.connect(ctx)
	if err != nil {
		return "", err
	}
	return pushBuild(ctx, connect(one.plan), one, repository, tags, login, asked)
}

// pushBuild publishes an image: to the repository and with the tags, or else those of its settings.
func pushBuild(ctx context.Context, build *engine.Build, one image, repository string, tags []string, login account, asked proof) (string, error) {
	if repository != "" {
		one.Repository = repository
	}
	if tags != nil {
		one.Tags = tags
	}
	var to target.Target
	var err error
	if to.Repository, to.Tags, _, err = one.Target(one.plan.Name); err != nil {
		return "", err
	}
	if len(one.Tags) == 0 {
		to.Tags = []string{"latest"}
	}
	var wrong plan.Faults
	for _, fault := range to.Validate() {
		wrong = append(wrong, plan.Fault(fault))
	}
	var faults []error
	if wrong != nil {
		faults = append(faults, wrong)
	}
	if (login.username == "") != (login.password == nil) {
		faults = append(faults, errors.New("username and password: one without the other: give both or neither"))
	}
	if asked.signPassword != nil && asked.signKey == nil {
		faults = append(faults, errors.New("sign-password: there is no key that it is for: give sign-key, too"))
	}
	if err := errors.Join(faults...); err != nil {
		return "", err
	}
	client, err := sdk.Connect(ctx)
	if err != nil {
		return "", err
	}
	var known *engine.Login
	if login.password != nil {
		secret, err := public[*sdk.Secret](ctx, client, login.password)
		if err != nil {
			return "", err
		}
		known = &engine.Login{User: login.username, Password: secret}
	}
	if known == nil && asked.sbom == "" && asked.signKey == nil {
		fmt.Fprintln(stderr, "no proof is attached: the engine's login is for images only; give username and password")
		return build.Publish(ctx, to, known)
	}
	full, err := asked.full(ctx, client, one.Config)
	if err != nil {
		return "", err
	}
	return build.PublishWithProof(ctx, to, known, full)
}
