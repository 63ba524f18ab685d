package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/cache/temporary"
	"github.com/slipway-ci/slipway/internal/goenv"
	"github.com/slipway-ci/slipway/internal/plan"
)

// List runs go list with args for the packages of p, in the environment and with the flags that they are compiled with, and
// returns what it prints. It may download modules. Nothing is written to the source.
func (e *Engine) List(ctx context.Context, source string, plan *plan.Plan, p plan.Compile, args ...string) (_ []byte, err error) {
	if _, err := exec.LookPath("go"); err != nil {
		return nil, errNoGo
	}
	if source, err = filepath.Abs(source); err != nil {
		return nil, err
	}
	dir, err := temporary.NewDir()
	if err != nil {
		return nil, fmt.Errorf("making a directory for go list: %w", err)
	}
	defer func() { err = errors.Join(err, dir.Remove()) }()
	c := &compiler{plan: plan, report: build.Discard, source: source, dir: dir.Path, caller: goenv.Caller(e.environ)}
	if err := c.trust(); err != nil {
		return nil, err
	}
	if plan.Source.Workspace && !plan.Source.Vendor {
		if err := c.keepWorkSum(); err != nil {
			return nil, err
		}
	}
	if err := c.overlay(); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	cmd := command{
		dir:    filepath.Join(source, plan.Source.Dir),
		args:   slices.Concat([]string{"go", "list"}, p.ListFlags(), args, p.AllPackages()),
		what:   "listing packages for " + p.Platform.String(),
		stdout: &out,
	}
	if dir, ok := e.partialModules(c); ok {
		if c.goCommand(ctx, build.Discard.Step("", "list"), cmd, partialEnv(p.Env, dir)) == nil {
			return out.Bytes(), nil
		}
		out.Reset()
	}
	err = c.goCommand(ctx, build.Discard.Step("", "list"), cmd, p.Env)
	return out.Bytes(), err
}
