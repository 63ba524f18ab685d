package debian

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/slipway-ci/slipway/internal/distro/shell"
	"github.com/slipway-ci/slipway/internal/distro/unpack"
	"github.com/slipway-ci/slipway/internal/oci"
)

// user is a user to add.
type user struct {
	name, comment, home, shell string
	// uid and gid are -1 where they are to be chosen.
	uid, gid int
}

// The numbers of system users and groups. Source: adduser.conf(5), systemd-sysusers(8)
const (
	firstSystem = 100
	lastSystem  = 999
	nogroup     = 65534
)

const noLogin = "/usr/sbin/nologin"

// taken are the numbers of a file of users or groups.
func (i *installation) taken(file string) (map[string]bool, error) {
	lines, err := i.accounts(file)
	taken := map[string]bool{}
	for _, line := range lines {
		if fields := strings.Split(line, ":"); len(fields) > 2 {
			taken[fields[2]] = true
		}
	}
	return taken, err
}

// freeNumber is the first number that no user has, and no group if both are wanted, from one to another, which may be below it.
func (i *installation) freeNumber(both bool, from, to int) (int, error) {
	users, err := i.taken(passwdFile)
	if err != nil {
		return 0, err
	}
	groups, err := i.taken(groupFile)
	if err != nil {
		return 0, err
	}
	step := 1
	if from > to {
		step = -1
	}
	for number := from; number != to+step; number += step {
		if text := strconv.Itoa(number); !users[text] && (!both || !groups[text]) {
			return number, nil
		}
	}
	return 0, fmt.Errorf("there is no number left for a user or group")
}

// addUser adds a user, unless there is one of that name. It has no password, and may have no directory.
func (i *installation) addUser(u user) error {
	if status, _, err := i.account(passwdFile, u.name); err != nil || status == 0 {
		return err
	}
	lines, err := i.accounts(passwdFile)
	if err != nil {
		return err
	}
	i.putAccounts(passwdFile, 0o644, 0, append(lines, fmt.Sprintf("%s:x:%d:%d:%s:%s:%s", u.name, u.uid, u.gid, u.comment, u.home, u.shell)))
	if !i.Has(shadowFile) && !i.InBase(shadowFile) {
		return nil
	}
	gid, err := i.gid("shadow")
	if err != nil {
		return err
	}
	if lines, err = i.accounts(shadowFile); err != nil {
		return err
	}
	// Without the day of the change, which would differ from one build to the next.
	i.putAccounts(shadowFile, 0o640, gid, append(lines, u.name+":!:::::::"))
	return nil
}

// addSystemUser is adduser --system NAME with the options that packages use, and adduser NAME GROUP. Source: adduser(8)
func (i *installation) addSystemUser(words []string) error {
	u, system, ownGroup, makeHome := user{uid: -1, gid: -1, home: "/nonexistent", shell: noLogin}, false, false, true
	var names []string
	for at := 0; at < len(words); at++ {
		option, value, given := strings.Cut(words[at], "=")
		if !strings.HasPrefix(option, "-") {
			names = append(names, words[at])
			continue
		}
		if slices.Contains([]string{"--home", "--shell", "--gecos", "--comment", "--ingroup", "--gid", "--uid"}, option) && !given {
			if at++; at == len(words) {
				return shell.ErrUnknown
			}
			value = words[at]
		}
		switch option {
		case "--system":
			system = true
		case "--group":
			ownGroup = true
		case "--no-create-home":
			makeHome = false
		case "--quiet", "--disabled-login", "--disabled-password", "--force-badname", "--allow-bad-names":
		case "--home":
			u.home = value
		case "--shell":
			u.shell = value
		case "--gecos", "--comment":
			u.comment = value
		case "--ingroup":
			gid, err := i.gid(value)
			if err != nil {
				return err
			}
			u.gid = gid
		case "--uid", "--gid":
			n, err := strconv.ParseUint(value, 10, 31)
			if err != nil {
				return shell.ErrUnknown
			}
			*map[string]*int{"--uid": &u.uid, "--gid": &u.gid}[option] = int(n)
		default:
			return shell.ErrUnknown
		}
	}
	if !system && len(names) == 2 {
		return i.joinGroup(names[0], names[1])
	}
	if !system || len(names) != 1 || !groupName.MatchString(names[0]) || !path.IsAbs(u.home) || strings.ContainsAny(u.home+u.shell+u.comment, ":\n") {
		return shell.ErrUnknown
	}
	u.name = names[0]
	if status, _, err := i.account(passwdFile, u.name); err != nil || status == 0 {
		return err
	}
	if u.uid < 0 {
		var err error
		if u.uid, err = i.freeNumber(ownGroup && u.gid < 0, firstSystem, lastSystem); err != nil {
			return err
		}
	}
	switch {
	case u.gid >= 0:
	case ownGroup:
		if err := i.addGroup([]string{"-g", strconv.Itoa(u.uid), u.name}); err != nil {
			return err
		}
		var err error
		if u.gid, err = i.gid(u.name); err != nil {
			return err
		}
	default:
		u.gid = nogroup
	}
	if makeHome && u.home != "/nonexistent" && !i.Has(i.Real(u.home)) && !i.InBase(u.home) {
		i.Put(oci.File{Path: i.Real(u.home), Mode: fs.ModeDir | 0o755, UID: u.uid, GID: u.gid})
	}
	return i.addUser(u)
}

// joinGroup makes a user a member of a group.
func (i *installation) joinGroup(name, group string) error {
	if status, _, err := i.account(passwdFile, name); err != nil {
		return err
	} else if status != 0 {
		return shell.ErrUnknown
	}
	lines, err := i.accounts(groupFile)
	if err != nil {
		return err
	}
	for at, line := range lines {
		fields := strings.Split(line, ":")
		if fields[0] != group || len(fields) != 4 {
			continue
		}
		members := strings.FieldsFunc(fields[3], func(r rune) bool { return r == ',' })
		if !slices.Contains(members, name) {
			fields[3] = strings.Join(append(members, name), ",")
			lines[at] = strings.Join(fields, ":")
			i.putAccounts(groupFile, 0o644, 0, lines)
		}
		return nil
	}
	return shell.ErrUnknown
}

// sysusersLine is a line of sysusers.d: a user or group, its number or a -, and for a user the words of its entry, some of them quoted.
// Source: sysusers.d(5)
var sysusersLine = regexp.MustCompile(`^([ug])!?\s+([a-z_][a-z0-9_-]*)\s+(-|[0-9]+)(?:\s+("[^"]*"|\S+))?(?:\s+(\S+))?(?:\s+(\S+))?$`)

// sysusers is systemd-sysusers for files of /usr/lib/sysusers.d. Numbers that are to be chosen are counted down from the last.
func (i *installation) sysusers(files []string) error {
	for _, name := range files {
		f, ok := i.File(i.Real("/usr/lib/sysusers.d/" + name))
		if !ok || path.Base(name) != name {
			return shell.ErrUnknown
		}
		text, err := unpack.Read(f)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			line = strings.TrimSpace(line)
			if line == "" || line[0] == '#' {
				continue
			}
			words := sysusersLine.FindStringSubmatch(line)
			if words == nil {
				return shell.ErrUnknown
			}
			if err := i.sysuser(words[1] == "u", words[2], words[3], words[4:]); err != nil {
				return err
			}
		}
	}
	return nil
}

// sysuser adds a group, and a user of the same name and number if that is wanted.
func (i *installation) sysuser(withUser bool, name, number string, rest []string) error {
	file := groupFile
	if withUser {
		file = passwdFile
	}
	if status, _, err := i.account(file, name); err != nil || status == 0 {
		return err
	}
	id, err := strconv.Atoi(number)
	if number == "-" {
		id, err = i.freeNumber(true, lastSystem, firstSystem)
	}
	if err != nil {
		return err
	}
	if err := i.addGroup([]string{"-g", strconv.Itoa(id), name}); err != nil || !withUser {
		return err
	}
	gid, err := i.gid(name)
	if err != nil {
		return err
	}
	word := func(at int, absent string) string {
		if rest[at] == "" || rest[at] == "-" {
			return absent
		}
		return strings.Trim(rest[at], `"`)
	}
	return i.addUser(user{name: name, uid: id, gid: gid, comment: word(0, ""), home: word(1, "/"), shell: word(2, noLogin)})
}
