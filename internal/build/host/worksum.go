package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/gocommand"
)

// replaceWorkSum has the Go command see text as go.work.sum: in a workspace it adds to that file what it lacks, even with -mod=readonly,
// but not where the file is one of an overlay.
// Source: cmd/go/internal/modload, commitRequirements; cmd/go/internal/modfetch, WriteGoSum.
func (c *compiler) replaceWorkSum(text string) error {
	sum := filepath.Join(c.dir, "go.work.sum")
	c.replaced = map[string]string{path.Join(c.plan.Source.Dir, "go.work.sum"): sum}
	return errors.Join(os.WriteFile(sum, []byte(text), 0o644), c.overlay())
}

// listIn has the Go command load all packages of the plan in a copy of the source, which completes go.work.sum there: go mod download
// adds nothing to it where it fails. What fails here, fails again in compiling.
func (c *compiler) listIn(ctx context.Context, step build.Step, dir string) error {
	if err := copySource(ctx, dir, c.source); err != nil {
		return fmt.Errorf("copying the source to complete go.work.sum: %w", err)
	}
	for _, p := range c.plan.Compile {
		cmd := command{
			dir:    filepath.Join(dir, c.plan.Source.Dir),
			args:   slices.Concat([]string{"go", "list"}, p.ListFlags(), []string{"-e", "-deps"}, p.Packages),
			what:   "completing go.work.sum",
			stdout: io.Discard,
		}
		if err := c.goCommand(ctx, step, cmd, p.Env); err != nil && !gocommand.Missing(err) {
			return err
		}
	}
	return nil
}

// keepWorkSum has the Go command leave go.work.sum as it is.
func (c *compiler) keepWorkSum() error {
	name := path.Join(c.plan.Source.Dir, "go.work.sum")
	files, err := c.read(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return c.replaceWorkSum(files[name])
}
