package build

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/slipway-ci/slipway/internal/registry"
)

// Unit is what progress is counted in.
type Unit string

// The units.
const (
	Packages Unit = "packages"
	Bytes    Unit = "bytes"
)

// Progress is how far a step is.
type Progress struct {
	Unit Unit
	// Done are the packages that are compiled, or the bytes that were moved; Total is 0 where nobody knows.
	Done, Total int64
	// Slowest is what has taken longest, For that time, of all that goes on; empty for nothing.
	Slowest string
	For     time.Duration
}

// Part is a part of a step.
type Part struct {
	Name        string
	Began, Done time.Time
}

// Skipped says why a step had nothing to do.
type Skipped struct {
	// Reason completes a sentence that begins with the step, such as "unchanged since 2026-01-02 15:04".
	Reason string
	// Saved is how long the step took when it was done; 0 if that is not known.
	Saved time.Duration
}

// Transfer is ctx for requests to registries whose bytes, in both directions, are the step's progress. total is 0 if it is not known.
func Transfer(ctx context.Context, step Step, total int64) context.Context {
	var moved atomic.Int64
	return registry.WithMeter(ctx, func(n int) {
		step.Progress(Progress{Unit: Bytes, Done: moved.Add(int64(n)), Total: total})
	})
}
