package main

import (
	"bytes"
	"crypto/md5"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/debian"
	"github.com/slipway-ci/slipway/internal/test/debiantest"
	"github.com/slipway-ci/slipway/internal/test/testtool"
)

// debianKeys is the variable with the file of keys that the command takes for Debian's, in tests.
const debianKeys = "TEST_DEBIAN_KEYS"

// withDebian is the command for which the archive of a test is Debian's.
func withDebian() {
	if name := os.Getenv(debianKeys); name != "" {
		keys, err := os.ReadFile(name)
		if err != nil {
			panic(err)
		}
		suites := []debian.Suite{{Archive: "debian", Name: "trixie"}, {Archive: "debian-security", Name: "trixie-security"}}
		debian.Releases["13"] = debian.Release{Number: "13", Codename: "trixie", Suites: suites, Keys: string(keys)}
	}
	main()
}

// Those in testdata/debian install packages from an archive that they change:
//
//   - package NAME VERSION [FIELD…] publishes a package with the file /usr/share/NAME
//   - security NAME VERSION [FIELD…] publishes one as a security update
//   - scripted NAME VERSION SCRIPT publishes one with a maintainer script
//   - replaced NAME VERSION moves a package from the archive to its snapshot
//   - tamper NAME VERSION changes a package after it was signed
//   - sign later signs the archive anew, a day later, and sign earlier a day earlier
func TestDebianScripts(t *testing.T) {
	maps.Copy(commands, debianCommands)
	runScripts(t, "testdata/debian", func(e *testscript.Env) error { return startDebian(t, e) })
}

var debianCommands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"package": func(ts *testscript.TestScript, _ bool, args []string) { publish(archiveOf(ts), args) },
	"security": func(ts *testscript.TestScript, _ bool, args []string) {
		publish(ts.Value(debianSecurity).(*debiantest.Repository), args)
	},
	"scripted": func(ts *testscript.TestScript, _ bool, args []string) {
		archiveOf(ts).Add(args[0], args[1], "", debiantest.Control("postinst", "#!/bin/sh\n"+args[2]+"\n"))
	},
	"replaced": func(ts *testscript.TestScript, _ bool, args []string) {
		archive := archiveOf(ts)
		name := "pool/main/" + args[0] + "_" + args[1] + "_amd64.deb"
		archive.Files["/snapshot/archive/debian/"+archive.Date.AddDate(0, 0, 1).Format("20060102T150405Z")+"/"+name] = archive.Files["/debian/"+name]
		delete(archive.Files, "/debian/"+name)
	},
	"tamper": func(ts *testscript.TestScript, _ bool, args []string) {
		name := "/debian/pool/main/" + args[0] + "_" + args[1] + "_amd64.deb"
		tampered := bytes.Clone(archiveOf(ts).Files[name])
		tampered[len(tampered)-20] ^= 1
		archiveOf(ts).Files[name] = tampered
	},
	"sign": func(ts *testscript.TestScript, _ bool, args []string) {
		days := map[string]int{"later": 1, "earlier": -1}[args[0]]
		archive := archiveOf(ts)
		archive.Date = archive.Date.AddDate(0, 0, days)
		archive.Publish()
	},
}

const copyright = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nCopyright: 2026 Somebody\nLicense: GPL-2+\n\nFiles: debian/*\nLicense: MIT\n Permission is granted.\n"

// debianSecurity is the key of a script's archive of security updates.
const debianSecurity = "security"

func publish(archive *debiantest.Repository, args []string) {
	fields := ""
	for _, field := range args[2:] {
		fields += field + "\n"
	}
	archive.Add(args[0], args[1], fields, debiantest.Regular("/usr/share/"+args[0], args[1]+"\n"),
		debiantest.Regular("/usr/share/doc/"+args[0]+"/copyright", copyright))
}

func archiveOf(ts *testscript.TestScript) *debiantest.Repository {
	return ts.Value(debianKeys).(*debiantest.Repository)
}

// startDebian gives a script an archive with the packages of the runtime debian, and one of security updates without any.
func startDebian(t *testing.T, e *testscript.Env) error {
	archive := debiantest.Start(t)
	for _, name := range []string{"base-files", "ca-certificates", "media-types", "netbase", "tzdata", "tzdata-legacy"} {
		archive.Add(name, "13.1", "", debiantest.Regular("/usr/share/"+name, name+"\n"))
	}
	e.Values[debianKeys] = archive
	e.Values[debianSecurity] = archive.Security()
	name := filepath.Join(e.WorkDir, ".debian.asc")
	e.Setenv(debianKeys, name)
	e.Setenv("SLIPWAY_MIRRORS", e.Getenv("SLIPWAY_MIRRORS")+",deb.debian.org="+archive.Address+",snapshot.debian.org="+archive.Address+"/snapshot")
	return os.WriteFile(name, []byte(archive.Keys()), 0o644)
}

// What is made of Debian's own packages runs: a program in a container, with the time zones, users and certificates of packages, and programs of
// packages beside it.
func TestDebianImages(t *testing.T) {
	testtool.NeedTime(t, "it fetches from Debian's archive, and reads all of it")
	response, err := (&http.Client{Timeout: 20 * time.Second}).Get("https://deb.debian.org/debian/dists/trixie/InRelease")
	if err != nil {
		testtool.Skip(t, "Debian's archive: "+err.Error())
	}
	require.NoError(t, response.Body.Close())
	archive := filepath.Join(t.TempDir(), "image.tar")
	must(t, slipwayCommand(t, []string{sharedCache}, "build", "--runtime", "debian", "--runtime-package", "bash,curl", "--output", archive, "../../examples/worker"))

	bundle := unpack(t, archive, "amd64")
	root := filepath.Join(bundle, "rootfs")
	databases, err := filepath.Glob(filepath.Join(root, "var/lib/dpkg/status.d/*"))
	require.NoError(t, err)
	for _, name := range []string{"base-files", "bash", "ca-certificates", "curl", "libc6", "libssl3t64", "media-types", "netbase", "tzdata", "tzdata-legacy"} {
		require.Contains(t, databases, filepath.Join(root, "var/lib/dpkg/status.d", name))
	}
	require.NotContains(t, databases, filepath.Join(root, "var/lib/dpkg/status.d/debconf"))

	t.Run("what distroless has", func(t *testing.T) { hasDistroless(t, root) })
	t.Run("the program", func(t *testing.T) {
		untilStopped(t, container(t, bundle, atKathmandu...), func(said string) bool {
			return strings.Contains(said, `T18:30:00+05:45","zone":"Asia/Kathmandu"`)
		}, func() {})
	})
	t.Run("a program of a package", func(t *testing.T) {
		changeBundle(t, bundle, func(config map[string]any) {
			config["process"].(map[string]any)["args"] = []string{"sh", "-c", "curl --version && echo ~ && pwd && test -s /etc/ssl/certs/ca-certificates.crt"}
		})
		said := must(t, container(t, bundle))
		require.Regexp(t, `(?s)^curl 8\..* OpenSSL/3\..*\n/home/nonroot\n/app$`, said)
	})
	t.Run("for arm64 under qemu", func(t *testing.T) {
		qemu := testtool.Need(t, "qemu-aarch64-static", "qemu-user-static")
		root := filepath.Join(unpack(t, archive, "arm64"), "rootfs")
		require.Regexp(t, `^curl 8\..* OpenSSL/3\.`, must(t, exec.Command(qemu, "-L", root, filepath.Join(root, "usr/bin/curl"), "--version")))
	})
}

// hasDistroless wants what gcr.io/distroless/static-debian13:nonroot is made of below a directory: its packages' files as Debian publishes their digests,
// and what it adds to them. Sources: https://github.com/GoogleContainerTools/distroless/blob/main/static/static.bzl and common/BUILD.bazel
func hasDistroless(t *testing.T, root string) {
	for _, name := range []string{"base-files", "media-types", "netbase", "tzdata"} {
		digests, err := os.ReadFile(filepath.Join(root, "var/lib/dpkg/status.d", name+".md5sums"))
		require.NoError(t, err)
		require.NotEmpty(t, digests)
		for line := range strings.Lines(string(digests)) {
			want, path, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
			require.True(t, ok, line)
			content, err := os.ReadFile(filepath.Join(root, path))
			require.NoError(t, err)
			require.Equal(t, want, fmt.Sprintf("%x", md5.Sum(content)), path)
		}
	}
	for path, want := range map[string]string{
		"root": "700 0 0", "home": "755 0 0", "home/nonroot": "700 65532 65532", "tmp": "1777 0 0", "etc/nsswitch.conf": "644 0 0", "etc/passwd": "644 0 0",
		"etc/group": "644 0 0", "usr/lib/os-release": "644 0 0", "etc/ssl/certs/ca-certificates.crt": "644 0 0",
	} {
		require.Equal(t, want, must(t, exec.Command("stat", "-c", "%a %u %g", filepath.Join(root, path))), path)
	}
	for path, lines := range map[string][]string{
		"etc/passwd": {
			"root:x:0:0:root:/root:/sbin/nologin", "nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin", "nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin",
		},
		"etc/group":      {"root:x:0:", "nobody:x:65534:", "tty:x:5:", "staff:x:50:", "nonroot:x:65532:"},
		"etc/os-release": {`VERSION_ID="13"`},
	} {
		content, err := os.ReadFile(filepath.Join(root, path))
		require.NoError(t, err)
		require.Subset(t, strings.Split(string(content), "\n"), lines, path)
	}
}
