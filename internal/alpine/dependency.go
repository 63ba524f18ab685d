package alpine

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// dependency is what a package needs, refuses or provides, or what a user asks for. Source: apk-package(5), apk-world(5)
type dependency struct {
	name string
	// operator is made of < > = ~; empty for any version.
	operator string
	version  version
	// digest is that of the package, for the operator ><.
	digest string
	// refuses says that it must not be there.
	refuses bool
	// broken says that its version is none, so that no package has it.
	broken bool
	text   string
}

// form is a dependency: its name, operator and version. A tag of a repository is none of it.
var form = regexp.MustCompile(`^(!?)([^<>=~!@\s]+)(?:([<>=~]+)([^<>=\s]+))?$`)

// operators are those that are known.
var operators = []string{"", "<", "<=", "=", ">=", ">", "~", "=~", "~=", ">~", "<~", "><"}

// parseDependency reads a dependency.
func parseDependency(text string) (dependency, error) {
	found := form.FindStringSubmatch(text)
	if found == nil || !slices.Contains(operators, found[3]) {
		return dependency{}, fmt.Errorf("%q is no dependency", text)
	}
	d := dependency{refuses: found[1] != "", name: found[2], operator: found[3], text: text}
	switch d.operator {
	case "":
	case "><":
		d.digest = found[4]
	default:
		v, err := parseVersion(found[4])
		if err != nil {
			return dependency{broken: true, refuses: d.refuses, name: d.name, version: version{}, text: text}, fmt.Errorf("the dependency %q: %w", text, err)
		}
		d.version = v
	}
	return d, nil
}

// parseDependencies reads the dependencies of a package. Those with a version that is none are broken: libraries and others are provided with
// versions of their own.
func parseDependencies(words []string) ([]dependency, error) {
	var all []dependency
	for _, word := range words {
		d, err := parseDependency(word)
		if err != nil && !d.broken {
			return nil, err
		}
		all = append(all, d)
	}
	return all, nil
}

// allows reports whether it may be this version. A provided name without a version, nil, is of any.
func (d dependency) allows(v version) bool {
	if d.broken {
		return false
	}
	if d.operator == "" || v == nil {
		return true
	}
	if strings.Contains(d.operator, "~") && v.matches(d.version) {
		return true
	}
	switch c := v.compare(d.version); {
	case c < 0:
		return strings.Contains(d.operator, "<")
	case c > 0:
		return strings.Contains(d.operator, ">")
	default:
		return strings.ContainsAny(d.operator, "=~")
	}
}

// satisfiedBy reports whether a package is what the dependency names.
func (d dependency) satisfiedBy(c *candidate) bool {
	switch {
	case d.digest != "":
		return d.name == c.name && d.digest == c.digest
	case d.name == c.name:
		return d.allows(c.version)
	}
	return slices.ContainsFunc(c.provides, func(p dependency) bool { return p.name == d.name && d.allows(p.version) })
}
