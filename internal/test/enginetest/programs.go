package enginetest

import (
	"debug/elf"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/plan"
)

func (s suite) dependency(t *testing.T) {
	s.mustBuild(t, extract(t, quote), plan.Config{Runtime: "scratch", Platforms: []string{"linux/amd64"}})
}

// workspace: a program of one module uses another that only go.work leads to.
func (s suite) workspace(t *testing.T) {
	s.mustBuild(t, extract(t, `
-- go.work --
go 1.26.8

use (
	./app
	./lib
)
-- app/go.mod --
module example.com/app

go 1.26.8

require example.com/lib v0.0.0
-- app/cmd/tool/main.go --
package main

import "example.com/lib"

func main() { println(lib.Name) }
-- lib/go.mod --
module example.com/lib

go 1.26.8
-- lib/lib.go --
package lib

const Name = "lib"
`), plan.Config{Runtime: "scratch", Platforms: []string{"linux/amd64"}})
}

// reads: everything that compiling reads of the source gets there: what is embedded, assembly with what it includes, and a package
// that a symbolic link leads to.
func (s suite) reads(t *testing.T) {
	const tree = `
-- go.mod --
module example.com/reads

go 1.26.8
-- main.go --
package main

import (
	"embed"

	"example.com/reads/sum"
)

//go:embed page.html all:tree
var files embed.FS

func main() {
	entries, _ := files.ReadDir(".")
	println(len(entries), sum.Of(1, 2))
}
-- page.html --
an embedded page
-- tree/.hidden --
an embedded hidden file
-- sum/sum.go --
package sum

func Of(a, b int64) int64
-- sum/sum_amd64.s --
#include "textflag.h"
#include "where.h"

TEXT ·Of(SB), NOSPLIT, $0-24
	MOVQ FIRST, AX
	ADDQ b+8(FP), AX
	MOVQ AX, ret+16(FP)
	RET
-- sum/where.h --
#define FIRST a+0(FP)
`
	config := plan.Config{Runtime: "scratch", Platforms: []string{"linux/amd64"}}
	content := Files(t, s.mustBuild(t, extract(t, tree), config).Images[0])["/app/reads"].Content
	assert.Contains(t, content, "an embedded page")
	assert.Contains(t, content, "an embedded hidden file")

	dir := extract(t, tree)
	require.NoError(t, os.Rename(filepath.Join(dir, "sum"), filepath.Join(dir, "elsewhere")))
	require.NoError(t, os.Symlink("elsewhere", filepath.Join(dir, "sum")))
	s.mustBuild(t, dir, config)
}

// settings: everything that a user can set about the image and the compilation.
func (s suite) settings(t *testing.T) {
	dir := extract(t, `
-- go.mod --
module example.com/multi

go 1.26.8
-- cmd/b/main.go --
package main

var version = "unset"

func main() { println(version) }
-- cmd/a/main.go --
//go:build extra

package main

func main() {}
-- config/one.yaml --
one
-- config/sub/two.yaml --
two
`)
	result := s.mustBuild(t, dir, plan.Config{
		Packages: []string{"./cmd/b", "./cmd/a"}, Platforms: []string{"linux/amd64"}, Runtime: "scratch",
		BuildTags: []string{"extra"}, Stamps: []string{"main.version=v1.2.3 it's"},
		Ports: []string{"8080", "53/udp"}, Env: []string{"GREETING=hello, world"}, Args: []string{"--flag", "a b"},
		User: "4000:5000", Labels: []string{"a.label=1"}, Annotations: []string{"an.annotation=2"},
		Files: []string{"config:/etc/multi", "config/one.yaml:/secret:0400"}, SourceDateEpoch: "1700000000",
		Healthcheck: []string{"/app/a", "--check"}, HealthcheckOptions: []string{"interval=1m30s", "timeout=2s", "start-period=3s", "retries=4"},
	})
	files := Files(t, result.Images[0])
	assert.Contains(t, files["/app/b"].Content, "v1.2.3 it's")
	assert.Contains(t, files, "/app/a")
	assert.Equal(t, "one\n", files["/etc/multi/one.yaml"].Content)
	assert.Equal(t, "-rw-r--r-- 0:0", files["/etc/multi/one.yaml"].Owned())
	assert.Equal(t, "two\n", files["/etc/multi/sub/two.yaml"].Content)
	assert.Equal(t, "drwxr-xr-x 0:0", files["/etc/multi/sub"].Owned())
	assert.Equal(t, "-r-------- 0:0", files["/secret"].Owned())
	assert.Contains(t, files["/etc/passwd"].Content, "app:x:4000:5000:")
}

// generate: code is generated before it is compiled, where it is asked for, and not into the source.
func (s suite) generate(t *testing.T) {
	dir := extract(t, `
-- go.mod --
module example.com/hello

go 1.26.8
-- main.go --
package main

//go:generate go run ./internal/generator

func main() { println(generated) }
-- internal/generator/main.go --
package main

import "os"

func main() {
	if err := os.WriteFile("generated.go", []byte("package main\n\nconst generated = \"it was generated\"\n"), 0o644); err != nil {
		panic(err)
	}
}
`)
	config := plan.Config{Runtime: "scratch", Platforms: []string{"linux/amd64", "linux/arm64"}}
	_, _, err := s.build(t.Context(), t, dir, config)
	require.ErrorContains(t, err, "undefined: generated")
	config.Generate = plan.List{"true"}
	for _, img := range s.mustBuild(t, dir, config).Images {
		assert.Contains(t, Files(t, img)["/app/hello"].Content, "it was generated")
	}

	require.NoError(t, os.WriteFile(filepath.Join(dir, "other.go"), []byte("package main\n\n//go:generate no-such-program --version\n"), 0o644))
	_, _, err = s.build(t.Context(), t, dir, config)
	require.ErrorContains(t, err, "generating code")
	require.ErrorContains(t, err, "needs the program no-such-program: install it")
	require.ErrorContains(t, err, "--builder-package")
}

// prebuild: what a step before the build makes is compiled, in place of what the source has of it, and nothing else that it writes; it
// runs in the source's root, where that is asked for, and does not write to the source.
func (s suite) prebuild(t *testing.T) {
	dir := extract(t, `
-- app/go.mod --
module example.com/hello

go 1.26.8
-- app/main.go --
package main

import (
	"embed"
	"io/fs"
)

//go:embed web
var web embed.FS

func main() {
	_ = fs.WalkDir(web, ".", func(name string, e fs.DirEntry, err error) error {
		text, _ := web.ReadFile(name)
		println(name, string(text))
		return nil
	})
}
-- app/web/dist/stale.txt --
this is stale
-- app/web/page.txt --
the source's page
-- make.sh --
set -e
test ! -e app/web/dist
mkdir app/web/dist
echo "it was made before" >app/web/dist/index.txt
echo "the step's page" >app/web/page.txt
echo "it is not named" >app/web/other.txt
`)
	config := plan.Config{
		Packages: []string{"./app"}, Runtime: "scratch", Platforms: []string{"linux/amd64", "linux/arm64"},
		Prebuild: []string{"sh", "make.sh"}, PrebuildImage: "docker.io/library/golang:1.26.8-alpine", PrebuildOutputs: []string{"app/web/dist"},
	}
	for _, img := range s.mustBuild(t, dir, config).Images {
		assert.Contains(t, Files(t, img)["/app/hello"].Content, "this is stale", "it was not asked for")
	}
	config.RunPrebuild = true
	for _, img := range s.mustBuild(t, dir, config).Images {
		program := Files(t, img)["/app/hello"].Content
		assert.Contains(t, program, "it was made before")
		assert.Contains(t, program, "the source's page")
		for _, not := range []string{"this is stale", "the step's page", "it is not named"} {
			assert.NotContains(t, program, not)
		}
	}
	assert.NoFileExists(t, filepath.Join(dir, "app/web/dist/index.txt"))

	config.PrebuildOutputs = []string{"app/web/dist", "app/web/more"}
	_, _, err := s.build(t.Context(), t, dir, config)
	require.ErrorContains(t, err, "app/web/more")
	require.ErrorContains(t, err, "was not made")
	config.Prebuild = []string{"sh", "-c", "echo it is broken; exit 3"}
	_, _, err = s.build(t.Context(), t, dir, config)
	require.ErrorContains(t, err, "running the prebuild: the command sh failed (exit status 3)")
	require.ErrorContains(t, err, "it is broken")
}

// cgo: a program that needs libraries does not get onto a runtime that has none.
func (s suite) cgo(t *testing.T) {
	dir := extract(t, answer)
	// The plan leaves it to the guard whether such a flag links statically: this one does not.
	config := plan.Config{CGO: "true", Runtime: "scratch", Platforms: []string{"linux/amd64"}, LDFlags: "-X main.flag=-static"}
	_, _, err := s.build(t.Context(), t, dir, config)
	require.ErrorContains(t, err, "leave out --cgo")
	require.ErrorContains(t, err, "--runtime distroless-base")

	config.LDFlags, config.Platforms = "", []string{"linux/amd64", "linux/arm64"}
	config.Runtime, config.Base = "distroless-base", newBase(t, map[string]string{"etc/os-release": "x"}, amd64, arm64)
	for _, img := range s.mustBuild(t, dir, config).Images {
		program, err := elf.NewFile(strings.NewReader(Files(t, img)["/app/cgo"].Content))
		require.NoError(t, err)
		libraries, err := program.ImportedLibraries()
		require.NoError(t, err)
		assert.Contains(t, libraries, "libc.so.6")
	}
}

// cgoStatic: a program with C needs nothing of the runtime, and does not ask it for what glibc would.
func (s suite) cgoStatic(t *testing.T) {
	config := plan.Config{CGO: "static", Runtime: "scratch", Platforms: []string{"linux/amd64"}}
	img := s.mustBuild(t, extract(t, answer), config).Images[0]
	content := Files(t, img)["/app/cgo"].Content
	program, err := elf.NewFile(strings.NewReader(content))
	require.NoError(t, err)
	for _, p := range program.Progs {
		assert.NotEqual(t, elf.PT_INTERP, p.Type)
	}
	assert.NotContains(t, content, "GLIBC", "it is musl's")
}

// answer is a program with C, which uses the C library, in the module example.com/cgo.
const answer = `
-- go.mod --
module example.com/cgo

go 1.26.8
-- main.go --
package main

/*
#include <stdlib.h>

static int answer(void) { return atoi(getenv("ANSWER") ? getenv("ANSWER") : "42"); }
*/
import "C"

import "net"

func main() {
	_, err := net.LookupHost("localhost")
	println(C.answer(), err == nil)
}
`

// several builds a few images at once: each as it is alone, one that fails apart from the others, and two programs of one name
// apart from each other.
func (s suite) several(t *testing.T) {
	dir := extract(t, `
-- go.mod --
module example.com/shop

go 1.26.8
-- api/server/main.go --
package main

func main() { println("api") }
-- web/server/main.go --
package main

func main() { println("web") }
-- job/main.go --
package main

func main() { println("job") }
-- broken/main.go --
package main

func main() { missing() }
`)
	configs := []plan.Config{
		{Name: "api", Packages: []string{"api/server"}, Runtime: "scratch", Platforms: []string{"linux/amd64"}},
		{Name: "broken", Packages: []string{"broken"}, Runtime: "scratch", Platforms: []string{"linux/amd64"}},
		{Name: "web", Packages: []string{"web/server"}, Runtime: "scratch", Platforms: []string{"linux/amd64"}},
		{Name: "job", Packages: []string{"job"}, Runtime: "scratch", Platforms: []string{"linux/amd64", "linux/arm64"}, Ports: []string{"80"}},
	}
	plans, errs := plan.ResolveAll(t.Context(), os.DirFS(dir), configs)
	require.NoError(t, errors.Join(errs...))

	before := snapshot(t, dir)
	e := s.newEngine(t)
	var mu sync.Mutex
	digests := map[string]string{}
	e.Build(t.Context(), dir, plans, build.Discard, func(i int, r *build.Result, err error) {
		mu.Lock()
		defer mu.Unlock()
		assert.NotContains(t, digests, plans[i].Name, "reported once")
		if plans[i].Name == "broken" {
			assert.ErrorContains(t, err, "undefined: missing")
			assert.NotContains(t, err.Error(), "server")
			digests["broken"] = ""
			return
		}
		if !assert.NoError(t, err) {
			return
		}
		for n, img := range r.Images {
			assertConfig(t, plans[i], plans[i].Compile[n].Platform, img)
			assertPrograms(t, plans[i], plans[i].Compile[n], img)
		}
		digest, err := r.Artifact.Digest()
		assert.NoError(t, err)
		digests[plans[i].Name] = digest.String()
		assert.NoError(t, r.Close())
	})
	assert.Equal(t, before, snapshot(t, dir), "the source is left alone")
	require.Len(t, digests, len(plans))
	for i, plan := range plans {
		if plan.Name == "broken" {
			continue
		}
		digest, err := s.mustBuild(t, dir, configs[i]).Artifact.Digest()
		require.NoError(t, err)
		assert.Equal(t, digest.String(), digests[plan.Name], "%s is what it is alone", plan.Name)
	}
}
