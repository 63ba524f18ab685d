package main

import (
	"context"
	"errors"
	"sync"
)

// Check that go.sum is complete, that the modules are what it says, and that go.mod is tidy
// +check
func (m *Slipway) Verify(ctx context.Context) error { return m.checks(ctx, "verify") }

// Check the source with go vet
// +check
func (m *Slipway) Vet(ctx context.Context) error { return m.checks(ctx, "vet") }

// Run the tests
// +check
func (m *Slipway) Test(ctx context.Context) error { return m.checks(ctx, "test") }

// checks runs checks side by side and reports every one that fails.
func (m *Slipway) checks(ctx context.Context, names ...string) error {
	build, _, err := m.open(ctx)
	if err != nil {
		return err
	}
	errs := make([]error, len(names))
	var group sync.WaitGroup
	for i, name := range names {
		group.Go(func() { errs[i] = build.Check(ctx, name) })
	}
	group.Wait()
	return errors.Join(errs...)
}
