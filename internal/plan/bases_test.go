package plan

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestKnowBase(t *testing.T) {
	for given, want := range map[string]knownBase{
		"gcr.io/distroless/static-debian13:nonroot":           {release: "Debian 13", image: "static", libc: "none"},
		"gcr.io/distroless/static-debian12:nonroot":           {release: "Debian 12", image: "static", libc: "none", ended: "2026-09-01"},
		"gcr.io/distroless/base-nossl-debian13:debug-nonroot": {release: "Debian 13", image: "base-nossl", libc: "glibc", glibc: "2.41"},
		"mirror.example/gcr.io/distroless/cc-debian12:nonroot": {
			release: "Debian 12", image: "cc", libc: "glibc", glibc: "2.36", ended: "2026-09-01",
		},
		"alpine:3.24.2": {release: "Alpine 3.24", image: "library/alpine", libc: "musl"},
		"alpine:3.20@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa": {
			release: "Alpine 3.20", image: "library/alpine", libc: "musl", ended: "2026-04-01",
		},
		"golang:1.27.4-alpine3.24":                              {release: "Alpine 3.24", image: "library/golang", libc: "musl"},
		"golang:1.27.4-alpine":                                  {image: "library/golang", libc: "musl"},
		"golang:1.27.4-bookworm":                                {release: "Debian 12", image: "library/golang", libc: "glibc", glibc: "2.36", ended: "2026-07-11"},
		"public.ecr.aws/docker/library/python:3.14-slim-trixie": {release: "Debian 13", image: "docker/library/python", libc: "glibc", glibc: "2.41"},
		"debian:12-slim":                                        {release: "Debian 12", image: "library/debian", libc: "glibc", glibc: "2.36", ended: "2026-07-11"},
		"debian:13.2":                                           {release: "Debian 13", image: "library/debian", libc: "glibc", glibc: "2.41"},
		"debian:trixie-20261101-slim":                           {release: "Debian 13", image: "library/debian", libc: "glibc", glibc: "2.41"},
		"ubuntu:22.04":                                          {release: "Ubuntu 22.04", image: "library/ubuntu", libc: "glibc", glibc: "2.35"},
		"ubuntu:noble-20261101":                                 {release: "Ubuntu 24.04", image: "library/ubuntu", libc: "glibc", glibc: "2.39"},
		"ubuntu:26.04":                                          {release: "Ubuntu 26.04", image: "library/ubuntu", libc: "glibc", glibc: "2.43"},
		"ubuntu:25.10":                                          {release: "Ubuntu 25.10", image: "library/ubuntu", libc: "glibc", ended: "2026-07-01"},
		"registry.example/our-alpine:3.20":                      {},
		"registry.example/debian:12":                            {},
		"nginx:1.30.4":                                          {image: "library/nginx"},
		"oci:base":                                              {},
		"oci-archive:alpine.tar":                                {},
	} {
		full, err := parseBase(given)
		require.NoError(t, err, given)
		assert.Equal(t, want, knowBase(full), given)
	}
	assert.Zero(t, knowBase(""))
}

// What is in the tables of the guard and of codenames has an end, so that a note comes when it is there.
func TestKnownReleasesEnd(t *testing.T) {
	for release := range glibcs {
		assert.Contains(t, ends, release)
	}
	for _, release := range codenames {
		assert.Contains(t, glibcs, release)
	}
	for _, runtime := range runtimes {
		assert.Empty(t, endedNote(runtime.base), "no runtime's base has ended")
	}
	assert.Equal(t, "gcr.io/distroless/base-debian12:nonroot is of Debian 12, which has had no fixes since 2026-09-01: "+
		"choose a newer release, like gcr.io/distroless/base-debian13:nonroot", endedNote("gcr.io/distroless/base-debian12:nonroot"))
	assert.Equal(t, "docker.io/library/debian:12 is of Debian 12, which has had no fixes since 2026-07-11: choose a newer release",
		endedNote("docker.io/library/debian:12"))
	for release, end := range ends {
		if number, alpine := strings.CutPrefix(release, "Alpine "); alpine && end > endsAsOf {
			assert.Empty(t, endedNote("docker.io/library/alpine:"+number), "it had not ended on the day of the data")
		}
	}
}

func TestKnownLayout(t *testing.T) {
	for base, want := range map[string]bool{
		"docker.io/library/alpine:3.24.2": true, "gcr.io/distroless/static-debian13:nonroot": true, "gcr.io/distroless/cc-debian12:debug": true,
		"public.ecr.aws/docker/library/alpine:3.23": true, "registry.example/alpine:3.24.2": false, "docker.io/library/debian:13": false,
		"docker.io/library/golang:1.27.4-alpine3.24": false, "public.ecr.aws/docker/library/python:3.14-slim-trixie": false, "oci:alpine": false, "": false,
	} {
		assert.Equal(t, want, Image{Base: base}.KnownLayout(), base)
	}
}

var sourceWithC = fstest.MapFS{
	"go.mod":  {Data: []byte("module example.com/c\n\ngo 1.24.0\n")},
	"main.go": {Data: []byte("package main\n\nimport \"C\"\n")},
}

// A plan refuses a program that could not start, and no other.
func TestCgoNeedsGLIBC(t *testing.T) {
	cxx := []string{"libgcc_s.so.1", "libgomp.so.1", "libstdc++.so.6"}
	for _, test := range []struct {
		config  Config
		refused string
		guard   Guard
		builder string
	}{
		{Config{Runtime: "scratch"}, "the runtime scratch", Guard{}, ""},
		{Config{}, "the runtime distroless", Guard{}, ""},
		{Config{Runtime: "alpine", Base: "registry.example/our-alpine:3"}, "the base registry.example/our-alpine:3", Guard{}, ""},
		{Config{Base: "alpine:3.24"}, "the base docker.io/library/alpine:3.24", Guard{}, ""},
		{Config{Base: "golang:1.27.4-alpine"}, "the base docker.io/library/golang:1.27.4-alpine", Guard{}, ""},
		{Config{Base: "gcr.io/distroless/static-debian12:nonroot"}, "static-debian12", Guard{}, ""},
		{Config{Runtime: "scratch", LDFlags: "-linkmode external -extldflags '-static'"}, "", Guard{Static: true, Runtime: Scratch}, "bookworm"},
		{Config{Runtime: "distroless-base"}, "", Guard{Lacks: cxx, GLIBC: "2.41", Runtime: DistrolessBase}, "trixie"},
		{Config{Runtime: "distroless-base", Go: "1.24.5"}, "", Guard{Lacks: cxx, GLIBC: "2.41", Runtime: DistrolessBase}, "bookworm"},
		{Config{Base: "gcr.io/distroless/base-debian12:nonroot"}, "", Guard{Lacks: cxx, GLIBC: "2.36", Runtime: Custom}, "bookworm"},
		{Config{Runtime: "distroless", Base: "gcr.io/distroless/base-debian12:nonroot"}, "", Guard{Lacks: cxx, GLIBC: "2.36", Runtime: Distroless}, "bookworm"},
		{Config{Base: "gcr.io/distroless/cc-debian13:nonroot"}, "", Guard{GLIBC: "2.41", Runtime: Custom}, "trixie"},
		{Config{Base: "ubuntu:22.04"}, "", Guard{GLIBC: "2.35", Runtime: Custom}, "bookworm"},
		{Config{Base: "ubuntu:26.04"}, "", Guard{GLIBC: "2.43", Runtime: Custom}, "trixie"},
		{Config{Base: "registry.example/whatever:1"}, "", Guard{Runtime: Custom}, "bookworm"},
		{Config{Base: "oci:base"}, "", Guard{Runtime: Custom}, "bookworm"},
	} {
		config := test.config
		config.CGO = "true"
		if config.Go == "" {
			config.Go = "1.27.4"
		}
		plan, err := Resolve(t.Context(), sourceWithC, config)
		if test.refused != "" {
			assert.ErrorContains(t, err, `cgo "true": the program would need glibc, which `)
			assert.ErrorContains(t, err, test.refused)
			config.CGO = "static"
			_, err = Resolve(t.Context(), sourceWithC, config)
			assert.NoError(t, err, "the hint mends it")
			continue
		}
		require.NoError(t, err, "%+v", test.config)
		assert.Equal(t, test.guard, plan.Guard, "%+v", test.config)
		assert.Equal(t, "docker.io/library/golang:"+config.Go+"-"+test.builder, plan.Builder)
	}
}
