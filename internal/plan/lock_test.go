package plan

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var digestA, digestB = "sha256:" + strings.Repeat("a", 64), "sha256:" + strings.Repeat("b", 64)

func TestLock(t *testing.T) {
	lock, err := ParseLock("registry.example:5000/z/base:1 " + digestB + "\r\n\n  # a remark\n docker.io/library/a:1\t" + digestA)
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"docker.io/library/a:1": digestA, "registry.example:5000/z/base:1": digestB}, lock.Images)
	assert.Equal(t, lockHeader+"docker.io/library/a:1 "+digestA+"\nregistry.example:5000/z/base:1 "+digestB+"\n", lock.String())
	files := "file https://example.com/a?b=c 0 " + digestA + "\nfile https://example.com/b 12 " + digestB + "\n"
	lock, err = ParseLock(files)
	require.NoError(t, err)
	assert.Equal(t, map[string]Download{
		"https://example.com/a?b=c": {URL: "https://example.com/a?b=c", Digest: digestA}, "https://example.com/b": {URL: "https://example.com/b", Size: 12, Digest: digestB},
	}, lock.Files)
	assert.Equal(t, lockHeader+files, lock.String())
	for text, want := range map[string]string{
		"file https://example.com/a " + digestA:                         "line 1 is not a file's URL, size and digest",
		"file https://example.com/a 01 " + digestA:                      "line 1 is not a file's URL, size and digest",
		"file https://example.com/a -1 " + digestA:                      "line 1 is not a file's URL, size and digest",
		"file https://example.com/a 1 sha256:abc":                       "line 1 is not a file's URL, size and digest",
		"file http://example.com/a 1 " + digestA:                        `line 1: "http://example.com/a": files are downloaded by https alone`,
		strings.Repeat("file https://example.com/a 1 "+digestA+"\n", 2): "line 2: https://example.com/a is there twice",
		"docker.io/library/a:1":                                         "line 1 is not a reference and its digest",
		"#\ndocker.io/library/a:1 sha256:abc":                           "line 2 is not a reference and its digest",
		"docker.io/library/a:1 " + digestA + " x":                       "line 1 is not a reference and its digest",
		"docker.io/library/a:1 " + strings.ToUpper(digestA):             "line 1 is not a reference and its digest",
		"a:1 " + digestA:                                         `line 1: "a:1" is not a reference with registry, repository and tag`,
		"docker.io/library/a " + digestA:                         "is not a reference with",
		"docker.io/library/a:latest " + digestA:                  "is not a reference with",
		"docker.io/library/a@" + digestA + " " + digestA:         "is not a reference with",
		"oci:layout " + digestA:                                  "is not a reference with",
		strings.Repeat("docker.io/library/a:1 "+digestA+"\n", 2): "line 2: docker.io/library/a:1 is there twice",
	} {
		_, err := ParseLock(text)
		assert.ErrorContains(t, err, want, text)
	}
}

// A tag that names no version changes its meaning as latest does. The version may be in the repository's name.
func TestParseBase(t *testing.T) {
	for in, want := range map[string]string{
		"alpine:3.24":                               "docker.io/library/alpine:3.24",
		"alpine:3.24.2@" + digestA:                  "docker.io/library/alpine:3.24.2@" + digestA,
		"alpine@" + digestA:                         "docker.io/library/alpine@" + digestA,
		"golang:alpine@" + digestA:                  "docker.io/library/golang:alpine@" + digestA,
		"localhost:5000/x:latest@" + digestA:        "localhost:5000/x:latest@" + digestA,
		"gcr.io/distroless/static-debian13:nonroot": "gcr.io/distroless/static-debian13:nonroot",
	} {
		got, err := parseBase(in)
		require.NoError(t, err, in)
		assert.Equal(t, want, got)
	}
	for in, example := range map[string]string{
		"golang:alpine": "like golang:1.2.3 or golang@sha256", "golang:latest": "like golang:1.2.3", "golang": "like golang:1.2.3",
		"registry2.example:5000/team3/base:main": "like registry2.example:5000/team3/base:1.2.3",
		"scratch":                                "use --runtime scratch", "alpine": "use --runtime alpine",
	} {
		_, err := parseBase(in)
		assert.ErrorContains(t, err, example, in)
	}
}

// Who locks needs the image of a prebuild that was not asked to run.
func TestLockPrebuild(t *testing.T) {
	tree := fstest.MapFS{"go.mod": {Data: []byte("module example.com/app\n\ngo 1.26.8\n")}, "main.go": {Data: []byte("package main")}}
	config := Config{Prebuild: Lines{"make"}, PrebuildImage: "node:24.4.1", PrebuildOutputs: List{"web"}}
	plans, errs := ResolveUnlocked(t.Context(), tree, []Config{config})
	require.NoError(t, errs[0])
	assert.Contains(t, plans[0].Floating(), "docker.io/library/node:24.4.1")
}

func TestMoving(t *testing.T) {
	for ref, moves := range map[string]bool{
		"docker.io/library/alpine:3.24": true, "docker.io/library/alpine:3": true, "gcr.io/distroless/static-debian13:nonroot": true,
		"docker.io/library/alpine:3.24.2": false, "docker.io/library/golang:1.27rc1-alpine": false, "a.example/b:v1.2.3-rc.1": false,
		"docker.io/library/alpine:3@" + digestA: false, "oci:layout": false, "": false,
	} {
		plan := &Plan{Builder: "docker.io/library/golang:1.26.8-alpine", Image: Image{Base: ref}}
		assert.Equal(t, moves, len(plan.moving()) == 1, ref)
	}
}
