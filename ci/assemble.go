package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	sdk "dagger.io/dagger"
	"golang.org/x/sync/errgroup"

	"github.com/slipway-ci/slipway"
	"github.com/slipway-ci/slipway/internal/attest/provenance"
	"github.com/slipway-ci/slipway/internal/attest/sbom"
	"github.com/slipway-ci/slipway/internal/build"
	engine "github.com/slipway-ci/slipway/internal/build/dagger"
	"github.com/slipway-ci/slipway/internal/build/dagger/session"
	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/cache/temporary"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/registry"
)

// build makes images in this process, with the code of the command, so that they are the same to the byte: of programs that the engine
// compiles, and bases that this process pulls. It takes them to the request's sink.
func (m *Slipway) build(ctx context.Context, r *slipway.Request, images []*slipway.Image) ([]*slipway.Result, error) {
	b, dir, err := m.builder(ctx, r, images)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	defer dir.remove()
	return m.buildWith(ctx, b, dir, r, images)
}

// buildWith is build with a builder and its directory.
func (m *Slipway) buildWith(ctx context.Context, b *slipway.Builder, dir directory, r *slipway.Request, images []*slipway.Image) ([]*slipway.Result, error) {
	describe, err := m.connect(ctx)
	if err != nil {
		return nil, err
	}
	b.Engine, b.Version = session.Of(describe, b.Bases), "(devel)"
	b.BuilderImage = func(ctx context.Context, p *slipway.Plan) (provenance.Image, error) {
		return describe(p).BuilderImage(ctx)
	}
	b.Modules = func(ctx context.Context, p *slipway.Plan, goMods [][]byte) (*sbom.Modules, error) {
		modules, err := os.MkdirTemp(dir.Path, "modules-")
		if err == nil {
			err = licences(ctx, describe(p), r.Dir, modules)
		}
		return sbom.NewModules(os.DirFS(modules), goMods...), err
	}
	results := b.Build(ctx, images)
	return results, slipway.Failures(results)
}

// directory is one for the time of a call.
type directory struct{ *temporary.Dir }

// remove removes it. The work of the call is done, so that a failure is only reported.
func (d directory) remove() {
	if err := d.Remove(); err != nil {
		warn(err.Error())
	}
}

// builder is a builder for images of a request that has no engine, and a directory, which has its cache. The caller closes the one and
// removes the other.
func (m *Slipway) builder(ctx context.Context, r *slipway.Request, images []*slipway.Image) (*slipway.Builder, directory, error) {
	client, err := m.registry(ctx, images)
	if err != nil {
		return nil, directory{}, err
	}
	dir, err := temporary.NewDir()
	if err != nil {
		client.Close()
		return nil, directory{}, err
	}
	store, err := cache.Open(filepath.Join(dir.Path, "cache"))
	if err != nil {
		client.Close()
		return nil, directory{}, errors.Join(err, dir.Remove())
	}
	bases := &oci.Bases{Cache: store, Remote: client, Fetch: client.Fetch, Dir: r.Dir, Context: ctx}
	return &slipway.Builder{Client: client, Bases: bases, Report: slipway.Warnings(warn), CacheMode: m.Caching.mode()}, directory{dir}, nil
}

// send sends images to the engine, each as an archive, by way of files in the directory dir.
func send(ctx context.Context, client *sdk.Client, dir string, images []build.Image, name string) ([]engine.Archive, error) {
	archives := make([]engine.Archive, len(images))
	group, ctx := errgroup.WithContext(ctx)
	for i, img := range images {
		group.Go(func() error {
			file := path.Join(dir, strings.ReplaceAll(img.Platform, "/", "-")+".tar")
			if err := oci.WriteArchive(ctx, file, img.Image, name); err != nil {
				return err
			}
			sent, err := dag.CurrentModule().WorkdirFile(file).Sync(ctx)
			if err != nil {
				return err
			}
			public, err := public[*sdk.File](ctx, client, sent)
			if err != nil {
				return err
			}
			manifest, err := img.Manifest()
			archives[i] = engine.Archive{Platform: img.Platform, File: public, Annotations: manifest.Annotations}
			return err
		})
	}
	return archives, group.Wait()
}

// licences writes the licences of a build's modules, which the source in dir names, into the directory out.
func licences(ctx context.Context, b *engine.Build, dir, out string) error {
	p := b.Plan()
	if p.Dependencies.Download == nil {
		return nil
	}
	var goSums []string
	for _, name := range p.ModuleFiles() {
		if path.Base(name) != "go.sum" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		goSums = append(goSums, string(text))
	}
	return b.Licences(ctx, out, goSums...)
}

// registry is the client that pulls bases, and pushes to the repositories.
func (m *Slipway) registry(ctx context.Context, images []*slipway.Image) (*registry.Client, error) {
	o := registry.Options{Mirrors: m.Mirrors, Services: map[string]string{}, OnSecret: func(secret string) { known.Add(secret) }}
	for _, image := range images {
		if !strings.Contains(o.Roots, image.Plan.CACerts) {
			o.Roots += image.Plan.CACerts
		}
	}
	for i, service := range m.RegistryServices {
		running, err := service.Start(ctx)
		if err != nil {
			return nil, fmt.Errorf("starting the registry %s: %w", m.RegistryHosts[i], err)
		}
		address, err := running.Endpoint(ctx)
		if err != nil {
			return nil, fmt.Errorf("reaching the registry %s: %w", m.RegistryHosts[i], err)
		}
		o.Services[m.RegistryHosts[i]] = address
	}
	if m.Password != nil {
		password, err := m.Password.Plaintext(ctx)
		if err != nil {
			return nil, err
		}
		for _, image := range images {
			text, err := registry.LoginConfig(image.Target.Repository, m.Username, strings.TrimSpace(password))
			if err != nil {
				return nil, err
			}
			o.Credentials = append(o.Credentials, registry.Credentials{Config: text, From: "with-login"})
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

func warn(text string) { fmt.Fprintln(stderr, "warning: "+text) }
