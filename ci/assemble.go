package main

import (
	"context"
	"errors"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/slipway-ci/slipway/ci/internal/dagger"
	"github.com/slipway-ci/slipway/internal/attest/sbom"
	"github.com/slipway-ci/slipway/internal/build"
	engine "github.com/slipway-ci/slipway/internal/build/dagger"
	"github.com/slipway-ci/slipway/internal/build/dagger/session"
	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/cache/temporary"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/registry"
)

// assembler makes images in this process, from programs that the engine compiles and bases that it pulls itself: by the code that
// makes the command's, so that they are the same to the byte.
type assembler struct {
	describe func(*plan.Plan) *engine.Build
	client   *registry.Client
	bases    *oci.Bases
	dir      *temporary.Dir
	// source has the files that plans place, local bases, and the files that say what modules are needed.
	source string
}

// assembler opens what assembles these images; login is for the registries of the repositories.
func (m *Slipway) assembler(ctx context.Context, all []image, login account, repositories ...string) (_ *assembler, err error) {
	a := &assembler{}
	if a.client, err = m.registry(ctx, all, login, repositories); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.close())
		}
	}()
	if a.describe, err = m.connect(ctx); err != nil {
		return nil, err
	}
	if a.dir, err = temporary.NewDir(); err != nil {
		return nil, err
	}
	a.source = filepath.Join(a.dir.Path, "source")
	var include []string
	for _, one := range all {
		include = slices.Concat(include, one.plan.Dependencies.Files, one.FilePatterns(), plan.LocalBase(one.plan.Image.Base))
	}
	if _, err = m.Source.Filter(dagger.DirectoryFilterOpts{Include: include}).Export(ctx, a.source); err != nil {
		return nil, err
	}
	store, err := cache.Open(filepath.Join(a.dir.Path, "cache"))
	if err != nil {
		return nil, err
	}
	a.bases = &oci.Bases{Cache: store, Remote: a.client, Dir: a.source, Context: ctx}
	return a, nil
}

func (a *assembler) close() error {
	a.client.Close()
	if a.dir == nil {
		return nil
	}
	return a.dir.Remove()
}

// build carries plans out. See [build.Engine].
func (a *assembler) build(ctx context.Context, plans []*plan.Plan, done func(int, *build.Result, error)) {
	session.Of(a.describe, a.bases).Build(ctx, a.source, plans, build.Discard, done)
}

// assemble builds one image and hands it to use.
func (m *Slipway) assemble(ctx context.Context, one image, use func(*assembler, *build.Result) error) (err error) {
	a, err := m.assembler(ctx, []image{one}, account{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	a.build(ctx, []*plan.Plan{one.plan}, func(_ int, built *build.Result, failure error) {
		if err = failure; err == nil {
			err = errors.Join(use(a, built), built.Close())
		}
	})
	return err
}

// archive hands an image to the engine as an OCI archive.
func archive(ctx context.Context, built *build.Result, name string) (_ *dagger.File, err error) {
	dir, err := os.MkdirTemp(".", "archive-") // the engine reads below the current directory alone
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	file := path.Join(dir, name+".tar")
	if err := oci.WriteArchive(ctx, file, built.Artifact, name); err != nil {
		return nil, err
	}
	return dag.CurrentModule().WorkdirFile(file).Sync(ctx)
}

// registry is the client that pulls bases, and pushes to the repositories.
func (m *Slipway) registry(ctx context.Context, all []image, login account, repositories []string) (*registry.Client, error) {
	o := registry.Options{Mirrors: m.Mirrors, OnSecret: func(secret string) { known.Add(secret) }}
	for _, one := range all {
		if !strings.Contains(o.Roots, one.plan.CACerts) {
			o.Roots += one.plan.CACerts
		}
	}
	if login.password != nil {
		password, err := login.password.Plaintext(ctx)
		if err != nil {
			return nil, err
		}
		for _, repository := range repositories {
			text, err := registry.LoginConfig(repository, login.username, strings.TrimSpace(password))
			if err != nil {
				return nil, err
			}
			o.Credentials = append(o.Credentials, registry.Credentials{Config: text, From: "--username and --password"})
		}
	}
	if m.RegistryConfig != nil {
		text, err := m.RegistryConfig.Plaintext(ctx)
		if err != nil {
			return nil, err
		}
		o.Credentials = append(o.Credentials, registry.Credentials{Config: text, From: "--registry-config"})
	}
	return registry.New(o)
}

// inventory is what bills of materials say besides what is in the image of a plan.
func (a *assembler) inventory(ctx context.Context, p *plan.Plan) (sbom.Options, error) {
	var goMods [][]byte
	var goSums []string
	for _, name := range p.Dependencies.Files {
		text, err := os.ReadFile(filepath.Join(a.source, filepath.FromSlash(name)))
		switch {
		case errors.Is(err, os.ErrNotExist):
		case err != nil:
			return sbom.Options{}, err
		case path.Base(name) == "go.mod":
			goMods = append(goMods, text)
		case path.Base(name) == "go.sum":
			goSums = append(goSums, string(text))
		}
	}
	o := sbom.Options{Name: p.Name, Version: "(devel)", Cache: a.bases.Cache}
	modules, err := os.MkdirTemp(a.dir.Path, "modules-")
	if err != nil {
		return o, err
	}
	if p.Dependencies.Download != nil {
		if err := a.describe(p).Licences(ctx, modules, goSums...); err != nil {
			return o, err
		}
	}
	o.Modules = sbom.NewModules(os.DirFS(modules), goMods...)
	return o, nil
}
