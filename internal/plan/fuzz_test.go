package plan

import (
	"path"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Whatever a user types, reading it neither panics nor lets through what an engine could not use.

func FuzzPlatform(f *testing.F) {
	for _, s := range []string{"linux/amd64", "linux/arm/v7", "linux/arm64/v8", "linux", "windows/amd64", "//", "linux/386/v1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePlatform(s)
		if err != nil {
			return
		}
		again, err := ParsePlatform(p.String())
		require.NoError(t, err)
		assert.Equal(t, p, again, "the text of a platform is that platform")
		assert.NotContains(t, p.goEnv(), "")
		for _, v := range p.goEnv() {
			assert.NotEmpty(t, v)
		}
	})
}

func FuzzBase(f *testing.F) {
	for _, s := range []string{"alpine:3.24.2", "alpine", "a/b:latest", "localhost:5000/x@sha256:" + strings.Repeat("a", 64), "a:1@sha256:" + strings.Repeat("a", 64), "localhost:5000/x:latest@sha256:" + strings.Repeat("a", 64), "oci:", "oci-archive:x.tar", ":", "a:b:c", "A:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		base, err := parseBase(s)
		if err != nil || strings.HasPrefix(base, "oci") {
			return
		}
		again, err := parseBase(base)
		require.NoError(t, err)
		assert.Equal(t, base, again)
		ref, err := name.ParseReference(base, name.StrictValidation)
		require.NoError(t, err, "registry, repository and tag or digest are all there")
		assert.NotEqual(t, "latest", ref.Identifier())
	})
}

func FuzzPort(f *testing.F) {
	for _, s := range []string{"8080", "53/udp", "0", "65536", "080", "+1", "1/", "/tcp"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if port, err := parsePort(s); err == nil {
			assert.Regexp(t, `^[1-9][0-9]{0,4}/(tcp|udp|sctp)$`, port)
		}
	})
}

func FuzzFile(f *testing.F) {
	for _, s := range []string{"a:/b", "a:/b:0644", "../a:/b", "a:b", "a:/", "a:/b/", "a:/b:9", "a/../..:/x", "/a:/b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := parseFile(s)
		if err != nil {
			return
		}
		assert.False(t, path.IsAbs(got.src) || got.src == ".." || strings.HasPrefix(got.src, "../"), got.src)
		assert.True(t, path.IsAbs(got.dst) && got.dst == path.Clean(got.dst) && got.dst != "/", got.dst)
		assert.LessOrEqual(t, got.mode, Mode(0o7777))
	})
}

func FuzzStamp(f *testing.F) {
	for _, s := range []string{"main.version=v1", "main.v=a b", `main.v=it's`, `main.v="`, `main.v='"`, "v=1", "a.b", "a.1=x", "a b.c=d"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		quoted, err := parseStamp(s)
		if err != nil {
			return
		}
		// go build splits at white space outside quotes, and knows no escapes: cmd/internal/quoted.
		if first := quoted[0]; first == '\'' || first == '"' {
			require.Equal(t, string(first)+s+string(first), quoted)
			assert.NotContains(t, s, string(first))
		} else {
			assert.Equal(t, s, quoted)
			assert.False(t, strings.ContainsAny(quoted, " \t\r\n'\""))
		}
	})
}

func FuzzLock(f *testing.F) {
	for _, s := range []string{"", "# x\n\ndocker.io/library/a:1 sha256:" + strings.Repeat("a", 64) + "\n", "a:1 b", "<<<<<<<", "a b c", "packages debian-13 linux/amd64 curl\nsuite trixie 2026-11-21T09:15:44Z\npackage curl 1 a/b.deb 10 sha256:" + strings.Repeat("b", 64)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		lock, err := ParseLock(s)
		if err != nil {
			return
		}
		again, err := ParseLock(lock.String())
		require.NoError(t, err)
		assert.Equal(t, lock, again)
	})
}
