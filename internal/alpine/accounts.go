package alpine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/slipway-ci/slipway/internal/distro/shell"
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

// parseOptions reads options, and returns the words that are none. flags have no values, and values do.
func parseOptions(words []string, flags, values string) (found map[byte]string, rest []string, err error) {
	found = map[byte]string{}
	for i := 0; i < len(words); i++ {
		if !strings.HasPrefix(words[i], "-") {
			rest = append(rest, words[i])
			continue
		}
		for _, letter := range []byte(words[i][1:]) {
			switch {
			case strings.IndexByte(flags, letter) >= 0:
				found[letter] = "yes"
			case strings.IndexByte(values, letter) >= 0 && i+1 < len(words):
				i++
				found[letter] = words[i]
			default:
				return nil, nil, fmt.Errorf("the option -%c is not known", letter)
			}
		}
	}
	for _, word := range rest {
		if !accountName.MatchString(word) {
			return nil, nil, shell.ErrUnknown
		}
	}
	for _, value := range found {
		if strings.ContainsAny(value, ":\n") {
			return nil, nil, shell.ErrUnknown
		}
	}
	return found, rest, nil
}

// errInUse is the failure of a command to add what is there.
var errInUse = errors.New("in use")

// accountName is the form of the name of a user or group.
var accountName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*$`)

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

// addGroup is addgroup [-S] [-g GID] GROUP, and addgroup USER GROUP. One that is there stays.
func (a *accounts) addGroup(words []string) error {
	options, rest, err := parseOptions(words, "S", "g")
	switch {
	case err != nil:
		return err
	case len(rest) == 2 && len(options) == 0:
		return a.join(rest[0], rest[1])
	case len(rest) != 1:
		return shell.ErrUnknown
	case a.find(groupFile, rest[0]) != nil:
		return errInUse
	}
	gid, err := a.numberOr(options['g'], options['S'] != "", groupFile)
	if err != nil {
		return err
	}
	a.add(groupFile, fmt.Sprintf("%s:x:%d:", rest[0], gid))
	return nil
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
func (a *accounts) addUser(words []string) error {
	options, rest, err := parseOptions(words, "SDH", "hsGgu")
	if err == nil && len(rest) != 1 {
		err = shell.ErrUnknown
	}
	if err != nil {
		return err
	}
	name := rest[0]
	if a.find(passwdFile, name) != nil {
		return errInUse
	}
	system := options['S'] != ""
	group := options['G']
	if group == "" && system {
		group = "nogroup"
	}
	if group == "" {
		if err := a.addGroup([]string{name}); err != nil && !errors.Is(err, errInUse) {
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
	home, gecos, login := options['h'], options['g'], options['s']
	if home == "" {
		home = "/home/" + name
	}
	if gecos == "" {
		gecos = "Linux User,,,"
	}
	if login == "" {
		login = "/bin/sh"
		if system {
			login = "/sbin/nologin"
		}
	}
	a.add(passwdFile, fmt.Sprintf("%s:x:%d:%d:%s:%s:%s", name, uid, gid, gecos, home, login))
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
func (a *accounts) addShell(shell string) {
	if !slices.Contains(a.files[shellsFile], shell) {
		a.add(shellsFile, shell)
	}
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
