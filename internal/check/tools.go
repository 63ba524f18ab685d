package check

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/jstemmer/go-junit-report/v2/gtr"
	"github.com/jstemmer/go-junit-report/v2/junit"
	"github.com/jstemmer/go-junit-report/v2/parser/gotest"
	"golang.org/x/tools/cover"

	"github.com/slipway-ci/slipway/internal/console"
)

// untidy reads what go mod tidy -diff prints.
func untidy(diff string) []Finding {
	if !strings.Contains(diff, "\n+++ ") {
		return nil
	}
	return []Finding{{File: "go.mod", Rule: "tidy", Message: "go.mod or go.sum is not tidy: run go mod tidy and commit both\n" + strings.TrimSpace(diff)}}
}

// position is the beginning of a line in the manner of compilers. vet puts its own name before it where a package does not
// compile.
var position = regexp.MustCompile(`^(?:vet: )?((?:[A-Za-z]:)?[^:\s][^:]*\.\w+):(\d+)(?::(\d+))?: (.*)$`)

func vetFindings(text string) []Finding {
	var all []Finding
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		switch m := position.FindStringSubmatch(line); {
		case m != nil:
			all = append(all, Finding{File: path.Clean(filepath.ToSlash(m[1])), Line: number(m[2]), Column: number(m[3]), Rule: "vet", Message: m[4]})
		case strings.HasPrefix(line, "\t") && len(all) > 0:
			all[len(all)-1].Message += "\n" + line
		}
	}
	return all
}

func number(digits string) int {
	n, _ := strconv.Atoi(digits) // of what the pattern matched; empty is 0
	return n
}

// failedAt is where a test says that it failed.
var failedAt = regexp.MustCompile(`^\s*(\S+_test\.go):(\d+): (.*)$`)

// readTests reads what go test -json prints, and its coverage profile.
func (r *Result) readTests(out Output, module string) error {
	parser := gotest.NewJSONParser(gotest.TimestampFunc(func() time.Time { return time.Time{} }))
	// What does not compile is on standard error, in plain text.
	report, err := parser.Parse(strings.NewReader(out.Stdout))
	if err != nil {
		return fmt.Errorf("reading what go test printed: %w", err)
	}
	count := map[gtr.Result]int{}
	for _, p := range report.Packages {
		for _, test := range p.Tests {
			count[test.Result]++
			if test.Result != gtr.Fail {
				continue
			}
			f := Finding{Rule: "test", Message: test.Name + " failed"}
			for _, line := range test.Output {
				// It names the file without its directory, which is known of packages of the main module.
				if m := failedAt.FindStringSubmatch(line); m != nil && f.File == "" && strings.HasPrefix(p.Name+"/", module+"/") {
					f.File, f.Line = path.Join(strings.TrimPrefix(strings.TrimPrefix(p.Name, module), "/"), m[1]), number(m[2])
				}
			}
			f.Message = p.Name + ": " + f.Message
			if text := strings.TrimRight(strings.Join(test.Output, "\n"), "\n "); text != "" {
				f.Message += "\n" + text
			}
			r.Findings = append(r.Findings, f)
		}
	}
	for _, f := range vetFindings(out.Stderr) {
		f.Rule = "build"
		r.Findings = append(r.Findings, f)
	}
	r.Summary = fmt.Sprintf("%d passed", count[gtr.Pass])
	if n := count[gtr.Fail]; n > 0 {
		r.Summary += fmt.Sprintf(", %d failed", n)
	}
	if n := count[gtr.Skip]; n > 0 {
		r.Summary += fmt.Sprintf(", %d skipped", n)
	}
	if profile := out.Files["coverage.out"]; profile != "" {
		total, err := coverage(profile)
		if err != nil {
			return err
		}
		r.Summary += fmt.Sprintf(", coverage %.1f %%", total)
		r.Reports["coverage.out"] = profile
	}
	var xml bytes.Buffer
	suites := junit.CreateFromReport(report, "")
	if err := suites.WriteXML(&xml); err != nil {
		return err
	}
	r.Reports["junit.xml"] = console.Visible(xml.String())
	return nil
}

// coverage is how much of the statements ran, in percent.
func coverage(profile string) (float64, error) {
	profiles, err := cover.ParseProfilesFromReader(strings.NewReader(profile))
	if err != nil {
		return 0, fmt.Errorf("reading the coverage profile: %w", err)
	}
	all, ran := 0, 0
	for _, p := range profiles {
		for _, b := range p.Blocks {
			all += b.NumStmt
			if b.Count > 0 {
				ran += b.NumStmt
			}
		}
	}
	if all == 0 {
		return 0, nil
	}
	return 100 * float64(ran) / float64(all), nil
}

// readLint reads golangci-lint's JSON. Source: https://golangci-lint.run/docs/configuration/file/#output-configuration
func (r *Result) readLint(out Output) error {
	text, ok := out.Files["lint.json"]
	if !ok || strings.TrimSpace(text) == "" {
		return nil // it did not get that far: out.Err says so
	}
	var report struct {
		Issues []struct {
			FromLinter, Text string
			Pos              struct {
				Filename     string
				Line, Column int
			}
		}
		Report struct{ Error string }
	}
	if err := json.Unmarshal([]byte(text), &report); err != nil {
		return fmt.Errorf("reading what golangci-lint wrote: %w", err)
	}
	for _, i := range report.Issues {
		r.Findings = append(r.Findings, Finding{File: i.Pos.Filename, Line: i.Pos.Line, Column: i.Pos.Column, Rule: i.FromLinter, Message: i.Text})
	}
	if report.Report.Error != "" {
		return fmt.Errorf("golangci-lint: %s", report.Report.Error)
	}
	return nil
}
