package sbom

import (
	"bytes"
	"path"
	"slices"
	"strings"
)

// isCopyright reports whether a file says under which licences a package of Debian is.
func isCopyright(name string) bool {
	return path.Base(name) == "copyright" && path.Dir(path.Dir(name)) == documentation
}

// documentation is the directory of what packages of Debian document.
const documentation = "/usr/share/doc"

// copyrightFormat begins the files that machines can read. Source: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
var copyrightFormat = []byte("Format: ")

// copyrightLicences are the licences of files, each once, in the words of Debian; none where the file is for people alone.
func copyrightLicences(text []byte) []string {
	if !bytes.HasPrefix(text, copyrightFormat) {
		return nil
	}
	var all []string
	for _, fields := range stanzas(string(text), ":") {
		if fields["Files"] != "" && fields["License"] != "" {
			all = append(all, fields["License"])
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// spdxNames are SPDX's names of licences, by those of Debian, without -only and -or-later. Sources:
// https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/#license-specification, https://spdx.org/licenses/
var spdxNames = map[string]string{
	"apache-2.0": "Apache-2.0", "bsd-2-clause": "BSD-2-Clause", "bsd-3-clause": "BSD-3-Clause", "bsd-4-clause": "BSD-4-Clause", "cc0-1.0": "CC0-1.0",
	"curl": "curl", "expat": "MIT", "mit": "MIT", "isc": "ISC", "zlib": "Zlib", "openssl": "OpenSSL", "psf-2": "PSF-2.0", "unicode": "Unicode-DFS-2016",
	"mpl-1.1": "MPL-1.1", "mpl-2.0": "MPL-2.0", "w3c": "W3C",
}

// versionedNames are those of licences that have both ways, by Debian's.
var versionedNames = map[string]string{
	"gpl-1": "GPL-1.0", "gpl-2": "GPL-2.0", "gpl-2.0": "GPL-2.0", "gpl-3": "GPL-3.0", "gpl-3.0": "GPL-3.0", "lgpl-2": "LGPL-2.0", "lgpl-2.0": "LGPL-2.0", "lgpl-2.1": "LGPL-2.1", "lgpl-3": "LGPL-3.0",
	"lgpl-3.0": "LGPL-3.0", "agpl-3": "AGPL-3.0", "gfdl-1.2": "GFDL-1.2", "gfdl-1.3": "GFDL-1.3",
}

// debianLicence is an expression of all licences, or their words where one of them is none that SPDX has a name for.
func debianLicence(licences []string) licence {
	var all []string
	for _, words := range licences {
		expression, ok := spdxExpression(words)
		if !ok {
			return licence{words: strings.Join(licences, "; ")}
		}
		if strings.Contains(expression, " OR ") && len(licences) > 1 {
			expression = "(" + expression + ")"
		}
		all = append(all, expression)
	}
	slices.Sort(all)
	return licence{expression: strings.Join(slices.Compact(all), " AND ")}
}

// spdxExpression is SPDX's for names that stand between "and" and "or". One with an exception, or with both words, has none.
func spdxExpression(words string) (string, bool) {
	joint := " OR "
	names := strings.Split(words, " or ")
	if len(names) == 1 {
		joint = " AND "
		names = strings.Split(words, " and ")
	}
	for i, name := range names {
		name = strings.ToLower(strings.TrimSpace(name))
		base, later := strings.CutSuffix(name, "+")
		switch versioned := versionedNames[base]; {
		case versioned != "" && later:
			names[i] = versioned + "-or-later"
		case versioned != "":
			names[i] = versioned + "-only"
		case spdxNames[name] != "":
			names[i] = spdxNames[name]
		default:
			return "", false
		}
	}
	return strings.Join(names, joint), true
}
