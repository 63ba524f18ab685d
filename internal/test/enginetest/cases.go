package enginetest

import (
	"archive/tar"
	"bytes"
	"context"
	"debug/buildinfo"
	"debug/elf"
	"encoding/pem"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/plan"
)

var amd64, arm64 = v1.Platform{OS: "linux", Architecture: "amd64"}, v1.Platform{OS: "linux", Architecture: "arm64"}

// scratch: the whole file system is Slipway's.
func (s suite) scratch(t *testing.T) {
	result := s.mustBuild(t, extract(t, hello), plan.Config{Runtime: "scratch"})
	for _, img := range result.Images {
		files := Files(t, img)
		owned := map[string]string{}
		for name, f := range files {
			owned[name] = f.Owned()
			assert.Equal(t, time.Unix(0, 0).UTC(), f.Time, name)
		}
		assert.Equal(t, map[string]string{
			"/app":                               "drwxr-xr-x 0:0",
			"/app/hello":                         "-rwxr-xr-x 0:0",
			"/etc":                               "drwxr-xr-x 0:0",
			"/etc/group":                         "-rw-r--r-- 0:0",
			"/etc/passwd":                        "-rw-r--r-- 0:0",
			"/etc/ssl":                           "drwxr-xr-x 0:0",
			"/etc/ssl/certs":                     "drwxr-xr-x 0:0",
			"/etc/ssl/certs/ca-certificates.crt": "-rw-r--r-- 0:0",
			"/home":                              "drwxr-xr-x 0:0",
			"/home/app":                          "drwx------ 1000:1000",
			"/tmp":                               "dtrwxrwxrwx 0:0",
		}, owned)
		config, err := img.ConfigFile()
		require.NoError(t, err)
		assert.Equal(t, []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/app"}, config.Config.Env)
		assert.Equal(t, "root:x:0:0:root:/:/sbin/nologin\napp:x:1000:1000:app:/home/app:/sbin/nologin\n", files["/etc/passwd"].Content)
		assert.Contains(t, files["/etc/ssl/certs/ca-certificates.crt"].Content, "-----BEGIN CERTIFICATE-----")
		assert.Positive(t, img.BinarySize)
		assert.Len(t, files["/app/hello"].Content, int(img.BinarySize))
	}
}

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

// base: a base's files and settings are kept, but for what would start something else or as somebody else.
func (s suite) base(t *testing.T) {
	base := newBase(t, map[string]string{
		"etc/passwd": "root:x:0:0:root:/root:/bin/sh\nguest:x:405:100:guest:/dev/null:/sbin/nologin\n",
		"etc/group":  "root:x:0:root\nusers:x:1000:", // taken, and no newline at the end
		"bin/sh":     "shell",
	}, amd64, arm64)
	for _, img := range s.mustBuild(t, extract(t, hello), plan.Config{Runtime: "alpine", Base: base}).Images {
		files := Files(t, img)
		assert.Equal(t, "shell", files["/bin/sh"].Content)
		assert.Equal(t, "root:x:0:0:root:/root:/bin/sh\nguest:x:405:100:guest:/dev/null:/sbin/nologin\napp:x:1000:1000:app:/home/app:/sbin/nologin\n", files["/etc/passwd"].Content)
		assert.Equal(t, "root:x:0:root\nusers:x:1000:", files["/etc/group"].Content)
		config, err := img.ConfigFile()
		require.NoError(t, err)
		assert.Equal(t, []string{"PATH=/bin:/app", "FROM_BASE=1"}, config.Config.Env)
		assert.Equal(t, "drwx------ 1000:1000", files["/home/app"].Owned())
		assert.Equal(t, "kept", config.Config.Labels["base.label"])
		manifest, err := img.Manifest()
		require.NoError(t, err)
		assert.Regexp(t, "^sha256:[0-9a-f]{64}$", manifest.Annotations["org.opencontainers.image.base.digest"])
		for _, layer := range manifest.Layers {
			assert.Equal(t, types.OCILayer, layer.MediaType)
		}
	}

	_, _, err := s.build(t.Context(), t, extract(t, hello), plan.Config{Base: base, Platforms: []string{"linux/s390x"}})
	require.ErrorContains(t, err, "linux/s390x")
	require.ErrorContains(t, err, "linux/amd64", "the error lists what the base has")
}

// platforms: the variants reach the compiler; assertPrograms inspects the result.
func (s suite) platforms(t *testing.T) {
	result := s.mustBuild(t, extract(t, hello), plan.Config{
		Runtime: "scratch", Platforms: []string{"linux/arm/v6", "linux/riscv64", "linux/amd64/v2"},
	})
	assert.Len(t, result.Images, 3)
}

// reproducible: the same source gives the same digest, wherever it is.
func (s suite) reproducible(t *testing.T) {
	var digests []string
	for range 2 {
		result := s.mustBuild(t, extract(t, hello), plan.Config{Runtime: "scratch"})
		digest, err := result.Artifact.Digest()
		require.NoError(t, err)
		digests = append(digests, digest.String())
	}
	assert.Equal(t, digests[0], digests[1])
}

// failures: what the user's source can be at fault for, reported by the Go command. The error shows what it printed, and
// what mends it.
func (s suite) failures(t *testing.T) {
	replace := func(tree, from, to string) string {
		require.Contains(t, tree, from)
		return strings.ReplaceAll(tree, from, to)
	}
	for name, test := range map[string]struct {
		tree string
		want []string
	}{
		"compile error": {replace(hello, `println("hello")`, "undefinedFunction()"), []string{"main.go:3:", "undefined: undefinedFunction", "linux/amd64"}},
		"incomplete go.sum": {
			replace(quote, "rsc.io/sampler v1.3.0 h1:7uVkIFmeBqHfdjD+gZwtXXI+RODJ2Wc4O7MPEh/QiW4=\n", ""),
			[]string{"go.sum", "go mod tidy"},
		},
		"tampered go.sum": {
			replace(quote, "h1:7uVkIFmeBqHfdjD+gZwtXXI", "h1:7uVkIFmeBqHfdjD+gZwtXXJ"),
			[]string{"checksum mismatch", "rsc.io/sampler@v1.3.0", "compare go.sum with version control"},
		},
		"untidy go.mod": {replace(quote, "require rsc.io/quote v1.5.2\n", ""), []string{"rsc.io/quote", "go mod tidy"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := s.build(t.Context(), t, extract(t, test.tree), plan.Config{Runtime: "scratch", Platforms: []string{"linux/amd64"}})
			require.Error(t, err)
			for _, want := range test.want {
				assert.ErrorContains(t, err, want)
			}
		})
	}
}

// guard: what is wrong with a program stops the build.
func (s suite) guard(t *testing.T) {
	_, _, err := s.build(t.Context(), t, extract(t, hello), plan.Config{
		Runtime: "scratch", Platforms: []string{"linux/amd64"}, LDFlags: "-s=false -w=false",
	})
	require.ErrorContains(t, err, "not stripped")
}

// debug: the debugger is in the image, for the image's platform, beside a program that has its symbols.
func (s suite) debug(t *testing.T) {
	result := s.mustBuild(t, extract(t, hello), plan.Config{Runtime: "scratch", Debug: true, Platforms: []string{"linux/arm64"}})
	files := Files(t, result.Images[0])
	assert.Equal(t, "-rwxr-xr-x 0:0", files["/app/dlv"].Owned())
	info, err := buildinfo.Read(strings.NewReader(files["/app/dlv"].Content))
	require.NoError(t, err)
	assert.Equal(t, "github.com/go-delve/delve/cmd/dlv", info.Path)
	debugger, err := elf.NewFile(strings.NewReader(files["/app/dlv"].Content))
	require.NoError(t, err)
	assert.Equal(t, elf.EM_AARCH64, debugger.Machine)
	program, err := elf.NewFile(strings.NewReader(files["/app/hello"].Content))
	require.NoError(t, err)
	assert.NotNil(t, program.Section(".symtab"))
}

// caCerts: the bundle of every runtime ends in what the user adds.
func (s suite) caCerts(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler()) // for its certificate, which may sign
	defer server.Close()
	root := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	const theirs = "the base's own"
	withBundle := newBase(t, map[string]string{"etc/passwd": "", "etc/group": "", "etc/ssl/certs/ca-certificates.crt": theirs}, amd64)
	without := newBase(t, map[string]string{"etc/os-release": "x"}, amd64)
	for name, test := range map[string]struct {
		config plan.Config
		public bool
	}{
		"scratch":             {plan.Config{Runtime: "scratch"}, true},
		"alpine":              {plan.Config{Runtime: "alpine", Base: withBundle}, true},
		"distroless":          {plan.Config{Runtime: "distroless", Base: withBundle}, false},
		"base without bundle": {plan.Config{Base: without}, true},
	} {
		t.Run(name, func(t *testing.T) {
			test.config.Platforms, test.config.CACerts = []string{"linux/amd64"}, root
			bundle := Files(t, s.mustBuild(t, extract(t, hello), test.config).Images[0])["/etc/ssl/certs/ca-certificates.crt"]
			assert.Equal(t, "-rw-r--r-- 0:0", bundle.Owned())
			before, found := strings.CutSuffix(bundle.Content, root)
			require.True(t, found)
			if test.public {
				assert.Greater(t, strings.Count(before, "-----BEGIN CERTIFICATE-----"), 50)
			} else {
				assert.Equal(t, theirs+"\n", before)
			}
		})
	}
}

// writable: on every runtime, the user may write where the settings say, in /tmp and at home, and nowhere else.
func (s suite) writable(t *testing.T) {
	base := newBase(t, map[string]string{"etc/passwd": "", "etc/group": ""}, amd64)
	for name, config := range map[string]plan.Config{
		"scratch":    {Runtime: "scratch"},
		"alpine":     {Runtime: "alpine", Base: base},
		"distroless": {Runtime: "distroless", Base: base},
		"custom":     {Base: base, User: "4000:5000"},
	} {
		t.Run(name, func(t *testing.T) {
			config.Platforms, config.Files = []string{"linux/amd64"}, []string{"main.go:/doc/sub/", "go.mod:/doc/run:0755"}
			config.Writable = []string{"/data/", "/var/lib/app"}
			img := s.mustBuild(t, extract(t, hello), config).Images[0]
			file, err := img.ConfigFile()
			require.NoError(t, err)
			owned := map[string]string{}
			for name, f := range Files(t, img) {
				if f.UID != 0 || f.GID != 0 || f.Mode.Perm()&0o022 != 0 {
					owned[name] = f.Owned()
				}
			}
			delete(owned, "/tmp")
			mine := "drwxr-xr-x " + file.Config.User
			want := map[string]string{"/data": mine, "/var/lib/app": mine}
			if name == "scratch" || name == "alpine" {
				want["/home/app"] = "drwx------ 1000:1000"
			}
			assert.Equal(t, want, owned)
		})
	}
}

// seeded: directories have the group and mode that the settings say, also where the base has them, and what is placed in them is the
// user's.
func (s suite) seeded(t *testing.T) {
	base := "oci:" + PlacementBase(t)
	dir := extract(t, hello+"-- web/a --\na\n-- web/sub/b --\nb\n")
	require.NoError(t, os.Symlink("a", filepath.Join(dir, "web", "same")))
	files := Files(t, s.mustBuild(t, dir, plan.Config{
		Base: base, Platforms: []string{"linux/amd64"}, Files: []string{"web:/var/run/state/web", "web/a:/owned/x/y:0600", "web:/srv"},
		Writable: []string{"/var/run/state:0:02775", "/owned", "/home/nonroot:0:0775", "/srv/sub:7"}, Links: []string{"/owned/link=/tmp"},
	}).Images[0])
	for name, want := range map[string]string{
		"/run": "drwxr-xr-x 0:0", "/run/state": "dgrwxrwxr-x 65532:0", "/run/state/web": "dgrwxrwxr-x 65532:0", "/run/state/web/sub": "dgrwxrwxr-x 65532:0",
		"/run/state/web/a": "-rw-r--r-- 65532:0", "/run/state/web/sub/b": "-rw-r--r-- 65532:0", "/run/state/web/same": "Lrwxrwxrwx 65532:0",
		"/owned": "drwxr-x--- 65532:65532", "/owned/x": "drwxr-xr-x 65532:65532", "/owned/x/y": "-rw------- 65532:65532", "/owned/link": "Lrwxrwxrwx 65532:65532",
		"/home/nonroot": "drwxrwxr-x 65532:0", "/srv": "drwxr-xr-x 0:0", "/srv/a": "-rw-r--r-- 0:0", "/srv/sub": "drwxr-xr-x 65532:7", "/srv/sub/b": "-rw-r--r-- 65532:7",
	} {
		assert.Equal(t, want, files[name].Owned(), name)
	}
}

// ofPlatforms: each platform has its own file of the source.
func (s suite) ofPlatforms(t *testing.T) {
	dir := extract(t, hello+"-- bin/tool-amd64 --\nfor amd64\n-- bin/tool-arm64 --\nfor arm64\n")
	require.NoError(t, os.Chmod(filepath.Join(dir, "bin", "tool-arm64"), 0o755))
	for i, img := range s.mustBuild(t, dir, plan.Config{Runtime: "scratch", Files: []string{"bin/tool-{{.Arch}}:/bin/tool"}}).Images {
		tool := Files(t, img)["/bin/tool"]
		assert.Equal(t, "for "+[]string{"amd64", "arm64"}[i]+"\n", tool.Content)
		assert.Equal(t, "-rwxr-xr-x 0:0", tool.Owned())
	}
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

// sameName: programs that go build would call the same have places of their own, and building again changes nothing.
func (s suite) sameName(t *testing.T) {
	dir := extract(t, `
-- go.mod --
module example.com/hello

go 1.26.8
-- a/server/main.go --
package main

func main() { println("this is the first server") }
-- b/server/main.go --
package main

func main() { println("this is the second server") }
-- server-2/main.go --
package main

func main() { println("this is the third server") }
`)
	config := plan.Config{
		Runtime: "scratch", Platforms: []string{"linux/amd64", "linux/arm64"},
		Packages: []string{"./a/server", "./b/server=/app/b/server", "./server-2"},
	}
	var digests []string
	for range 2 {
		result := s.mustBuild(t, dir, config)
		for _, img := range result.Images {
			files := Files(t, img)
			assert.Contains(t, files["/app/server"].Content, "the first server")
			assert.Contains(t, files["/app/b/server"].Content, "the second server")
			assert.Contains(t, files["/app/server-2"].Content, "the third server")
		}
		digest, err := result.Artifact.Digest()
		require.NoError(t, err)
		digests = append(digests, digest.String())
	}
	assert.Equal(t, digests[0], digests[1])
}

// noEntrypoint: the program is the command, and an entrypoint of the base stays.
func (s suite) noEntrypoint(t *testing.T) {
	dir := extract(t, hello)
	config := plan.Config{Runtime: "scratch", Platforms: []string{"linux/amd64"}, NoEntrypoint: true, Args: []string{"serve"}}
	for base, want := range map[string][]string{"": nil, newBase(t, map[string]string{"bin/sh": "x"}, amd64): {"/bin/sh"}} {
		if base != "" {
			config.Runtime, config.Base = "", base
		}
		file, err := s.mustBuild(t, dir, config).Images[0].ConfigFile()
		require.NoError(t, err)
		assert.Equal(t, want, file.Config.Entrypoint)
		assert.Equal(t, []string{"/app/hello", "serve"}, file.Config.Cmd)
		config.Runtime, config.Base = "scratch", ""
	}
}

// userName: the user has a name, unless the base has given the name or the number away.
func (s suite) userName(t *testing.T) {
	dir := extract(t, hello)
	base := newBase(t, map[string]string{"etc/passwd": "root:x:0:0:root:/root:/bin/sh\n", "etc/group": "root:x:0:\n"}, amd64)
	config := plan.Config{Base: base, Platforms: []string{"linux/amd64"}, User: "1000:1000", UserName: "git"}
	files := Files(t, s.mustBuild(t, dir, config).Images[0])
	assert.Equal(t, "root:x:0:0:root:/root:/bin/sh\ngit:x:1000:1000:git:/home/git:/sbin/nologin\n", files["/etc/passwd"].Content)
	assert.Equal(t, "root:x:0:\ngit:x:1000:\n", files["/etc/group"].Content)
	assert.Equal(t, "drwx------ 1000:1000", files["/home/git"].Owned())
	for _, line := range []string{"node:x:1000:1000::/home/node:/bin/sh", "git:x:105:105::/:/bin/sh"} {
		config.Base = newBase(t, map[string]string{"etc/passwd": line + "\n"}, amd64)
		_, _, err := s.build(t.Context(), t, dir, config)
		require.ErrorContains(t, err, "naming the user: /etc/passwd of the base has the line")
		require.ErrorContains(t, err, line)
		require.ErrorContains(t, err, "choose another --user or --user-name")
	}
	config.Base = newBase(t, map[string]string{"etc/passwd": "git:x:1000:7::/srv:/bin/sh\n"}, amd64)
	assert.Equal(t, "git:x:1000:7::/srv:/bin/sh\n", Files(t, s.mustBuild(t, dir, config).Images[0])["/etc/passwd"].Content, "it has this very user")
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

// cancel: a build that is given up ends soon, says so, and leaves nothing in the temporary directory.
func (s suite) cancel(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("enough")
	plan, err := plan.Resolve(ctx, os.DirFS(extract(t, hello)), plan.Config{Runtime: "scratch"})
	require.NoError(t, err)
	report := stepHook(func(name string) {
		if name == "compile" {
			cancel(stop)
		}
	})
	_, err = build.BuildOne(ctx, s.newEngine(t), extract(t, hello), plan, report)
	require.ErrorIs(t, err, stop)
	left, err := filepath.Glob(filepath.Join(tmp, "*"))
	require.NoError(t, err)
	assert.Empty(t, left)
}

// stepHook is a Reporter that is called at the beginning of each step.
type stepHook func(name string)

func (h stepHook) Step(_, name string) build.Step {
	h(name)
	return build.Discard.Step("", name)
}

func tarLayer(t *testing.T, files map[string]string) v1.Layer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(files[name])), Typeflag: tar.TypeReg, Format: tar.FormatPAX}))
		_, err := io.WriteString(w, files[name])
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil },
		tarball.WithMediaType(types.DockerLayer))
	require.NoError(t, err)
	return layer
}

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
