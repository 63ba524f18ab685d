package debian

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"pault.ag/go/debian/version"

	"github.com/slipway-ci/slipway/internal/distro"
	"github.com/slipway-ci/slipway/internal/distro/shell"
	"github.com/slipway-ci/slipway/internal/oci"
)

// installation is the system that a script of a package changes.
type installation struct {
	*tree
	control map[string][]byte
	// unpacked says that files of packages are there, and not only the base's.
	unpacked bool
}

// runScript does what a script of a package does when the package is installed for the first time, if all of it is known.
func (t *tree) runScript(p distro.Package, found *contents, name string) error {
	script := found.Control[name]
	if script == nil || slices.Contains(reviewed[p.Name], scriptDigest(script, p.Version)) {
		return nil
	}
	system := &installation{t, found.Control, name == "postinst"}
	return shell.Run(system, script, map[string]string{"preinst": "install", "postinst": "configure"}[name])
}

// needless are commands that have nothing to do in a new image: services, of which none runs and which a container's program is in the place
// of; the cache of shared libraries, which the loader does without; configuration of older versions; compiled Python; menus; labels of files.
var needless = []string{
	"deb-systemd-helper", "deb-systemd-invoke", "systemctl", "systemd-tmpfiles", "invoke-rc.d", "update-rc.d",
	"ldconfig", "dpkg-maintscript-helper", "py3compile", "pypy3compile", "update-menus", "update-icon-caches", "restorecon", "modprobe",
}

// debconf are its commands, besides db_get: nothing is asked, so nothing is answered.
var debconf = []string{"db_version", "db_input", "db_go", "db_stop", "db_reset", "db_set", "db_subst", "db_purge", "db_title", "db_fset", "db_unregister"}

// Command implements [shell.System].
func (i *installation) Command(s *shell.Script, words []string, _ string) (status int, output string, err error) {
	switch name := words[0]; {
	case slices.Contains(needless, name), slices.Contains(debconf, name):
		return 0, "", nil
	case name == "." && len(words) == 2 && words[1] == "/usr/share/debconf/confmodule":
		return 0, "", nil
	case name == "db_get" && len(words) == 2:
		return i.ask(s, words[1])
	case (name == "command" || name == "which") && len(words) > 1:
		return i.find(words[len(words)-1])
	case name == "dpkg" && len(words) == 5 && words[1] == "--compare-versions":
		return compare(words[2:])
	case name == "dpkg-divert" && len(words) == 3 && words[1] == "--listpackage":
		return 0, "", nil
	case name == "dpkg-divert" && len(words) == 3 && words[1] == "--truename":
		return 0, words[2] + "\n", nil
	case name == "dpkg-divert" && slices.Contains(words, "--no-rename") && slices.ContainsFunc(words, func(w string) bool { return strings.HasSuffix(w, ".usr-is-merged") }):
		return 0, "", nil // added for the time of an update from before /usr was merged, and taken back
	case name == "dpkg-statoverride" && len(words) == 3 && words[1] == "--list":
		return 1, "", nil
	case name == "rm" && len(words) > 1:
		return 0, "", i.remove(words[1:])
	case name == "aa-enabled", name == "aa-status":
		return 1, "", nil // there is no kernel to ask
	case !i.unpacked:
		return 0, "", shell.ErrUnknown
	case name == "update-alternatives":
		return 0, "", i.alternatives(words[1:])
	case name == "getent" && len(words) == 3 && (words[1] == "group" || words[1] == "passwd"):
		return i.account("/etc/"+words[1], words[2])
	case name == "addgroup" || name == "groupadd":
		return 0, "", i.addGroup(words[1:])
	case name == "adduser":
		return 0, "", i.addSystemUser(words[1:])
	case name == "pam-auth-update" && slices.Contains(words, "--package") && !slices.Contains(words, "--remove"):
		return 0, "", i.pamAuthUpdate()
	case name == "systemd-sysusers" && len(words) > 1:
		return 0, "", i.sysusers(words[1:])
	case name == "dpkg-statoverride" && len(words) == 7 && words[1] == "--update" && words[2] == "--add":
		return 0, "", errors.Join(i.chown(words[3]+":"+words[4], words[6]), i.chmod(words[5], words[6]))
	case name == "install" && len(words) == 5 && words[1] == "--mode" && words[3] == "/dev/null":
		return 0, "", i.Write(words[4], "", s.Mode)
	case name == "cp" && len(words) == 3 && path.IsAbs(words[2]) && !i.Has(i.Real(words[2])):
		return 0, "", i.copy(words[1], words[2])
	case name == "chgrp" && len(words) == 3:
		return 0, "", i.change(words[2], func(f *oci.File) (err error) { f.GID, err = i.gid(words[1]); return err })
	case name == "chown" && len(words) == 3:
		return 0, "", i.chown(words[1], words[2])
	case name == "chmod" && len(words) == 3:
		return 0, "", i.chmod(words[1], words[2])
	case name == "shadowconfig" && len(words) == 2 && words[1] == "on":
		return 0, "", i.shadow()
	case name == "touch" && len(words) == 2:
		if !i.Has(i.Real(words[1])) {
			return 0, "", i.Write(words[1], "", s.Mode)
		}
		return 0, "", nil
	case name == "mkdir" && len(words) == 3 && words[1] == "-p" && path.IsAbs(words[2]):
		i.Add(oci.File{Path: i.Real(words[2]), Mode: fs.ModeDir | 0o755})
		return 0, "", nil
	case name == "ln" && len(words) == 4 && (words[1] == "-s" || words[1] == "-sf") && path.IsAbs(words[3]):
		i.Link(i.Real(words[3]), words[2])
		return 0, "", nil
	case name == "dirname" && len(words) == 2:
		return 0, path.Dir(words[1]) + "\n", nil
	case name == "readlink" && len(words) == 2:
		f, _ := i.File(i.Real(words[1]))
		return map[bool]int{true: 1}[f.Link == ""], f.Link, nil
	case name == "getcap" && len(words) == 2:
		f, there := i.File(i.Real(words[1]))
		if !there || f.Xattrs != nil {
			return 0, "", shell.ErrUnknown
		}
		return 0, "", nil
	default:
		return 0, "", shell.ErrUnknown
	}
}

// Exists implements [shell.System]. An image that is made runs no system, whose directories are in /run.
func (i *installation) Exists(operator, name string) bool {
	if !path.IsAbs(name) || strings.HasPrefix(name, "/run/") || strings.HasPrefix(name, "/proc/") {
		return false
	}
	f, there := i.File(i.Real(name))
	if !i.unpacked {
		there = false
	}
	if !there {
		if !i.InBase(name) {
			return false
		}
		f, _ = i.base.files.Stat(name)
	}
	switch operator {
	case "-d":
		return f.Mode.IsDir()
	case "-f":
		return !f.Mode.IsDir()
	case "-s":
		return f.Mode.IsDir() || f.Size > 0
	case "-L", "-h":
		return f.Mode&fs.ModeSymlink != 0
	case "-x":
		return f.Mode&0o111 != 0
	default:
		return true
	}
}

// Write implements [shell.System].
func (i *installation) Write(name, content string, mode fs.FileMode) error {
	if !i.unpacked || !path.IsAbs(name) || i.InBase(name) {
		return fmt.Errorf("writing %s: %w", name, shell.ErrUnknown)
	}
	i.Put(oci.FromBytes(i.Real(name), mode, []byte(content)))
	return nil
}

// ask answers a question as the package does by default.
func (i *installation) ask(s *shell.Script, question string) (status int, output string, err error) {
	for paragraph := range strings.SplitSeq(string(i.control["templates"]), "\n\n") {
		if field([]byte(paragraph), "Template") == question {
			s.Vars["RET"] = field([]byte(paragraph), "Default")
			return 0, "", nil
		}
	}
	return 0, "", shell.ErrUnknown
}

// find is command -v and which.
func (i *installation) find(program string) (status int, output string, err error) {
	if slices.Contains(needless, program) { // what it would do is nothing
		return 0, program + "\n", nil
	}
	for _, dir := range []string{"/usr/sbin", "/usr/bin", "/sbin", "/bin"} {
		if at := path.Join(dir, program); i.Exists("-x", at) {
			return 0, at + "\n", nil
		}
	}
	return 1, "", nil
}

// compare is dpkg --compare-versions A OPERATOR B. No version is older than all, or with an operator such as lt-nl newer. Source: dpkg(1)
func compare(words []string) (status int, output string, err error) {
	operator, newer := strings.CutSuffix(words[1], "-nl")
	order := 0
	switch {
	case words[0] == "" && words[2] == "":
	case words[0] == "" || words[2] == "":
		order = -1
		if newer != (words[2] == "") {
			order = 1
		}
	default:
		a, err1 := version.Parse(words[0])
		b, err2 := version.Parse(words[2])
		if err1 != nil || err2 != nil {
			return 0, "", shell.ErrUnknown
		}
		order = version.Compare(a, b)
	}
	holds, known := map[string]bool{"lt": order < 0, "le": order <= 0, "eq": order == 0, "ne": order != 0, "ge": order >= 0, "gt": order > 0}[operator]
	if !known {
		return 0, "", shell.ErrUnknown
	}
	return map[bool]int{true: 0, false: 1}[holds], "", nil
}

// change changes a file that a package brings.
func (i *installation) change(name string, change func(*oci.File) error) error {
	f, ok := i.File(i.Real(name))
	if !ok || f.Mode&fs.ModeSymlink != 0 {
		return shell.ErrUnknown
	}
	if err := change(&f); err != nil {
		return err
	}
	i.Put(f)
	return nil
}

// remove is rm of files that packages bring, and rm -f of files that are not there.
func (i *installation) remove(names []string) error {
	force := names[0] == "-f"
	if force {
		names = names[1:]
	}
	for _, name := range names {
		there := i.Exists("-L", name) || i.Exists("-e", name)
		if !path.IsAbs(name) || i.InBase(name) || i.Exists("-d", name) || !there && !force {
			return shell.ErrUnknown
		}
		i.Remove(i.Real(name))
	}
	return nil
}

// chown is chown USER[:GROUP] FILE.
func (i *installation) chown(owner, name string) error {
	user, group, both := strings.Cut(owner, ":")
	uid, err := i.number(passwdFile, user)
	if err != nil {
		return err
	}
	gid := 0
	if both {
		if gid, err = i.gid(group); err != nil {
			return err
		}
	}
	return i.change(name, func(f *oci.File) error {
		if f.UID = uid; both {
			f.GID = gid
		}
		return nil
	})
}

// copy is cp FROM TO of a package's file.
func (i *installation) copy(from, to string) error {
	f, ok := i.File(i.Real(from))
	if !ok || !f.Mode.IsRegular() || i.InBase(to) {
		return shell.ErrUnknown
	}
	f.Path, f.UID, f.GID = i.Real(to), 0, 0
	i.Put(f)
	return nil
}

func (i *installation) chmod(octal, name string) error {
	n, err := strconv.ParseUint(octal, 8, 12)
	if err != nil {
		return shell.ErrUnknown
	}
	mode := fs.FileMode(n & 0o777)
	for bit, flag := range map[uint64]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if n&bit != 0 {
			mode |= flag
		}
	}
	return i.change(name, func(f *oci.File) error {
		f.Mode = f.Mode&fs.ModeType&^(fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky) | mode
		return nil
	})
}
