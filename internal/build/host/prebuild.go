package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/goenv"
	"github.com/slipway-ci/slipway/internal/plan"
)

// prebuild runs the plan's prebuild in a copy of the source, and takes what it makes, and nothing else, into the copy that is compiled.
// The command finds programs, the user's directories and the network; what authenticates the Go command stays behind.
func (c *compiler) prebuild(ctx context.Context) error {
	step := c.plan.Prebuild
	return build.Do(c.report, "", "prebuild", func(out build.Step) (err error) {
		// Paths in it, through whatever links, stay below the directory.
		root, err := os.OpenRoot(c.dir)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, root.Close()) }()
		const at = "prebuild"
		if err := copySource(ctx, filepath.Join(c.dir, at), c.source); err != nil {
			return fmt.Errorf("copying the source for the prebuild: %w", err)
		}
		if err := removeOutputs(root, at, step); err != nil {
			return err
		}
		cmd := command{dir: filepath.Join(c.dir, at), args: step.Command, what: "running the prebuild", other: true}
		own := map[string]string{"PWD": cmd.dir}
		if c.bundle != "" {
			own["SSL_CERT_FILE"] = c.bundle
		}
		cmd.env = append(goenv.Tool(join(c.caller)), join(own)...)
		if err := cmd.run(ctx, out); err != nil {
			if errors.Is(err, exec.ErrNotFound) {
				return fmt.Errorf("%w (install %s, or use --engine dagger, which runs it in %s)", err, step.Command[0], step.Image)
			}
			return err
		}
		if err := c.copySource(ctx); err != nil {
			return err
		}
		if err := removeOutputs(root, sourceCopy, step); err != nil {
			return err
		}
		for _, output := range step.Outputs {
			if err := take(root, path.Join(at, output), path.Join(sourceCopy, output)); err != nil {
				return fmt.Errorf("taking %s from the prebuild: %w (name in prebuild-outputs what its command makes)", output, err)
			}
		}
		return c.overlay() // of what is in the source now
	})
}

// removeOutputs removes what a copy of the source has in the place of the prebuild's outputs.
func removeOutputs(root *os.Root, dir string, step *plan.Prebuild) error {
	for _, output := range step.Outputs {
		if err := root.RemoveAll(path.Join(dir, output)); err != nil {
			return fmt.Errorf("removing %s from a copy of the source: %w", output, err)
		}
	}
	return nil
}

// take moves a file or directory to where nothing is.
func take(root *os.Root, from, to string) error {
	info, err := root.Lstat(from)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("it was not made")
	case err != nil:
		return err
	case !info.IsDir() && !info.Mode().IsRegular():
		return errors.New("it is neither a file nor a directory")
	}
	if err := root.MkdirAll(path.Dir(to), 0o755); err != nil {
		return err
	}
	return root.Rename(from, to)
}
