package main

import (
	"encoding/json"
	"slices"

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

// Build on a container instead of the runtime's own image
//
// Several calls give containers for several platforms. Without platforms in the settings of a call, the build is for those of the
// containers.
func (m *Slipway) WithBase(
	// Container to build on, with its platform, configuration and files.
	container *dagger.Container,
) (_ *Slipway, err error) {
	defer worded(&err)
	with, err := m.with(func(c *plan.Config) { c.Base = "oci-archive:" + baseFile })
	if err != nil {
		return nil, err
	}
	with.Bases = append(slices.Clone(m.Bases), container)
	archive := dag.Container().AsTarball(dagger.ContainerAsTarballOpts{PlatformVariants: with.Bases})
	with.Source = m.Source.WithFile(baseFile, archive)
	return with, nil
}

// baseFile is the file of the source that has the containers to build on.
const baseFile = "slipway-base.tar"

// Keep modules and what is compiled in other cache volumes
func (m *Slipway) WithCaches(
	// Volume of the module cache. Default: go-mod.
	// +optional
	modules *dagger.CacheVolume,
	// Volume of the build cache. Default: go-build.
	// +optional
	compiled *dagger.CacheVolume,
) *Slipway {
	with := *m
	if modules != nil {
		with.ModuleCache = modules
	}
	if compiled != nil {
		with.BuildCache = compiled
	}
	return &with
}

// Reach a registry that is a service, over HTTP without TLS, to publish to it and for bases
//
// A service of your machine is tcp://localhost:5000. Containers that the engine pulls itself, as in build, do not come from it.
func (m *Slipway) WithRegistryService(
	// Host that repositories are in, like registry:5000 for registry:5000/team/app.
	host string,
	// Service that is the registry, on its first port.
	service *dagger.Service,
) *Slipway {
	with := *m
	with.RegistryHosts, with.RegistryServices = append(slices.Clone(m.RegistryHosts), host), append(slices.Clone(m.RegistryServices), service)
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
