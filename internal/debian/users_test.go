package debian

import (
	"archive/tar"
	"io/fs"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/test/debiantest"
)

// Users and groups that scripts make, in the ways that packages of Debian have, are in the image, with numbers that adduser and
// systemd-sysusers would choose, and files may belong to them.
func TestUsers(t *testing.T) {
	r := newRepository(t)
	base := r.add("base-files", "13", "")
	app := r.add("app", "1", "", debiantest.Regular("/etc/app.conf", "a"), debiantest.Regular("/usr/bin/app", "a"), debiantest.Header(tar.Header{Typeflag: tar.TypeSymlink, Name: "./etc/app.link", Linkname: "gone", Mode: 0o777}), debiantest.Regular("/usr/share/app/page", "page"),
		debiantest.Regular("/usr/lib/sysusers.d/app.conf", "# comment\ng app-users -\nu app-d - \"the daemon\" /run/app\nu! app-e 77\n"),
		debiantest.Control("preinst", "#!/bin/sh\nset -e\nrm -f /etc/old.conf\n"),
		debiantest.Control("postinst", `#!/bin/sh
set -e
if ! getent group one >/dev/null; then
	addgroup --system --quiet one
fi
adduser --system --quiet --ingroup one --no-create-home --home /nonexistent --gecos "the first" one
adduser --system --disabled-password --home /var/lib/two --force-badname --group two
adduser --system --quiet --shell /bin/false three >/dev/null
adduser --system --quiet --shell /bin/false three
adduser --quiet three two
systemd-sysusers ${DPKG_ROOT:+--root="$DPKG_ROOT"} app.conf
if ! dpkg-statoverride --list /etc/app.conf >/dev/null; then
	dpkg-statoverride --update --add root two 640 /etc/app.conf
fi
chown one /usr/bin/app
if [ ! -e /var/log/app.log ]; then
	touch /var/log/app.log
	chmod 640 /var/log/app.log
	chown www-data:adm /var/log/app.log
fi
cp /usr/share/app/page /var/www/page
if [ -f /var/www/page -a -h /etc/app.link ] && [ -e /gone -o "$1" = configure ]; then rm /etc/app.link; fi
if aa-enabled --quiet 2>/dev/null; then reboot; fi
`))
	// Its name comes first, and its script last: the user is of a package that it needs.
	first := r.add("a-first", "1", "Depends: app\n", debiantest.Regular("/etc/first", "a"), debiantest.Control("postinst", "#!/bin/sh\nset -e\nchown two /etc/first\n"))
	files := install(t, r.archive(), &System{}, first, base, app)
	assert.Equal(t, 101, files["/etc/first"].UID)
	assert.Equal(t, passwd+
		"one:x:100:100:the first:/nonexistent:/usr/sbin/nologin\n"+
		"two:x:101:101::/var/lib/two:/usr/sbin/nologin\n"+
		"three:x:102:65534::/nonexistent:/bin/false\n"+
		"app-d:x:998:998:the daemon:/run/app:/usr/sbin/nologin\n"+
		"app-e:x:77:77::/:/usr/sbin/nologin\n"+
		"www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin\n", content(t, files["/etc/passwd"]))
	assert.Equal(t, group+"one:x:100:\ntwo:x:101:three\napp-users:x:999:\napp-d:x:998:\napp-e:x:77:\nwww-data:x:33:\nadm:x:4:\n", content(t, files["/etc/group"]))
	owned := func(f oci.File) [2]int { return [2]int{f.UID, f.GID} }
	assert.Equal(t, [2]int{101, 101}, owned(files["/var/lib/two"]))
	assert.Equal(t, fs.ModeDir|0o755, files["/var/lib/two"].Mode)
	assert.NotContains(t, files, "/nonexistent")
	assert.Equal(t, [2]int{0, 101}, owned(files["/etc/app.conf"]))
	assert.Equal(t, fs.FileMode(0o640), files["/etc/app.conf"].Mode)
	assert.Equal(t, [2]int{100, 0}, owned(files["/usr/bin/app"]))
	assert.Equal(t, [2]int{33, 4}, owned(files["/var/log/app.log"]))
	assert.Equal(t, "page", content(t, files["/var/www/page"]))
	assert.NotContains(t, files, "/etc/app.link")
}
