// Package vex reads and writes documents of OpenVEX, which say that vulnerabilities do not concern a program, and why.
//
// Source: https://github.com/openvex/spec/blob/main/OPENVEX-SPEC.md
package vex

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/package-url/packageurl-go"

	"github.com/slipway-ci/slipway/internal/fault"
	"github.com/slipway-ci/slipway/internal/source"
)

// File is where a module's suppressions of vulnerabilities are, beside go.mod or go.work.
const File = ".slipway-vex.json"

// PredicateType is that of documents, and names the version of OpenVEX in them.
const PredicateType = "https://openvex.dev/ns/v0.2.0"

// NotAffected is the only status that suppresses anything.
const NotAffected = "not_affected"

// justifications are OpenVEX's. Source: https://github.com/openvex/spec/blob/main/OPENVEX-SPEC.md#status-justifications
var justifications = []string{
	"component_not_present", "vulnerable_code_not_present", "vulnerable_code_not_in_execute_path",
	"vulnerable_code_cannot_be_controlled_by_adversary", "inline_mitigations_already_exist",
}

// Document is what is published.
type Document struct {
	Context    string      `json:"@context"`
	ID         string      `json:"@id"`
	Author     string      `json:"author"`
	Timestamp  string      `json:"timestamp"`
	Version    int         `json:"version"`
	Statements []Statement `json:"statements"`
}

// Statement says that products are not affected by a vulnerability.
type Statement struct {
	Vulnerability Vulnerability `json:"vulnerability"`
	Products      []Product     `json:"products,omitempty"`
	Status        string        `json:"status"`
	Notes         string        `json:"status_notes,omitempty"`
	Justification string        `json:"justification"`
	Impact        string        `json:"impact_statement,omitempty"`
	// Expires is the last day on which the statement holds, such as "2027-01-31". It is Slipway's own: OpenVEX has no such field.
	Expires string `json:"expires,omitempty"`
}

// Vulnerability is known by its name and by others.
type Vulnerability struct {
	Name    string   `json:"name"`
	Aliases []string `json:"aliases,omitempty"`
}

// Product is what a statement is about, or if it has subcomponents, those in it.
type Product struct {
	Component
	Subcomponents []Component `json:"subcomponents,omitempty"`
}

// Component is a package URL.
type Component struct {
	ID string `json:"@id"`
}

// Read reads the [File] in a directory of a source, and returns its name in that; the text is empty where there is none.
func Read(tree fs.FS, dir string) (name string, text []byte, err error) {
	name = path.Join(dir, File)
	text, err = fs.ReadFile(tree, name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		problem, hint := source.Describe(err)
		return name, nil, fault.Faults{{Field: name, Problem: problem, Hint: hint}}
	}
	return name, text, nil
}

// ParseSuppressions reads the text of a [File] of that name, in which each statement expires; none if it is empty. It is strict about
// what it understands: a statement that does nothing would be worse than none. An error is [fault.Faults].
func ParseSuppressions(name, text string) ([]Statement, error) {
	if text == "" {
		return nil, nil
	}
	return parse(fault.Fault{Field: name}, text, func(s Statement) bool { return s.Expires == "" })
}

// Parse reads a document, in which statements may stand without a day on which they expire. at is where it was named. An error is
// [fault.Faults].
func Parse(at fault.Fault, text string) ([]Statement, error) {
	return parse(at, text, func(Statement) bool { return false })
}

func parse(at fault.Fault, text string, undated func(Statement) bool) ([]Statement, error) {
	var faults fault.Faults
	add := func(problem, hint string) { faults.Add(at.Field, at.Value, problem, hint) }
	var document Document
	if err := json.Unmarshal([]byte(text), &document); err != nil {
		add(err.Error(), "write a document of OpenVEX, in JSON")
		return nil, faults
	}
	if !strings.HasPrefix(document.Context, "https://openvex.dev/ns") {
		add(fmt.Sprintf(`its "@context" is %q`, document.Context), `it must be a document of OpenVEX, like "`+PredicateType+`"`)
		return nil, faults
	}
	oneOf := "give one of " + strings.Join(justifications, ", ")
	for i, s := range document.Statements {
		name := s.Vulnerability.Name
		if name == "" {
			add(fmt.Sprintf("statement %d names no vulnerability", i+1), `give it "vulnerability": {"name": "GO-…"}`)
			continue
		}
		switch _, err := time.Parse(time.DateOnly, s.Expires); {
		case s.Status != NotAffected:
			add(fmt.Sprintf("%s: the status %q suppresses nothing", name, s.Status), `only "`+NotAffected+`" does`)
		case s.Justification == "":
			add(name+": there is no justification", oneOf)
		case !slices.Contains(justifications, s.Justification):
			add(fmt.Sprintf("%s: OpenVEX has no justification %q", name, s.Justification),
				oneOf+`, and the reason in your words as "impact_statement"`)
		case undated(s) || err != nil && s.Expires != "":
			add(fmt.Sprintf(`%s: "expires" is %q`, name, s.Expires), "write the last day on which this holds, like 2027-01-31")
		}
	}
	return document.Statements, faults.Err()
}

// Expired reports whether the statement holds no longer.
func (s Statement) Expired(now time.Time) bool {
	last, err := time.Parse(time.DateOnly, s.Expires)
	return err == nil && now.UTC().After(last.AddDate(0, 0, 1))
}

// New is the document that says the same of products, which are package URLs: they take the place of those that statements name,
// whose subcomponents stay. Its ID depends on what it says.
func New(statements []Statement, products []string, author string, created time.Time) (Document, error) {
	document := Document{Context: PredicateType, Author: author, Timestamp: created.UTC().Format(time.RFC3339), Version: 1, Statements: []Statement{}}
	for _, s := range statements {
		var parts []Component
		for _, p := range s.Products {
			for _, part := range p.Subcomponents {
				if !slices.Contains(parts, part) {
					parts = append(parts, part)
				}
			}
		}
		s.Products = nil
		for _, id := range products {
			s.Products = append(s.Products, Product{Component{id}, parts})
		}
		if s.Expires != "" {
			s.Notes, s.Expires = strings.TrimPrefix(s.Notes+"; holds until "+s.Expires, "; "), ""
		}
		document.Statements = append(document.Statements, s)
	}
	text, err := json.Marshal(document)
	if err != nil {
		return Document{}, err
	}
	document.ID = uuid.NewSHA1(uuid.NameSpaceURL, text).URN()
	return document, nil
}

// Module is the package URL of a Go module.
func Module(name string) string {
	namespace, last := path.Split(name)
	return packageurl.NewPackageURL(packageurl.TypeGolang, strings.TrimSuffix(namespace, "/"), last, "", nil, "").ToString()
}
