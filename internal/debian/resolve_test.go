package debian

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/distro"
	"github.com/slipway-ci/slipway/internal/test/debiantest"
)

func names(chosen []distro.Package) string {
	var all []string
	for _, p := range chosen {
		all = append(all, p.Name+"="+p.Version)
	}
	return strings.Join(all, " ")
}

func TestResolve(t *testing.T) {
	for name, test := range map[string]struct {
		// packages are lines of name, version and further fields, which are separated by semicolons.
		packages []string
		want     string
		chosen   string
		err      string
	}{
		"what is needed": {
			packages: []string{"app 1 Depends: lib (>= 2), other", "lib 2 Pre-Depends: base:any", "other 1", "base 1", "unrelated 1 Depends: nothing"},
			want:     "app", chosen: "app=1 base=1 lib=2 other=1",
		},
		"the newest version": {packages: []string{"app 1.9", "app 1.10~rc1", "app 1:0.1"}, want: "app", chosen: "app=1:0.1"},
		"an older version that is needed": {
			packages: []string{"app 1 Depends: lib (<< 2)", "lib 2", "lib 1.9"}, want: "app", chosen: "app=1 lib=1.9",
		},
		"the first alternative":        {packages: []string{"app 1 Depends: aa | bb", "aa 1", "bb 1"}, want: "app", chosen: "aa=1 app=1"},
		"an alternative that is there": {packages: []string{"app 1 Depends: aa | bb", "aa 1", "bb 1"}, want: "app bb", chosen: "app=1 bb=1"},
		"an alternative that can be had": {
			packages: []string{"app 1 Depends: aa | bb", "aa 1 Depends: missing", "bb 1"}, want: "app", chosen: "app=1 bb=1",
		},
		"an alternative that came from another package": {
			packages: []string{"app 1 Depends: bb, cc", "bb 1", "cc 1 Depends: aa | bb", "aa 1"}, want: "app", chosen: "app=1 bb=1 cc=1",
		},
		"a package that provides another": {packages: []string{"app 1 Depends: mta", "mta-b 1 Provides: mta", "mta-a 1 Provides: xx, mta"}, want: "app", chosen: "app=1 mta-a=1"},
		"a version that is provided": {
			packages: []string{"app 1 Depends: libssl3 (>= 3.0)", "libssl3t64 3.5 Provides: libssl3 (= 3.5)"}, want: "app", chosen: "app=1 libssl3t64=3.5",
		},
		"no version is provided": {
			packages: []string{"app 1 Depends: libssl3 (>= 3.0)", "libssl3t64 3.5 Provides: libssl3"}, want: "app",
			err: "app → libssl3 (>= 3.0): no package of Debian 13 for amd64 is that",
		},
		"a circle":                  {packages: []string{"aa 1 Depends: bb", "bb 1 Depends: aa"}, want: "aa", chosen: "aa=1 bb=1"},
		"for scripts alone":         {packages: []string{"app 1 Depends: debconf (>= 0.5) | debconf-2.0, adduser", "debconf 1"}, want: "app", chosen: "app=1"},
		"no recommended packages":   {packages: []string{"app 1 Recommends: extra;Suggests: extra", "extra 1"}, want: "app", chosen: "app=1"},
		"nothing has its name":      {packages: []string{"app 1"}, want: "nano", err: "nano: Debian 13 has no such package for amd64"},
		"only others provide it":    {packages: []string{"aa 1 Provides: mta", "bb 1 Provides: mta"}, want: "mta", err: "mta: there is no package of this name, but others provide it (name one of them: aa, bb)"},
		"a missing dependency":      {packages: []string{"app 1 Depends: lib", "lib 1 Depends: gone (>= 2)", "gone 1"}, want: "app", err: "app → lib → gone (>= 2): no package of Debian 13 for amd64 is that"},
		"a conflict":                {packages: []string{"aa 1 Conflicts: bb", "bb 1"}, want: "aa bb", err: "aa 1 and bb 1 exclude one another: the former conflicts with bb"},
		"a conflict with a virtual": {packages: []string{"aa 1 Conflicts: mta;Provides: mta", "bb 1 Provides: mta"}, want: "aa bb", err: "aa 1 and bb 1 exclude one another: the former conflicts with mta"},
		"no conflict with itself":   {packages: []string{"aa 1 Conflicts: mta;Provides: mta"}, want: "aa", chosen: "aa=1"},
		"a broken version":          {packages: []string{"aa 1 Breaks: bb (<< 2)", "bb 1"}, want: "aa bb", err: "aa 1 and bb 1 exclude one another: the former conflicts with bb (<< 2)"},
		"another version is fine":   {packages: []string{"aa 1 Breaks: bb (<< 2)", "bb 2"}, want: "aa bb", chosen: "aa=1 bb=2"},
		"two versions of one": {
			packages: []string{"app 1 Depends: lib (= 1), xx", "xx 1 Depends: lib (= 2)", "lib 1", "lib 2"}, want: "app",
			err: "app → xx → lib (= 2): lib 1 is chosen already",
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRepository(t)
			for _, line := range test.packages {
				parts := strings.SplitN(line, " ", 3)
				fields := ""
				if len(parts) == 3 {
					fields = strings.ReplaceAll(parts[2], ";", "\n") + "\n"
				}
				r.add(parts[0], parts[1], fields)
			}
			for range 3 { // the order of maps decides nothing
				selection, err := r.archive().Resolve(t.Context(), Request{Architecture: "amd64", Names: strings.Fields(test.want)})
				if test.err != "" {
					require.EqualError(t, err, test.err)
					return
				}
				require.NoError(t, err)
				assert.Equal(t, test.chosen, names(selection.Packages))
				assert.Equal(t, map[string]time.Time{"trixie": r.Date}, selection.Dates)
			}
		})
	}
}

func TestResolveOnABase(t *testing.T) {
	r := newRepository(t)
	lib := r.add("lib", "2", "")
	app := r.add("app", "1", "Depends: lib (>= 1)\n")
	r.add("picky", "1", "Depends: lib (>= 2)\n")
	installed := func(text string) []Installed {
		s := &System{}
		require.NoError(t, s.read("status.d/lib", []byte(text)))
		return s.Installed
	}
	base := installed("Package: lib\nVersion: 1.5\nArchitecture: amd64\n")
	selection, err := r.archive().Resolve(t.Context(), Request{Architecture: "amd64", Names: []string{"app", "lib"}, Installed: base})
	require.NoError(t, err)
	assert.Equal(t, []distro.Package{app}, selection.Packages)

	_, err = r.archive().Resolve(t.Context(), Request{Architecture: "amd64", Names: []string{"picky"}, Installed: base})
	require.EqualError(t, err, "picky → lib (>= 2): the base has lib 1.5, which cannot be replaced (choose a newer base)")

	selection, err = r.archive().Resolve(t.Context(), Request{Architecture: "amd64", Names: []string{"picky"}})
	require.NoError(t, err)
	assert.Contains(t, selection.Packages, lib)
}

// What an archive signs is believed, and nothing else.
func TestResolveRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*repository)
		err    string
	}{
		"an unknown key": {
			func(r *repository) {
				known := r.Key
				r.Key = debiantest.NewKey(t)
				r.Publish()
				r.Key = known
			}, "its signature does not hold",
		},
		"a tampered InRelease": {
			func(r *repository) {
				name := debiantest.Dists + "InRelease"
				r.Files[name] = []byte(strings.Replace(string(r.Files[name]), "Origin: Debian", "Origin: Dabian", 1))
			}, "its signature does not hold",
		},
		"no signature": {
			func(r *repository) { r.Files[debiantest.Dists+"InRelease"] = []byte("Codename: trixie\n") }, "it is not signed",
		},
		"text before what is signed": {
			func(r *repository) {
				name := debiantest.Dists + "InRelease"
				r.Files[name] = append([]byte("Codename: trixie\n\n"), r.Files[name]...)
			}, "there is something beside what is signed",
		},
		"text after what is signed": {
			func(r *repository) {
				name := debiantest.Dists + "InRelease"
				r.Files[name] = append(r.Files[name], "Codename: trixie\n"...)
			}, "there is something beside what is signed",
		},
		"an InRelease of another suite": {
			func(r *repository) { r.Codename = "bookworm"; r.Publish() }, `it is for "bookworm", and not for trixie`,
		},
		"one that is not valid any more": {
			func(r *repository) { r.ValidUntil = time.Now().AddDate(0, 0, -1); r.Publish() }, "it was valid until",
		},
		"an older one": {
			func(r *repository) { r.Date = r.Date.AddDate(0, 0, -1); r.Publish() }, "it is of 2026-11-20T09:15:44Z, and the one of the lock of 2026-11-21T09:15:44Z",
		},
		"a tampered list": {
			func(r *repository) {
				for name := range r.Files {
					if strings.Contains(name, "/by-hash/") {
						r.Files[name] = debiantest.Compress(t, ".gz", []byte("Package: app\nVersion: 2\n"))
					}
				}
			}, "it is damaged or was tampered with",
		},
		"a list without digests": {
			func(r *repository) { r.Sign([]byte("Codename: trixie\nDate: Sat, 21 Nov 2026 09:15:44 UTC\n")) }, "reading the packages of trixie for amd64: there are none",
		},
		"a list that unpacks to more": {
			func(r *repository) {
				packed := debiantest.Compress(t, ".gz", make([]byte, 1<<20))
				r.Sign([]byte("Codename: trixie\nDate: Sat, 21 Nov 2026 09:15:44 UTC\nSHA256:\n " + strings.Repeat("0", 64) + " 100 main/binary-amd64/Packages\n" +
					fmt.Sprintf(" %x %d main/binary-amd64/Packages.gz\n", sha256.Sum256(packed), len(packed))))
				r.Files[debiantest.Dists+"main/binary-amd64/Packages.gz"] = packed
			}, "they do not have the 100 bytes that InRelease says",
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRepository(t)
			r.add("app", "1", "")
			a := r.archive()
			request := Request{Architecture: "amd64", Names: []string{"app"}, NotBefore: map[string]time.Time{"trixie": r.Date}}
			_, err := a.Resolve(t.Context(), request)
			require.NoError(t, err)
			a = r.archive()
			test.change(r)
			_, err = a.Resolve(t.Context(), request)
			require.ErrorContains(t, err, test.err)
		})
	}
}

// A list is fetched once as long as it stays the same, and without its digest's name where the archive has none.
func TestListsAreCached(t *testing.T) {
	r := newRepository(t)
	r.ByHash = false
	r.add("app", "1", "")
	a := r.archive()
	for range 3 {
		_, err := a.Resolve(t.Context(), Request{Architecture: "amd64", Names: []string{"app"}})
		require.NoError(t, err)
	}
	assert.EqualValues(t, 4, r.Asked.Load())
	assert.Contains(t, maps.Collect(maps.All(r.Files)), "/debian/dists/trixie/main/binary-amd64/Packages.gz")
}

func TestFind(t *testing.T) {
	for number := range Releases {
		release, err := Find(number)
		require.NoError(t, err)
		keys, err := release.keyring()
		require.NoError(t, err)
		assert.Len(t, keys, 3)
	}
	_, err := Find("11")
	require.EqualError(t, err, "packages of Debian 11 cannot be installed, only those of 12 and 13")
}
