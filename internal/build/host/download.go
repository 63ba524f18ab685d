package host

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/gocommand"
	"github.com/slipway-ci/slipway/internal/source"
)

// download downloads and verifies. The Go command works on copies of go.mod, go.sum and the workspace files: nothing may change in the source. What it
// adds to go.sum there is not needed for compiling, or compiling fails for the want of it; what it adds to go.work.sum, it would
// add whenever it compiles. Modules that cannot be had are no error yet: go build may not need them.
func (c *compiler) download(ctx context.Context) error {
	var missing []error // reported before anything is downloaded in vain
	for _, p := range c.plan.Compile {
		if p.C != nil {
			_, err := FindCompiler(p)
			missing = append(missing, err)
		}
	}
	if err := errors.Join(missing...); err != nil {
		return err
	}
	if err := c.trust(); err != nil {
		return err
	}
	if err := c.debugger(ctx); err != nil {
		return err
	}
	dependencies := c.plan.Dependencies
	if dependencies.Download == nil {
		return nil
	}
	files, err := c.read(dependencies.Files...)
	if err != nil {
		return err
	}
	want := c.wanted(files)
	if c.sources != nil {
		c.sources.files, c.sources.want = files, want
	}
	if c.plan.Source.Workspace {
		want += fmt.Sprintf(" %q", c.lists())
	}
	workSum := c.workSum()
	if c.verifier.usable() {
		completed := maps.Clone(files)
		if text, ok := c.verifier.completed(want); ok {
			completed[workSum] = text
		}
		if known, ok := c.verifier.unchanged(ctx, want, sums(completed)); ok {
			c.verified = want
			if c.plan.Source.Workspace {
				if err := c.replaceWorkSum(completed[workSum]); err != nil {
					return err
				}
			}
			return build.Do(c.report, "", "verify", func(step build.Step) error {
				step.Skip(build.Skipped{Reason: fmt.Sprintf("%d modules are as they were when they were verified", known)})
				return nil
			})
		}
	}
	if c.sources != nil && c.takeSources(ctx) {
		c.verified = want
		return nil
	}
	return c.downloadAll(ctx, want, files)
}

// wanted stands for what has to be downloaded, by the files that say so.
func (c *compiler) wanted(files map[string]string) string {
	return fmt.Sprintf("%q %q %q", c.plan.Dependencies.Download, c.plan.Env, files)
}

// downloadAll downloads and verifies all modules.
func (c *compiler) downloadAll(ctx context.Context, want string, files map[string]string) (err error) {
	dependencies, workSum := c.plan.Dependencies, c.workSum()
	copies := filepath.Join(c.dir, "modules")
	for name, content := range files {
		to := filepath.Join(copies, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(to, []byte(content), 0o644); err != nil {
			return err
		}
	}
	completed := maps.Clone(files)
	err = build.Do(c.report, "", "download", func(step build.Step) error {
		cmd := command{dir: filepath.Join(copies, c.plan.Source.Dir), args: dependencies.Download, what: "downloading modules"}
		c.undownloaded = c.verifier.counted(ctx, step, sums(files), func() error { return c.goCommand(ctx, step, cmd, nil) })
		if c.undownloaded != nil && !gocommand.Missing(c.undownloaded) {
			return c.undownloaded
		}
		if c.undownloaded != nil {
			if _, err := fmt.Fprintln(step, "not all modules can be downloaded: the build goes on, and fails if it needs one that is missing"); err != nil {
				return err
			}
		}
		if !c.plan.Source.Workspace {
			return nil
		}
		if completed[workSum], err = c.completeWorkSum(ctx, step, copies); err != nil || completed[workSum] == files[workSum] {
			return err
		}
		_, err = fmt.Fprintf(step, "%s is incomplete, and was completed for this build: run go mod download and commit the file\n", workSum)
		return err
	})
	if err != nil {
		return err
	}
	return build.Do(c.report, "", "verify", func(step build.Step) error {
		if err := c.verify(ctx, step, copies, want, sums(completed)); err != nil || c.verified == "" || completed[workSum] == files[workSum] {
			return err
		}
		return c.verifier.putCompleted(want, completed[workSum])
	})
}

// read reads files of the source.
func (c *compiler) read(names ...string) (_ map[string]string, err error) {
	tree, err := source.Open(c.source)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, tree.Close()) }()
	files := map[string]string{}
	for _, name := range names {
		content, err := tree.ReadFile(name)
		if err != nil {
			return nil, err
		}
		files[name] = string(content)
	}
	return files, nil
}

const poisoned = "The module cache was changed after the download: empty it with go clean -modcache."

// verify verifies the modules by the verifier. If that is not possible, or finds an altered module, go mod verify runs in copies of go.mod,
// go.sum and the workspace files, so that the Go command reports it. That may report nothing: it skips modules that replace others.
func (c *compiler) verify(ctx context.Context, step build.Step, copies, want string, modules []pinned) error {
	var altered error
	if c.verifier.usable() {
		found, err := c.verifier.verify(ctx, step, want, modules)
		if !errors.Is(err, errAltered) && (found || err != nil) {
			if err == nil && c.verified != want { // which others may be reading
				c.verified = want
			}
			return err
		}
		altered = err
	}
	if c.undownloaded != nil { // go mod verify reads the go.mod files of all modules
		if altered == nil {
			altered = c.verifier.all(ctx, modules)
		}
		if altered != nil {
			return fmt.Errorf("verifying modules: %w\n%s", altered, poisoned)
		}
		return nil
	}
	cmd := command{
		dir: filepath.Join(copies, c.plan.Source.Dir), args: c.plan.Dependencies.Verify, what: "verifying modules",
		hint: poisoned,
	}
	if err := c.goCommand(ctx, step, cmd, nil); err != nil {
		return err
	}
	if altered != nil {
		return fmt.Errorf("%s: %w\n%s", cmd.what, altered, cmd.hint)
	}
	return nil
}
