package plan

import (
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/distro"
)

func TestDebianArchitecture(t *testing.T) {
	for platform, want := range map[string]string{
		"linux/amd64": "amd64", "linux/amd64/v3": "amd64", "linux/arm64/v9": "arm64", "linux/arm/v7": "armhf", "linux/arm/v5": "armel", "linux/386": "i386",
		"linux/ppc64le": "ppc64el", "linux/loong64": "", "linux/mips64le": "",
	} {
		p, err := ParsePlatform(platform)
		require.NoError(t, err)
		assert.Equal(t, want, architecture(debianName, p), platform)
	}
	assert.Empty(t, architecture(debianName, Platform{OS: "windows", Architecture: "amd64"}))
}

func TestLockPackages(t *testing.T) {
	const request = "debian linux/arm64/v9 curl jq on gcr.io/distroless/static-debian13:nonroot"
	text := lockHeader + "docker.io/library/a:1 " + digestA + "\npackages " + request + "\n  suite trixie 2026-11-21T09:15:44Z\n  suite trixie-security 2026-11-25T22:33:13Z\n" +
		"  package curl 8.14.1-2+deb13u7 debian/pool/main/c/curl/curl.deb 270212 " + digestB + "\npackages debian-13 linux/amd64 base-files\n"
	lock, err := ParseLock(text)
	require.NoError(t, err)
	assert.Equal(t, text, lock.String())
	group := lock.Packages[request]
	assert.Equal(t, []distro.Package{{Name: "curl", Version: "8.14.1-2+deb13u7", Path: "debian/pool/main/c/curl/curl.deb", Size: 270212, SHA256: strings.TrimPrefix(digestB, "sha256:")}}, group.Packages)
	assert.Equal(t, time.Date(2026, 11, 25, 22, 33, 13, 0, time.UTC), group.Taken())
	parsed, err := ParsePackageRequest(request)
	require.NoError(t, err)
	assert.Equal(t, request, parsed.String())
	assert.Equal(t, []string{"curl", "jq"}, parsed.Names)

	const head = "packages debian-13 linux/amd64 curl\n"
	for text, want := range map[string]string{
		"suite trixie 2026-11-21T09:15:44Z":                            "line 1: it follows no line that begins with packages",
		head + "docker.io/library/a:1 " + digestA + "\nsuite trixie 1": "line 3: it follows no line that begins with packages",
		head + "suite trixie yesterday":                                "line 2 is not a suite and its date",
		head + "suite trixie 2026-11-21T09:15:44+00:00":                "line 2 is not a suite and its date",
		head + "package curl 1 a.deb 1":                                "line 2 is not a package with its version, path, size and digest",
		head + "package curl 1 /a.deb 1 " + digestA:                    "line 2 is not a package",
		head + "package curl 1 a/../../b.deb 1 " + digestA:             "line 2 is not a package",
		head + "package curl 1 a.deb -1 " + digestA:                    "line 2 is not a package",
		head + head:                                  "line 2: it is there twice",
		"packages debian-13 linux/amd64":             `line 1: "debian-13 linux/amd64" is no list of packages`,
		"packages alpine-3 linux/amd64 curl":         `line 1: "alpine-3" is no system that packages are for`,
		"packages debian linux/amd64 curl":           `line 1: "debian" is no system that packages are for`,
		"packages debian-13 linux/amd64 curl on x:1": `line 1: "debian-13" is no system`,
		"packages debian-13 amd64 curl":              `line 1: "amd64": not of the form`,
		"packages debian-13 linux/amd64 curl;touch":  `line 1: "curl;touch": not the name of a package`,
	} {
		_, err := ParseLock(text)
		assert.ErrorContains(t, err, want, text)
	}
}

// A program that needs a library of a compiler is refused where nothing brings it.
func TestDebianLacks(t *testing.T) {
	source := fstest.MapFS{"go.mod": {Data: []byte("module example.com/app\n\ngo 1.26.8\n")}, "main.go": {Data: []byte("package main\n\nfunc main() {}\n")}}
	for _, test := range []struct {
		config Config
		want   []string
	}{
		{Config{Runtime: "debian"}, []string{"libgomp.so.1", "libstdc++.so.6"}},
		{Config{Runtime: "debian", RuntimePackages: []string{"libstdc++6"}}, []string{"libgomp.so.1"}},
		{Config{Runtime: "distroless-base"}, []string{"libgcc_s.so.1", "libgomp.so.1", "libstdc++.so.6"}},
		{Config{Runtime: "distroless-base", RuntimePackages: []string{"libgcc-s1", "libgomp1"}}, []string{"libstdc++.so.6"}},
		{Config{Runtime: "debian", Base: "debian:13"}, nil},
	} {
		test.config.CGO = "dynamic"
		p, err := Resolve(t.Context(), source, test.config)
		require.NoError(t, err)
		assert.Equal(t, test.want, p.Guard.Lacks, test.config)
		assert.Equal(t, "2.41", p.Guard.GLIBC)
		assert.Contains(t, p.Builder, "-trixie")
		assert.False(t, p.Guard.Static)
	}
}
