package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/slipway-ci/slipway/ci/internal/dagger"
	engine "github.com/slipway-ci/slipway/internal/build/dagger"
	"github.com/slipway-ci/slipway/internal/check"
	"github.com/slipway-ci/slipway/internal/plan"
)

// Check that go.sum is complete, that the modules are what it says, and that go.mod is tidy
// +check
func (m *Slipway) Verify(ctx context.Context) (err error) {
	defer worded(&err)
	return m.checks(ctx, "verify")
}

// Check the source with go vet
// +check
func (m *Slipway) Vet(ctx context.Context) (err error) {
	defer worded(&err)
	return m.checks(ctx, "vet")
}

// Run the tests; with cgo DYNAMIC, under the race detector
// +check
func (m *Slipway) Test(ctx context.Context) (err error) {
	defer worded(&err)
	return m.checks(ctx, "test")
}

// Check the source with golangci-lint, by the configuration in the source
// +check
func (m *Slipway) Lint(ctx context.Context) (err error) {
	defer worded(&err)
	return m.checks(ctx, "lint")
}

// Fail if a function with a known vulnerability is called, by the source or in a program for one of the platforms
//
// Statements in .slipway-vex.json suppress findings.
// +check
// +cache="never"
func (m *Slipway) Vulncheck(ctx context.Context) (err error) {
	defer worded(&err)
	return m.checks(ctx, "vulncheck")
}

// Run all checks and return their reports for other tools, whether they pass or not
//
// These are junit.xml, findings.sarif, coverage.out, govulncheck.json, govulncheck-programs.json, and a table in summary.md.
// +cache="never"
func (m *Slipway) Reports(ctx context.Context) (_ *dagger.Directory, err error) {
	defer worded(&err)
	results, dir, err := m.results(ctx, plan.CheckNames...)
	if err != nil {
		return nil, err
	}
	files, err := check.Reports(results, dir)
	if err != nil {
		return nil, err
	}
	files["summary.md"] = check.Markdown(results)
	directory := dag.Directory()
	for name, content := range files {
		directory = directory.WithNewFile(name, content)
	}
	return directory, nil
}

// checks runs checks side by side and reports everything that they find.
func (m *Slipway) checks(ctx context.Context, names ...string) error {
	results, _, err := m.results(ctx, names...)
	if err != nil {
		return err
	}
	var text strings.Builder
	if err := check.Write(&text, results); err != nil {
		return err
	}
	if !check.Passed(results) {
		return errors.New(text.String())
	}
	_, err = io.WriteString(stdout, text.String())
	return err
}

// planSource makes the plan for checking the source, or for generating code in it.
func (m *Slipway) planSource(ctx context.Context, generate bool) (_ *plan.Plan, err error) {
	r, done, err := m.request(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, done()) }()
	if generate && len(r.Settings.Generate) == 0 {
		r.Settings.Generate = []string{"true"}
	}
	return r.PlanChecks(ctx)
}

// results also returns the directory that the checks ran in.
func (m *Slipway) results(ctx context.Context, names ...string) ([]check.Result, string, error) {
	p, err := m.planSource(ctx, false)
	if err != nil {
		return nil, "", err
	}
	connect, err := m.connect(ctx)
	if err != nil {
		return nil, "", err
	}
	suppressions := m.Source.Filter(dagger.DirectoryFilterOpts{Include: []string{p.Source.Dir + "/" + check.VEXFile}}).Directory(p.Source.Dir)
	entries, err := suppressions.Entries(ctx)
	if err != nil {
		return nil, "", err
	}
	o := check.Options{Now: time.Now(), Words: engine.Words}
	if len(entries) > 0 {
		if o.VEX, err = suppressions.File(check.VEXFile).Contents(ctx); err != nil {
			return nil, "", err
		}
	}
	for _, name := range names {
		if c, ok := p.Check(name); ok {
			fmt.Fprintf(stdout, "%s: %s\n", name, c.Summary())
		}
	}
	report := func(text string) { fmt.Fprintln(stdout, text) }
	results, err := check.Run(ctx, connect(p).WithReport(report), p, names, o)
	return results, p.Source.Dir, err
}
