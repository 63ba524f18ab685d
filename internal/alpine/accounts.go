package alpine

import (
	"context"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/slipway-ci/slipway/internal/distro/unpack"
	"github.com/slipway-ci/slipway/internal/oci"
)

// accounts are the users and groups of an image, as busybox's addgroup and adduser change them.
type accounts struct {
	// files are the lines of each file, and changed those that differ from the base's.
	files   map[string][]string
	changed map[string]bool
	modes   map[string]oci.File
	// homes are directories to make.
	homes []oci.File
}

// The files of accounts.
const (
	passwdFile = "/etc/passwd"
	groupFile  = "/etc/group"
	shadowFile = "/etc/shadow"
	shellsFile = "/etc/shells"
)

// readAccounts reads those of a base.
func (s *System) readAccounts(ctx context.Context) (*accounts, error) {
	a := &accounts{files: map[string][]string{}, changed: map[string]bool{}, modes: map[string]oci.File{}}
	for _, name := range []string{passwdFile, groupFile, shadowFile, shellsFile} {
		text, err := s.optional(ctx, name)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(text)) {
			a.files[name] = append(a.files[name], strings.TrimSuffix(line, "\n"))
		}
		if was, err := s.files.Stat(name); err == nil {
			a.modes[name] = was
		}
	}
	return a, nil
}

// find is the line of a file whose first field is name, in its fields; nil if there is none.
func (a *accounts) find(file, name string) []string {
	for _, line := range a.files[file] {
		if fields := strings.Split(line, ":"); fields[0] == name {
			return fields
		}
	}
	return nil
}

func (a *accounts) add(file, line string) {
	a.files[file] = append(a.files[file], line)
	a.changed[file] = true
}

// numberOf is the third field of a user or group.
func numberOf(fields []string) (int, bool) {
	if len(fields) < 3 {
		return 0, false
	}
	n, err := strconv.Atoi(fields[2])
	return n, err == nil
}

// free is the first number that neither file has, from where those of system accounts begin or others do.
func (a *accounts) free(system bool, files ...string) (int, error) {
	first, last := 1000, 59999
	if system {
		first, last = 100, 999
	}
	taken := map[int]bool{}
	for _, file := range files {
		for _, line := range a.files[file] {
			if n, ok := numberOf(strings.Split(line, ":")); ok {
				taken[n] = true
			}
		}
	}
	for n := first; n <= last; n++ {
		if !taken[n] {
			return n, nil
		}
	}
	return 0, fmt.Errorf("there is no number left between %d and %d", first, last)
}

// optionWord is an option or a value.
var optionWord = regexp.MustCompile(`"([^"]*)"|'([^']*)'|(\S+)`)

// parseOptions reads options. flags have no values, and values do.
func parseOptions(text, flags, values string) (map[byte]string, error) {
	found := map[byte]string{}
	var words []string
	for _, m := range optionWord.FindAllStringSubmatch(text, -1) {
		words = append(words, m[1]+m[2]+m[3])
	}
	for i := 0; i < len(words); i++ {
		if !strings.HasPrefix(words[i], "-") {
			return nil, fmt.Errorf("%q is no option", words[i])
		}
		for _, letter := range []byte(words[i][1:]) {
			switch {
			case strings.IndexByte(flags, letter) >= 0:
				found[letter] = "yes"
			case strings.IndexByte(values, letter) >= 0 && i+1 < len(words):
				i++
				found[letter] = words[i]
			default:
				return nil, fmt.Errorf("the option -%c is not known", letter)
			}
		}
	}
	return found, nil
}

// numberOr is the value of an option, or a free number.
func (a *accounts) numberOr(value string, system bool, files ...string) (int, error) {
	if value == "" {
		return a.free(system, files...)
	}
	n, err := strconv.ParseUint(value, 10, 31)
	if err != nil {
		return 0, fmt.Errorf("%q is no number", value)
	}
	return int(n), nil
}

// addGroup is addgroup [-S] [-g GID] GROUP. One that is there stays.
func (a *accounts) addGroup(found []string) error {
	options, err := parseOptions(found[0], "S", "g")
	if err != nil || a.find(groupFile, found[1]) != nil {
		return err
	}
	gid, err := a.numberOr(options['g'], options['S'] != "", groupFile)
	if err != nil {
		return err
	}
	a.add(groupFile, fmt.Sprintf("%s:x:%d:", found[1], gid))
	return nil
}

// addMember is addgroup USER GROUP.
func (a *accounts) addMember(found []string) error {
	return a.join(found[1], found[2])
}

// join adds a user to the members of a group, if there are both.
func (a *accounts) join(user, group string) error {
	for i, line := range a.files[groupFile] {
		fields := strings.Split(line, ":")
		if fields[0] != group || len(fields) != 4 || a.find(passwdFile, user) == nil {
			continue
		}
		members := strings.Split(fields[3], ",")
		if fields[3] == "" {
			members = nil
		}
		if !slices.Contains(members, user) {
			fields[3] = strings.Join(append(members, user), ",")
			a.files[groupFile][i] = strings.Join(fields, ":")
			a.changed[groupFile] = true
		}
	}
	return nil
}

// addUser is adduser [-S] [-D] [-H] [-h HOME] [-s SHELL] [-G GROUP] [-g GECOS] [-u UID] USER. One that is there stays. No password is set.
func (a *accounts) addUser(found []string) error {
	options, err := parseOptions(found[0], "SDH", "hsGgu")
	name := found[1]
	if err != nil || a.find(passwdFile, name) != nil {
		return err
	}
	system := options['S'] != ""
	group := options['G']
	if group == "" && system {
		group = "nogroup"
	}
	if group == "" {
		if err := a.addGroup([]string{"", name}); err != nil {
			return err
		}
		group = name
	}
	gid, ok := numberOf(a.find(groupFile, group))
	if !ok {
		return fmt.Errorf("there is no group %s", group)
	}
	uid, err := a.numberOr(options['u'], system, passwdFile)
	if err != nil {
		return err
	}
	home, gecos, shell := options['h'], options['g'], options['s']
	if home == "" {
		home = "/home/" + name
	}
	if gecos == "" {
		gecos = "Linux User,,,"
	}
	if shell == "" {
		shell = "/bin/sh"
		if system {
			shell = "/sbin/nologin"
		}
	}
	a.add(passwdFile, fmt.Sprintf("%s:x:%d:%d:%s:%s:%s", name, uid, gid, gecos, home, shell))
	a.add(shadowFile, name+":!::0:99999:7:::") // without the day, which would differ from one build to the next
	if options['G'] != "" {
		if err := a.join(name, group); err != nil {
			return err
		}
	}
	if options['H'] == "" {
		a.homes = append(a.homes, oci.File{Path: home, Mode: fs.ModeDir | fs.ModeSetgid | 0o755, UID: uid, GID: gid})
	}
	return nil
}

// addShell is add-shell SHELL.
func (a *accounts) addShell(found []string) error {
	if !slices.Contains(a.files[shellsFile], found[0]) {
		a.add(shellsFile, found[0])
	}
	return nil
}

// own gives a file of a package the owner that it has by name, as apk does.
func (a *accounts) own(e unpack.Entry, f *oci.File) {
	if uid, ok := numberOf(a.find(passwdFile, e.User)); ok && e.User != "" {
		f.UID = uid
	}
	if gid, ok := numberOf(a.find(groupFile, e.Group)); ok && e.Group != "" {
		f.GID = gid
	}
}

// put puts what has changed into a tree.
func (a *accounts) put(t *unpack.Tree) {
	for name := range a.changed {
		mode, was := fs.FileMode(0o644), a.modes[name]
		if name == shadowFile {
			mode = 0o640
		}
		f := oci.FromBytes(name, mode, []byte(strings.Join(a.files[name], "\n")+"\n"))
		if was.Open != nil {
			f.Mode, f.UID, f.GID = was.Mode, was.UID, was.GID
		}
		t.Put(f)
	}
	for _, home := range a.homes {
		t.Add(home)
	}
}
