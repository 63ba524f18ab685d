package check

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/slipway-ci/slipway/internal/attest/vex"
	"github.com/slipway-ci/slipway/internal/plan"
)

// VEXFile is where a module's suppressions of vulnerabilities are, beside go.mod or go.work.
const VEXFile = vex.File

// message is one of those that govulncheck -format json prints. Source:
// https://pkg.go.dev/golang.org/x/vuln/internal/govulncheck
type message struct {
	Config *struct {
		DB string `json:"db"`
	} `json:"config"`
	OSV     *vulnerability `json:"osv"`
	Finding *struct {
		OSV          string  `json:"osv"`
		FixedVersion string  `json:"fixed_version"`
		Trace        []frame `json:"trace"`
	} `json:"finding"`
}

type vulnerability struct {
	ID      string   `json:"id"`
	Aliases []string `json:"aliases"`
	Summary string   `json:"summary"`
}

// frame is a step of a trace, which begins where the vulnerability is.
type frame struct {
	Module   string `json:"module"`
	Version  string `json:"version"`
	Package  string `json:"package"`
	Function string `json:"function"`
	Receiver string `json:"receiver"`
	Position *struct {
		Filename string `json:"filename"`
		Line     int    `json:"line"`
		Column   int    `json:"column"`
	} `json:"position"`
}

func (f frame) symbol() string {
	name := f.Function
	if f.Receiver != "" {
		name = strings.TrimPrefix(f.Receiver, "*") + "." + name
	}
	return f.Package + "." + name
}

// hit is a vulnerability in a module, by the deepest of its findings: a function that is called, a package that is imported, or a
// module that is required.
type hit struct {
	vulnerability
	module, version, fixed string
	// depth is 2 for a function that is called, or that only programs have, 1 for a package, 0 for a module.
	depth int
	trace []frame
	// programs are those that what is vulnerable is in.
	programs []string
	// hidden says that the source does not show it.
	hidden bool
}

func (r *Result) readVulnerabilities(c plan.Check, module string, out Output, o Options) error {
	hits, scanned, err := parseGovulncheck(out.Stdout)
	if err != nil {
		return err
	}
	programs := 0
	var raw strings.Builder
	for _, step := range c.Then {
		if step.Out == "" {
			continue
		}
		text := out.Files[step.Out]
		found, programScanned, err := parseGovulncheck(text)
		if err != nil {
			return err
		}
		hits, scanned = withProgram(hits, found, step.About), scanned && programScanned
		raw.WriteString(text)
		programs++
	}
	if !scanned || out.Err != nil {
		// It exits with 0 even with findings, so that any failure is one of scanning.
		return fmt.Errorf("govulncheck could not scan: %s\nit needs its database: https://vuln.go.dev, or one that --vulndb names", tail(Output{Stdout: "", Stderr: out.Stderr, Err: cmp.Or(out.Err, errors.New("it printed nothing"))}))
	}
	suppressions, err := parseVEX(o.VEX)
	if err != nil {
		return err
	}
	suppressed := 0
	var harmless []vex.Statement
	for _, h := range hits {
		f := h.finding(o)
		statement, isHarmless := h.unreached()
		if e := suppressions.match(h.vulnerability); e != nil {
			e.used = true
			if problem := e.problem(o.Now); problem != "" {
				r.Findings = append(r.Findings, Finding{File: VEXFile, Rule: h.ID, Message: problem})
			} else {
				f.Minor, f.Message = true, f.Message+"\n\tsuppressed until "+e.Expires+": "+e.Justification
				suppressed++
				statement, isHarmless = h.statement(e.Statement), true
			}
		}
		if isHarmless {
			harmless = append(harmless, statement)
		}
		r.Findings = append(r.Findings, f)
	}
	for _, e := range suppressions {
		if !e.used {
			r.Findings = append(r.Findings, Finding{File: VEXFile, Rule: e.Vulnerability.Name, Message: "this vulnerability is in nothing that the program needs: delete the statement"})
		}
	}
	r.Summary = "no vulnerability is reached"
	if suppressed > 0 {
		r.Summary += fmt.Sprintf(" but for %d suppressed", suppressed)
	}
	if n := len(slices.DeleteFunc(slices.Clone(hits), func(h *hit) bool { return h.depth == 2 })); n > 0 {
		r.Summary += fmt.Sprintf(", %d in what is not called", n)
	}
	r.Reports["govulncheck.json"] = out.Stdout
	if r.Reports["openvex.json"], err = report(harmless, module, o.Now); err != nil {
		return err
	}
	if programs > 0 {
		r.Summary += ", by the source and " + counted(programs, "program")
		r.Reports["govulncheck-programs.json"] = raw.String()
	}
	return nil
}

// withProgram adds what was found in a program, called about, to what the source showed. The linker has what is vulnerable in the
// program where it cannot rule out that it is called. Of what the source shows, govulncheck knows better whether it is; what it does not
// show, since its packages are for another platform, say, counts as called.
func withProgram(hits, found []*hit, about string) []*hit {
	for _, h := range found {
		if h.depth < 2 {
			continue // a package or module without what is vulnerable in it
		}
		i := slices.IndexFunc(hits, func(known *hit) bool { return known.ID == h.ID && known.module == h.module })
		if i < 0 {
			h.hidden = true
			hits, i = append(hits, h), len(hits)
		}
		known := hits[i]
		if known.depth == 0 {
			known.depth, known.hidden, known.trace = 2, true, h.trace
		}
		known.programs = append(known.programs, about)
	}
	return hits
}

// parseGovulncheck also reports whether anything was scanned.
func parseGovulncheck(text string) (hits []*hit, scanned bool, err error) {
	known := map[string]vulnerability{}
	found := map[string]*hit{}
	decoder := json.NewDecoder(strings.NewReader(text))
	for {
		var m message
		if err := decoder.Decode(&m); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, false, fmt.Errorf("reading what govulncheck printed: %w", err)
		}
		switch {
		case m.Config != nil:
			scanned = true
		case m.OSV != nil:
			known[m.OSV.ID] = *m.OSV
		case m.Finding != nil && len(m.Finding.Trace) > 0:
			f := m.Finding
			at := f.Trace[0]
			depth := 0
			if at.Function != "" {
				depth = 2
			} else if at.Package != "" {
				depth = 1
			}
			key := f.OSV + " " + at.Module
			if old := found[key]; old == nil || depth > old.depth {
				found[key] = &hit{vulnerability: vulnerability{ID: f.OSV}, module: at.Module, version: at.Version, fixed: f.FixedVersion, depth: depth, trace: f.Trace}
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(found)) {
		h := found[key]
		if v, ok := known[h.ID]; ok {
			h.vulnerability = v
		}
		hits = append(hits, h)
	}
	return hits, scanned, nil
}

// statement is s about the vulnerability and the module that h found.
func (h *hit) statement(s vex.Statement) vex.Statement {
	s.Vulnerability = vex.Vulnerability{Name: h.ID, Aliases: h.Aliases}
	s.Products = []vex.Product{{Subcomponents: []vex.Component{{ID: vex.Module(h.module)}}}}
	return s
}

// unreached says that the program is not affected, if neither the source shows a way to what is vulnerable nor a program has it.
func (h *hit) unreached() (_ vex.Statement, ok bool) {
	why := "vulnerable_code_not_present"
	if h.depth == 1 {
		why = "vulnerable_code_not_in_execute_path"
	}
	s := vex.Statement{Status: vex.NotAffected, Justification: why, Impact: "govulncheck finds no call of what is vulnerable"}
	return h.statement(s), h.depth < 2 && h.programs == nil
}

// report is a document of OpenVEX about a module, in JSON.
func report(statements []vex.Statement, module string, now time.Time) (string, error) {
	document, err := vex.New(statements, []string{vex.Module(module)}, "slipway check", now)
	if err != nil {
		return "", err
	}
	text, err := json.MarshalIndent(document, "", "  ")
	return string(text) + "\n", err
}

func (h *hit) finding(o Options) Finding {
	f := Finding{Rule: h.ID, Minor: h.depth < 2}
	var b strings.Builder
	module, fix := h.module+"@"+h.version, ""
	switch {
	case h.fixed == "":
		fix = "there is no fixed version"
	case h.module == "stdlib" || h.module == "toolchain":
		module, fix = "Go "+strings.TrimPrefix(h.version, "v"), "fixed in Go "+strings.TrimPrefix(h.fixed, "v")+": "+o.words("name it in the toolchain line of go.mod or by --go")
	default:
		fix = "fixed in " + h.fixed + ": go get " + h.module + "@" + h.fixed
	}
	fmt.Fprintf(&b, "%s: %s", module, cmp.Or(h.Summary, "a known vulnerability"))
	switch {
	case h.hidden:
		fmt.Fprintf(&b, "\n\t%s is in the program %s, which the source does not show, scanned for this machine's platform", h.trace[0].symbol(), strings.Join(h.programs, ", "))
	case h.depth == 2:
		fmt.Fprintf(&b, "\n\t%s is called", h.trace[0].symbol())
		// The trace ends in the main module.
		for _, step := range slices.Backward(h.trace) {
			if step.Position != nil && step.Position.Filename != "" {
				f.File, f.Line, f.Column = step.Position.Filename, step.Position.Line, step.Position.Column
				fmt.Fprintf(&b, ", by way of %s", step.symbol())
				break
			}
		}
	case h.depth == 1:
		fmt.Fprintf(&b, "\n\tthe package %s is imported, and what is vulnerable in it not called", h.trace[0].Package)
		if h.programs != nil {
			fmt.Fprintf(&b, ", though it is in %s", strings.Join(h.programs, ", "))
		}
	default:
		b.WriteString("\n\tthe module is required, and what is vulnerable in it not imported")
	}
	b.WriteString("\n\t" + fix)
	f.Message = b.String()
	return f
}

// suppression is a statement that may concern what was found.
type suppression struct {
	vex.Statement
	used bool
}

type suppressions []*suppression

func parseVEX(text string) (suppressions, error) {
	statements, err := vex.ParseSuppressions(VEXFile, text)
	var all suppressions
	for _, s := range statements {
		all = append(all, &suppression{Statement: s})
	}
	return all, err
}

func (all suppressions) match(v vulnerability) *suppression {
	for _, e := range all {
		for _, name := range append([]string{e.Vulnerability.Name}, e.Vulnerability.Aliases...) {
			if name == v.ID || slices.Contains(v.Aliases, name) {
				return e
			}
		}
	}
	return nil
}

// problem is empty if e holds.
func (e *suppression) problem(now time.Time) string {
	if e.Expired(now) {
		return "the suppression has expired on " + e.Expires + ": check it again"
	}
	return ""
}
