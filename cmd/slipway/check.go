package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/slipway-ci/slipway"
	"github.com/slipway-ci/slipway/internal/attest/vex"
	"github.com/slipway-ci/slipway/internal/build/dagger/session"
	"github.com/slipway-ci/slipway/internal/build/host"
	"github.com/slipway-ci/slipway/internal/check"
	"github.com/slipway-ci/slipway/internal/fault"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/progress"
	"github.com/slipway-ci/slipway/internal/source"
)

func (a *app) checkCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "check [flags] [NAME...] [DIR]",
		Short: "Verify, vet, test and lint the source, and scan for known vulnerabilities",
		Long: `Run checks of the Go module in DIR (default: the current directory), side by side: those that are
named, or all of them.

  verify     go.sum is complete, the modules are what it says, go.mod is tidy
  vet        go vet
  test       go test, with coverage, and the race detector where there is a C compiler
  lint       golangci-lint, by the configuration in the source
  vulncheck  govulncheck, of the source and of the programs for each platform: fails if a
             vulnerable function is called; ` + check.VEXFile + ` suppresses

All findings are reported, and a table of the checks at the end. On GitHub Actions, findings become
annotations, and the table goes into the job's summary. A directory with the name of a check is
written like ./test.`,
		Example: `  slipway check                        everything
  slipway check vet test ./services/api
  slipway check --report reports       also JUnit, SARIF, coverage and govulncheck's JSON`,
		Args: func(_ *cobra.Command, args []string) error {
			_, _, err := checkArgs(args)
			return err
		},
		ValidArgs: plan.CheckNames,
		RunE: func(c *cobra.Command, args []string) error {
			names, dir, err := checkArgs(args)
			if err != nil {
				return err
			}
			return a.check(c.Context(), names, dir)
		},
	}
	a.flags(c)
	return c
}

// checkArgs separates names of checks from the directory.
func checkArgs(args []string) (names []string, dir string, err error) {
	dir = "."
	var dirs []string
	for _, arg := range args {
		if slices.Contains(plan.CheckNames, arg) {
			names = append(names, arg)
		} else {
			dirs = append(dirs, arg)
		}
	}
	switch {
	case len(dirs) > 1:
		return nil, "", one("directory", dirs, "the checks are "+strings.Join(plan.CheckNames, ", "))
	case len(dirs) == 1:
		dir = dirs[0]
	}
	if names == nil {
		names = plan.CheckNames
	}
	return names, dir, nil
}

// check runs the checks, and reports what they found on standard output.
func (a *app) check(ctx context.Context, names []string, dir string) (err error) {
	request := a.newRequest(dir, nil, nil)
	plan, planErr := request.PlanChecks(ctx)
	display, displayErr := progress.New(ctx, a.Progress, a.stderr, a.environ)
	logins, loginsErr := a.readLogins()
	var reportErr error
	if a.Report != "" {
		reportErr = request.Writable("report", a.Report, a.Report)
	}
	if err := fault.Join(a.environment, planErr, a.knownEngine(), loginsErr, displayErr, reportErr); err != nil {
		return err
	}
	defer display.Close()
	a.noteIgnored(display, plan)
	environ, forget, err := a.login(logins)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, forget()) }()
	vex, err := readVEX(dir, plan)
	if err != nil {
		return err
	}

	var runner check.Runner
	if a.engineKind() == "dagger" {
		client, err := session.Connect(ctx)
		if err != nil {
			return err
		}
		defer client.Close()
		runner, err = session.New(client, nil, environ).Checks(ctx, dir, plan, display)
		if err != nil {
			return err
		}
	} else {
		var done func() error
		if runner, done, err = host.New(nil, environ).Checks(dir, plan, display); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, done()) }()
	}
	results, err := check.Run(ctx, runner, plan, names, check.Options{VEX: string(vex), Now: time.Now()})
	if err != nil {
		return err
	}
	_ = display.Close() // what follows is for after it
	if err := a.report(request, results, plan.Source.Dir); err != nil {
		return err
	}
	if !check.Passed(results) {
		return errors.New("not all checks have passed: see above")
	}
	return nil
}

// report writes what the checks found wherever it is wanted. They ran in the directory dir of the source.
func (a *app) report(request *slipway.Request, results []check.Result, dir string) (err error) {
	dir = filepath.Join(request.Dir, dir)
	if err := check.Write(a.stdout, results); err != nil {
		return err
	}
	if a.variable("GITHUB_ACTIONS") == "true" {
		if err := a.stdout.Commands(check.Annotations(results, dir)); err != nil {
			return err
		}
		if summary := a.variable("GITHUB_STEP_SUMMARY"); summary != "" {
			if err := appendTo(summary, a.secrets.Redact(check.Markdown(results))); err != nil {
				return fmt.Errorf("writing the job's summary: %w", err)
			}
		}
	}
	if a.Report == "" {
		return nil
	}
	files, err := check.Reports(results, dir)
	if err != nil {
		return err
	}
	return request.WriteInto(a.Report, func() error { return a.writeReports(a.Report, files) })
}

func (a *app) writeReports(dir string, files map[string]string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	reports, err := source.Open(a.Report)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, reports.Close()) }()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := reports.WriteFile(name, []byte(a.secrets.Redact(files[name]))); err != nil {
			return fmt.Errorf("writing the report %s: %w", filepath.Join(a.Report, name), err)
		}
	}
	return nil
}

// readVEX reads the suppressions of the source; they are empty where there are none.
func readVEX(dir string, p *plan.Plan) (_ []byte, err error) {
	tree, err := source.Open(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, tree.Close()) }()
	_, text, err := vex.Read(tree, p.Source.Dir)
	return text, err
}

func appendTo(name, text string) (err error) {
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, err = f.WriteString(text)
	return err
}
