package plan

import (
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"golang.org/x/mod/semver"

	"github.com/slipway-ci/slipway/internal/fault"
)

// Facts are what templates may name, in the notation of text/template: {{.Name}} is the image's name, {{.Git.Tag}} and others
// the fields of Git, {{.Git.Version}}, {{.Git.Major}}, {{.Git.Minor}}, {{.Git.Patch}} and {{.Git.Prerelease}} the parts of a tag like
// v1.2.3-rc.1 or api/v1.2.3, without the v, and empty for another, {{.Env.CHANNEL}} a variable of the environment, and, in flags of the linker, in stamps and in sources of files,
// {{.Platform}}, {{.OS}} and {{.Arch}} what is being compiled for. A name that is not known is a fault.
type Facts struct {
	// Git is the commit that is built; zero where it is not known.
	Git Git `json:"git,omitzero"`
	// Env are variables. They are in no plan and no provenance, but for those that templates name.
	Env map[string]string `json:"-"`
}

// Git is a commit.
type Git struct {
	// Commit is the hash of HEAD, ShortCommit its first seven digits.
	Commit      string `json:"commit"`
	ShortCommit string `json:"shortCommit"`
	// Tag is the tag of HEAD, of several the highest version by SemVer; empty if there is none.
	Tag string `json:"tag,omitempty"`
	// Describe is what git describe --tags --always --dirty prints; empty where no template names it.
	Describe string `json:"describe,omitempty"`
	// Branch is empty where HEAD is on none.
	Branch string `json:"branch,omitempty"`
	// Date is that of the commit, as in 2026-01-31T12:00:00Z, Timestamp the same in seconds since 1970.
	Date      string `json:"date"`
	Timestamp string `json:"timestamp"`
	// Dirty says that the work tree differs from the commit.
	Dirty bool `json:"dirty,omitempty"`
}

// NeedsGit reports whether one of the texts is a template that names something of Git.
func NeedsGit(texts ...string) bool {
	for _, text := range texts {
		if isTemplate(text) && strings.Contains(text, ".Git") {
			return true
		}
	}
	return false
}

// Templates are the texts of c that are templates, or need what templates do.
func (c Config) Templates() []string {
	var all []string
	for _, list := range [][]string{{c.LDFlags}, c.Stamps, c.Env, c.Labels, c.Annotations, c.Files} {
		all = append(all, list...)
	}
	if c.BuildVCS {
		all = append(all, "{{.Git.Commit}}") // which programs are stamped with
	}
	return all
}

// variable is how a template names one of the environment.
var variable = regexp.MustCompile(`\.Env\.([A-Za-z_][A-Za-z0-9_]*)`)

// NamedVariables are the variables of the environment that templates of c name. Nothing else of the environment decides a plan.
func (c Config) NamedVariables() map[string]string {
	named := map[string]string{}
	for _, text := range c.Templates() {
		if !isTemplate(text) {
			continue
		}
		for _, m := range variable.FindAllStringSubmatch(text, -1) {
			if value, ok := c.Facts.Env[m[1]]; ok {
				named[m[1]] = value
			}
		}
	}
	return named
}

// Expand fills in a template of the setting field for the image called name. The error is [fault.Faults].
func (f Facts) Expand(field, name, text string) (string, error) {
	return f.expand(field, text, map[string]any{"Name": name})
}

// at is what the error of a template says of where it is wrong: "executing … at <.Git.Tga>: ".
var at = regexp.MustCompile(`^template: [^ ]*:\d+(:\d+)?: (executing .* at )?`)

func (f Facts) expand(field, text string, names map[string]any) (string, error) {
	if !isTemplate(text) {
		return text, nil
	}
	names = maps.Clone(names)
	names["Env"] = f.Env
	if f.Git != (Git{}) {
		names["Git"] = f.Git.names()
	}
	wrong := func(err error, hint string) error {
		return fault.Faults{{Field: field, Value: text, Problem: "template: " + at.ReplaceAllString(err.Error(), ""), Hint: hint}}
	}
	parsed, err := template.New(field).Option("missingkey=error").Parse(text)
	if err != nil {
		return "", wrong(err, `write it in the notation of Go's text/template, with {{"{{"}} for braces themselves`)
	}
	var b strings.Builder
	if err := parsed.Execute(&b, names); err != nil {
		switch {
		case f.Git == (Git{}) && NeedsGit(text):
			return "", fault.Faults{{Field: field, Value: text, Problem: "nothing is known of a commit", Hint: "build in a git repository, or leave out .Git"}}
		case strings.Contains(text, ".Env"):
			return "", wrong(err, "set the variable, or write another name; one that holds a secret, such as a TOKEN or PASSWORD, cannot be named")
		}
		return "", wrong(err, "the names are .Name, .Env.VARIABLE, .Git.Tag, .Version, .Major, .Minor, .Patch, .Prerelease, .Describe, .Commit, .ShortCommit, .Branch, .Date, .Timestamp and .Dirty of .Git, and for ldflags, stamps and files .Platform, .OS and .Arch")
	}
	return b.String(), nil
}

// names are what templates call a platform.
func (p Platform) names() map[string]any {
	return map[string]any{"Platform": p.String(), "OS": p.OS, "Arch": p.Architecture}
}

// names are the fields of g, and the parts of its tag.
func (g Git) names() map[string]any {
	version := strings.TrimPrefix(path.Base(g.Tag), "v")
	if !semver.IsValid("v" + version) {
		version = ""
	}
	core, _, _ := strings.Cut(version, "+")
	core, prerelease, _ := strings.Cut(core, "-")
	numbers := append(strings.Split(core, "."), "", "")
	return map[string]any{
		"Commit": g.Commit, "ShortCommit": g.ShortCommit, "Tag": g.Tag, "Describe": g.Describe, "Branch": g.Branch,
		"Date": g.Date, "Timestamp": g.Timestamp, "Dirty": g.Dirty,
		"Version": version, "Major": numbers[0], "Minor": numbers[1], "Patch": numbers[2], "Prerelease": prerelease,
	}
}

// isTemplate reports whether a text has something to fill in.
func isTemplate(text string) bool { return strings.Contains(text, "{{") }

// expandAll fills in the templates of a list. Those with a fault are left out.
func (r resolver) expandAll(field string, list []string, names map[string]any) []string {
	var all []string
	for _, text := range list {
		filled, err := r.config.Facts.expand(field, text, names)
		if err != nil {
			*r.faults = append(*r.faults, fault.As(err)...)
			continue
		}
		all = append(all, filled)
	}
	return all
}

// expandMap fills in the templates among the values of m.
func (r resolver) expandMap(field string, m map[string]string, names map[string]any) map[string]string {
	filled := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(m)) {
		for _, value := range r.expandAll(field, []string{m[key]}, names) {
			filled[key] = value
		}
	}
	return filled
}
