package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/cache/temporary"
	"github.com/slipway-ci/slipway/internal/check"
	"github.com/slipway-ci/slipway/internal/gitcommand"
	"github.com/slipway-ci/slipway/internal/goenv"
	"github.com/slipway-ci/slipway/internal/plan"
)

// Checks runs the checks of a plan on this machine.
type Checks struct{ compiler *compiler }

var _ check.Runner = (*Checks)(nil)

// Checks returns the runner of the plan's checks for the source tree in the directory source, and a function that removes its files.
func (e *Engine) Checks(source string, plan *plan.Plan, report build.Reporter) (*Checks, func() error, error) {
	if _, err := exec.LookPath("go"); err != nil {
		return nil, nil, errNoGo
	}
	source, err := filepath.Abs(source)
	if err != nil {
		return nil, nil, err
	}
	dir, err := temporary.NewDir()
	if err != nil {
		return nil, nil, err
	}
	c := &compiler{plan: plan, report: report, source: source, dir: dir.Path, caller: goenv.Caller(e.environ)}
	return &Checks{c}, dir.Remove, nil
}

// Modules implements [check.Runner].
func (k *Checks) Modules(ctx context.Context) error { return k.compiler.Modules(ctx) }

// Run implements [check.Runner]. The command runs in the source itself.
func (k *Checks) Run(ctx context.Context, c plan.Check) (out check.Output, err error) {
	results, err1 := os.MkdirTemp(k.compiler.dir, c.Name+"-")
	temp, err2 := os.MkdirTemp(k.compiler.dir, c.Name+"-")
	if err := errors.Join(err1, err2); err != nil {
		return out, err
	}
	replaced := []string{plan.CheckOut, results, plan.CheckTemp, temp}
	if slices.ContainsFunc(c.Command, func(arg string) bool { return strings.Contains(arg, plan.CheckGit) }) {
		vars, done := gitEnviron(ctx, k.compiler.source)
		defer func() { err = errors.Join(err, done()) }()
		if runtime.GOOS == "windows" {
			c = withoutExec(c, vars)
		}
		replaced = append(replaced, plan.CheckGit, assignments(vars))
	}
	directories := strings.NewReplacer(replaced...)
	var stdout, stderr bytes.Buffer
	run := func(args []string, env map[string]string, stdout io.Writer) error {
		args = slices.Clone(args)
		for i, arg := range args {
			args[i] = directories.Replace(arg)
		}
		cmd := command{dir: filepath.Join(k.compiler.source, k.compiler.plan.Source.Dir), args: args, what: c.Name, stdout: stdout}
		return k.compiler.goCommand(ctx, into{&stderr}, cmd, env)
	}
	err = build.Do(k.compiler.report, "", c.Name, func(build.Step) error {
		err := run(c.Command, c.Env, &stdout)
		for _, step := range c.Then {
			if err != nil {
				break
			}
			env := maps.Clone(c.Env)
			maps.Copy(env, step.Env)
			var said bytes.Buffer
			if err = run(step.Command, env, &said); err == nil && step.Out != "" {
				err = os.WriteFile(filepath.Join(results, step.Out), said.Bytes(), 0o644)
			}
		}
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
			out.Err = exit // and not err, which has the output in it
			return nil
		}
		return err
	})
	if err != nil {
		return out, err
	}
	out.Stdout, out.Stderr = stdout.String(), stderr.String()
	out.Files, err = readFiles(results)
	return out, err
}

// gitEnviron returns variables with which git reads the source's repository and runs nothing that it names, or finds none if that is
// not possible. done removes the files that they name.
func gitEnviron(ctx context.Context, source string) (vars []string, done func() error) {
	r, err := gitcommand.Open(ctx, source)
	if err != nil {
		return gitcommand.NoRepository(), func() error { return nil }
	}
	vars = r.Environ()
	if slices.ContainsFunc(vars, func(v string) bool { return strings.ContainsAny(v, `"`) }) { // which go run -exec could not take
		vars = gitcommand.NoRepository()
	}
	return vars, r.Close
}

// assignments are variables as go run -exec takes them for env.
func assignments(vars []string) string {
	quoted := make([]string, len(vars))
	for i, v := range vars {
		quoted[i] = `"` + v + `"`
	}
	return strings.Join(quoted, " ")
}

// withoutExec is c for a system that has no env. There, no plugins can be loaded either.
func withoutExec(c plan.Check, vars []string) plan.Check {
	i := slices.Index(c.Command, "-exec")
	_, rest, _ := strings.Cut(c.Command[i+1], plan.CheckGit)
	c.Env = maps.Clone(c.Env)
	for _, v := range append(vars, strings.Fields(rest)...) {
		name, value, _ := strings.Cut(v, "=")
		c.Env[name] = value
	}
	c.Command = slices.Delete(slices.Clone(c.Command), i, i+2)
	return c
}

// canRace reports whether the race detector can be had: it needs cgo, and so the compiler that the Go command takes. Source:
// https://go.dev/doc/articles/race_detector#Requirements
func canRace() bool {
	cc := "gcc"
	if runtime.GOOS == "darwin" {
		cc = "clang"
	}
	_, err := exec.LookPath(cc)
	return err == nil && slices.Contains([]string{"amd64", "arm64", "ppc64le", "s390x"}, runtime.GOARCH)
}

func readFiles(dir string) (map[string]string, error) {
	files := map[string]string{}
	return files, filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return fmt.Errorf("reading what a check wrote: %w", err)
		}
		relative, err := filepath.Rel(dir, name)
		files[filepath.ToSlash(relative)] = string(content)
		return err
	})
}
