package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	sdk "dagger.io/dagger"

	"github.com/slipway-ci/slipway/ci/internal/dagger"
	engine "github.com/slipway-ci/slipway/engine/dagger"
	"github.com/slipway-ci/slipway/pipeline"
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
) (string, error) {
	return m.push(ctx, repository, tags, username, password, proof{sbom, !noProvenance, signKey, signPassword})
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
) (string, error) {
	if err := m.checks(ctx, pipeline.CheckNames...); err != nil {
		return "", err
	}
	if repository != "" {
		return m.push(ctx, repository, tags, username, password, proof{sbom, !noProvenance, signKey, signPassword})
	}
	build, plan, err := m.open(ctx)
	if err != nil {
		return "", err
	}
	return "", build.Guard(ctx, plan.Compile...)
}

// proof is what was asked for beside an image.
type proof struct {
	sbom                  Sbom
	provenance            bool
	signKey, signPassword *dagger.Secret
}

func (m *Slipway) push(ctx context.Context, repository string, tags []string, username string, password *dagger.Secret, proof proof) (string, error) {
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
	if proof.signPassword != nil && proof.signKey == nil {
		faults = append(faults, errors.New("sign-password: there is no key that it is for: give sign-key, too"))
	}
	if err := errors.Join(faults...); err != nil {
		return "", err
	}
	build, _, err := m.open(ctx)
	if err != nil {
		return "", err
	}
	client, err := sdk.Connect(ctx)
	if err != nil {
		return "", err
	}
	var login *engine.Login
	if password != nil {
		secret, err := public[*sdk.Secret](ctx, client, password)
		if err != nil {
			return "", err
		}
		login = &engine.Login{User: username, Password: secret}
	}
	if login == nil && proof.sbom == "" && proof.signKey == nil {
		fmt.Fprintln(os.Stderr, "no proof is attached: the engine's login is for images only; give username and password")
		return build.Publish(ctx, to, login)
	}
	full, err := m.proof(ctx, client, proof)
	if err != nil {
		return "", err
	}
	return build.PublishWithProof(ctx, to, login, full)
}
