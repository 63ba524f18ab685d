package main

import (
	"context"
	"errors"

	sdk "dagger.io/dagger"

	"github.com/slipway-ci/slipway/ci/internal/dagger"
	engine "github.com/slipway-ci/slipway/engine/dagger"
	"github.com/slipway-ci/slipway/publish/target"
)

// Build the image for all platforms and push it, as one index. Returns its reference by digest
// +cache="never"
func (m *Slipway) Publish(
	ctx context.Context,
	// Repository to push to, with its registry, like ghcr.io/me/api.
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
) (string, error) {
	if len(tags) == 0 {
		tags = []string{"latest"}
	}
	to := target.Target{Repository: repository, Tags: tags}
	var faults []error
	for _, fault := range to.Validate() {
		faults = append(faults, fault)
	}
	if (username == "") != (password == nil) {
		faults = append(faults, errors.New("username and password: one without the other: give both or neither"))
	}
	if err := errors.Join(faults...); err != nil {
		return "", err
	}
	build, _, err := m.open(ctx)
	if err != nil {
		return "", err
	}
	var login *engine.Login
	if password != nil {
		client, err := sdk.Connect(ctx)
		if err != nil {
			return "", err
		}
		secret, err := public[*sdk.Secret](ctx, client, password)
		if err != nil {
			return "", err
		}
		login = &engine.Login{User: username, Password: secret}
	}
	return build.Publish(ctx, to, login)
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
) (string, error) {
	if err := m.checks(ctx, "verify", "vet", "test"); err != nil {
		return "", err
	}
	if repository != "" {
		return m.Publish(ctx, repository, tags, username, password)
	}
	build, plan, err := m.open(ctx)
	if err != nil {
		return "", err
	}
	return "", build.Guard(ctx, plan.Compile...)
}
