package debian

import (
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

// The files of users and groups.
const (
	passwdFile  = "/etc/passwd"
	groupFile   = "/etc/group"
	shadowFile  = "/etc/shadow"
	gshadowFile = "/etc/gshadow"
)

// accounts are the lines of such a file.
func (i *installation) accounts(file string) ([]string, error) {
	f, ok := i.File(file)
	if !ok {
		if !i.InBase(file) {
			return nil, nil
		}
		var err error
		if f, err = i.base.files.Stat(file); err != nil {
			return nil, err
		}
	}
	text, err := unpack.Read(f)
	return strings.FieldsFunc(string(text), func(r rune) bool { return r == '\n' }), err
}

// putAccounts writes such a file.
func (i *installation) putAccounts(file string, mode fs.FileMode, gid int, lines []string) {
	f := oci.FromBytes(file, mode, []byte(strings.Join(lines, "\n")+"\n"))
	f.GID = gid
	i.Put(f)
}

// account is getent passwd NAME and getent group NAME.
func (i *installation) account(file, name string) (status int, output string, err error) {
	lines, err := i.accounts(file)
	for _, line := range lines {
		if strings.HasPrefix(line, name+":") {
			return 0, line + "\n", err
		}
	}
	return 2, "", err
}

// gid is the number of a group.
func (i *installation) gid(name string) (int, error) { return i.number(groupFile, name) }

// static are users, and the groups of the same names among others, that every Debian has and an image without base-passwd lacks, as far as scripts name them. Source:
// https://www.debian.org/doc/debian-policy/ch-opersys.html#uid-and-gid-classes, and base-passwd's passwd.master and group.master
var static = map[string]map[string]string{
	passwdFile: {
		"mail":     "mail:x:8:8:mail:/var/mail:" + noLogin,
		"man":      "man:x:6:12:man:/var/cache/man:" + noLogin,
		"www-data": "www-data:x:33:33:www-data:/var/www:" + noLogin,
	},
	groupFile: {
		"adm": "adm:x:4:", "mail": "mail:x:8:", "man": "man:x:12:", "shadow": "shadow:x:42:", "utmp": "utmp:x:43:", "www-data": "www-data:x:33:",
		"nogroup": "nogroup:x:65534:",
	},
}

// number is that of a user or group.
func (i *installation) number(file, name string) (int, error) {
	_, line, err := i.account(file, name)
	if known := static[file][name]; err == nil && line == "" && known != "" {
		lines, err := i.accounts(file)
		if err != nil {
			return 0, err
		}
		line = known
		i.putAccounts(file, 0o644, 0, append(lines, line))
		if file == passwdFile {
			if _, err := i.gid(name); err != nil {
				return 0, err
			}
		}
	}
	if fields := strings.Split(line, ":"); err == nil && len(fields) > 2 {
		return strconv.Atoi(fields[2])
	}
	return 0, shell.ErrUnknown
}

// groupName is the form of a group's name.
var groupName = regexp.MustCompile(`^[a-z_][a-z0-9_-]*$`)

// addGroup is addgroup --system NAME and groupadd -r NAME, whose number is the first that is free from 100 on, as addgroup's is, or groupadd -g.
func (i *installation) addGroup(words []string) error {
	name, number, given := "", -1, false
	for at := 0; at < len(words); at++ {
		switch word := words[at]; {
		case slices.Contains([]string{"--system", "-r", "--quiet", "--force-badname", "--allow-bad-names", "-f"}, word):
		case (word == "-g" || word == "--gid") && at+1 < len(words):
			at++
			n, err := strconv.ParseUint(words[at], 10, 31)
			if err != nil {
				return shell.ErrUnknown
			}
			number, given = int(n), true
		case name == "" && groupName.MatchString(word):
			name = word
		default:
			return shell.ErrUnknown
		}
	}
	if status, _, err := i.account(groupFile, name); err != nil || status == 0 {
		return err
	}
	lines, err := i.accounts(groupFile)
	if err != nil {
		return err
	}
	taken, err := i.taken(groupFile)
	if err != nil {
		return err
	}
	if given && taken[strconv.Itoa(number)] {
		return fmt.Errorf("the number %d of the group %s is that of another", number, name)
	}
	for number < 0 || taken[strconv.Itoa(number)] {
		if number = max(number+1, firstSystem); number > lastSystem {
			return fmt.Errorf("there is no number left for the group %s", name)
		}
	}
	i.putAccounts(groupFile, 0o644, 0, append(lines, fmt.Sprintf("%s:x:%d:", name, number)))
	return nil
}

// shadow is shadowconfig on: passwords are in files of their own, which root and the group shadow may read. Without the day of the change, which
// would differ from one build to the next.
func (i *installation) shadow() error {
	gid, err := i.gid("shadow")
	if err != nil || i.InBase(shadowFile) || i.InBase(gshadowFile) {
		return shell.ErrUnknown
	}
	for _, file := range []struct{ public, secret, rest string }{{passwdFile, shadowFile, "::0:99999:7:::"}, {groupFile, gshadowFile, "::"}} {
		lines, err := i.accounts(file.public)
		if err != nil {
			return err
		}
		var secrets []string
		for at, line := range lines {
			fields := strings.Split(line, ":")
			if len(fields) < 4 {
				return shell.ErrUnknown
			}
			secret := fields[0] + ":" + fields[1] + file.rest
			if file.public == groupFile {
				secret += fields[3]
			}
			fields[1] = "x"
			lines[at], secrets = strings.Join(fields, ":"), append(secrets, secret)
		}
		i.putAccounts(file.public, 0o644, 0, lines)
		i.putAccounts(file.secret, 0o640, gid, secrets)
	}
	return nil
}
