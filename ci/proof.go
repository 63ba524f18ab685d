package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/slipway-ci/slipway/ci/internal/dagger"
	"github.com/slipway-ci/slipway/internal/attest"
	"github.com/slipway-ci/slipway/internal/attest/provenance"
	"github.com/slipway-ci/slipway/internal/attest/sbom"
	"github.com/slipway-ci/slipway/internal/attest/signing"
	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/publish"
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

// format is the format by its name in settings; empty for none.
func (s Sbom) format() sbom.Format {
	switch s {
	case Spdx:
		return sbom.SPDX
	case None:
		return ""
	default:
		return sbom.CycloneDX
	}
}

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
	one, compile, err := m.one(ctx, platform)
	if err != nil {
		return nil, err
	}
	ofPlatform := *one.plan
	ofPlatform.Compile = []plan.Compile{compile}
	one.plan = &ofPlatform
	var document []byte
	err = m.assemble(ctx, one, func(a *assembler, built *build.Result) error {
		o, err := a.inventory(ctx, one.plan)
		if err != nil {
			return err
		}
		document, err = sbom.Document(ctx, built.Images[0].Image, o, format.format())
		return err
	})
	if err != nil {
		return nil, err
	}
	const file = "sbom.json"
	return dag.Directory().WithNewFile(file, strings.TrimSuffix(string(document), "\n")+"\n").File(file), nil
}

// proof is what was asked for beside an image.
type proof struct {
	sbom                  Sbom
	provenance            bool
	signKey, signPassword *dagger.Secret
}

// asked says whether any of it was asked for, and not only what there is by default.
func (p proof) asked() bool { return p.sbom != "" || p.signKey != nil }

// key is the key that signs; nil for no signatures.
func (p proof) key(ctx context.Context) (*signing.Key, error) {
	if p.signKey == nil {
		if p.signPassword != nil {
			return nil, errors.New("sign-password: there is no key that it is for: give sign-key, too")
		}
		return nil, nil
	}
	text, err := p.signKey.Plaintext(ctx)
	if err != nil {
		return nil, err
	}
	var password string
	if p.signPassword != nil {
		if password, err = p.signPassword.Plaintext(ctx); err != nil {
			return nil, err
		}
	}
	key, err := signing.ParseKey([]byte(text), []byte(password))
	if err != nil {
		return nil, plan.Faults{{Field: "sign-key", Problem: err.Error(), Hint: "give the key that signs"}}
	}
	return key, nil
}

// documents makes what is attached to an image.
func (a *assembler) documents(ctx context.Context, one image, built *build.Result, repository string, asked proof, begun time.Time) ([]attest.Document, error) {
	o := attest.Options{Repository: repository, SBOM: asked.sbom.format()}
	var err error
	if o.SBOM != "" {
		if o.Inventory, err = a.inventory(ctx, one.plan); err != nil {
			return nil, err
		}
	}
	if asked.provenance {
		build := provenance.Build{
			Plan: one.plan, Config: one.Config, Engine: "dagger", Source: provenance.Source{Revision: one.Config.Revision},
			Started: begun, Finished: time.Now(),
		}
		if build.BuilderImage, err = a.describe(one.plan).BuilderImage(ctx); err != nil {
			return nil, err
		}
		o.Provenance = func(base provenance.Image) (any, error) { return build.Predicate(base) }
	}
	return attest.Documents(ctx, built.Artifact, o)
}

// attach puts documents beside an image, and signs it and them.
func (a *assembler) attach(
	ctx context.Context, pushed *publish.Session, built *build.Result, repository name.Repository, documents []attest.Document, key *signing.Key,
) error {
	if len(documents) > 0 {
		err := attest.Attach(ctx, pushed, documents)
		var rejected *publish.RejectedError
		if errors.As(err, &rejected) {
			fmt.Fprintln(stderr, "warning: "+rejected.Error())
		} else if err != nil {
			return err
		}
	}
	if key == nil {
		return nil
	}
	return attest.Sign(ctx, pushed, key, repository.Name(), built.Artifact, documents)
}
