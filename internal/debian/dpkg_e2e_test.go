//go:build dpkg_e2e

package debian

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/distro"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/test/testtool"
)

// compared are packages whose scripts do something in a new image, of each kind that is done here.
var compared = []string{"dash", "iproute2", "iptables", "less", "libcap2-bin", "nano", "openssh-client", "passwd", "rsync", "socat"}

// elsewhere begins what dpkg's tools write and an image does not have: their own databases and logs, the loader's cache, and which services start
// at boot.
var elsewhere = []string{"/var/lib/dpkg/", "/var/lib/apt/", "/var/lib/systemd/", "/var/log/", "/var/cache/", "/etc/ld.so.cache", "/etc/systemd/", "/etc/rc", "/dev/", "/run/", "/proc/", "/tmp/"}

// What dpkg installs by running scripts is what is installed here without: the files of the packages, and all that their scripts made or changed.
// SLIPWAY_E2E_DEBIAN is the directory of a minimal Debian 13 from debootstrap, which is copied; without it, one is made.
func TestDpkg(t *testing.T) {
	if os.Getuid() != 0 {
		testtool.Skip(t, "chroot needs root")
	}
	before := os.Getenv("SLIPWAY_E2E_DEBIAN")
	if before == "" {
		before = filepath.Join(t.TempDir(), "before")
		run(t, testtool.Need(t, "debootstrap", "debootstrap"), "--variant=minbase", "trixie", before, strings.TrimSuffix(current, "/")+"/debian")
	}
	after := filepath.Join(t.TempDir(), "after")
	run(t, "cp", "-a", before, after)
	run(t, "chroot", append([]string{after, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "--no-install-recommends"}, compared...)...)

	a := mirror(t, "13")
	a.Release.Suites = a.Release.Suites[:1] // which debootstrap takes as well
	selection, err := a.Resolve(t.Context(), Request{Architecture: "amd64", Names: append([]string{"base-files", "base-passwd"}, compared...)})
	require.NoError(t, err)
	files, err := a.Files(t.Context(), selection.Packages, time.Time{}, &System{})
	require.NoError(t, err)
	ours := map[string]string{}
	for _, f := range files {
		ours[f.Path] = describe(f.Mode, f.UID, f.GID, f.Link, f.ID)
	}
	was, is := walk(t, before), walk(t, after)
	// Compared in another way; as distroless has it; for the container's runtime to write; made by another package's script that was read.
	others := []string{passwdFile, groupFile, shadowFile, gshadowFile, "/etc/nsswitch.conf", "/var/run", "/var/lock", "/etc/hosts", "/etc/networks", "/usr/bin/which"}
	lists, err := filepath.Glob(filepath.Join(after, infoDir, "*.list"))
	require.NoError(t, err)
	for _, list := range lists { // what is there for its scripts alone, such as adduser
		name, _, _ := strings.Cut(strings.TrimSuffix(filepath.Base(list), ".list"), ":")
		if !slices.ContainsFunc(selection.Packages, func(p distro.Package) bool { return p.Name == name }) {
			text, err := os.ReadFile(list)
			require.NoError(t, err)
			others = append(others, strings.Fields(string(text))...)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(ours)) {
		if !skipped(name) && !slices.Contains(others, name) {
			assert.Equal(t, is[name], ours[name], name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(is)) {
		if is[name] != was[name] && !skipped(name) && !slices.Contains(others, strings.TrimSuffix(name, "-")) {
			assert.Equal(t, is[name], ours[name], "%s, which was %q before", name, was[name])
		}
	}
	group, err := os.ReadFile(filepath.Join(after, groupFile))
	require.NoError(t, err)
	at := slices.IndexFunc(files, func(f oci.File) bool { return f.Path == groupFile })
	for line := range strings.Lines(content(t, files[at])) {
		if name, _, _ := strings.Cut(line, ":"); name == "_ssh" || name == "shadow" {
			assert.Contains(t, string(group), name+":x:")
		}
	}
}

func skipped(name string) bool {
	return slices.ContainsFunc(elsewhere, func(prefix string) bool {
		return strings.HasPrefix(name+"/", prefix) || strings.HasPrefix(name, prefix)
	})
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	require.NoError(t, err, string(out))
}

func describe(mode fs.FileMode, uid, gid int, link, digest string) string {
	if mode&fs.ModeSymlink != 0 {
		return "link to " + link
	}
	return fmt.Sprintf("%v %d %d %s", mode, uid, gid, digest)
}

// walk describes the files below a directory.
func walk(t *testing.T, root string) map[string]string {
	t.Helper()
	all := map[string]string{}
	require.NoError(t, filepath.WalkDir(root, func(at string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := "/" + strings.TrimPrefix(strings.TrimPrefix(at, root), "/")
		info, err := e.Info()
		if err != nil || skipped(name) {
			return err
		}
		link, digest := "", ""
		switch {
		case info.Mode()&fs.ModeSymlink != 0:
			link, err = os.Readlink(at)
		case info.Mode().IsRegular():
			var text []byte
			text, err = os.ReadFile(at)
			digest = cache.DigestOf(text)
		}
		owner := info.Sys().(*syscall.Stat_t)
		all[name] = describe(info.Mode(), int(owner.Uid), int(owner.Gid), link, digest)
		return err
	}))
	return all
}
