package debian

import (
	"io/fs"

	"github.com/slipway-ci/slipway/internal/oci"
)

// nsswitch is /etc/nsswitch.conf where no package brings one: files, and names of hosts by DNS as well.
const nsswitch = "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nnetworks: files\nprotocols: files\nservices: files\n"

// passwd and group are the users and groups where base-passwd is not installed: those of distroless, but for who the program runs as. Source:
// https://github.com/GoogleContainerTools/distroless/blob/main/common/BUILD.bazel
const (
	passwd = "root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\n"
	group  = "root:x:0:\nnobody:x:65534:\ntty:x:5:\nstaff:x:50:\n"
)

// set does what matters of what the scripts of reviewed packages do when they are installed in an image for the first time.
//
// Not done: shells and logs of users (base-files, debianutils, readline-common), /etc/hosts, which the container's runtime writes (netbase),
// manual pages by version (postgresql-client-17), compiled Python (python3, python3.13),
// restarting services (libc6), links to each certificate by its hash (ca-certificates), manual pages and rmt under other names (bash, tar),
// diversions for what is not there (gzip, libreadline8t64), asking questions (debconf).
func (t *tree) set(name string) error {
	switch name {
	case "base-files":
		t.Put(oci.File{Path: "/run/lock", Mode: fs.ModeDir | fs.ModeSticky | 0o777})
		t.Link("/var/run", "/run")
		t.Link("/var/lock", "/run/lock")
		t.Add(oci.FromBytes("/etc/nsswitch.conf", 0o644, []byte(nsswitch)))
		t.Add(oci.FromBytes("/etc/passwd", 0o644, []byte(passwd)))
		t.Add(oci.FromBytes("/etc/group", 0o644, []byte(group)))
	case "base-passwd":
		t.copyFile("/usr/share/base-passwd/passwd.master", "/etc/passwd")
		t.copyFile("/usr/share/base-passwd/group.master", "/etc/group")
	case "bash":
		if _, there := t.File("/usr/bin/sh"); !there {
			t.Link("/usr/bin/sh", "bash")
		}
	case "mysql-common":
		return t.alternatives([]string{"--install", "/etc/mysql/my.cnf", "my.cnf", "/etc/mysql/my.cnf.fallback", "100"})
	case "mariadb-common":
		return t.alternatives([]string{"--install", "/etc/mysql/my.cnf", "my.cnf", "/etc/mysql/mariadb.cnf", "500"})
	case "python3":
		t.Add(oci.FromBytes("/etc/python3/debian_config", 0o644, []byte("[DEFAULT]\n# how to byte-compile (comma separated: standard, optimize)\nbyte-compile = standard\n")))
	case "python3.13-minimal":
		t.Add(oci.File{Path: "/usr/local/lib/python3.13/dist-packages", Mode: fs.ModeDir | 0o755})
	case "debianutils":
		t.Link("/usr/bin/which", "which.debianutils")
	case "libc-bin":
		t.copyFile("/usr/share/libc-bin/nsswitch.conf", "/etc/nsswitch.conf")
	case "ca-certificates":
		return t.AddCertificates(t.cache)
	case "tzdata":
		t.Link("/etc/localtime", "/usr/share/zoneinfo/Etc/UTC")
	}
	return nil
}

// copyFile has a file of a package in another place as well, unless the base has something there.
func (t *tree) copyFile(from, to string) {
	if file, ok := t.File(from); ok && !t.InBase(to) {
		file.Path = to
		t.Put(file)
	}
}
