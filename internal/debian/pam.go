package debian

import (
	"bytes"
	"cmp"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/slipway-ci/slipway/internal/distro/shell"
	"github.com/slipway-ci/slipway/internal/distro/unpack"
	"github.com/slipway-ci/slipway/internal/oci"
)

// Directories of PAM: what packages offer, the templates, and what services include.
const (
	pamProfiles  = "/usr/share/pam-configs"
	pamTemplates = "/usr/share/pam/"
	pamDir       = "/etc/pam.d/"
)

// pamTypes are the files that are made, as common-TYPE.
var pamTypes = []string{"auth", "account", "password", "session", "session-noninteractive"}

// pamProfile is what a package offers: modules for each of the types.
type pamProfile struct {
	name     string
	priority int
	fields   map[string]string
}

// lines are the modules for a type, in a block: Primary, of which the first that succeeds ends it, or Additional. The first profile may have
// others.
func (p pamProfile) lines(kind, block string, first bool) []string {
	field := strings.ToUpper(kind[:1]) + kind[1:]
	if kind == "session-noninteractive" {
		if p.fields["Session-Interactive-Only"] == "yes" {
			return nil
		}
		field = "Session"
	}
	if p.fields[field+"-Type"] != block {
		return nil
	}
	text := p.fields[field]
	if first {
		text = cmp.Or(p.fields[field+"-Initial"], text)
	}
	return strings.FieldsFunc(text, func(r rune) bool { return r == '\n' })
}

// pamModule is a line of a profile: what follows from the module's result, the module, and its options.
var pamModule = regexp.MustCompile(`^((?:\[[^]]+\]|\w+)\s+\S+)\s*(.*)$`)

// pamBegins and pamEnds are the comments of a template around each block.
var (
	pamBegins = map[string]string{"Primary": `(the "Primary" block)`, "Additional": `(the "Additional" block)`}
	pamEnds   = map[string]string{"Primary": "# here's the fallback if no module succeeds", "Additional": "# end of pam-auth-update config"}
)

// pamAuthUpdate is pam-auth-update --package in an image where no package has called it before: what services include has the modules of all
// profiles that are there by default. What it notes of its choice for the next call is left out. Source: pam-auth-update(8)
func (i *installation) pamAuthUpdate() error {
	profiles, err := i.pamProfiles()
	if err != nil {
		return err
	}
	for _, kind := range pamTypes {
		name := pamDir + "common-" + kind
		template, ok := i.File(i.Real(pamTemplates + "common-" + kind))
		if !ok || i.InBase(name) {
			return shell.ErrUnknown
		}
		text, err := unpack.Read(template)
		if err != nil {
			return err
		}
		var made bytes.Buffer
		skipping := "" // up to this comment
		for line := range strings.Lines(string(text)) {
			if skipping != "" && !strings.HasPrefix(line, skipping) {
				continue
			}
			skipping = ""
			made.WriteString(line)
			for block, begins := range pamBegins {
				if strings.HasPrefix(line, "#") && strings.HasSuffix(strings.TrimSpace(line), begins) {
					made.WriteString(pamBlock(profiles, kind, block))
					skipping = pamEnds[block]
				}
			}
		}
		i.Put(oci.FromBytes(i.Real(name), 0o644, made.Bytes()))
	}
	return nil
}

// pamBlock are the lines of a block. A module of the primary one that succeeds jumps over all that follow it and over the fallback.
func pamBlock(profiles []pamProfile, kind, block string) string {
	var lines []string
	first := true
	for _, p := range profiles {
		own := p.lines(kind, block, first)
		first = first && own == nil
		lines = append(lines, own...)
	}
	service, _, _ := strings.Cut(kind, "-")
	if block == "Primary" && lines == nil {
		return service + "\t[default=1]\t\t\tpam_permit.so\n"
	}
	left := len(lines)
	if block == "Additional" {
		left--
	}
	var text strings.Builder
	for at, line := range lines {
		parts := pamModule.FindStringSubmatch(strings.TrimSpace(line))
		if parts == nil {
			continue
		}
		module := strings.ReplaceAll(parts[1], "end", strconv.Itoa(left-at))
		text.WriteString(service + "\t" + module + " " + strings.Join(strings.Fields(parts[2]), " ") + "\n")
	}
	return text.String()
}

// pamProfiles are those that are on by default, by their priorities.
func (i *installation) pamProfiles() ([]pamProfile, error) {
	var profiles []pamProfile
	for _, f := range i.Files() {
		if path.Dir(f.Path) != pamProfiles || !f.Mode.IsRegular() {
			continue
		}
		text, err := unpack.Read(f)
		if err != nil {
			return nil, err
		}
		p := pamProfile{name: path.Base(f.Path), fields: map[string]string{}}
		last := ""
		for line := range strings.Lines(string(text)) {
			name, value, ok := strings.Cut(line, ":")
			switch {
			case strings.TrimSpace(line) == "" || line[0] == '#':
			case line[0] == ' ' || line[0] == '\t':
				p.fields[last] += line
			case ok:
				last = name
				p.fields[last] = strings.TrimSpace(value)
			}
		}
		if p.fields["Default"] != "yes" {
			continue
		}
		if p.priority, err = strconv.Atoi(p.fields["Priority"]); err != nil {
			return nil, shell.ErrUnknown
		}
		profiles = append(profiles, p)
	}
	slices.SortFunc(profiles, func(a, b pamProfile) int {
		return cmp.Or(cmp.Compare(b.priority, a.priority), strings.Compare(a.name, b.name))
	})
	return profiles, nil
}
