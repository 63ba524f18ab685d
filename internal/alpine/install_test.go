package alpine

import (
	"archive/tar"
	"bytes"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/distro"
	"github.com/slipway-ci/slipway/internal/distro/shell"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/test/alpinetest"
)

func dir(name string) func(*alpinetest.Package) {
	return alpinetest.Header(tar.Header{Name: name + "/", Mode: 0o755, Typeflag: tar.TypeDir})
}

// app is a package with files of all kinds.
func app(r *alpinetest.Repository) distro.Package {
	return r.Add("app", "1.0-r2", alpinetest.Info("origin", "apps"), alpinetest.Info("license", "MIT"), alpinetest.Info("depend", "busybox"), alpinetest.Info("provides", "cmd:app=1.0-r2"),
		alpinetest.Info("replaces", "old"), alpinetest.Info("triggers", "/usr/share/app"), alpinetest.Script("trigger", "#!/bin/sh\nexit 0\n"), alpinetest.Script("post-deinstall", "#!/bin/sh\nrm -rf /x\n"),
		dir("usr"), dir("usr/bin"), alpinetest.Regular("usr/bin/app", "program"),
		alpinetest.Header(tar.Header{Name: "usr/bin/hard", Linkname: "usr/bin/app", Mode: 0o644, Typeflag: tar.TypeLink}),
		alpinetest.Header(tar.Header{Name: "usr/bin/soft", Linkname: "app", Mode: 0o777, Typeflag: tar.TypeSymlink}),
		dir("var"), dir("var/lib"), alpinetest.Header(tar.Header{Name: "var/lib/app/", Mode: 0o2775, Uid: 3, Gid: 42, Typeflag: tar.TypeDir}))
}

const appParagraph = `P:app
V:1.0-r2
A:x86_64
S:SIZE
I:4096
T:a test
U:https://example.com
L:MIT
o:apps
D:busybox
p:cmd:app=1.0-r2
r:old
F:usr
F:usr/bin
R:app
Z:Q1gdmu6g4aQI1ltmYKF2xd6D3Jjns=
R:hard
Z:Q1gdmu6g4aQI1ltmYKF2xd6D3Jjns=
R:soft
a:0:0:777
Z:Q1fRBDRz1Vv6kOhTDTWAHU44G8afA=
F:var
F:var/lib
F:var/lib/app
M:3:42:2775

`

func TestFiles(t *testing.T) {
	r := alpinetest.Start(t)
	made := app(r)
	base := r.Base()
	files := install(t, archive(t, r, system(t, base)), []string{"app=1.0-r2"}, made)
	for name, want := range map[string]string{"/usr/bin/app": "program", "/usr/bin/hard": "program", "/etc/apk/world": "alpine-baselayout\napp=1.0-r2\nbusybox\n"} {
		assert.Equal(t, want, content(t, files[name]))
	}
	assert.Equal(t, "app", files["/usr/bin/soft"].Link)
	assert.Equal(t, fs.ModeDir|fs.ModeSetgid|0o775, files["/var/lib/app"].Mode)
	assert.Equal(t, [2]int{3, 42}, [2]int{files["/var/lib/app"].UID, files["/var/lib/app"].GID})
	assert.NotContains(t, files, "/etc/passwd")

	database := content(t, files["/lib/apk/db/installed"])
	was, added, _ := strings.Cut(database, "\nC:")
	assert.Equal(t, base["/lib/apk/db/installed"], was+"\n")
	digest, added, _ := strings.Cut(added, "\n")
	assert.Equal(t, strings.Replace(appParagraph, "SIZE", strconv.FormatInt(made.Size, 10), 1), added)
	assert.Equal(t, base["/lib/apk/db/triggers"]+digest+" /usr/share/app\n", content(t, files["/lib/apk/db/triggers"]))
	scripts := tar.NewReader(strings.NewReader(content(t, files["/lib/apk/db/scripts.tar"])))
	var names []string
	for {
		h, err := scripts.Next()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		names = append(names, h.Name)
	}
	assert.Equal(t, []string{"app-1.0-r2." + digest + ".post-deinstall", "app-1.0-r2." + digest + ".trigger"}, names)
}

// A package is fetched and unpacked once, and two caches give one layer.
func TestFilesAreCached(t *testing.T) {
	r := alpinetest.Start(t)
	made := app(r)
	base := r.Base()
	layer := func(a *Archive) v1.Hash {
		files, err := a.Files(t.Context(), []distro.Package{made}, []string{"app"})
		require.NoError(t, err)
		l, err := oci.NewLayer(t.Context(), a.Cache, files, time.Unix(0, 0), oci.Compression{})
		require.NoError(t, err)
		digest, err := l.Digest()
		require.NoError(t, err)
		return digest
	}
	a, other := archive(t, r, system(t, base)), archive(t, r, system(t, base))
	digest := layer(a)
	asked := r.Asked.Load()
	assert.Equal(t, digest, layer(a))
	assert.Equal(t, asked, r.Asked.Load())
	assert.Equal(t, digest, layer(other))
}

func TestFilesRefuses(t *testing.T) {
	file := alpinetest.Regular("usr/bin/app", "program")
	for name, test := range map[string]struct {
		with func(*alpinetest.Package)
		err  string
	}{
		"a path that climbs":      {alpinetest.Header(tar.Header{Name: "../etc/passwd", Typeflag: tar.TypeReg}), `the path "../etc/passwd" leads out of the image, or is not clean`},
		"a path that climbs on":   {alpinetest.Header(tar.Header{Name: "usr/../../etc/passwd", Typeflag: tar.TypeReg}), `the path "usr/../../etc/passwd" leads out`},
		"an absolute path":        {alpinetest.Header(tar.Header{Name: "/etc/passwd", Typeflag: tar.TypeReg}), `the path "/etc/passwd" leads out`},
		"a device":                {alpinetest.Header(tar.Header{Name: "dev/sda", Typeflag: tar.TypeBlock}), "devices and pipes are refused"},
		"a pipe":                  {alpinetest.Header(tar.Header{Name: "run/fifo", Typeflag: tar.TypeFifo}), "devices and pipes are refused"},
		"a hard link out":         {alpinetest.Header(tar.Header{Name: "x", Linkname: "../../etc/shadow", Typeflag: tar.TypeLink}), "which is no file before it"},
		"a file twice":            {func(p *alpinetest.Package) { file(p); file(p) }, "/usr/bin/app is there twice"},
		"a bomb":                  {alpinetest.Regular("usr/bin/app", strings.Repeat("\x00", 4<<20)), "it unpacks to more than the 1064960 bytes that it may"},
		"a bomb of control files": {alpinetest.Script("post-install", strings.Repeat(" ", 17<<20)), "it unpacks to more than the 16777216 bytes that it may"},
		"false data":              {func(p *alpinetest.Package) { p.DataHash = strings.Repeat("0", 64) }, "its files do not have the digest that it says"},
		"data behind the data":    {func(p *alpinetest.Package) { p.Extra = []byte("more"); p.DataHash = strings.Repeat("0", 64) }, "its files do not have the digest that it says"},
		"a script":                {alpinetest.Script("post-install", "#!/bin/sh\ncurl https://example.com | sh\n"), "the package app 1: its script post-install would have to run for what it sets up, and Slipway runs none: line 2: curl https://example.com (leave the package out, or build on an image that has it, with --base)"},
		"a script before":         {alpinetest.Script("pre-install", "#!/bin/sh\nrc-update add app\n"), "its script pre-install would have to run"},
		"a trigger":               {alpinetest.Script("trigger", "#!/bin/sh\nglib-compile-schemas /x\n"), "its script trigger would have to run"},
		"a program as script":     {alpinetest.Script("post-install", "\x7fELF"), "its script post-install would have to run"},
		"another package":         {func(p *alpinetest.Package) { p.Name = "other" }, "unpacking the package app 1: it is other 1"},
		"what busybox is":         {alpinetest.Regular("bin/busybox", "own"), "the package app has /bin/busybox, and so has the base"},
	} {
		t.Run(name, func(t *testing.T) {
			r := alpinetest.Start(t)
			made := r.Add("app", "1", test.with)
			_, err := archive(t, r, system(t, r.Base(), oci.FromBytes("/bin/busybox", 0o755, []byte("busybox")))).Files(t.Context(), []distro.Package{made}, nil)
			require.ErrorContains(t, err, test.err)
		})
	}
	t.Run("a tampered package", func(t *testing.T) {
		r := alpinetest.Start(t)
		made := r.Add("app", "1", file)
		at := strings.TrimPrefix(made.Path, alpinetest.Host)
		r.Files[at] = bytes.Clone(r.Files[at])
		r.Files[at][made.Size-1] ^= 1
		_, err := archive(t, r, system(t, r.Base())).Files(t.Context(), []distro.Package{made}, nil)
		require.ErrorIs(t, err, cache.ErrDamaged)
		delete(r.Files, at)
		_, err = archive(t, r, system(t, r.Base())).Files(t.Context(), []distro.Package{made}, nil)
		require.ErrorIs(t, err, fs.ErrNotExist)
		require.ErrorContains(t, err, "the repository has replaced it, and keeps no older packages (run slipway pin, or name a mirror that has it with --mirror)")
	})
	t.Run("a package for another architecture", func(t *testing.T) {
		r := alpinetest.Start(t)
		made := r.Add("app", "1", file)
		a := archive(t, r, system(t, r.Base()))
		a.Architecture = "aarch64"
		_, err := a.Files(t.Context(), []distro.Package{made}, nil)
		require.ErrorContains(t, err, "it is for x86_64, and not for aarch64")
	})
	t.Run("no package", func(t *testing.T) {
		r := alpinetest.Start(t)
		made := r.Add("app", "1", file)
		at := strings.TrimPrefix(made.Path, alpinetest.Host)
		whole := r.Files[at]
		for _, broken := range [][]byte{nil, whole[:20], whole[:len(whole)/2], whole[:len(whole)-9], alpinetest.Gzip(t, []byte("no archive")), []byte("<html>")} {
			r.Files[at] = broken
			made.Size, made.SHA256 = int64(len(broken)), cache.DigestOf(broken)
			_, err := archive(t, r, system(t, r.Base())).Files(t.Context(), []distro.Package{made}, nil)
			require.ErrorContains(t, err, "unpacking the package app 1: ")
		}
	})
}

// Files take the place of those of the same source, of those that a package replaces, and of what nobody owns, but for configuration.
func TestFilesOfOthers(t *testing.T) {
	r := alpinetest.Start(t)
	link := oci.File{Path: "/bin/ls", Mode: fs.ModeSymlink | fs.ModePerm, Link: "/bin/busybox"}
	busybox := oci.FromBytes("/bin/busybox", 0o755, []byte("busybox"))
	tools := r.Add("tools", "1", alpinetest.Info("origin", "busybox"), alpinetest.Regular("bin/ls", "own ls"), alpinetest.Regular("bin/busybox", "own busybox"))
	base := system(t, r.Base(), link, busybox)
	files := install(t, archive(t, r, base), nil, tools)
	assert.Equal(t, "own ls", content(t, files["/bin/ls"]))
	placed, err := base.files.Place(slices.Collect(maps.Values(files)))
	require.NoError(t, err)
	at := slices.IndexFunc(placed, func(f oci.File) bool { return f.Path == "/bin/ls" })
	assert.Equal(t, "own ls", content(t, placed[at]), "it does not follow the link")

	first := r.Add("first", "1", alpinetest.Regular("usr/bin/tool", "first"))
	second := r.Add("second", "1", alpinetest.Regular("usr/bin/tool", "second"))
	_, err = archive(t, r, system(t, r.Base())).Files(t.Context(), []distro.Package{first, second}, nil)
	require.EqualError(t, err, "the packages first and second both have /usr/bin/tool (leave one out)")
	second = r.Add("second", "2", alpinetest.Info("replaces", "first<2"), alpinetest.Regular("usr/bin/tool", "second"))
	files = install(t, archive(t, r, system(t, r.Base())), nil, first, second)
	assert.Equal(t, "second", content(t, files["/usr/bin/tool"]))

	config := r.Add("config", "1", alpinetest.Regular("etc/app.conf", "new"))
	files = install(t, archive(t, r, system(t, r.Base(), oci.FromBytes("/etc/app.conf", 0o600, []byte("theirs")))), nil, config)
	assert.NotContains(t, files, "/etc/app.conf")
	assert.Equal(t, "new", content(t, files["/etc/app.conf.apk-new"]))
}

// What scripts would have set up is there.
func TestScripts(t *testing.T) {
	r := alpinetest.Start(t)
	daemon := r.Add("daemon", "1",
		alpinetest.Script("pre-install", `#!/bin/sh

# its own user
addgroup -S -g 82 www-data 2>/dev/null
addgroup -S daemon 2>/dev/null
adduser -S -D -H -h /var/lib/daemon -s /sbin/nologin -G daemon -g "Daemon of tests" daemon 2>/dev/null
adduser -SDu 90 plain || true
adduser -D person
addgroup daemon www-data 2>/dev/null
exit 0
`),
		alpinetest.Script("post-install", "#!/bin/sh\nadd-shell '/bin/bash'\ncat >&2 <<-EOF\n* See the manual\nEOF\necho \"done\" >&2\nexit 0\n"),
		alpinetest.Header(tar.Header{Name: "var/lib/daemon/", Mode: 0o750, Uid: 1, Gid: 2, Uname: "daemon", Gname: "www-data", Typeflag: tar.TypeDir}))
	extras := r.Add("busybox-extras", "1", alpinetest.Regular("bin/busybox-extras", "program"), alpinetest.Regular("etc/busybox-paths.d/busybox-extras", "usr/bin/telnet\nbin/busybox\n../../x\n"),
		alpinetest.Script("post-install", "#!/bin/sh\n\n# Create all symlinks\nexec /bin/busybox-extras --install -s\n"))
	certificates := r.Add("ca-certificates", "1", alpinetest.Regular("usr/share/ca-certificates/mozilla/b.crt", "second"), alpinetest.Regular("usr/share/ca-certificates/mozilla/a.crt", "first\n"),
		alpinetest.Script("trigger", "#!/bin/sh\n/usr/sbin/update-ca-certificates > /dev/null 2>&1\nexit 0\n"))
	files := install(t, archive(t, r, system(t, r.Base(), oci.FromBytes("/bin/busybox", 0o755, nil))), nil, daemon, extras, certificates)
	for name, want := range map[string]string{
		"/etc/group":                         "root:x:0:root\nnogroup:x:65533:\nwww-data:x:82:daemon\ndaemon:x:100:daemon\nperson:x:1000:\n",
		"/etc/passwd":                        "root:x:0:0:root:/root:/bin/sh\ndaemon:x:100:100:Daemon of tests:/var/lib/daemon:/sbin/nologin\nplain:x:90:65533:Linux User,,,:/home/plain:/sbin/nologin\nperson:x:1000:1000:Linux User,,,:/home/person:/bin/sh\n",
		"/etc/shadow":                        "root:*::0:::::\ndaemon:!::0:99999:7:::\nplain:!::0:99999:7:::\nperson:!::0:99999:7:::\n",
		"/etc/shells":                        "/bin/sh\n/bin/ash\n/bin/bash\n",
		"/etc/ssl/certs/ca-certificates.crt": "first\nsecond\n",
	} {
		assert.Equal(t, want, content(t, files[name]), name)
	}
	home := files["/var/lib/daemon"]
	assert.Equal(t, [2]int{100, 82}, [2]int{home.UID, home.GID}, "owners are by name")
	assert.Contains(t, content(t, files["/lib/apk/db/installed"]), "F:var/lib/daemon\nM:100:82:750\n")
	assert.Equal(t, [2]int{1000, 1000}, [2]int{files["/home/person"].UID, files["/home/person"].GID})
	assert.Equal(t, "/bin/busybox-extras", files["/usr/bin/telnet"].Link)
	assert.NotContains(t, files, "/bin/busybox")

	// Who is there stays.
	again := install(t, archive(t, r, system(t, map[string]string{
		"/etc/passwd": "daemon:x:7:8::/:\n", "/etc/group": "daemon:x:8:\n", "/etc/apk/repositories": "https://" + alpinetest.Main, "/lib/apk/db/installed": alpinetest.Busybox,
	})), nil, r.Add("more", "1", alpinetest.Script("pre-install", "#!/bin/sh\naddgroup -S daemon\nadduser -S -H -G daemon daemon\n")))
	assert.NotContains(t, again, "/etc/passwd")
	assert.NotContains(t, again, "/etc/group")
}

// What is refused is named with what needs it, all at once.
func TestRefusedNamesWhatNeedsIt(t *testing.T) {
	r := alpinetest.Start(t)
	app := r.Add("app", "1", alpinetest.Info("depend", "so:lib.so.1"), alpinetest.Info("depend", "!two"))
	one := r.Add("one", "2", alpinetest.Info("provides", "so:lib.so.1=1.0"), alpinetest.Script("post-install", "#!/bin/sh\nrc-update add one\n"))
	two := r.Add("two", "3", alpinetest.Script("pre-install", "#!/bin/sh\nreboot\n"))
	_, err := archive(t, r, system(t, r.Base())).Files(t.Context(), []distro.Package{app, one, two}, nil)
	require.EqualError(t, err, "the package two 3: its script pre-install would have to run for what it sets up, and Slipway runs none: line 2: reboot (leave the package out, or build on an image that has it, with --base)\n"+
		"the package one 2, needed by app → one: its script post-install would have to run for what it sets up, and Slipway runs none: line 2: rc-update add one (leave app out, or build on an image that has it, with --base)")
}

func TestKnownScripts(t *testing.T) {
	for text, want := range map[string]bool{
		"#!/bin/sh\nexit 0\n":                           true,
		"#!/bin/sh -e\nset -e\n:\n":                     true,
		"#!/bin/busybox sh\ntrue\n":                     true,
		"#!/bin/sh\ncat <<EOF\na $(touch /x)\nEOF\n":    false,
		"#!/bin/sh\ncat <<EOF\n`touch /x`\nEOF\n":       false,
		"#!/bin/sh\ncat <<EOF\nno end\n":                false,
		"#!/bin/sh\ncat <<EOF >/etc/passwd\nx\nEOF\n":   false,
		"#!/bin/sh\necho x >/etc/passwd\n":              false,
		"#!/bin/sh\necho \"$(touch /x)\"\n":             false,
		"#!/bin/sh\naddgroup -S app; rm -rf /\n":        false,
		"#!/bin/sh\naddgroup -S app && rm -rf /\n":      false,
		"#!/bin/sh\naddgroup -S app || rm -rf /\n":      true,
		"#!/bin/sh\naddgroup -S nogroup || rm -rf /\n":  false, // since it fails
		"#!/bin/sh\naddgroup -S $app\n":                 false,
		"#!/bin/sh\nadduser -S -h '$(x)' -H app\n":      true, // what is quoted so is what it is
		"#!/bin/sh\nadduser -S -h \"$(x)\" -H app\n":    false,
		"#!/bin/sh\nif true; then\nexit 0\nfi\n":        true,
		"#!/bin/sh\nif [ -e /x ]; then\nreboot\nfi\n":   true,
		"#!/bin/sh\nif [ ! -e /x ]; then\nreboot\nfi\n": false,
		"#!/bin/sh\nset -e \\\nexit 0\n":                false,
		"#!/usr/bin/lua\nexit 0\n":                      false,
		"#!/bin/sh\nchown app:app /var/lib/app\n":       false,
		"#!/bin/sh\nupdate-ca-certificates & reboot\n":  false,
		"": false,
	} {
		a := &accounts{files: map[string][]string{groupFile: {"nogroup:x:65533:"}}, changed: map[string]bool{}}
		err := shell.Run(installing{a, func(string) (oci.File, bool) { return oci.File{}, false }}, []byte(text))
		if want {
			require.NoError(t, err, text)
		} else {
			require.ErrorIs(t, err, shell.ErrUnknown, text)
		}
	}
	for text, want := range map[string]string{
		"adduser -S -H -G gone app": "there is no group gone", "adduser -Z app": "the option -Z is not known", "addgroup -g x app": `"x" is no number`,
	} {
		a := &accounts{files: map[string][]string{}, changed: map[string]bool{}}
		err := shell.Run(installing{accounts: a}, []byte("#!/bin/sh\n"+text+"\n"))
		require.EqualError(t, err, want)
	}
}

// A script of the base would have to run for some files.
func TestTriggersOfTheBase(t *testing.T) {
	r := alpinetest.Start(t)
	base := r.Base(lib)
	base["/lib/apk/db/triggers"] += "Q1BBBBBBBBBBBBBBBBBBBBBBBBBBB= /usr/share/schemas/* +/opt\n"
	tool := r.Add("tool", "1", alpinetest.Regular("usr/bin/tool", "x"))
	schema := r.Add("schema", "1", alpinetest.Regular("usr/share/schemas/app/x", "x"))
	assert.NotEmpty(t, install(t, archive(t, r, system(t, base)), nil, tool))
	_, err := archive(t, r, system(t, base)).Files(t.Context(), []distro.Package{schema}, nil)
	require.ErrorContains(t, err, "the package schema 1 has files in /usr/share/schemas/app: the script trigger of lib in the base would have to run for them, and Slipway runs none")
}

// Extended attributes are files' as well, and their digest is what apk makes.
func TestExtendedAttributes(t *testing.T) {
	r := alpinetest.Start(t)
	capability := "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	ping := r.Add("ping", "1", func(p *alpinetest.Package) {
		alpinetest.Header(tar.Header{Name: "bin/ping", Typeflag: tar.TypeReg, Mode: 0o755, Format: tar.FormatPAX, PAXRecords: map[string]string{"SCHILY.xattr.security.capability": capability}})(p)
	})
	a := archive(t, r, system(t, r.Base()))
	for range 2 { // the second time from the cache
		files := install(t, a, nil, ping)
		assert.Equal(t, map[string]string{"security.capability": capability}, files["/bin/ping"].Xattrs)
		assert.Contains(t, content(t, files["/lib/apk/db/installed"]), "R:ping\na:0:0:755:Q1")
	}
}
