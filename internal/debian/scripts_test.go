package debian

import (
	"io/fs"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/distro"
	"github.com/slipway-ci/slipway/internal/test/debiantest"
)

// What scripts do that is known is done, in the image alone.
func TestScripts(t *testing.T) {
	r := newRepository(t)
	base := r.add("base-files", "13", "")
	app := r.add("app", "1", "",
		debiantest.Regular("/usr/bin/app-a", "a"), debiantest.Regular("/usr/bin/app-b", "b"), debiantest.Regular("/usr/share/man/app-b.1", "page"),
		debiantest.Control("templates", "Template: app/wanted\nType: boolean\nDefault: false\n\nTemplate: app/other\nDefault: x\n"),
		debiantest.Control("preinst", "#!/bin/sh\nset -e\nif [ -e /usr/bin/app-a ] || [ \"$1\" = upgrade ]; then reboot; fi\n"),
		debiantest.Control("postinst", `#!/bin/sh
set -e
. /usr/share/debconf/confmodule
db_get app/wanted
if test "$RET" = true; then reboot; fi
own() {
	if ! getent group "$1" >/dev/null; then
		addgroup --system --quiet "$1"
	fi
	chgrp "$1" "$2" && chmod 2755 "$2"
}
case "$1" in
configure)
	own _app /usr/bin/app-a
	update-alternatives --install /usr/bin/app app /usr/bin/app-a 10
	update-alternatives --quiet \
		--install /usr/bin/app app /usr/bin/app-b 20 \
		--slave /usr/share/app.1 app.1 /usr/share/man/app-b.1 --slave /usr/share/gone.1 gone.1 /usr/share/man/gone.1
	;;
*) reboot ;;
esac
umask 077
cat > /etc/app.secret <<EOF
none
EOF
umask 022
for dir in one two; do mkdir -p /var/lib/$dir; done
[ -L /usr/bin/app-a ] || ln -s ../lib/one /var/log/app
if [ -d /run/systemd/system ]; then reboot; fi
if [ -n "$2" ] && dpkg --compare-versions "$2" lt 1; then reboot; fi
if [ -x "$(command -v systemd-tmpfiles)" ]; then systemd-tmpfiles --create app.conf || true; fi
`))
	files := install(t, r.archive(), &System{}, base, app)
	assert.Equal(t, group+"_app:x:100:\n", content(t, files["/etc/group"]))
	assert.Equal(t, [2]int{0, 100}, [2]int{files["/usr/bin/app-a"].UID, files["/usr/bin/app-a"].GID})
	assert.Equal(t, fs.ModeSetgid|0o755, files["/usr/bin/app-a"].Mode)
	assert.Equal(t, "/etc/alternatives/app", files["/usr/bin/app"].Link)
	assert.Equal(t, "/usr/bin/app-b", files["/etc/alternatives/app"].Link)
	assert.Equal(t, "/usr/share/man/app-b.1", files["/etc/alternatives/app.1"].Link)
	assert.Equal(t, "/etc/alternatives/app.1", files["/usr/share/app.1"].Link)
	assert.NotContains(t, files, "/usr/share/gone.1")
	assert.NotContains(t, files, alternativesDB+"app")
	assert.Equal(t, "none\n", content(t, files["/etc/app.secret"]))
	assert.Equal(t, fs.FileMode(0o600), files["/etc/app.secret"].Mode)
	assert.Equal(t, fs.ModeDir|0o755, files["/var/lib/two"].Mode)
	assert.Equal(t, "../lib/one", files["/var/log/app"].Link)

	files = install(t, r.archive(), system(t, map[string]string{status: "Package: dpkg\nStatus: install ok installed\nVersion: 1.22\nArchitecture: amd64\n\n", "/etc/group": "root:x:0:\nused:x:100:\n"}), app)
	assert.Equal(t, "root:x:0:\nused:x:100:\n_app:x:101:\n", content(t, files["/etc/group"]))
	assert.Equal(t, "auto\n/usr/bin/app\napp.1\n/usr/share/app.1\ngone.1\n/usr/share/gone.1\n\n/usr/bin/app-a\n10\n\n\n/usr/bin/app-b\n20\n/usr/share/man/app-b.1\n/usr/share/man/gone.1\n\n",
		content(t, files[alternativesDB+"app"]))
}

func TestShadow(t *testing.T) {
	r := newRepository(t)
	users := r.add("base-passwd", "3", "", debiantest.Regular("/usr/share/base-passwd/passwd.master", "root:*:0:0:root:/root:/bin/bash\n"),
		debiantest.Regular("/usr/share/base-passwd/group.master", "root:*:0:\nshadow:*:42:\nlog:*:4:root\n"))
	app := r.add("passwd", "1", "", debiantest.Control("postinst", "#!/bin/sh\nset -e\nif ! getent group shadow | grep -q '^shadow:[^:]*:42'; then groupadd -g 42 shadow; fi\n[ -z \"$2\" ] && shadowconfig on\n"))
	files := install(t, r.archive(), &System{}, users, app)
	assert.Equal(t, "root:x:0:0:root:/root:/bin/bash\n", content(t, files["/etc/passwd"]))
	assert.Equal(t, "root:*::0:99999:7:::\n", content(t, files["/etc/shadow"]))
	assert.Equal(t, "root:*::\nshadow:*::\nlog:*::root\n", content(t, files["/etc/gshadow"]))
	assert.Equal(t, fs.FileMode(0o640), files["/etc/shadow"].Mode)
	assert.Equal(t, 42, files["/etc/shadow"].GID)
}

// What is refused is named with what needs it, all at once, in a fixed order.
func TestRefusedNamesWhatNeedsIt(t *testing.T) {
	r := newRepository(t)
	app := r.add("app", "1", "Depends: lib (>= 1) | other\n")
	lib := r.add("lib", "2", "Pre-Depends: virtual\n")
	one := r.add("one", "3", "Provides: virtual\n", debiantest.Control("postinst", "#!/bin/sh\nset -e\nssh-keygen -A\n"))
	two := r.add("two", "4", "", debiantest.Control("preinst", "#!/bin/sh\nset -e\nwhile true; do :; done\n"))
	keys := r.add("openssh-server", "10", "", debiantest.Control("postinst", "#!/bin/sh\nssh-keygen -A\n"))
	_, err := r.archive().Files(t.Context(), []distro.Package{keys}, time.Time{}, &System{})
	require.EqualError(t, err, "the package openssh-server 10: its script postinst makes host keys, which all containers of the image would share, and Slipway runs none: line 2: ssh-keygen -A (leave the package out, or build on an image that has it, with --base)")
	for range 3 {
		_, err := r.archive().Files(t.Context(), []distro.Package{app, lib, one, two}, time.Time{}, &System{})
		require.EqualError(t, err, "the package two 4: its script preinst would have to run for what it sets up, and Slipway runs none: line 3: what the shell has here (leave the package out, or build on an image that has it, with --base)\n"+
			"the package one 3, needed by app → lib → one: its script postinst would have to run for what it sets up, and Slipway runs none: line 3: ssh-keygen -A (leave app out, or build on an image that has it, with --base)")
	}
}
