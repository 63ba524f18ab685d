package check

import (
	"encoding/json"
	"fmt"
	"path"
	"path/filepath"
	"strings"
)

// SARIF is all findings in the Static Analysis Results Interchange Format, 2.1.0, which GitHub and GitLab read. dir is the directory
// that the checks ran in, relative to the repository. Source:
// https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
func SARIF(results []Result, dir string) (string, error) {
	type text struct {
		Text string `json:"text"`
	}
	type region struct {
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn,omitempty"`
	}
	type artifact struct {
		URI string `json:"uri"`
	}
	type physical struct {
		ArtifactLocation artifact `json:"artifactLocation"`
		Region           *region  `json:"region,omitempty"`
	}
	type location struct {
		PhysicalLocation physical `json:"physicalLocation"`
	}
	type result struct {
		RuleID    string     `json:"ruleId"`
		Level     string     `json:"level"`
		Message   text       `json:"message"`
		Locations []location `json:"locations,omitempty"`
	}
	type driver struct {
		Name           string `json:"name"`
		InformationURI string `json:"informationUri"`
	}
	type tool struct {
		Driver driver `json:"driver"`
	}
	type run struct {
		Tool    tool     `json:"tool"`
		Results []result `json:"results"`
	}
	document := struct {
		Schema  string `json:"$schema"`
		Version string `json:"version"`
		Runs    []run  `json:"runs"`
	}{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0"}
	for _, r := range results {
		one := run{Tool: tool{driver{"slipway " + r.Name, "https://github.com/slipway-ci/slipway"}}, Results: []result{}}
		for _, f := range r.Findings {
			found := result{RuleID: r.Name + "/" + f.Rule, Level: "error", Message: text{f.Message}}
			if f.Minor {
				found.Level = "note"
			}
			if f.File != "" {
				at := physical{ArtifactLocation: artifact{f.at(dir)}}
				if f.Line > 0 {
					at.Region = &region{f.Line, f.Column}
				}
				found.Locations = []location{{at}}
			}
			one.Results = append(one.Results, found)
		}
		document.Runs = append(document.Runs, one)
	}
	encoded, err := json.MarshalIndent(document, "", "  ")
	return string(encoded) + "\n", err
}

// at is the finding's file relative to the repository, whose directory dir is.
func (f Finding) at(dir string) string {
	return path.Join(filepath.ToSlash(dir), filepath.ToSlash(f.File))
}

// Reports are all files for other tools, by name.
func Reports(results []Result, dir string) (map[string]string, error) {
	files := map[string]string{}
	for _, r := range results {
		for name, content := range r.Reports {
			files[name] = content
		}
	}
	sarif, err := SARIF(results, dir)
	files["findings.sarif"] = sarif
	return files, err
}

// Annotations are the findings as commands of GitHub Actions, which shows them beside the lines of a change. Source:
// https://docs.github.com/actions/reference/workflow-commands-for-github-actions
func Annotations(results []Result, dir string) string {
	value := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	var b strings.Builder
	for _, r := range results {
		for _, f := range r.Findings {
			kind := "error"
			if f.Minor {
				kind = "notice"
			}
			properties := []string{"title=" + property.Replace(r.Name+": "+f.Rule)}
			if f.File != "" {
				properties = append(properties, "file="+property.Replace(f.at(dir)))
			}
			if f.Line > 0 {
				properties = append(properties, fmt.Sprintf("line=%d", f.Line))
			}
			if f.Column > 0 {
				properties = append(properties, fmt.Sprintf("col=%d", f.Column))
			}
			fmt.Fprintf(&b, "::%s %s::%s\n", kind, strings.Join(properties, ","), value.Replace(f.Message))
		}
		if !r.Passed && len(r.Findings) == 0 {
			fmt.Fprintf(&b, "::error title=%s::%s\n", property.Replace(r.Name), value.Replace(r.Summary+"\n"+r.Detail))
		}
	}
	return b.String()
}

// Markdown is the table, as GitHub's job summaries take it.
func Markdown(results []Result) string {
	cell := strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;", "&", "&amp;")
	var b strings.Builder
	b.WriteString("| check | | |\n| --- | --- | --- |\n")
	for _, r := range results {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", r.Name, r.word(), cell.Replace(r.Summary))
	}
	return b.String()
}
