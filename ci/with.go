package main

import (
	"encoding/json"

	"github.com/slipway-ci/slipway/ci/internal/dagger"
	"github.com/slipway-ci/slipway/internal/plan"
)

// Functions that return the same module and settings with something more. They chain, in any order.

// Set what the program runs in
func (m *Slipway) WithRuntime(
	// What the program runs in.
	runtime Runtime,
) (_ *Slipway, err error) {
	defer worded(&err)
	return m.with(func(c *plan.Config) { c.Runtime = setting(runtime) })
}

// Set the platforms to build for
func (m *Slipway) WithPlatforms(
	// Platforms to build for, like linux/arm/v7.
	platforms []dagger.Platform,
) (_ *Slipway, err error) {
	defer worded(&err)
	return m.with(func(c *plan.Config) { c.Platforms = texts(platforms) })
}

// Log in to the registries of the repositories that are published to
func (m *Slipway) WithLogin(
	// User of the registry.
	username string,
	// Password or token of that user.
	password *dagger.Secret,
) *Slipway {
	with := *m
	with.Username, with.Password = username, password
	return &with
}

// Attach attestations to what is published, and sign it
//
// With a login, a CycloneDX bill of materials and provenance are attached without this, too.
func (m *Slipway) WithAttestations(
	// Format of the bills of materials: CYCLONEDX, SPDX or NONE.
	// +default="CYCLONEDX"
	sbom Sbom,
	// Attach no provenance.
	// +optional
	noProvenance bool,
	// Private key that signs the image and its attestations, as cosign does.
	// +optional
	signKey *dagger.Secret,
	// Password of sign-key.
	// +optional
	signPassword *dagger.Secret,
) *Slipway {
	with := *m
	with.Sboms, with.NoProvenance, with.SignKey, with.SignPassword = sbom, noProvenance, signKey, signPassword
	return &with
}

// with is m with changed settings.
func (m *Slipway) with(change func(*plan.Config)) (*Slipway, error) {
	var config plan.Config
	if err := json.Unmarshal([]byte(m.Settings), &config); err != nil {
		return nil, err
	}
	change(&config)
	text, err := json.Marshal(config)
	with := *m
	with.Settings = string(text)
	return &with, err
}
