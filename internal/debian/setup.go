package debian

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/slipway-ci/slipway/internal/oci"
)

// nsswitch is /etc/nsswitch.conf where no package brings one: files, and names of hosts by DNS as well.
const nsswitch = "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nnetworks: files\nprotocols: files\nservices: files\n"

// set does what matters of what the scripts of reviewed packages do when they are installed in an image for the first time.
//
// Not done: shells and logs of users (base-files), /etc/hosts, which the container's runtime writes (netbase), restarting services
// (libc6), links to each certificate by its hash (ca-certificates), asking questions (debconf).
func (t *tree) set(name string) error {
	switch name {
	case "base-files":
		t.put(oci.File{Path: "/run/lock", Mode: fs.ModeDir | fs.ModeSticky | 0o777})
		t.link("/var/run", "/run")
		t.link("/var/lock", "/run/lock")
		t.add(oci.FromBytes("/etc/nsswitch.conf", 0o644, []byte(nsswitch)))
	case "base-passwd":
		return errors.Join(t.copyFile("/usr/share/base-passwd/passwd.master", "/etc/passwd"), t.copyFile("/usr/share/base-passwd/group.master", "/etc/group"))
	case "ca-certificates":
		return t.bundle()
	case "tzdata":
		t.link("/etc/localtime", "/usr/share/zoneinfo/Etc/UTC")
	}
	return nil
}

// certificates is the directory of the certificates that ca-certificates has, and bundle the file of them all.
const (
	certificates = "/usr/share/ca-certificates/mozilla/"
	bundle       = "/etc/ssl/certs/ca-certificates.crt"
)

// bundle puts all certificates into one file, in the order of their names.
func (t *tree) bundle() error {
	var names []string
	for name := range t.files {
		if strings.HasPrefix(name, certificates) && path.Ext(name) == ".crt" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var all bytes.Buffer
	for _, name := range names {
		content, err := read(t.files[name])
		if err != nil {
			return err
		}
		all.Write(content)
		if !bytes.HasSuffix(content, []byte("\n")) {
			all.WriteByte('\n')
		}
	}
	t.add(oci.FromBytes(bundle, 0o644, all.Bytes()))
	return nil
}

func (t *tree) copyFile(from, to string) error {
	file, ok := t.files[from]
	if !ok {
		return nil
	}
	file.Path = to
	t.add(file)
	return nil
}

func read(f oci.File) (content []byte, err error) {
	opened, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	return io.ReadAll(opened)
}
