package check

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/plan"
)

var errExit = errors.New("exit status 1")

type fake struct {
	modules error
	outputs map[string]Output
	errs    map[string]error
}

func (f fake) Modules(context.Context) error { return f.modules }

func (f fake) Run(_ context.Context, c plan.Check) (Output, error) {
	return f.outputs[c.Name], f.errs[c.Name]
}

func planOf() *plan.Plan {
	p := &plan.Plan{Source: plan.Source{Module: "example.com/m"}}
	for _, name := range plan.CheckNames {
		p.Checks = append(p.Checks, plan.Check{Name: name, Command: []string{"x"}})
	}
	return p
}

func one(t *testing.T, name string, out Output, o Options) Result {
	t.Helper()
	results, err := Run(t.Context(), fake{outputs: map[string]Output{name: out}}, planOf(), []string{name}, o)
	require.NoError(t, err)
	return results[0]
}

// A tool that fails without a finding has not done its work.
func TestFailureWithoutFindings(t *testing.T) {
	for _, name := range plan.CheckNames {
		r := one(t, name, Output{Err: errExit, Stderr: "panic: x"}, Options{})
		assert.False(t, r.Passed, name)
		assert.Equal(t, "did not work", r.Summary, name)
		assert.Contains(t, r.Detail, "panic: x", name)
	}
}

// A check that prints nothing has passed, where that is what it prints of good code; a scan for vulnerabilities has not.
func TestSilence(t *testing.T) {
	for name, passes := range map[string]bool{"verify": true, "vet": true, "lint": true, "vulncheck": false} {
		assert.Equal(t, passes, one(t, name, Output{}, Options{}).Passed, name)
	}
}

func TestAllResults(t *testing.T) {
	results, err := Run(t.Context(), fake{outputs: map[string]Output{
		"vet": {Err: errExit, Stderr: "# example.com/m\n./a.go:1:2: wrong\n\tmore of it\n"}, "vulncheck": {Stdout: `{"config":{}}`},
	}}, planOf(), plan.CheckNames, Options{})
	require.NoError(t, err)
	require.Len(t, results, 5)
	assert.False(t, Passed(results))
	var b strings.Builder
	require.NoError(t, Write(&b, results))
	assert.Equal(t, `== vet
a.go:1:2: wrong
	more of it (vet)

ok    verify     modules verified, go.mod tidy
FAIL  vet        1 finding
ok    test       0 passed
ok    lint       no findings
ok    vulncheck  no vulnerability is reached
`, b.String())

	results, err = Run(t.Context(), fake{modules: errors.New("changed")}, planOf(), []string{"verify", "test"}, Options{})
	require.NoError(t, err)
	assert.Equal(t, []Result{
		{Name: "verify", Summary: "the modules are not verified", Detail: "changed"},
		{Name: "test", Summary: "not run: the modules are not verified"},
	}, results)

	_, err = Run(t.Context(), fake{errs: map[string]error{"vet": errors.New("no engine")}}, planOf(), []string{"vet"}, Options{})
	assert.ErrorContains(t, err, "no engine")
	_, err = Run(t.Context(), fake{}, planOf(), []string{"nosuch"}, Options{})
	assert.ErrorContains(t, err, "choose from verify, vet, test, lint, vulncheck")
}

func TestTests(t *testing.T) {
	var out strings.Builder
	for _, e := range []map[string]any{
		{"Action": "run", "Package": "example.com/m/sub", "Test": "TestA"},
		{"Action": "output", "Package": "example.com/m/sub", "Test": "TestA", "Output": "=== RUN   TestA\n"},
		{"Action": "output", "Package": "example.com/m/sub", "Test": "TestA", "Output": "    a_test.go:7: no\n"},
		{"Action": "output", "Package": "example.com/m/sub", "Test": "TestA", "Output": "--- FAIL: TestA (0.00s)\n"},
		{"Action": "fail", "Package": "example.com/m/sub", "Test": "TestA", "Elapsed": 0},
		{"Action": "output", "Package": "example.com/m/sub", "Output": "FAIL\texample.com/m/sub\t0.01s\n"},
		{"Action": "fail", "Package": "example.com/m/sub", "Elapsed": 0.01},
	} {
		line, err := json.Marshal(e)
		require.NoError(t, err)
		out.Write(append(line, '\n'))
	}
	r := one(t, "test", Output{Stdout: out.String(), Err: errExit, Files: map[string]string{
		"coverage.out": "mode: set\nexample.com/m/a.go:1.1,2.2 3 1\nexample.com/m/a.go:3.1,4.2 1 0\n",
	}}, Options{})
	assert.Equal(t, "0 passed, 1 failed, coverage 75.0 %", r.Summary)
	require.Len(t, r.Findings, 1)
	assert.Equal(t, "sub/a_test.go", r.Findings[0].File)
	assert.Equal(t, 7, r.Findings[0].Line)
	assert.Contains(t, r.Reports["junit.xml"], `<testcase name="TestA" classname="example.com/m/sub"`)
	assert.NotContains(t, r.Reports["junit.xml"], `hostname`)
}

func TestLint(t *testing.T) {
	report := func(text string) Output { return Output{Err: errExit, Files: map[string]string{"lint.json": text}} }
	r := one(t, "lint", report(`{"Issues":[{"FromLinter":"errcheck","Text":"not checked","Pos":{"Filename":"a.go","Line":3,"Column":4}}],"Report":{}}`), Options{})
	assert.Equal(t, []Finding{{File: "a.go", Line: 3, Column: 4, Rule: "errcheck", Message: "not checked"}}, r.Findings)
	assert.Equal(t, "golangci-lint: broken", one(t, "lint", report(`{"Issues":null,"Report":{"Error":"broken"}}`), Options{}).Detail)
	assert.Contains(t, one(t, "lint", report(`{`), Options{}).Detail, "reading what golangci-lint wrote")
}

// What a change of another's words could do to the annotations: begin another command.
func TestAnnotations(t *testing.T) {
	text := Annotations([]Result{{Name: "lint", Findings: []Finding{
		{File: "a,b:c.go", Line: 3, Rule: "r", Message: "50%\n::set-env name=X::y"}, {Rule: "minor", Message: "m", Minor: true},
	}}, {Name: "vulncheck", Summary: "did not work", Detail: "no network"}}, "services")
	assert.Equal(t, `::error title=lint%3A r,file=services/a%2Cb%3Ac.go,line=3::50%25%0A::set-env name=X::y
::notice title=lint%3A minor::m
::error title=vulncheck::did not work%0Ano network
`, text)
}

func TestSARIF(t *testing.T) {
	text, err := SARIF([]Result{{Name: "lint", Findings: []Finding{{File: "a.go", Line: 3, Column: 4, Rule: "r", Message: "m"}, {Rule: "n", Message: "m", Minor: true}}}}, ".")
	require.NoError(t, err)
	var document map[string]any
	require.NoError(t, json.Unmarshal([]byte(text), &document))
	run := document["runs"].([]any)[0].(map[string]any)
	assert.Equal(t, []any{
		map[string]any{
			"ruleId": "lint/r", "level": "error", "message": map[string]any{"text": "m"},
			"locations": []any{map[string]any{"physicalLocation": map[string]any{
				"artifactLocation": map[string]any{"uri": "a.go"}, "region": map[string]any{"startLine": 3.0, "startColumn": 4.0},
			}}},
		},
		map[string]any{"ruleId": "lint/n", "level": "note", "message": map[string]any{"text": "m"}},
	}, run["results"])
}

const reached = `{"config":{"db":"x"}}
{"osv":{"id":"GO-1","aliases":["CVE-1"],"summary":"bad"}}
{"finding":{"osv":"GO-1","fixed_version":"v1.2.3","trace":[{"module":"example.com/dep","version":"v1.0.0"}]}}
{"finding":{"osv":"GO-1","fixed_version":"v1.2.3","trace":[{"module":"example.com/dep","version":"v1.0.0","package":"example.com/dep/p","function":"F","receiver":"*T"},{"module":"example.com/m","package":"example.com/m","function":"main","position":{"filename":"main.go","line":4,"column":2}}]}}
{"finding":{"osv":"GO-2","trace":[{"module":"example.com/dep","version":"v1.0.0"}]}}
`

// vexStatements are those of the report for scanners.
func vexStatements(t *testing.T, r Result) string {
	t.Helper()
	var document struct {
		Timestamp  string          `json:"timestamp"`
		Statements json.RawMessage `json:"statements"`
	}
	require.NoError(t, json.Unmarshal([]byte(r.Reports["openvex.json"]), &document))
	assert.Equal(t, "2026-05-05T23:00:00Z", document.Timestamp)
	return string(document.Statements)
}

func TestVulnerabilities(t *testing.T) {
	now := time.Date(2026, 5, 5, 23, 0, 0, 0, time.UTC)
	r := one(t, "vulncheck", Output{Stdout: reached}, Options{Now: now})
	require.Len(t, r.Findings, 2)
	assert.Equal(t, Finding{
		File: "main.go", Line: 4, Column: 2, Rule: "GO-1",
		Message: "example.com/dep@v1.0.0: bad\n\texample.com/dep/p.T.F is called, by way of example.com/m.main\n\tfixed in v1.2.3: go get example.com/dep@v1.2.3",
	}, r.Findings[0])
	assert.True(t, r.Findings[1].Minor)
	assert.Contains(t, r.Findings[1].Message, "there is no fixed version")
	assert.False(t, r.Passed)

	// What is not imported does not concern the program; nor, with a suppression, does what is called.
	const unreached = `{"vulnerability":{"name":"GO-2"},"products":[{"@id":"pkg:golang/example.com/m","subcomponents":[{"@id":"pkg:golang/example.com/dep"}]}],
		"status":"not_affected","justification":"vulnerable_code_not_present","impact_statement":"govulncheck finds no call of what is vulnerable"}`
	assert.JSONEq(t, "["+unreached+"]", vexStatements(t, r))

	vex := func(expires string) Options {
		return Options{Now: now, VEX: `{"@context":"https://openvex.dev/ns/v0.2.0","statements":[{"vulnerability":{"name":"CVE-1"},"status":"not_affected","justification":"component_not_present","expires":"` + expires + `"}]}`}
	}
	for expires, passes := range map[string]bool{"2026-05-04": false, "2026-05-05": true, "2027-01-01": true, "soon": false} {
		assert.Equal(t, passes, one(t, "vulncheck", Output{Stdout: reached}, vex(expires)).Passed, expires)
	}
	assert.JSONEq(t, `[{"vulnerability":{"name":"GO-1","aliases":["CVE-1"]},"products":[{"@id":"pkg:golang/example.com/m","subcomponents":[{"@id":"pkg:golang/example.com/dep"}]}],
		"status":"not_affected","status_notes":"holds until 2027-01-01","justification":"component_not_present"},`+unreached+"]", vexStatements(t, one(t, "vulncheck", Output{Stdout: reached}, vex("2027-01-01"))))
	assert.JSONEq(t, "["+unreached+"]", vexStatements(t, one(t, "vulncheck", Output{Stdout: reached}, vex("2026-05-04"))))
	// It scanned, and then something broke: what it found by then is not everything.
	assert.False(t, one(t, "vulncheck", Output{Stdout: `{"config":{}}`, Err: errExit}, Options{}).Passed)
}

// inProgram is what govulncheck says of a program that has what is vulnerable of a module's package.
func inProgram(id string) string {
	return `{"config":{"db":"x"}}
{"osv":{"id":"` + id + `","summary":"worse"}}
{"finding":{"osv":"` + id + `","trace":[{"module":"example.com/dep","version":"v1.0.0","package":"example.com/dep/p","function":"G"}]}}
`
}

// What is vulnerable may be in a program though the source does not show it.
func TestVulnerabilitiesOfPrograms(t *testing.T) {
	scan := func(source, program string) Result {
		p := planOf()
		vulncheck := &p.Checks[len(p.Checks)-1]
		vulncheck.Then = []plan.CheckStep{
			{Command: []string{"go", "build"}, About: "x for linux/arm64"},
			{Command: []string{"govulncheck"}, Out: "x.json", About: "x for linux/arm64"},
		}
		out := Output{Stdout: source, Files: map[string]string{"x.json": program}}
		results, err := Run(t.Context(), fake{outputs: map[string]Output{"vulncheck": out}}, p, []string{"vulncheck"}, Options{})
		require.NoError(t, err)
		return results[0]
	}
	const nothing = `{"config":{"db":"x"}}` + "\n"
	const required = nothing + `{"finding":{"osv":"GO-3","trace":[{"module":"example.com/dep","version":"v1.0.0"}]}}` + "\n"
	const imported = nothing + `{"finding":{"osv":"GO-3","trace":[{"module":"example.com/dep","version":"v1.0.0","package":"example.com/dep/p"}]}}` + "\n"

	r := scan(nothing, nothing)
	assert.True(t, r.Passed)
	assert.Equal(t, "no vulnerability is reached, by the source and 1 program", r.Summary)
	assert.Equal(t, nothing, r.Reports["govulncheck-programs.json"])
	for _, source := range []string{nothing, required} {
		r = scan(source, inProgram("GO-3"))
		assert.False(t, r.Passed, source)
		require.Len(t, r.Findings, 1)
		assert.Contains(t, r.Findings[0].Message, "example.com/dep/p.G is in the program x for linux/arm64, which the source does not show")
	}
	// The source shows that it is not called.
	r = scan(imported, inProgram("GO-3"))
	assert.True(t, r.Passed)
	assert.NotContains(t, r.Reports["openvex.json"], "GO-3", "it is in the program")
	assert.Contains(t, scan(imported, nothing).Reports["openvex.json"], "vulnerable_code_not_in_execute_path")
	assert.Contains(t, r.Findings[0].Message, "what is vulnerable in it not called, though it is in x for linux/arm64")
	// The source shows how it is called.
	r = scan(reached, inProgram("GO-1"))
	assert.Contains(t, r.Findings[0].Message, "example.com/dep/p.T.F is called, by way of example.com/m.main")
	// A package of the program without what is vulnerable in it.
	r = scan(nothing, imported)
	assert.True(t, r.Passed)
	assert.Empty(t, r.Findings)
	// Nothing was scanned.
	assert.Contains(t, scan(nothing, "").Detail, "govulncheck could not scan")
	assert.Contains(t, scan(nothing, "?").Detail, "reading what govulncheck printed")
}

func FuzzGovulncheck(f *testing.F) {
	f.Add(reached)
	f.Fuzz(func(_ *testing.T, text string) {
		hits, _, _ := parseGovulncheck(text)
		for _, h := range hits {
			_ = h.finding(Options{}).String()
		}
	})
}
