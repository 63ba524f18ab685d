package debian

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"pault.ag/go/debian/dependency"

	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/distro"
	"github.com/slipway-ci/slipway/internal/distro/shell"
)

// installScripts are what dpkg runs when it installs a package. Those for removing it go into the database of a full base, where dpkg may.
var installScripts = []string{"preinst", "postinst"}

// cannot says of packages that images often install what their scripts do that Slipway cannot, or that no image should have.
var cannot = map[string]string{
	"libgdk-pixbuf-2.0-0": "lists its loaders by a program of its own",
	"libglib2.0-0t64":     "compiles schemas by a program of its own",
	"locales":             "compiles locales; C.UTF-8 is there without it",
	"openssh-server":      "makes host keys, which all containers of the image would share",
	"vim-runtime":         "indexes its help by a program of its own, which vim-tiny has not",
}

// runScripts does what scripts of a kind do, and refuses packages with others, all at once.
func (t *tree) runScripts(chosen []distro.Package, all []*contents, name string) error {
	order, err := scriptOrder(chosen, all, name)
	if err != nil {
		return err
	}
	var refused []error
	for _, i := range order {
		p := chosen[i]
		err := t.runScript(p, all[i], name)
		if err == nil {
			continue
		}
		needs, other := needs(chosen, all)
		if other != nil || !errors.Is(err, shell.ErrUnknown) {
			return fmt.Errorf("the script %s of the package %s %s: %w", name, p.Name, p.Version, errors.Join(err, other))
		}
		why := cmp.Or(cannot[p.Name], "would have to run for what it sets up")
		refused = append(refused, p.Refused(fmt.Sprintf("its script %s %s, and Slipway runs none: %v", name, why, err), needs))
	}
	return errors.Join(refused...)
}

// scriptOrder is the order in which scripts of a kind run, of packages that have one: before a package is configured, those are that it needs.
func scriptOrder(chosen []distro.Package, all []*contents, name string) ([]int, error) {
	at := map[string]int{}
	var order []int
	for i, p := range chosen {
		if all[i].Control[name] != nil {
			order = append(order, i)
		}
		at[p.Name] = i
	}
	if name != "postinst" || len(order) < 2 {
		return order, nil
	}
	needs, err := needs(chosen, all)
	if err != nil {
		return nil, err
	}
	seen := map[int]bool{}
	var sorted []int
	var visit func(i int)
	visit = func(i int) {
		if seen[i] {
			return
		}
		seen[i] = true
		for _, other := range needs[chosen[i].Name] {
			visit(at[other])
		}
		if all[i].Control[name] != nil {
			sorted = append(sorted, i)
		}
	}
	for _, i := range order {
		visit(i)
	}
	return sorted, nil
}

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
var onlyForScripts = []string{
	"debconf", "debconf-2.0", "cdebconf", "adduser", "passwd", "login.defs", "dpkg", "init-system-helpers", "ucf",
	"systemd-sysusers", "systemd-standalone-sysusers", "runit-helper", "sysvinit-utils", "lsb-base",
}

// ofReviewed are what the reviewed scripts of packages need, besides these.
var ofReviewed = map[string][]string{"base-files": {"awk"}, "ca-certificates": {"openssl"}}

// forScripts reports whether a package needs what a relation asks for only to run its scripts.
func forScripts(name string, relation dependency.Relation) bool {
	return slices.ContainsFunc(relation.Possibilities, func(p dependency.Possibility) bool {
		return slices.Contains(onlyForScripts, p.Name) || slices.Contains(ofReviewed[name], p.Name)
	})
}
