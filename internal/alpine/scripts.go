package alpine

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/slipway-ci/slipway/internal/distro"
	"github.com/slipway-ci/slipway/internal/distro/shell"
	"github.com/slipway-ci/slipway/internal/oci"
)

// scripts are those that a package may have. When it is installed, apk runs the first two and the last; others go into its database. Source:
// apk-package(5)
var scripts = []string{"pre-install", "post-install", "pre-deinstall", "post-deinstall", "pre-upgrade", "post-upgrade", "trigger"}

// installing is an image whose accounts a script changes.
type installing struct {
	*accounts
	// file is a file of the base, or of packages that are unpacked when the script runs.
	file func(name string) (oci.File, bool)
}

// busybox is busybox, or a package's variant of it.
var busybox = regexp.MustCompile(`^/bin/busybox(?:-[a-z]+)?$`)

// Command implements [shell.System]: users, groups and shells are done, and so is, elsewhere, what is made of files: the bundle of certificates
// and the links of busybox.
func (i installing) Command(s *shell.Script, words []string, _ string) (status int, output string, err error) {
	switch name := words[0]; {
	case name == "exec" && len(words) > 1:
		return i.Command(s, words[1:], "")
	case path.Base(name) == "update-ca-certificates" && (len(words) == 1 || len(words) == 2 && words[1] == "--fresh"):
	case busybox.MatchString(name) && slices.Equal(words[1:], []string{"--install", "-s"}):
	case name == "addgroup":
		err = i.addGroup(words[1:])
	case name == "adduser":
		err = i.addUser(words[1:])
	case name == "add-shell" && len(words) == 2:
		i.addShell(words[1])
	default:
		err = shell.ErrUnknown
	}
	if errors.Is(err, errInUse) {
		return 1, "", nil
	}
	return 0, "", err
}

// Exists implements [shell.System].
func (i installing) Exists(operator, name string) bool {
	f, there := i.file(name)
	switch operator {
	case "-d":
		return there && f.Mode.IsDir()
	case "-f", "-s", "-x":
		return there && f.Mode.IsRegular() && (operator != "-x" || f.Mode&0o111 != 0) && (operator != "-s" || f.Size > 0)
	case "-L", "-h":
		return there && f.Mode&fs.ModeSymlink != 0
	default:
		return there
	}
}

// Write implements [shell.System].
func (installing) Write(name, _ string, _ fs.FileMode) error {
	return fmt.Errorf("writing %s: %w", name, shell.ErrUnknown)
}

// runScripts does what scripts of a kind do, where file finds the files that are there, and refuses packages with others, all at once.
func (a *accounts) runScripts(file func(string) (oci.File, bool), chosen []distro.Package, all []*contents, names ...string) error {
	var refused []error
	for i, p := range chosen {
		for _, name := range names {
			script := all[i].Scripts[name]
			if script == nil {
				continue
			}
			// A trigger's arguments are directories, which are not known here.
			err, args := error(nil), []string{p.Version}
			if name == "trigger" {
				args = nil
			}
			if name == "trigger" && readsArguments.Match(script) {
				err = fmt.Errorf("which directories it gets is %w", shell.ErrUnknown)
			} else {
				err = shell.Run(installing{a, file}, script, args...)
			}
			switch {
			case errors.Is(err, shell.ErrUnknown):
				refused = append(refused, p.Refused(fmt.Sprintf("its script %s would have to run for what it sets up, and Slipway runs none: %v", name, err), needs(all)))
			case err != nil:
				return fmt.Errorf("the script %s of the package %s %s: %w", name, p.Name, p.Version, err)
			}
		}
	}
	return errors.Join(refused...)
}

// readsArguments finds the arguments of a script.
var readsArguments = regexp.MustCompile(`\$\{?[1-9@*#]`)

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
