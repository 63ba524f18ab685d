package dagger

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"dagger.io/dagger"

	"github.com/slipway-ci/slipway/internal/check"
	"github.com/slipway-ci/slipway/internal/plan"
)

// WithDirectory is b whose checks find directories of the machine that the settings were made on by open.
func (b *Build) WithDirectory(open func(path string) *dagger.Directory) *Build {
	with := *b
	with.directory = open
	return &with
}

// WithReport is b whose checks report by a line where their tools come from.
func (b *Build) WithReport(report func(text string)) *Build {
	with := *b
	with.report = report
	return &with
}

// toolDir is the directory of a check's tool in the container that it runs in.
const toolDir = "/tool"

// olderGo is what golangci-lint prints if it was compiled by an older Go than the source wants. Source:
// https://github.com/golangci/golangci-lint/blob/v2.1.0/pkg/config/loader.go
const olderGo = "used to build golangci-lint is lower than the targeted Go version"

// Run implements [check.Runner].
func (b *Build) Run(ctx context.Context, c plan.Check) (out check.Output, err error) {
	if c.Tool == nil {
		return b.run(ctx, c, nil)
	}
	if image := c.Tool.Image; image != "" {
		file, err := b.client.Container().From(image).File(c.Tool.File).Sync(ctx)
		switch {
		case ctx.Err() != nil:
			return out, ctx.Err()
		case err != nil:
			b.report(fmt.Sprintf("%s: %s is compiled, since its image cannot be had: %v", c.Name, c.Tool.Name(), err))
		default:
			b.report(fmt.Sprintf("%s: %s is that of %s", c.Name, c.Tool.Name(), image))
			if out, err = b.run(ctx, c, file); err != nil || !strings.Contains(out.Stderr, olderGo) {
				return out, err
			}
			b.report(fmt.Sprintf("%s: %s is compiled, since that of the image is of an older Go than the source", c.Name, c.Tool.Name()))
		}
	}
	return b.run(ctx, c, b.compiled(c))
}

// compiled is the tool of a check as the Go command compiles it. It depends on nothing of the source but its version of Go.
func (b *Build) compiled(c plan.Check) *dagger.File {
	return b.tools(nil).WithWorkdir("/").With(withEnv(c.Env)).WithEnvVariable("CGO_ENABLED", "0").WithEnvVariable("GOBIN", outDir).
		WithExec([]string{"go", "install", c.Tool.Package}).File(path.Join(outDir, c.Tool.Name()))
}

// run runs a check, with its tool; nil for none.
func (b *Build) run(ctx context.Context, c plan.Check, tool *dagger.File) (out check.Output, err error) {
	directories := strings.NewReplacer(plan.CheckOut, outDir, plan.CheckTemp, tempDir, plan.CheckGit, "GIT_DIR=/dev/null")
	file := ""
	if tool != nil {
		file = path.Join(toolDir, c.Tool.Name())
	}
	filled := func(command []string) []string {
		args := slices.Clone(command)
		if tool != nil {
			args = slices.Clone(c.Tool.In(file, command))
		}
		for i, arg := range args {
			args[i] = directories.Replace(arg)
		}
		return args
	}
	ctr := b.withSource(nil, b.source).With(withEnv(c.Env)).WithDirectory(outDir, b.client.Directory())
	if tool != nil {
		ctr = ctr.WithMountedFile(file, tool)
	}
	if c.Reads != "" && b.directory != nil {
		ctr = ctr.WithMountedDirectory(c.Reads, b.directory(c.Reads))
	}
	if c.Online {
		ctr = ctr.With(uncached(time.Now()))
	}
	ctr, err = ctr.WithExec(filled(c.Command), dagger.ContainerWithExecOpts{Expect: dagger.ReturnTypeAny}).Sync(ctx)
	if err != nil {
		return out, b.explain("check "+c.Name, err)
	}
	status, err := ctr.ExitCode(ctx)
	if err != nil {
		return out, err
	}
	if status != 0 {
		out.Err = fmt.Errorf("exit status %d", status)
	}
	if out.Stdout, err = ctr.Stdout(ctx); err != nil {
		return out, err
	}
	if out.Stderr, err = ctr.Stderr(ctx); err != nil {
		return out, err
	}
	if status == 0 {
		for _, step := range c.Then {
			opts := dagger.ContainerWithExecOpts{}
			if step.Out != "" {
				opts.RedirectStdout = path.Join(outDir, step.Out)
			}
			ctr = ctr.With(withEnv(step.Env)).WithExec(filled(step.Command), opts).
				With(withoutEnv(step.Env)).With(withEnv(b.plan.Env)).With(withEnv(c.Env))
		}
	}
	written := ctr.Directory(outDir)
	names, err := written.Entries(ctx)
	if failed := (*dagger.ExecError)(nil); errors.As(err, &failed) {
		out.Err, out.Stderr = fmt.Errorf("exit status %d", failed.ExitCode), failed.Stderr
		return out, nil
	}
	if err != nil {
		return out, err
	}
	out.Files = map[string]string{}
	for _, name := range names {
		if out.Files[name], err = written.File(name).Contents(ctx); err != nil {
			return out, err
		}
	}
	return out, nil
}

// uncached is a container whose next commands run even if the engine has run them before. It has no other way to be asked for that.
func uncached(now time.Time) dagger.WithContainerFunc {
	return func(ctr *dagger.Container) *dagger.Container {
		return ctr.WithEnvVariable("STARTED_AT", now.UTC().Format(time.RFC3339Nano))
	}
}
