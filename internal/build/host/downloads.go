package host

import (
	"context"
	"os"

	"github.com/slipway-ci/slipway/internal/build"
)

// counted runs what downloads modules, and reports how many bytes of them have come into the module cache. The Go command does not say: it moves
// the zip file of a module there once all of it has come.
func (v verifier) counted(ctx context.Context, step build.Step, modules []pinned, download func() error) error {
	var missing []string
	for _, m := range modules {
		// The Go command says what is wrong with a line of go.sum.
		if zip, _, err := v.files(m); err == nil && !exists(zip) {
			missing = append(missing, zip)
		}
	}
	if len(missing) == 0 {
		return download()
	}
	look := func() (build.Progress, bool) {
		p := build.Progress{Unit: build.Bytes}
		for _, zip := range missing {
			if info, err := os.Stat(zip); err == nil {
				p.Done += info.Size()
			}
		}
		return p, p.Done > 0
	}
	done := watch(ctx, step, look)
	err := download()
	done()
	if p, ok := look(); ok {
		step.Progress(p)
	}
	return err
}
