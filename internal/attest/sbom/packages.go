package sbom

import (
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/package-url/packageurl-go"
)

// Where databases of packages are. Distroless has one file for each package in a directory; new versions of Alpine keep the
// database below /usr. Sources: https://manpages.debian.org/dpkg-query and
// https://github.com/GoogleContainerTools/distroless#how-do-i-read-the-package-metadata
const (
	dpkgStatus    = "/var/lib/dpkg/status"
	dpkgDirectory = "/var/lib/dpkg/status.d"
	apkDatabase   = "/lib/apk/db/installed"
	apkMoved      = "/usr/lib/apk/db/installed"
	osRelease     = "/etc/os-release"
	osReleaseIn   = "/usr/lib/os-release" // the former is a link to it as a rule
)

func isDatabase(name string) bool {
	return slices.Contains([]string{dpkgStatus, apkDatabase, apkMoved, osRelease, osReleaseIn}, name) ||
		path.Dir(name) == dpkgDirectory && !strings.HasSuffix(name, ".md5sums")
}

// release is what /etc/os-release says. Source: https://www.freedesktop.org/software/systemd/man/os-release.html
func (c *contents) release() map[string]string {
	text := c.texts[osRelease]
	if text == nil {
		text = c.texts[osReleaseIn]
	}
	values := map[string]string{}
	for line := range strings.Lines(string(text)) {
		key, value, found := strings.Cut(strings.TrimSpace(line), "=")
		if !found || strings.HasPrefix(key, "#") {
			continue
		}
		if unquoted, err := strconv.Unquote(value); err == nil {
			value = unquoted
		}
		values[key] = strings.Trim(value, "'")
	}
	return values
}

func (c *contents) systemComponent() *component {
	values := c.release()
	if values["ID"] == "" {
		return nil
	}
	return &component{kind: system, ref: "system:" + values["ID"], name: values["ID"], version: values["VERSION_ID"]}
}

// installed is an entry of a package database.
type installed struct {
	name, version, architecture, source string
	licence                             licence
	// provides and needs are names, without versions. Each of needs has alternatives.
	provides []string
	needs    [][]string
}

// packages are the packages of all databases, sorted by their refs.
func (c *contents) packages() []component {
	release := c.release()
	all := slices.Concat(c.debian(release), c.alpine(release))
	slices.SortFunc(all, func(a, b component) int { return strings.Compare(a.ref, b.ref) })
	return slices.CompactFunc(all, func(a, b component) bool { return a.ref == b.ref })
}

func (c *contents) debian(release map[string]string) []component {
	var list []installed
	for name, text := range c.texts {
		if name != dpkgStatus && path.Dir(name) != dpkgDirectory {
			continue
		}
		for _, fields := range stanzas(string(text), ": ") {
			// Distroless leaves the status out.
			if status, given := fields["Status"]; given && !strings.HasSuffix(status, " installed") || fields["Package"] == "" {
				continue
			}
			source, _, _ := strings.Cut(fields["Source"], " ")
			p := installed{name: fields["Package"], version: fields["Version"], architecture: fields["Architecture"], source: source}
			if licences := c.texts[path.Join(documentation, p.name, "copyright")]; len(licences) > 0 {
				p.licence = debianLicence(strings.Split(string(licences), "\n"))
			}
			for _, need := range strings.Split(fields["Depends"]+","+fields["Pre-Depends"], ",") {
				var alternatives []string
				for _, one := range strings.Split(need, "|") {
					one, _, _ = strings.Cut(strings.TrimSpace(one), " ")
					one, _, _ = strings.Cut(one, ":") // the architecture of the need
					alternatives = append(alternatives, one)
				}
				p.needs = append(p.needs, alternatives)
			}
			for _, one := range strings.Split(fields["Provides"], ",") {
				one, _, _ = strings.Cut(strings.TrimSpace(one), " ")
				p.provides = append(p.provides, one)
			}
			list = append(list, p)
		}
	}
	return components(packageurl.TypeDebian, "debian", list, release)
}

func (c *contents) alpine(release map[string]string) []component {
	text := c.texts[apkDatabase]
	if text == nil {
		text = c.texts[apkMoved]
	}
	var list []installed
	// Source of the fields: https://wiki.alpinelinux.org/wiki/Apk_spec
	for _, fields := range stanzas(string(text), ":") {
		if fields["P"] == "" {
			continue
		}
		p := installed{name: fields["P"], version: fields["V"], architecture: fields["A"], source: fields["o"], licence: declared(fields["L"])}
		for _, word := range strings.Fields(fields["D"]) {
			p.needs = append(p.needs, []string{withoutVersion(word)}) // a conflict, as "!name", matches no package
		}
		for _, word := range strings.Fields(fields["p"]) {
			p.provides = append(p.provides, withoutVersion(word))
		}
		list = append(list, p)
	}
	return components(packageurl.TypeApk, "alpine", list, release)
}

// withoutVersion takes the condition off an apk's dependency, such as "musl>=1.2".
func withoutVersion(word string) string {
	if i := strings.IndexAny(word, "<>=~"); i >= 0 {
		return word[:i]
	}
	return word
}

// stanzas reads blocks of "key: value" lines. Lines that go on the one before are left out: none that is wanted has any.
func stanzas(text, separator string) []map[string]string {
	var all []map[string]string
	fields := map[string]string{}
	for line := range strings.Lines(text + "\n\n") {
		line = strings.TrimRight(line, "\r\n")
		if line == "" {
			if len(fields) > 0 {
				all = append(all, fields)
				fields = map[string]string{}
			}
			continue
		}
		key, value, found := strings.Cut(line, separator)
		if _, given := fields[key]; found && !given && !strings.HasPrefix(line, " ") && !strings.HasPrefix(line, "\t") {
			fields[key] = strings.TrimSpace(value)
		}
	}
	return all
}

// components are the packages of one database. system is the name of the distribution unless the release has one.
func components(purlType, system string, list []installed, release map[string]string) []component {
	if release["ID"] != "" {
		system = release["ID"]
	}
	providers := map[string]string{}
	refs := make([]string, len(list))
	for i, p := range list {
		qualifiers := map[string]string{"arch": p.architecture, "distro": system}
		if release["VERSION_ID"] != "" {
			qualifiers["distro"] += "-" + release["VERSION_ID"]
		}
		if p.source != "" && p.source != p.name {
			qualifiers["upstream"] = p.source
		}
		refs[i] = packageurl.NewPackageURL(purlType, system, p.name, p.version, packageurl.QualifiersFromMap(qualifiers), "").ToString()
	}
	// A package itself goes before those that stand in for it.
	for i, p := range list {
		for _, name := range p.provides {
			if known, given := providers[name]; !given || refs[i] < known {
				providers[name] = refs[i]
			}
		}
	}
	for i, p := range list {
		providers[p.name] = refs[i]
	}
	var all []component
	for i, p := range list {
		c := component{kind: osPackage, ref: refs[i], purl: refs[i], name: p.name, version: p.version, licence: p.licence}
		for _, alternatives := range p.needs {
			for _, name := range alternatives {
				if ref := providers[name]; ref != "" && ref != c.ref {
					c.needs = append(c.needs, ref)
					break
				}
			}
		}
		slices.Sort(c.needs)
		c.needs = slices.Compact(c.needs)
		all = append(all, c)
	}
	return all
}

// licence is an SPDX expression, or the words of whoever declared it where those are none.
type licence struct{ expression, words string }

// expression is the form of an SPDX licence expression. Source: https://spdx.github.io/spdx-spec/v2.3/SPDX-license-expressions/
var expression = regexp.MustCompile(`^\(*[A-Za-z0-9.-]+\+?\)*( (AND|OR|WITH) \(*[A-Za-z0-9.-]+\+?\)*)*$`)

func declared(text string) licence {
	if expression.MatchString(text) && strings.Count(text, "(") == strings.Count(text, ")") {
		return licence{expression: text}
	}
	return licence{words: text}
}
