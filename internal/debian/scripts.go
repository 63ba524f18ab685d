package debian

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"pault.ag/go/debian/dependency"

	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/distro"
)

// installScripts are what dpkg runs when it installs a package. Those for removing it go into the database of a full base, where dpkg may.
var installScripts = []string{"preinst", "postinst"}

// checkScripts refuses a package whose scripts would do something that nobody has read.
func checkScripts(p distro.Package, found *contents) error {
	for _, name := range installScripts {
		script := found.Control[name]
		if script == nil || harmless(script) || slices.Contains(reviewed[p.Name], scriptDigest(script, p.Version)) {
			continue
		}
		return fmt.Errorf("the package %s %s: its script %s would have to run for what it sets up, and Slipway runs none (leave the package out, or build on an image that has it, with --base)", p.Name, p.Version, name)
	}
	return nil
}

// harmlessLines are what scripts consist of that have nothing to do in a new image: conditions as debhelper writes them, the cache of shared
// libraries, which the loader does without, configuration of older versions, compiled Python, and menus. A name is a word without anything
// that a shell expands.
var harmlessLines = func() []*regexp.Regexp {
	const (
		name      = `[A-Za-z0-9_@%+=:,./~\\-]+`
		condition = `(\[ ("?\$[12]"?|"\$\{DPKG_ROOT:-\}") !?==? ?"?[a-z-]*"? \]|\[ -[nz] "?(\$[12]|\$\{DPKG_ROOT:-\})"? \]|\[ -[dx] ` + name + ` \])`
	)
	var all []*regexp.Regexp
	for _, line := range []string{
		`set -e|exit 0|:|fi|esac|;;|else|then|return 0`,
		`if ` + condition + `( (\|\||&&) ` + condition + `)* ?;?( then)?`,
		`case "?\$1"? in`, `[a-z|-]+\)|\*\)`,
		`ldconfig`,
		`dpkg-maintscript-helper( ` + name + `)+ -- "\$@"`,
		`if command -v (py3compile|pypy3compile|update-menus) >/dev/null 2>&1; ?then`, `if which (py3compile|pypy3compile|update-menus) >/dev/null 2>&1; ?then`,
		`(py3compile|pypy3compile) -p ` + name + `( -V ` + name + `)? *(\|\| true)?`, `update-menus`,
	} {
		all = append(all, regexp.MustCompile(`^(`+line+`)$`))
	}
	return all
}()

// harmless reports whether a script consists of such lines.
func harmless(script []byte) bool {
	lines := statements(script)
	if len(lines) == 0 || !shell.MatchString(lines[0]) {
		return false
	}
	return !slices.ContainsFunc(lines[1:], func(line string) bool {
		return !slices.ContainsFunc(harmlessLines, func(r *regexp.Regexp) bool { return r.MatchString(line) })
	})
}

var shell = regexp.MustCompile(`^#! ?/bin/(sh|bash)( -e)?$`)

// statements are the lines of a script that are neither empty nor comments, but for the first.
func statements(script []byte) []string {
	var all []string
	for line := range bytes.Lines(script) {
		text := strings.TrimSpace(string(line))
		if text != "" && (len(all) == 0 || !strings.HasPrefix(text, "#")) {
			all = append(all, text)
		}
	}
	return all
}

// varying is what differs between versions and architectures of a script that does the same: versions that the one installed before, of which
// there is none, is compared with, and names of directories and of the loader.
var varying = regexp.MustCompile(`(--compare-versions "\$[a-z0-9]+" [a-z-]+ )\S+|[a-z0-9_]+-linux-gnu[a-z0-9]*|ld-linux[a-z0-9_.-]*`)

// scriptDigest names what a script of a package in some version does, in 16 digits of its SHA-256.
func scriptDigest(script []byte, version string) string {
	text := varying.ReplaceAllString(strings.Join(statements(script), "\n"), "$1")
	return cache.DigestOf([]byte(strings.ReplaceAll(text, version, "")))[:16]
}

// onlyForScripts are packages that others need for their scripts alone.
var onlyForScripts = []string{"debconf", "debconf-2.0", "cdebconf", "adduser", "dpkg", "init-system-helpers"}

// ofReviewed are what the reviewed scripts of packages need, besides these.
var ofReviewed = map[string][]string{"base-files": {"awk"}, "ca-certificates": {"openssl"}}

// forScripts reports whether a package needs what a relation asks for only to run its scripts.
func forScripts(name string, relation dependency.Relation) bool {
	return slices.ContainsFunc(relation.Possibilities, func(p dependency.Possibility) bool {
		return slices.Contains(onlyForScripts, p.Name) || slices.Contains(ofReviewed[name], p.Name)
	})
}
