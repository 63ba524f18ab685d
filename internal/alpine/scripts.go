package alpine

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/slipway-ci/slipway/internal/distro"
)

// scripts are those that a package may have. When it is installed, apk runs the first two and the last; others go into its database. Source:
// apk-package(5)
var scripts = []string{"pre-install", "post-install", "pre-deinstall", "post-deinstall", "pre-upgrade", "post-upgrade", "trigger"}

// command is what of a script is done here, or does not matter in a new image.
type command struct {
	form *regexp.Regexp
	// run does it, with what the form has found; nil for nothing.
	run func(a *accounts, found []string) error
}

// word is what a shell expands nothing in.
const word = `[A-Za-z0-9_@%+=:,./~-]+`

// commands are what scripts may consist of: users and groups, and what is made of files elsewhere: the bundle of certificates and the links of
// busybox. Messages are not printed.
var commands = func() []command {
	line := func(text string, run func(*accounts, []string) error) command {
		return command{regexp.MustCompile(`^(?:` + text + `)(?: *(?:2>|>|1>|&>) ?(?:/dev/null|&1|&2))*(?: *\|\| *(?:true|:))?$`), run}
	}
	return []command{
		line(`set -e|exit 0|:|true|exit \$\?`, nil),
		line(`echo(?: "[^"$`+"`"+`\\]*"| '[^']*'| `+word+`)*`, nil),
		line(`(?:/usr/sbin/)?update-ca-certificates(?: --fresh)?`, nil),
		line(`(?:exec )?/bin/busybox(?:-[a-z]+)? --install -s`, nil),
		line(`addgroup(`+options+`) (`+word+`)`, (*accounts).addGroup),
		line(`addgroup() (`+word+`) (`+word+`)`, (*accounts).addMember),
		line(`adduser(`+options+`) (`+word+`)`, (*accounts).addUser),
		line(`add-shell(?: '?(`+word+`)'?)`, (*accounts).addShell),
	}
}()

// options are those of addgroup and adduser, with their values, which may be quoted.
const options = `(?: -[A-Za-z]+(?: (?:` + word + `|"[^"$` + "`" + `\\]*"|'[^']*'))??)*?`

// shebang begins scripts.
var shebang = regexp.MustCompile(`^#! ?/bin/(?:ba|busybox )?sh(?: -e)?$`)

// heredoc is a command that prints the lines up to a word.
var heredoc = regexp.MustCompile(`^cat *(?:1?>&2 *)?<<-? *(['"]?)(\w+)['"]?(?: *1?>&2)?$`)

// run does what a script does, if all of it is known.
func (a *accounts) run(script []byte) (known bool, err error) {
	var printing string
	first := true
	for raw := range bytes.Lines(script) {
		line := strings.TrimSpace(string(raw))
		switch {
		case first:
			if !shebang.MatchString(line) {
				return false, nil
			}
			first = false
			continue
		case printing != "":
			if line == printing {
				printing = ""
			} else if strings.ContainsAny(line, "$`\\") {
				return false, nil
			}
			continue
		case line == "" || line[0] == '#':
			continue
		}
		if found := heredoc.FindStringSubmatch(line); found != nil {
			printing = found[2]
			continue
		}
		i := slices.IndexFunc(commands, func(c command) bool { return c.form.MatchString(line) })
		if i < 0 {
			return false, nil
		}
		if commands[i].run == nil {
			continue
		}
		if err := commands[i].run(a, commands[i].form.FindStringSubmatch(line)[1:]); err != nil {
			return false, fmt.Errorf("%s: %w", line, err)
		}
	}
	return !first && printing == "", nil
}

// runScripts does what scripts of a kind do, and refuses packages with others, all at once.
func (a *accounts) runScripts(chosen []distro.Package, all []*contents, names ...string) error {
	var refused []error
	for i, p := range chosen {
		for _, name := range names {
			script := all[i].Scripts[name]
			if script == nil {
				continue
			}
			known, err := a.run(script)
			if err != nil {
				return fmt.Errorf("the script %s of the package %s %s: %w", name, p.Name, p.Version, err)
			}
			if !known {
				refused = append(refused, p.Refused(fmt.Sprintf("its script %s would have to run for what it sets up, and Slipway runs none", name), needs(all)))
			}
		}
	}
	return errors.Join(refused...)
}

// needs says of each package which of the others it needs.
func needs(all []*contents) map[string][]string {
	var candidates []*candidate
	for _, found := range all {
		c := &candidate{name: found.one("pkgname")}
		c.version, _ = parseVersion(found.one("pkgver")) // what cannot be read is needed by nobody
		c.needs, _ = parseDependencies(found.Info["depend"])
		c.provides, _ = parseDependencies(found.Info["provides"])
		candidates = append(candidates, c)
	}
	needs := map[string][]string{}
	for _, c := range candidates {
		for _, other := range candidates {
			if slices.ContainsFunc(c.needs, func(d dependency) bool { return !d.refuses && d.satisfiedBy(other) }) {
				needs[c.name] = append(needs[c.name], other.name)
			}
		}
	}
	return needs
}

// knownTriggers are the packages whose triggers are carried out here when they are in the base, whatever their text.
var knownTriggers = []string{"busybox", "ca-certificates"}

// checkTriggers refuses files below directories that packages of the base watch, whose scripts would have to run. triggers are lines of
// apk's database: the digest of a package, and the patterns of directories.
func (s *System) checkTriggers(triggers []byte, p distro.Package, dirs []string) error {
	for line := range bytes.Lines(triggers) {
		words := strings.Fields(string(line))
		if len(words) == 0 {
			continue
		}
		i := slices.IndexFunc(s.installed, func(c *candidate) bool { return c.digest == words[0] })
		if i < 0 || slices.Contains(knownTriggers, s.installed[i].name) {
			continue
		}
		for _, pattern := range words[1:] {
			for _, dir := range dirs {
				if matched, _ := path.Match(strings.TrimPrefix(pattern, "+"), dir); matched {
					return fmt.Errorf("the package %s %s has files in %s: the script trigger of %s in the base would have to run for them, and Slipway runs none (leave the package out, or build on an image that has it, with --base)",
						p.Name, p.Version, dir, s.installed[i].name)
				}
			}
		}
	}
	return nil
}
