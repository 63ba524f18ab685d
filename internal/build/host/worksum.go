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

// workSum is the name of go.work.sum in the source.
func (c *compiler) workSum() string { return path.Join(c.plan.Source.Dir, "go.work.sum") }

// replaceWorkSum has the Go command see text as go.work.sum: in a workspace it adds to that file what it lacks, even with -mod=readonly,
// but not where the file is one of an overlay.
// Source: cmd/go/internal/modload, commitRequirements; cmd/go/internal/modfetch, WriteGoSum.
func (c *compiler) replaceWorkSum(text string) error {
	sum := filepath.Join(c.dir, "go.work.sum")
	c.replaced = map[string]string{c.workSum(): sum}
	return errors.Join(os.WriteFile(sum, []byte(text), 0o644), c.overlay())
}

// completeWorkSum has the Go command see a go.work.sum with all that the plan's packages need, and returns it: the one in the directory copies,
// where modules were downloaded, unless packages need more than those.
func (c *compiler) completeWorkSum(ctx context.Context, step build.Step, copies string) (string, error) {
	text, err := c.readWorkSum(copies)
	if err != nil {
		return "", err
	}
	if c.undownloaded == nil {
		if err := c.replaceWorkSum(text); err != nil {
			return "", err
		}
		if c.list(ctx, build.Discard.Step("", "list"), c.source) == nil {
			return text, nil
		}
	}
	// go mod download adds nothing where it fails.
	dir := filepath.Join(c.dir, "workspace")
	if err := copySource(ctx, dir, c.source); err != nil {
		return "", fmt.Errorf("copying the source to complete go.work.sum: %w", err)
	}
	c.replaced, c.flags = nil, ""
	if err := c.list(ctx, step, dir, "-e"); err != nil {
		return "", err
	}
	if text, err = c.readWorkSum(dir); err != nil {
		return "", err
	}
	return text, c.replaceWorkSum(text)
}

// readWorkSum reads the go.work.sum of a copy of the source.
func (c *compiler) readWorkSum(dir string) (string, error) {
	text, err := os.ReadFile(filepath.Join(dir, c.workSum()))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return string(text), err
}

// list has the Go command load all packages of the plan, in the source or a copy of it. What fails here, fails again in compiling.
func (c *compiler) list(ctx context.Context, step build.Step, dir string, flags ...string) error {
	var failed []error
	for i, args := range c.lists() {
		cmd := command{
			dir: filepath.Join(dir, c.plan.Source.Dir), args: slices.Insert(args, 2, flags...), what: "completing go.work.sum", stdout: io.Discard,
		}
		if err := c.goCommand(ctx, step, cmd, c.plan.Compile[i].Env); err != nil && !(slices.Contains(flags, "-e") && gocommand.Missing(err)) {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

// lists are the commands that list what each platform's programs are made of.
func (c *compiler) lists() [][]string {
	var all [][]string
	for _, p := range c.plan.Compile {
		all = append(all, slices.Concat([]string{"go", "list", "-deps"}, p.ListFlags(), p.AllPackages()))
	}
	return all
}

// keepWorkSum has the Go command leave go.work.sum as it is.
func (c *compiler) keepWorkSum() error {
	files, err := c.read(c.workSum())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return c.replaceWorkSum(files[c.workSum()])
}
