package alpine

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/distro"
	"github.com/slipway-ci/slipway/internal/test/alpinetest"
)

func names(chosen []distro.Package) string {
	var all []string
	for _, p := range chosen {
		all = append(all, p.Name+"="+p.Version)
	}
	return strings.Join(all, " ")
}

// lib is a package in the database of a base.
const lib = "C:Q1BBBBBBBBBBBBBBBBBBBBBBBBBBB=\nP:lib\nV:1.5-r0\nA:x86_64\no:lib\np:so:lib.so.1=1.5 virtual\n\n"

func TestResolve(t *testing.T) {
	for name, test := range map[string]struct {
		// packages are lines of name, version and lines of .PKGINFO, which are separated by semicolons.
		packages []string
		want     string
		base     []string
		world    string
		chosen   string
		err      string
	}{
		"what it needs":                  {packages: []string{"app 1 depend=lib1;depend=lib2", "lib1 1 depend=deep", "lib2 1", "deep 1", "other 1"}, want: "app", chosen: "app=1 deep=1 lib1=1 lib2=1"},
		"the newest":                     {packages: []string{"app 1.9-r0", "app 1.10-r0", "app 1.10_rc1-r0"}, want: "app", chosen: "app=1.10-r0"},
		"the one that was asked for":     {packages: []string{"app 1.9-r0", "app 1.10-r0"}, want: "app=1.9-r0", chosen: "app=1.9-r0"},
		"a part of a version":            {packages: []string{"app 1.9-r0", "app 1.10-r0", "app 1.10-r3", "app 2-r0"}, want: "app~1.10", chosen: "app=1.10-r3"},
		"a condition":                    {packages: []string{"app 1 depend=lib<2", "lib 1", "lib 2"}, want: "app", chosen: "app=1 lib=1"},
		"a library":                      {packages: []string{"app 1 depend=so:libx.so.1", "libx 2 provides=so:libx.so.1=1.0"}, want: "app", chosen: "app=1 libx=2"},
		"a program, by itself":           {packages: []string{"tool 2 provides=cmd:tool=2"}, want: "cmd:tool", chosen: "tool=2"},
		"the newer provided":             {packages: []string{"app 1 depend=so:x", "aa 9 provides=so:x=1.0", "bb 1 provides=so:x=1.1"}, want: "app", chosen: "app=1 bb=1"},
		"by priority":                    {packages: []string{"app 1 depend=virtual", "aa 1 provides=virtual;provider_priority=5", "bb 1 provides=virtual;provider_priority=10", "cc 1 provides=virtual"}, want: "app", chosen: "app=1 bb=1"},
		"the one that is asked for":      {packages: []string{"app 1 depend=virtual", "aa 1 provides=virtual;provider_priority=5", "cc 1 provides=virtual"}, want: "cc app", chosen: "app=1 cc=1"},
		"without priority, if asked for": {packages: []string{"app 1 depend=virtual", "cc 1 provides=virtual"}, want: "app cc", chosen: "app=1 cc=1"},
		"not without priority":           {packages: []string{"app 1 depend=virtual", "cc 1 provides=virtual", "dd 1 provides=virtual"}, want: "app", err: "app → virtual: there is no package of this name, but others provide it (name one of them: cc, dd)"},
		"another where one cannot be":    {packages: []string{"app 1 depend=so:x", "aa 1 provides=so:x=2;depend=gone", "bb 1 provides=so:x=1"}, want: "app", chosen: "app=1 bb=1"},
		"what comes with others":         {packages: []string{"app 1", "app-pyc 1 install_if=app=1 pyc", "app-doc 1 install_if=app=1 docs", "pyc 1", "more 1 install_if=app-pyc"}, want: "app pyc", chosen: "app=1 app-pyc=1 more=1 pyc=1"},
		"what comes without another":     {packages: []string{"app 1", "small 1 install_if=app=1 !big", "big 1"}, want: "app", chosen: "app=1 small=1"},
		"what comes, but cannot":         {packages: []string{"app 1", "app-x 1 install_if=app=1;depend=gone"}, want: "app", chosen: "app=1"},
		"a circle":                       {packages: []string{"aa 1 depend=bb", "bb 1 depend=aa"}, want: "aa", chosen: "aa=1 bb=1"},
		"what the base has":              {packages: []string{"app 1 depend=lib>1;depend=so:lib.so.1;depend=virtual;depend=busybox", "lib 2"}, want: "app lib", base: []string{lib}, chosen: "app=1"},
		"a missing package":              {want: "gone", err: "gone: the base's repositories have no such package for x86_64"},
		"a missing dependency":           {packages: []string{"app 1 depend=lib", "lib 1 depend=so:gone.so.1"}, want: "app", err: "app → lib → so:gone.so.1: the base's repositories have no such package for x86_64"},
		"a version that is not there":    {packages: []string{"app 1.9-r0", "app 1.10-r0"}, want: "app=1.8-r0", err: "app=1.8-r0: the base's repositories have only app-1.10-r0, app-1.9-r0"},
		"a conflict":                     {packages: []string{"aa 1 depend=!bb", "bb 1"}, want: "aa bb", err: "bb: aa-1 and bb-1 exclude one another: aa refuses bb"},
		"a conflict of a version":        {packages: []string{"aa 1 depend=!bb<2", "bb 2"}, want: "aa bb", chosen: "aa=1 bb=2"},
		"a conflict the other way":       {packages: []string{"aa 1", "bb 1 depend=!aa"}, want: "aa bb", err: "bb: aa-1 and bb-1 exclude one another: bb refuses aa"},
		"two of one name":                {packages: []string{"aa 1 provides=tool=1", "bb 1 provides=tool=2"}, want: "aa bb", err: "bb: aa-1 and bb-1 exclude one another: both are tool"},
		"two that provide":               {packages: []string{"aa 1 provides=tool", "bb 1 provides=tool"}, want: "aa bb", chosen: "aa=1 bb=1"},
		"two versions of one":            {packages: []string{"app 1 depend=lib=1;depend=xx", "xx 1 depend=lib=2", "lib 1", "lib 2"}, want: "app", err: "app → xx → lib=2: lib-1 and lib-2 exclude one another: both are lib"},
		"what the base cannot replace":   {packages: []string{"app 1 depend=lib>=2", "lib 2"}, want: "app", base: []string{lib}, err: "app → lib>=2: the base has lib 1.5-r0, which cannot be replaced (choose a newer base): both are lib"},
		"a downgrade of what is there":   {packages: []string{"app 1 depend=lib<1.5", "lib 1"}, want: "app", base: []string{lib}, err: "app → lib<1.5: the base has lib 1.5-r0, which cannot be replaced (choose a newer base): both are lib"},
		"what the base's world refuses":  {packages: []string{"app 1 depend=lib", "lib 1"}, want: "app", world: "!lib\n", err: "app → lib: the base's /etc/apk/world refuses lib"},
		"what is no dependency":          {packages: []string{"app 1 depend=lib==1"}, want: "app", err: `the package app of dl-cdn.alpinelinux.org/alpine/v3.24/main/x86_64: "lib==1" is no dependency`},
		"a version that is none":         {packages: []string{"app 1 depend=pc:x>=1.0-beta", "lib 1 provides=pc:x=1.0-beta"}, want: "app", err: "app → pc:x>=1.0-beta: the base's repositories have only lib-1"},
		"provided in a version of none":  {packages: []string{"app 1 depend=pc:x", "lib 1 provides=pc:x=1.0-beta", "odd 1 install_if=app=one !x;depend=odd==2"}, want: "app", chosen: "app=1 lib=1"},
		"a condition that is none":       {want: "app=1.0-beta", err: `the dependency "app=1.0-beta": "1.0-beta" is no version of a package`},
		"a package that would be refuse": {want: "!app", err: "!app: packages cannot be refused"},
	} {
		t.Run(name, func(t *testing.T) {
			r := alpinetest.Start(t)
			for _, line := range test.packages {
				parts := strings.SplitN(line, " ", 3)
				var with []func(*alpinetest.Package)
				if len(parts) == 3 {
					for _, field := range strings.Split(parts[2], ";") {
						key, value, _ := strings.Cut(field, "=")
						with = append(with, alpinetest.Info(key, value))
					}
				}
				r.Add(parts[0], parts[1], with...)
			}
			files := r.Base(test.base...)
			files["/etc/apk/world"] += test.world
			for range 3 { // the order of maps decides nothing
				selection, err := archive(t, r, system(t, files)).Resolve(t.Context(), strings.Fields(test.want), nil)
				if test.err != "" {
					require.EqualError(t, err, test.err)
					return
				}
				require.NoError(t, err)
				assert.Equal(t, test.chosen, names(selection.Packages))
				assert.Equal(t, map[string]time.Time{alpinetest.Main + "/x86_64": r.Date}, selection.Dates)
			}
		})
	}
}

// What is chosen is what was published, for each architecture, with either signature.
func TestResolveFetches(t *testing.T) {
	for _, kind := range []string{"RSA", "RSA256"} {
		r := alpinetest.Start(t)
		r.Kind = kind
		app := r.Add("app", "1.2~abc0-r3", alpinetest.Regular("usr/bin/app", "program"))
		a := archive(t, r, system(t, r.Base()))
		for range 2 {
			selection, err := a.Resolve(t.Context(), []string{"app"}, nil)
			require.NoError(t, err)
			assert.Equal(t, []distro.Package{app}, selection.Packages)
		}
		assert.EqualValues(t, 3, r.Asked.Load(), "the index twice, the package once")
		a.Architecture = "aarch64"
		selection, err := a.Resolve(t.Context(), []string{"app"}, nil)
		require.NoError(t, err)
		assert.Equal(t, strings.Replace(app.Path, "x86_64", "aarch64", 1), selection.Packages[0].Path)
		assert.NotEqual(t, app.SHA256, selection.Packages[0].SHA256)
	}
}

// What is signed by a key of the base is believed, and nothing else.
func TestResolveRefuses(t *testing.T) {
	index := alpinetest.Index("x86_64")
	file := strings.TrimPrefix(alpinetest.Main, alpinetest.Host) + "/x86_64/app-1.apk"
	for name, test := range map[string]struct {
		change func(*alpinetest.Repository)
		err    string
	}{
		"an unknown key": {
			func(r *alpinetest.Repository) { r.Key = alpinetest.NewKey(t); r.Publish() }, "its signature of the key " + alpinetest.KeyName + " does not hold: it was tampered with",
		},
		"a tampered index": {
			func(r *alpinetest.Repository) { r.Files[index][len(r.Files[index])-9] ^= 1 }, "does not hold: it was tampered with",
		},
		"an index that is not signed": {
			func(r *alpinetest.Repository) {
				_, rest, _ := bytes.Cut(r.Files[index][1:], []byte{0x1f, 0x8b, 8})
				r.Files[index] = append([]byte{0x1f, 0x8b, 8}, rest...)
			}, "it is not signed",
		},
		"an index behind another": {
			func(r *alpinetest.Repository) { r.Files[index] = append(r.Files[index], r.Files[index]...) }, "does not hold: it was tampered with",
		},
		"another kind of signature": {
			func(r *alpinetest.Repository) {
				old := r.Files[index]
				r.Kind = "RSA256"
				r.Publish()
				r.Files[index] = append(r.Files[index][:bytes.Index(r.Files[index][1:], []byte{0x1f, 0x8b, 8})+1], old...)
			}, "does not hold: it was tampered with",
		},
		"no index":  {func(r *alpinetest.Repository) { r.Files[index] = []byte("<html>") }, "it is not compressed as packages of Alpine are"},
		"a bomb":    {func(r *alpinetest.Repository) { r.Files[index] = alpinetest.Gzip(t, make([]byte, 2<<20)) }, "it unpacks to more than the 1048576 bytes that it may"},
		"an older":  {func(r *alpinetest.Repository) { r.Date = r.Date.AddDate(0, 0, -1); r.Publish() }, "it is of 2026-11-20T09:15:44Z, and the one of the lock of 2026-11-21T09:15:44Z"},
		"a package": {func(r *alpinetest.Repository) { r.Files[file][len(r.Files[file])/2] ^= 1 }, "fetching the package app 1: "},
		"a package of another size": {
			func(r *alpinetest.Repository) { r.Files[file] = append(r.Files[file], 0) }, "fetching the package app 1: ",
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := alpinetest.Start(t)
			r.Add("app", "1", alpinetest.Regular("usr/bin/app", "program"))
			notBefore := map[string]time.Time{alpinetest.Main + "/x86_64": r.Date}
			base := system(t, r.Base())
			_, err := archive(t, r, base).Resolve(t.Context(), []string{"app"}, notBefore)
			require.NoError(t, err)
			test.change(r)
			_, err = archive(t, r, base).Resolve(t.Context(), []string{"app"}, notBefore)
			require.ErrorContains(t, err, test.err)
		})
	}
	t.Run("a package of another key", func(t *testing.T) {
		r := alpinetest.Start(t)
		r.Add("app", "1", func(p *alpinetest.Package) { p.Key = alpinetest.NewKey(t) })
		_, err := archive(t, r, system(t, r.Base())).Resolve(t.Context(), []string{"app"}, nil)
		require.ErrorContains(t, err, "fetching the package app 1: its signature of the key")
	})
	t.Run("another package in its place", func(t *testing.T) {
		r := alpinetest.Start(t)
		other := r.Add("other", "1", alpinetest.Regular("usr/bin/other", "program"))
		app := r.Add("app", "1", alpinetest.Regular("usr/bin/app", "program"))
		swapped := r.Files[strings.TrimPrefix(other.Path, alpinetest.Host)]
		r.Files[strings.TrimPrefix(app.Path, alpinetest.Host)] = append(swapped, make([]byte, max(0, int(app.Size)-len(swapped)))...)[:app.Size]
		_, err := archive(t, r, system(t, r.Base())).Resolve(t.Context(), []string{"app"}, nil)
		require.ErrorIs(t, err, cache.ErrDamaged)
	})
}

func TestReadSystem(t *testing.T) {
	r := alpinetest.Start(t)
	for name, test := range map[string]struct {
		file, text, err string
	}{
		"no key":            {"/etc/apk/keys/" + alpinetest.KeyName, "x", "reading the key /etc/apk/keys/test@example.com-1.rsa.pub: it is no key in PEM"},
		"a directory":       {"/etc/apk/repositories", "/media/cdrom/apks\n", `reading /etc/apk/repositories: "/media/cdrom/apks" is no address of a repository that begins with https://`},
		"a password":        {"/etc/apk/repositories", "https://user:secret@example.com/main\n", "is no address of a repository"},
		"a variable":        {"/etc/apk/repositories", "https://example.com/$VERSION/main\n", "is no address of a repository"},
		"no repository":     {"/etc/apk/repositories", "# nothing\n@edge https://example.com/edge\n", "it has no repositories in /etc/apk/repositories"},
		"a false database":  {"/lib/apk/db/installed", "P:-x\nV:1\n", `reading /lib/apk/db/installed: "-x" is no name of a package`},
		"another, too":      {"/etc/apk/repositories.d/own.list", "http://example.com/own/\n", ""},
		"what is no system": {"", "", "it has no /lib/apk/db/installed, and so is no image of Alpine"},
	} {
		t.Run(name, func(t *testing.T) {
			files := r.Base()
			if files[test.file] = test.text; test.file == "" {
				files = map[string]string{"/etc/passwd": ""}
			}
			s, err := ReadSystem(t.Context(), systemFiles(t, files))
			if test.err != "" {
				require.ErrorContains(t, err, test.err)
				assert.NotContains(t, err.Error(), "secret")
				return
			}
			require.NoError(t, err)
			assert.Equal(t, []string{alpinetest.Main, "example.com/own"}, s.repositories)
		})
	}
}
