package gitcommand

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// kept are the keys of a repository's configuration that count: how its files are written, and what a branch follows. None names a
// program or another file. Source: https://git-scm.com/docs/git-config
var kept = []string{
	"core.filemode", "core.symlinks", "core.ignorecase", "core.precomposeunicode", "core.protecthfs", "core.protectntfs", "core.longpaths",
	"core.autocrlf", "core.eol", "core.trustctime", "core.checkstat", "core.sparsecheckout", "core.sparsecheckoutcone", "index.sparse",
	"branch.*.remote", "branch.*.merge", "remote.*.fetch",
}

// formats are the extensions of a repository's format that git has to know; unneeded those that change nothing for who only reads and
// downloads nothing.
var (
	formats  = []string{"extensions.objectformat", "extensions.compatobjectformat", "extensions.refstorage"}
	unneeded = []string{"extensions.worktreeconfig", "extensions.partialclone", "extensions.preciousobjects", "extensions.relativeworktrees", "extensions.noop"}
)

// format is the value of such an extension. Any other may be the address of something.
var format = regexp.MustCompile(`^[a-z0-9]+$`)

// readConfig reads the configuration of a repository and returns the part of it that counts. It notes the URL of origin.
func (r *Repository) readConfig(ctx context.Context, common, gitDir string) (string, error) {
	settings, err := r.parseConfig(ctx, filepath.Join(common, "config"))
	if err != nil {
		return "", err
	}
	if slices.ContainsFunc(settings, func(s setting) bool { return s.name() == "extensions.worktreeconfig" }) {
		more, err := r.parseConfig(ctx, filepath.Join(gitDir, "config.worktree"))
		if err != nil {
			return "", err
		}
		settings = append(settings, more...)
	}
	var b strings.Builder
	version := 0
	for _, s := range settings {
		name := s.name()
		switch {
		case name == "remote.*.url" && s.subsection == "origin" && r.origin == "":
			r.origin = s.value
		case slices.Contains(formats, name) && format.MatchString(s.value):
			version = 1
			b.WriteString(s.String())
		case slices.Contains(kept, name):
			b.WriteString(s.String())
		case s.section == "extensions" && !slices.Contains(unneeded, name):
			return "", fmt.Errorf("its format has the extension %s = %q, which is not known here", s.key, s.value)
		}
	}
	fmt.Fprintf(&b, "[core]\n\trepositoryformatversion = %d\n\tbare = false\n", version)
	for _, s := range off {
		b.WriteString(s.String())
	}
	modules, err := r.ignoredModules(ctx)
	return b.String() + modules, err
}

// ignoredModules is the part of a configuration that has other git commands leave submodules alone, whatever .gitmodules says of them.
func (r *Repository) ignoredModules(ctx context.Context) (string, error) {
	name := filepath.Join(r.top, ".gitmodules")
	if info, err := os.Lstat(name); err != nil || !info.Mode().IsRegular() {
		return "", nil
	}
	settings, err := r.parseConfig(ctx, name)
	var b strings.Builder
	for _, s := range settings {
		if s.section == "submodule" && s.subsection != "" {
			b.WriteString(setting{s.section, s.subsection, "ignore", "all"}.String())
		}
	}
	return b.String(), err
}

// setting is a line of a configuration.
type setting struct{ section, subsection, key, value string }

// name is the setting's name, with an asterisk for the subsection.
func (s setting) name() string {
	if s.subsection == "" {
		return s.section + "." + s.key
	}
	return s.section + ".*." + s.key
}

// quoted escapes what git reads between quotes.
var quoted = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// String is the setting as a configuration has it.
func (s setting) String() string {
	subsection := ""
	if s.subsection != "" {
		subsection = ` "` + quoted.Replace(s.subsection) + `"`
	}
	return fmt.Sprintf("[%s%s]\n\t%s = \"%s\"\n", s.section, subsection, s.key, quoted.Replace(s.value))
}

// parseConfig has git read a file, which may be absent. Files that it includes are left out.
func (r *Repository) parseConfig(ctx context.Context, file string) ([]setting, error) {
	text, err := readSmall(file)
	if errors.Is(err, fs.ErrNotExist) || err == nil && text == "" {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	copied := filepath.Join(r.made, "config.read")
	if err := os.WriteFile(copied, []byte(text), 0o600); err != nil {
		return nil, err
	}
	var out strings.Builder
	// In the new directory, which is a repository without a configuration.
	if err := run(ctx, &out, r.made, r.env, []string{"config", "--file", copied, "--no-includes", "--null", "--list"}); err != nil {
		return nil, err
	}
	var settings []setting
	for record := range strings.SplitSeq(strings.TrimSuffix(out.String(), "\x00"), "\x00") {
		name, value, hasValue := strings.Cut(record, "\n")
		if !hasValue {
			value = "true" // a name alone
		}
		section, rest, ok := strings.Cut(name, ".")
		if !ok {
			continue // of an empty list
		}
		s := setting{section: section, key: rest, value: value}
		if i := strings.LastIndex(rest, "."); i >= 0 {
			s.subsection, s.key = rest[:i], rest[i+1:]
		}
		settings = append(settings, s)
	}
	return settings, nil
}
