package debian

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/distro"
	"github.com/slipway-ci/slipway/internal/distro/shell"
	"github.com/slipway-ci/slipway/internal/distro/unpack"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/test/debiantest"
	"github.com/slipway-ci/slipway/internal/test/testtool"
)

// install installs packages on no base, or on base.
func install(t *testing.T, a *Archive, base *System, packages ...distro.Package) map[string]oci.File {
	t.Helper()
	files, err := a.Files(t.Context(), packages, time.Time{}, base)
	require.NoError(t, err)
	byPath := map[string]oci.File{}
	for _, f := range files {
		byPath[f.Path] = f
	}
	return byPath
}

func content(t *testing.T, f oci.File) string {
	t.Helper()
	require.NotNil(t, f.Open, f.Path)
	text, err := unpack.Read(f)
	require.NoError(t, err)
	return string(text)
}

func TestFiles(t *testing.T) {
	for _, compression := range []string{".gz", ".xz", ".zst", ""} {
		t.Run("tar"+compression, func(t *testing.T) {
			r := newRepository(t)
			app := r.add("app", "1.0-2", "Source: apps\n", func(p *debiantest.Package) { p.Compression = compression; p.Control["md5sums"] = "0123  usr/bin/app\n" },
				debiantest.Header(tar.Header{Name: "./", Mode: 0o755, Typeflag: tar.TypeDir}),
				debiantest.Header(tar.Header{Name: "./usr/", Mode: 0o755, Typeflag: tar.TypeDir}),
				debiantest.Header(tar.Header{Name: "./var/lib/app/", Mode: 0o2775, Uid: 3, Gid: 42, Typeflag: tar.TypeDir}),
				debiantest.Regular("/usr/bin/app", "program"),
				debiantest.Header(tar.Header{Name: "./usr/bin/hard", Linkname: "./usr/bin/app", Typeflag: tar.TypeLink}),
				debiantest.Header(tar.Header{Name: "./usr/bin/soft", Linkname: "app", Typeflag: tar.TypeSymlink}),
				debiantest.Regular("/usr/share/empty", ""), debiantest.Regular("/usr/share/last", strings.Repeat("x", 1025)))
			files := install(t, r.archive(), &System{}, app)
			assert.Equal(t, "program", content(t, files["/usr/bin/app"]))
			assert.Equal(t, "program", content(t, files["/usr/bin/hard"]))
			assert.Equal(t, "", content(t, files["/usr/share/empty"]))
			assert.Equal(t, strings.Repeat("x", 1025), content(t, files["/usr/share/last"]))
			assert.Equal(t, "app", files["/usr/bin/soft"].Link)
			dir := files["/var/lib/app"]
			assert.Equal(t, fs.ModeDir|fs.ModeSetgid|0o775, dir.Mode)
			assert.Equal(t, [2]int{3, 42}, [2]int{dir.UID, dir.GID})
			assert.Equal(t, "Package: app\nVersion: 1.0-2\nArchitecture: amd64\nPriority: optional\nInstalled-Size: 100\nSource: apps\n", content(t, files["/var/lib/dpkg/status.d/app"]))
			assert.Equal(t, "0123  usr/bin/app\n", content(t, files["/var/lib/dpkg/status.d/app.md5sums"]))
		})
	}
}

// A package is fetched and unpacked once, and two caches give one layer.
func TestFilesAreCached(t *testing.T) {
	r := newRepository(t)
	app := r.add("app", "1", "", debiantest.Regular("/usr/bin/app", "program"))
	layer := func(a *Archive) v1.Hash {
		files, err := a.Files(t.Context(), []distro.Package{app}, time.Time{}, &System{})
		require.NoError(t, err)
		made, err := oci.NewLayer(t.Context(), a.Cache, files, time.Unix(0, 0), oci.Compression{})
		require.NoError(t, err)
		digest, err := made.Digest()
		require.NoError(t, err)
		return digest
	}
	a, other := r.archive(), r.archive()
	digest := layer(a)
	asked := r.Asked.Load()
	assert.Equal(t, digest, layer(a))
	assert.Equal(t, asked, r.Asked.Load())
	assert.Equal(t, digest, layer(other))
}

// What an archive has replaced comes from its snapshot, and is what the lock says.
func TestFilesOfASnapshot(t *testing.T) {
	r := newRepository(t)
	app := r.add("app", "1", "", debiantest.Regular("/usr/bin/app", "program"))
	r.Files["/snapshot/debian/20261122T091544Z/pool/main/app_1_amd64.deb"] = r.Files["/"+app.Path]
	delete(r.Files, "/"+app.Path)
	_, err := r.archive().Files(t.Context(), []distro.Package{app}, time.Time{}, &System{})
	require.ErrorIs(t, err, fs.ErrNotExist)
	files, err := r.archive().Files(t.Context(), []distro.Package{app}, r.Date, &System{})
	require.NoError(t, err)
	assert.NotEmpty(t, files)
}

func TestFilesRefuses(t *testing.T) {
	file := debiantest.Regular("/usr/bin/app", "program")
	for name, test := range map[string]struct {
		with func(*debiantest.Package)
		err  string
	}{
		"a path that climbs":      {debiantest.Regular("/../etc/passwd", "root"), `the path "./../etc/passwd" leads out of the image, or is not clean`},
		"a path that climbs on":   {debiantest.Regular("/usr/../../etc/passwd", "root"), `the path "./usr/../../etc/passwd" leads out`},
		"an absolute path":        {debiantest.Header(tar.Header{Name: "/etc/passwd", Typeflag: tar.TypeReg}), `the path "/etc/passwd" leads out`},
		"a device":                {debiantest.Header(tar.Header{Name: "./dev/sda", Typeflag: tar.TypeBlock}), "devices and pipes are refused"},
		"a pipe":                  {debiantest.Header(tar.Header{Name: "./run/fifo", Typeflag: tar.TypeFifo}), "devices and pipes are refused"},
		"a hard link out":         {debiantest.Header(tar.Header{Name: "./x", Linkname: "../../etc/shadow", Typeflag: tar.TypeLink}), "which is no file before it"},
		"a file twice":            {func(p *debiantest.Package) { file(p); file(p) }, "/usr/bin/app is there twice"},
		"a bomb":                  {debiantest.Regular("/usr/bin/app", strings.Repeat("\x00", 4<<20)), "it unpacks to more than the 1458176 bytes that it may"},
		"a bomb of control files": {debiantest.Control("templates", strings.Repeat(" ", 17<<20)), "it unpacks to more than the 16777216 bytes that it may"},
		"a script":                {debiantest.Control("postinst", "#!/bin/sh\nset -e\nssh-keygen -A\n"), "the package app 1: its script postinst would have to run for what it sets up, and Slipway runs none: line 3: ssh-keygen -A (leave the package out, or build on an image that has it, with --base)"},
		"a script before":         {debiantest.Control("preinst", "#!/bin/sh\ncurl https://example.com | sh\n"), "its script preinst would have to run"},
		"a program as script":     {debiantest.Control("postinst", "\x7fELF"), "its script postinst would have to run"},
		"another package":         {func(p *debiantest.Package) { p.Name = "other" }, "unpacking the package app 1: it is other 1"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRepository(t)
			app := r.add("app", "1", "", test.with)
			_, err := r.archive().Files(t.Context(), []distro.Package{app}, time.Time{}, &System{})
			require.ErrorContains(t, err, test.err)
		})
	}
	t.Run("a tampered package", func(t *testing.T) {
		r := newRepository(t)
		app := r.add("app", "1", "", file)
		tampered := bytes.Clone(r.Files["/"+app.Path])
		tampered[len(tampered)-1] ^= 1
		r.Files["/"+app.Path] = tampered
		_, err := r.archive().Files(t.Context(), []distro.Package{app}, time.Time{}, &System{})
		require.ErrorIs(t, err, cache.ErrDamaged)
		require.ErrorContains(t, err, "fetching the package app 1")
		r.Files["/"+app.Path] = append(tampered, 0)
		_, err = r.archive().Files(t.Context(), []distro.Package{app}, time.Time{}, &System{})
		require.ErrorIs(t, err, cache.ErrDamaged)
	})
	t.Run("a file of two packages", func(t *testing.T) {
		r := newRepository(t)
		app, other := r.add("app", "1", "", file), r.add("other", "1", "", file)
		_, err := r.archive().Files(t.Context(), []distro.Package{app, other}, time.Time{}, &System{})
		require.EqualError(t, err, "the packages app and other both have /usr/bin/app (leave one out)")
	})
	t.Run("no package", func(t *testing.T) {
		r := newRepository(t)
		app := r.add("app", "1", "")
		for _, damage := range []func([]byte) []byte{
			func(b []byte) []byte { return b[:20] },
			func(b []byte) []byte { return []byte("!<arch>\n") },
			func(b []byte) []byte { return bytes.Replace(b, []byte("2.0\n"), []byte("3.0\n"), 1) },
			func(b []byte) []byte { return bytes.Replace(b, []byte("data.tar.gz"), []byte("more.tar.gz"), 1) },
			func(b []byte) []byte { return bytes.Replace(b, []byte("control.tar.gz"), []byte("control.tar.br"), 1) },
			func(b []byte) []byte {
				return fmt.Appendf(b, "%-16s%-12d%-6d%-6d%-8s%-10d`\n", "_circle", 0, 0, 0, "100644", -60)
			}, // which would go round in a circle
		} {
			broken := damage(bytes.Clone(r.Files["/"+app.Path]))
			given := app
			given.Size, given.SHA256 = int64(len(broken)), cache.DigestOf(broken)
			before := r.Files["/"+app.Path]
			r.Files["/"+app.Path] = broken
			_, err := r.archive().Files(t.Context(), []distro.Package{given}, time.Time{}, &System{})
			require.ErrorContains(t, err, "unpacking the package app 1")
			r.Files["/"+app.Path] = before
		}
	})
}

// harmless reports whether a script is known, in an image with /bin/a.
func harmless(script []byte) bool {
	t := newTree(&System{}, nil)
	t.Put(oci.FromBytes("/bin/a", 0o755, nil))
	return shell.Run(&installation{t, nil, true}, script, "configure") == nil
}

func TestHarmlessScripts(t *testing.T) {
	for text, want := range map[string]bool{
		"#!/bin/sh\nset -e\n# Automatically added\nif [ \"$1\" = \"configure\" ] || [ \"$1\" = \"abort-upgrade\" ] ; then\n\tldconfig\nfi\nexit 0\n": true,
		"#!/bin/sh\nset -e\ndpkg-maintscript-helper rm_conffile /etc/app.conf 1:2.0\\~ app -- \"$@\"\n":                                              true,
		"#!/bin/sh\nset -e\nif command -v py3compile >/dev/null 2>&1; then\n\tpy3compile -p app:amd64 \nfi\n":                                        true,
		"#!/bin/sh\nldconfig; rm -rf /\n":                                         false,
		"#!/bin/sh\nldconfig `curl x`\n":                                          false,
		"#!/bin/sh\nldconfig $(curl x)\n":                                         false,
		"#!/bin/sh\nif [ -x /bin/a ] && curl x; then\n:\nfi\n":                    false,
		"#!/usr/bin/perl\nexit 0\n":                                               false,
		"#!/bin/sh\nupdate-alternatives --install /a b /c 10\n":                   true,
		"#!/bin/sh\nupdate-alternatives --config b\n":                             false,
		"#!/bin/sh\nset -e \\\nldconfig\n":                                        false,
		"#!/bin/sh\npy3compile -p app & curl x\n":                                 false,
		"#!/bin/sh\nif [ \"$1\" = upgrade ]; then curl x; fi\n":                   true,
		"#!/bin/sh\nif [ -d /run/systemd/system ]; then curl x; fi\n":             true,
		"#!/bin/sh\nif dpkg --compare-versions \"$2\" lt 2; then curl x; fi\n":    false,
		"#!/bin/sh\nif dpkg --compare-versions \"$2\" lt-nl 2; then curl x; fi\n": true,
		"": false,
	} {
		assert.Equal(t, want, harmless([]byte(text)), text)
	}
}

// Packages may have files below directories that base-files makes links of.
func TestMergedUsr(t *testing.T) {
	r := newRepository(t)
	base := r.add("base-files", "13", "",
		debiantest.Header(tar.Header{Name: "./usr/lib/", Mode: 0o755, Typeflag: tar.TypeDir}),
		debiantest.Header(tar.Header{Name: "./lib", Linkname: "usr/lib", Typeflag: tar.TypeSymlink}),
		debiantest.Header(tar.Header{Name: "./var/run/", Mode: 0o755, Typeflag: tar.TypeDir}))
	lib := r.add("app", "1", "", debiantest.Header(tar.Header{Name: "./lib/", Mode: 0o755, Typeflag: tar.TypeDir}), debiantest.Regular("/lib/x86_64-linux-gnu/lib.so", "library"))
	files := install(t, r.archive(), &System{}, lib, base)
	assert.Equal(t, "library", content(t, files["/usr/lib/x86_64-linux-gnu/lib.so"]))
	assert.Equal(t, "usr/lib", files["/lib"].Link)
	assert.NotContains(t, files, "/lib/x86_64-linux-gnu/lib.so")
	assert.Equal(t, "/run", files["/var/run"].Link)
	assert.Contains(t, content(t, files["/etc/nsswitch.conf"]), "hosts: files dns\n")

	a := r.archive()
	a.Release.Number = "12" // where the links are of no package
	files = install(t, a, &System{}, lib)
	assert.Equal(t, "library", content(t, files["/usr/lib/x86_64-linux-gnu/lib.so"]))
	assert.Equal(t, "usr/bin", files["/bin"].Link)
}

func TestCertificates(t *testing.T) {
	r := newRepository(t)
	certs := r.add("ca-certificates", "1", "", debiantest.Regular(unpack.Certificates+"b.crt", "second"), debiantest.Regular(unpack.Certificates+"a.crt", "first\n"), debiantest.Regular(unpack.Certificates+"README", "no"))
	files := install(t, r.archive(), &System{}, certs)
	assert.Equal(t, "first\nsecond\n", content(t, files["/etc/ssl/certs/ca-certificates.crt"]))
}

// system is a base with files.
func system(t *testing.T, files map[string]string) *System {
	t.Helper()
	base, err := oci.NewFileSystem(t.Context(), nil)
	require.NoError(t, err)
	var all []oci.File
	for name, text := range files {
		all = append(all, oci.FromBytes(name, 0o644, []byte(text)))
	}
	_, err = base.Place(all)
	require.NoError(t, err)
	s, err := ReadSystem(t.Context(), base)
	require.NoError(t, err)
	return s
}

// Where there is dpkg, its database is what it would have written itself.
func TestDpkgDatabase(t *testing.T) {
	r := newRepository(t)
	app := r.add("app", "1", "Multi-Arch: same\n", debiantest.Regular("/etc/app.conf", "x=1\n"), debiantest.Regular("/usr/bin/app", "program"),
		debiantest.Control("conffiles", "/etc/app.conf\n"), debiantest.Control("md5sums", "sums\n"), debiantest.Control("postrm", "#!/bin/sh\nrm -rf /var/lib/app\n"))
	base := system(t, map[string]string{status: "Package: dpkg\nStatus: install ok installed\nVersion: 1.22\nArchitecture: amd64\n\nPackage: gone\nStatus: deinstall ok config-files\nVersion: 1\nArchitecture: amd64\n\n"})
	require.Len(t, base.Installed, 1)
	files := install(t, r.archive(), base, app)
	assert.Equal(t, "Package: dpkg\nStatus: install ok installed\nVersion: 1.22\nArchitecture: amd64\n\nPackage: gone\nStatus: deinstall ok config-files\nVersion: 1\nArchitecture: amd64\n\n"+
		"Package: app\nStatus: install ok installed\nVersion: 1\nArchitecture: amd64\nPriority: optional\nInstalled-Size: 100\nMulti-Arch: same\nConffiles:\n /etc/app.conf f968f33f844c98de1d3b4fe70f2e1a0f\n\n",
		content(t, files[status]))
	assert.Equal(t, "/.\n/etc/app.conf\n/usr/bin/app\n", content(t, files["/var/lib/dpkg/info/app:amd64.list"]))
	assert.Equal(t, "sums\n", content(t, files["/var/lib/dpkg/info/app:amd64.md5sums"]))
	assert.Equal(t, fs.FileMode(0o755), files["/var/lib/dpkg/info/app:amd64.postrm"].Mode)
	assert.NotContains(t, files, "/var/lib/dpkg/status.d/app")

	query := testtool.Need(t, "dpkg-query", "dpkg")
	dir := t.TempDir()
	for name, f := range files {
		if rest, ok := strings.CutPrefix(name, "/var/lib/dpkg/"); ok {
			at := filepath.Join(dir, filepath.FromSlash(rest))
			require.NoError(t, os.MkdirAll(filepath.Dir(at), 0o755))
			require.NoError(t, os.WriteFile(at, []byte(content(t, f)), 0o644))
		}
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "info/format"), []byte("1\n"), 0o644)) // which every database has
	for format, want := range map[string]string{"-W": "app:amd64\t1\ndpkg\t1.22\ngone\t1\n", "-L": "/.\n/etc/app.conf\n/usr/bin/app\n"} {
		args := []string{"--admindir", dir, format}
		if format == "-L" {
			args = append(args, "app")
		}
		out, err := exec.Command(query, args...).Output() // which warns of fields that packages of tests do not have
		require.NoError(t, err, string(out))
		assert.Equal(t, want, string(out))
	}
}

func TestFilesOnABase(t *testing.T) {
	r := newRepository(t)
	app := r.add("app", "1", "", debiantest.Regular("/usr/bin/app", "program"))
	base := system(t, map[string]string{"/var/lib/dpkg/status.d/lib": "Package: lib\nVersion: 1\nArchitecture: amd64\n", "/var/lib/dpkg/status.d/lib.md5sums": "x\n"})
	require.Len(t, base.Installed, 1)
	assert.Contains(t, install(t, r.archive(), base, app), "/var/lib/dpkg/status.d/app")

	_, err := r.archive().Files(t.Context(), []distro.Package{app}, time.Time{}, system(t, map[string]string{"/usr/bin/app": "another"}))
	require.EqualError(t, err, "the package app has /usr/bin/app, and so has the base (leave the package out, or choose another base)")
}

func TestRelease(t *testing.T) {
	for text, want := range map[string]string{
		"ID=debian\nVERSION_ID=\"13\"\n":     "",
		"ID=\"debian\"\nVERSION_ID='12'\n":   "",
		"ID=ubuntu\nVERSION_ID=\"24.04\"\n":  `its /etc/os-release says that it is of "ubuntu", and not of debian`,
		"ID=debian\nVERSION_ID=\"9\"\n":      "packages of Debian 9 cannot be installed",
		"PRETTY_NAME=\"Debian GNU/Linux\"\n": `says that it is of ""`,
	} {
		_, err := system(t, map[string]string{"/etc/os-release": text}).Release(t.Context())
		if want == "" {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, want)
		}
	}
	_, err := system(t, map[string]string{"/etc/motd": "hello"}).Release(t.Context())
	require.ErrorContains(t, err, "it has no /etc/os-release")
}

// What scripts of packages would have set up is there, unless the base or another package has it.
func TestSetup(t *testing.T) {
	r := newRepository(t)
	base := r.add("base-files", "13", "")
	names := r.add("libc-bin", "2", "", debiantest.Regular("/usr/share/libc-bin/nsswitch.conf", "own"))
	users := r.add("base-passwd", "3", "", debiantest.Regular("/usr/share/base-passwd/passwd.master", "users"), debiantest.Regular("/usr/share/base-passwd/group.master", "groups"))
	bash := r.add("bash", "5", "", debiantest.Regular("/usr/bin/bash", "shell"))
	zones := r.add("tzdata", "2026", "")
	files := install(t, r.archive(), &System{}, base)
	assert.Equal(t, passwd, content(t, files["/etc/passwd"]))
	assert.Equal(t, group, content(t, files["/etc/group"]))
	assert.Equal(t, nsswitch, content(t, files["/etc/nsswitch.conf"]))

	files = install(t, r.archive(), &System{}, base, users, bash, names, zones)
	assert.Equal(t, "users", content(t, files["/etc/passwd"]))
	assert.Equal(t, "groups", content(t, files["/etc/group"]))
	assert.Equal(t, "own", content(t, files["/etc/nsswitch.conf"]))
	assert.Equal(t, "bash", files["/usr/bin/sh"].Link)
	assert.Equal(t, "/usr/share/zoneinfo/Etc/UTC", files["/etc/localtime"].Link)

	files = install(t, r.archive(), system(t, map[string]string{"/etc/passwd": "theirs", "/usr/bin/sh": "theirs", "/etc/localtime": "theirs"}), users, bash, zones)
	assert.NotContains(t, files, "/etc/passwd")
	assert.NotContains(t, files, "/usr/bin/sh")
	assert.NotContains(t, files, "/etc/localtime")
	assert.Contains(t, files, "/etc/group")
}
