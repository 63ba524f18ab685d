package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	sdk "dagger.io/dagger"

	"github.com/slipway-ci/slipway"
	"github.com/slipway-ci/slipway/ci/internal/dagger"
	"github.com/slipway-ci/slipway/internal/attest/provenance"
	engine "github.com/slipway-ci/slipway/internal/build/dagger"
	"github.com/slipway-ci/slipway/internal/plan"
)

// Format of a bill of materials.
type Sbom string

const (
	// CycloneDX 1.6, in JSON.
	Cyclonedx Sbom = "CYCLONEDX"
	// SPDX 2.3, in JSON.
	Spdx Sbom = "SPDX"
	// No bill of materials.
	None Sbom = "NONE"
)

// Write the bill of materials of the image for one platform: what the programs were built from and what the base has
func (m *Slipway) Sbom(
	ctx context.Context,
	// Platform of the image. Default: the engine's own, if it is one of the build's, else the first of those.
	// +optional
	platform string,
	// Format of the file: CYCLONEDX or SPDX.
	// +default="CYCLONEDX"
	format Sbom,
) (_ *dagger.File, err error) {
	defer worded(&err)
	if format == None {
		return nil, plan.Faults{{Field: "format", Value: string(format), Problem: "no format of a file", Hint: "choose CYCLONEDX or SPDX"}}
	}
	build, compile, err := m.one(ctx, platform)
	if err != nil {
		return nil, err
	}
	client, err := sdk.Connect(ctx)
	if err != nil {
		return nil, err
	}
	command, err := command(ctx, client)
	if err != nil {
		return nil, err
	}
	file, err := build.SBOM(ctx, compile, command, strings.ToLower(string(format)))
	if err != nil {
		return nil, err
	}
	return own[*dagger.File](ctx, file)
}

// full is what the engine is to publish beside an image with that configuration.
func (asked proof) full(ctx context.Context, client *sdk.Client, config plan.Config) (full engine.Proof, err error) {
	full.SBOM = strings.ToLower(string(asked.sbom))
	if asked.sbom == "" {
		full.SBOM = strings.ToLower(string(Cyclonedx))
	}
	full.Warn = func(text string) { fmt.Fprintln(stderr, "warning: "+text) }
	if full.Slipway, err = command(ctx, client); err != nil {
		return full, err
	}
	if asked.provenance {
		full.Provenance = &provenance.Build{Config: config, Source: provenance.Source{Revision: config.Revision}}
	}
	if asked.signKey != nil {
		if full.Key, err = public[*sdk.Secret](ctx, client, asked.signKey); err != nil {
			return full, err
		}
	}
	if asked.signPassword != nil {
		full.Password, err = public[*sdk.Secret](ctx, client, asked.signPassword)
	}
	return full, err
}

// command is the source of the command slipway: that of this very module.
func command(ctx context.Context, client *sdk.Client) (*sdk.Directory, error) {
	const name = "slipway"
	if err := os.RemoveAll(name); err != nil {
		return nil, err
	}
	if err := os.CopyFS(name, slipway.Source); err != nil {
		return nil, err
	}
	return public[*sdk.Directory](ctx, client, dag.CurrentModule().Workdir(name))
}
