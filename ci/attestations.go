package main

import (
	"context"
	"errors"
	"strings"

	"github.com/slipway-ci/slipway"
	"github.com/slipway-ci/slipway/ci/internal/dagger"
	"github.com/slipway-ci/slipway/internal/fault"
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
func (s Sbom) format() slipway.SBOMFormat {
	switch s {
	case Spdx:
		return slipway.SPDX
	case None:
		return ""
	default:
		return slipway.CycloneDX
	}
}

// Write the bill of materials of the image for one platform: what the programs were built from and what the base has
func (m *Slipway) Sbom(
	ctx context.Context,
	// Platform of the image. Default: linux/amd64, if it is one of the build's, else the first of those.
	// +optional
	platform string,
	// Format of the file: CYCLONEDX or SPDX.
	// +default="CYCLONEDX"
	format Sbom,
) (_ *dagger.File, err error) {
	defer worded(&err)
	if format == None {
		return nil, fault.Faults{{Field: "format", Value: string(format), Problem: "no format of a file", Hint: "choose CYCLONEDX or SPDX"}}
	}
	r, done, err := m.request(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, done()) }()
	r.To = &slipway.Document{Format: format.format()}
	if platform != "" {
		r.Settings.Platforms = []string{platform}
	}
	images, err := r.Plan(ctx)
	if err != nil {
		return nil, err
	}
	results, err := m.build(ctx, r, images)
	if err != nil {
		return nil, err
	}
	const file = "sbom.json"
	return dag.Directory().WithNewFile(file, strings.TrimSuffix(string(results[0].Document), "\n")+"\n").File(file), nil
}

// signingKey is the key that signs; nil for no signatures.
func (m *Slipway) signingKey(ctx context.Context) (*slipway.PrivateKey, error) {
	if m.SignKey == nil {
		if m.SignPassword != nil {
			return nil, fault.Faults{{Field: "sign-password", Problem: "there is no key that it is for", Hint: "give sign-key, too"}}
		}
		return nil, nil
	}
	text, err := m.SignKey.Plaintext(ctx)
	if err != nil {
		return nil, err
	}
	var password string
	if m.SignPassword != nil {
		if password, err = m.SignPassword.Plaintext(ctx); err != nil {
			return nil, err
		}
	}
	key, err := slipway.ParsePrivateKey([]byte(text), []byte(password))
	if err != nil {
		return nil, fault.Faults{{Field: "sign-key", Problem: err.Error(), Hint: "give the key that signs"}}
	}
	return key, nil
}
