// Package check reads what the checks of a plan say: which findings there are, whether they are suppressed, and the same in the
// formats that CI systems read. Engines run the commands; what a command's output means is decided here alone.
package check

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/slipway-ci/slipway/internal/console"
	"github.com/slipway-ci/slipway/internal/fault"
	"github.com/slipway-ci/slipway/internal/plan"
)

// Output is what a check's command left.
type Output struct {
	Stdout, Stderr string
	// Files are those of [plan.CheckOut], by name.
	Files map[string]string
	// Err says that the command failed; nil if it exited with 0.
	Err error
}

// Runner is an engine, as far as checks go.
type Runner interface {
	// Modules downloads and verifies the modules.
	Modules(ctx context.Context) error
	// Run runs the command of a check. The error is that of the engine: a command that fails is an [Output].
	Run(ctx context.Context, c plan.Check) (Output, error)
}

// Finding is something that a check found. Its texts are harmless to a terminal, and to a CI system that reads a log.
type Finding struct {
	// File is relative to the directory that the check ran in; empty where the finding is of no file. Line and Column are 0 where they are
	// not known.
	File         string
	Line, Column int
	// Rule is the check's own name for such findings, such as "errcheck" or "GO-2024-2687".
	Rule    string
	Message string
	// Minor findings are reported, and no reason to fail.
	Minor bool
}

// Result is the outcome of a check.
type Result struct {
	Name   string
	Passed bool
	// Summary is a phrase, such as "12 passed, coverage 81.2 %".
	Summary  string
	Findings []Finding
	// Detail is what to read where findings do not say enough; it may have many lines.
	Detail string
	// Reports are files for other tools, by name.
	Reports map[string]string
}

// Options say what is suppressed, and how it is said.
type Options struct {
	// VEX is the content of [VEXFile]; empty if there is none.
	VEX string
	// Now is the time that suppressions are held against.
	Now time.Time
	// Words writes a sentence that names flags of the command in terms of whoever reads it; nil leaves it.
	Words func(sentence string) string
}

func (o Options) words(sentence string) string {
	if o.Words == nil {
		return sentence
	}
	return o.Words(sentence)
}

// Run runs the checks of these names side by side, and returns their results in that order. A failure of one does not stop the
// others; ctx does.
func Run(ctx context.Context, runner Runner, p *plan.Plan, names []string, o Options) ([]Result, error) {
	checks := make([]plan.Check, len(names))
	for i, name := range names {
		c, ok := p.Check(name)
		if !ok {
			return nil, fault.Faults{{Field: "check", Value: name, Problem: "there is no such check", Hint: "choose from " + strings.Join(plan.CheckNames, ", ")}}
		}
		checks[i] = c
	}
	results := make([]Result, len(names))
	if err := runner.Modules(ctx); err != nil {
		for i, name := range names {
			results[i] = Result{Name: name, Summary: "not run: the modules are not verified"}
			if name == "verify" || len(names) == 1 {
				results[i] = Result{Name: name, Summary: "the modules are not verified", Detail: console.Visible(err.Error())}
			}
		}
		return results, ctx.Err()
	}
	errs := make([]error, len(names))
	var group sync.WaitGroup
	for i, c := range checks {
		group.Go(func() {
			out := Output{}
			if c.Command != nil {
				out, errs[i] = runner.Run(ctx, c)
			}
			if errs[i] == nil {
				results[i] = read(c, p.Source.Module, out, o)
			}
		})
	}
	group.Wait()
	return results, errors.Join(errs...)
}

// read says what the output of a check of the main module means.
func read(c plan.Check, module string, out Output, o Options) Result {
	r := Result{Name: c.Name, Reports: map[string]string{}}
	var err error
	switch c.Name {
	case "verify":
		r.Summary = "modules verified, go.mod tidy"
		if c.Command == nil {
			r.Summary = "modules verified"
		}
		if out.Err != nil {
			r.Findings = untidy(out.Stdout)
		}
	case "vet":
		r.Findings = vetFindings(out.Stderr)
	case "test":
		err = r.readTests(out, module)
	case "lint":
		err = r.readLint(out)
	case "vulncheck":
		err = r.readVulnerabilities(c, module, out, o)
	default:
		panic("a plan has a check that nobody reads: " + c.Name)
	}
	for i, f := range r.Findings {
		r.Findings[i].File, r.Findings[i].Rule, r.Findings[i].Message = console.Line(f.File), console.Line(f.Rule), console.Visible(f.Message)
	}
	failing := len(slices.DeleteFunc(slices.Clone(r.Findings), func(f Finding) bool { return f.Minor }))
	switch {
	case err != nil:
		r.Summary, r.Detail = "did not work", err.Error()
	case out.Err != nil && failing == 0:
		// A tool that fails without a finding has not done its work.
		r.Summary, r.Detail = "did not work", tail(out)
	default:
		r.Passed = failing == 0
		if r.Summary == "" || !r.Passed && c.Name != "test" {
			r.Summary = counted(failing, "finding")
		}
	}
	r.Detail = console.Visible(r.Detail)
	return r
}

// counted is a number of things in words.
func counted(n int, thing string) string {
	switch n {
	case 0:
		return "no " + thing + "s"
	case 1:
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// saidLines bounds what is shown of the output of a tool that did not work.
const saidLines = 40

// tail is the end of what a failed command printed.
func tail(out Output) string {
	text := strings.TrimSpace(out.Stdout + "\n" + out.Stderr)
	if lines := strings.Split(text, "\n"); len(lines) > saidLines {
		text = "…\n" + strings.Join(lines[len(lines)-saidLines:], "\n")
	}
	return strings.TrimSpace(text + "\n" + out.Err.Error())
}

// Passed reports whether all did.
func Passed(results []Result) bool {
	return !slices.ContainsFunc(results, func(r Result) bool { return !r.Passed })
}

// String is a finding in the manner of compilers.
func (f Finding) String() string {
	var b strings.Builder
	if f.File != "" {
		b.WriteString(f.File)
		for _, n := range []int{f.Line, f.Column} {
			if n > 0 {
				fmt.Fprintf(&b, ":%d", n)
			}
		}
		b.WriteString(": ")
	}
	b.WriteString(f.Message)
	if f.Rule != "" {
		b.WriteString(" (" + f.Rule + ")")
	}
	return b.String()
}

// Write reports everything: the findings of each check, and a table at the end.
func Write(w io.Writer, results []Result) error {
	var b strings.Builder
	for _, r := range results {
		if len(r.Findings) == 0 && r.Detail == "" {
			continue
		}
		fmt.Fprintf(&b, "== %s\n", r.Name)
		for _, f := range r.Findings {
			fmt.Fprintln(&b, f)
		}
		if r.Detail != "" {
			fmt.Fprintln(&b, strings.TrimRight(r.Detail, "\n"))
		}
		fmt.Fprintln(&b)
	}
	for _, r := range results {
		fmt.Fprintf(&b, "%-4s  %-9s  %s\n", r.word(), r.Name, r.Summary)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (r Result) word() string {
	if r.Passed {
		return "ok"
	}
	return "FAIL"
}
