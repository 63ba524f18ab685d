package main

import (
	"context"
	"errors"

	sdk "dagger.io/dagger"

	"github.com/slipway-ci/slipway/ci/internal/dagger"
	engine "github.com/slipway-ci/slipway/internal/build/dagger"
	"github.com/slipway-ci/slipway/internal/config"
	"github.com/slipway-ci/slipway/internal/fault"
)

// Write slipway.lock anew: the images, downloads and packages that builds need, as they are now
// +generate
// +cache="never"
func (m *Slipway) Pin(ctx context.Context) (_ *dagger.Changeset, err error) {
	defer worded(&err)
	r, done, err := m.request(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, done()) }()
	if m.Chosen == "" && len(r.Settings.Packages) == 0 {
		listed, err := m.Source.Filter(dagger.DirectoryFilterOpts{Include: []string{config.File}}).Entries(ctx)
		if err != nil {
			return nil, err
		}
		r.All = len(listed) > 0
	}
	images, err := r.PlanUnlocked(ctx)
	if err != nil {
		return nil, err
	}
	b, dir, err := m.builder(ctx, r, images)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	defer dir.remove()
	locks, err := b.Lock(ctx, images)
	if err != nil {
		return nil, err
	}
	pinned := m.Source
	for _, lock := range locks {
		pinned = pinned.WithNewFile(lock.File, lock.Text)
	}
	return pinned.Changes(m.Source), nil
}

// Tidy go.mod and go.sum
// +generate
func (m *Slipway) Tidy(ctx context.Context) (_ *dagger.Changeset, err error) {
	defer worded(&err)
	return m.changes(ctx, false, (*engine.Build).Tidy)
}

// Run go generate
// +generate
func (m *Slipway) Generate(ctx context.Context) (_ *dagger.Changeset, err error) {
	defer worded(&err)
	return m.changes(ctx, true, (*engine.Build).Generated)
}

// changes returns what a command changes in the source.
func (m *Slipway) changes(ctx context.Context, generate bool, command func(*engine.Build, context.Context) (*sdk.Changeset, error)) (*dagger.Changeset, error) {
	p, err := m.planSource(ctx, generate)
	if err != nil {
		return nil, err
	}
	if p.Source.Workspace && !generate {
		return nil, fault.Faults{{Field: "source", Problem: "a workspace, whose modules go mod tidy would look for at a proxy", Hint: "run go mod tidy in each module"}}
	}
	connect, err := m.connect(ctx)
	if err != nil {
		return nil, err
	}
	changes, err := command(connect(p), ctx)
	if err != nil {
		return nil, err
	}
	return own[*dagger.Changeset](ctx, changes)
}
