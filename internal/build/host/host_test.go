package host_test

import (
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/build/gocache"
	"github.com/slipway-ci/slipway/internal/build/host"
	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/test/enginetest"
	"github.com/slipway-ci/slipway/internal/test/testtool"
)

func TestMain(m *testing.M) {
	gocache.Helper()
	goleak.VerifyTestMain(m)
}

// newEngine makes an engine in the caller's environment, changed by env. Its bases come from layouts alone.
func newEngine(t *testing.T, env ...string) build.Engine {
	t.Helper()
	store, err := cache.Open(t.TempDir())
	require.NoError(t, err)
	return host.New(&oci.Bases{Cache: store}, append(os.Environ(), env...))
}

func TestEngine(t *testing.T) {
	enginetest.Run(t, func(t *testing.T) build.Engine { return newEngine(t) })
}

func TestEngineWithCgo(t *testing.T) {
	testtool.Need(t, "gcc", "gcc")
	testtool.Need(t, "aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu libc6-dev-arm64-cross")
	testtool.Need(t, "musl-gcc", "musl-tools")
	enginetest.RunCgo(t, func(t *testing.T) build.Engine { return newEngine(t) })
}

// A machine without C compilers says what it lacks, for every platform, and what has it.
func TestNoCompiler(t *testing.T) {
	goCommand, err := exec.LookPath("go")
	require.NoError(t, err)
	bin := t.TempDir()
	require.NoError(t, os.Symlink(goCommand, filepath.Join(bin, "go")))
	t.Setenv("PATH", bin)
	dir := writeTree(t, hello)
	for cgo, want := range map[string][]string{
		"dynamic": {
			"no C compiler for linux/amd64", "x86_64-linux-gnu-gcc", "install gcc-x86-64-linux-gnu and libc6-dev-amd64-cross",
			"no C compiler for linux/s390x", "under any of the names s390x-linux-gnu-gcc: install gcc-s390x-linux-gnu and libc6-dev-s390x-cross", "--engine dagger",
		},
		"static": {
			"no C compiler for linux/amd64", "x86_64-linux-musl-gcc", "install musl-tools",
			"no C compiler for linux/s390x", "s390x-linux-musl-gcc", "--cgo=dynamic --runtime distroless-base",
		},
	} {
		// With such a flag the plan leaves it to the guard whether programs are static.
		config := plan.Config{Runtime: "scratch", CGO: cgo, LDFlags: "-extldflags=-static", Platforms: []string{"linux/amd64", "linux/s390x"}}
		plan, err := plan.Resolve(t.Context(), os.DirFS(dir), config)
		require.NoError(t, err)
		_, err = build.BuildOne(t.Context(), newEngine(t), dir, plan, build.Discard)
		for _, want := range want {
			assert.ErrorContains(t, err, want)
		}
	}
}

// Two platforms that compile side by side have half of the processors each, and one that compiles alone has all, as is the default.
func TestShareOfProcessors(t *testing.T) {
	goCommand, err := exec.LookPath("go")
	require.NoError(t, err)
	bin, calls := t.TempDir(), filepath.Join(t.TempDir(), "calls")
	script := fmt.Sprintf("#!/bin/sh\necho \"$@\" >>'%s'\nexec '%s' \"$@\"\n", calls, goCommand)
	require.NoError(t, os.WriteFile(filepath.Join(bin, "go"), []byte(script), 0o755))
	t.Setenv("PATH", bin)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(6))
	dir := writeTree(t, hello)
	for _, c := range []struct {
		platforms []string
		want      string
	}{
		{[]string{"linux/amd64"}, `/graph.json -mod=readonly `},
		{[]string{"linux/amd64", "linux/arm64"}, `/graph.json -p=3 -mod=readonly `},
		{[]string{"linux/amd64", "linux/arm64", "linux/arm/v6", "linux/riscv64"}, `/graph.json -p=2 -mod=readonly `},
	} {
		require.NoError(t, os.WriteFile(calls, nil, 0o644))
		plan, err := plan.Resolve(t.Context(), os.DirFS(dir), plan.Config{Runtime: "scratch", Platforms: c.platforms})
		require.NoError(t, err)
		built, err := build.BuildOne(t.Context(), newEngine(t), dir, plan, build.Discard)
		require.NoError(t, err)
		require.NoError(t, built.Close())
		text, err := os.ReadFile(calls)
		require.NoError(t, err)
		assert.Equal(t, len(c.platforms), strings.Count(string(text), c.want), "%s", text)
	}
}

func writeTree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		name = filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
		require.NoError(t, os.WriteFile(name, []byte(content), 0o644))
	}
	return dir
}

var hello = map[string]string{
	"go.mod":  "module example.com/hello\n\ngo 1.26.8\n",
	"main.go": "package main\n\nfunc main() { println(\"hello\") }\n",
}

// needsErrors has a module of somebody else's.
var needsErrors = map[string]string{
	"go.mod": "module example.com/errors\n\ngo 1.26.8\n\nrequire github.com/pkg/errors v0.9.1\n",
	"go.sum": "github.com/pkg/errors v0.9.1 h1:FEBLx1zS214owpjy7qsBeixbURkuhQAwrK5UwLGTwt4=\n" +
		"github.com/pkg/errors v0.9.1/go.mod h1:bwawxfHBFNV+L2hUp1rHADufV3IMtnDRdf1r5NINEl0=\n",
	"main.go": "package main\n\nimport \"github.com/pkg/errors\"\n\nfunc main() { println(errors.New(\"x\").Error()) }\n",
}

func digest(t *testing.T, e build.Engine, dir string) string {
	t.Helper()
	plan, err := plan.Resolve(t.Context(), os.DirFS(dir), plan.Config{Runtime: "scratch"})
	require.NoError(t, err)
	result, err := build.BuildOne(t.Context(), e, dir, plan, build.Discard)
	require.NoError(t, err)
	defer func() { assert.NoError(t, result.Close()) }()
	d, err := result.Artifact.Digest()
	require.NoError(t, err)
	return d.String()
}

// Nobody's shell and nobody's go env -w changes what is built.
func TestEnvironmentIsMadeNotInherited(t *testing.T) {
	goenv := filepath.Join(t.TempDir(), "env")
	require.NoError(t, os.WriteFile(goenv, []byte("GOFLAGS=-tags=evil -race\nGOEXPERIMENT=nosuch\nGOAMD64=v4\n"), 0o644))
	dir := writeTree(t, hello)
	plain := digest(t, newEngine(t), dir)
	hostile := newEngine(t,
		"GOENV="+goenv, "GOFLAGS=-mod=vendor -ldflags=-X=main.x=1", "CGO_ENABLED=1", "GOOS=plan9", "GOARCH=mips", "GOARM=5", "GOAMD64=v4",
		"GO111MODULE=off", "GOWORK=/nowhere/go.work", "GOTOOLCHAIN=go1.21.0", "GOEXPERIMENT=nosuch", "CC=false", "TZ=Asia/Tokyo",
		"GODEBUG=gocachehash=1", "GOFIPS140=latest", "USER=somebody", "LANG=tr_TR",
	)
	assert.Equal(t, plain, digest(t, hostile, dir))
}

// Modules come from a server with a certificate that only the user knows.
func TestCACertsForModules(t *testing.T) {
	modules := t.TempDir()
	run := func(env ...string) error {
		cmd := exec.Command("go", "mod", "download", "github.com/pkg/errors@v0.9.1")
		cmd.Dir, cmd.Env = t.TempDir(), append(append(os.Environ(), "GOFLAGS=-modcacherw"), env...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			err = fmt.Errorf("%w: %s", err, out)
		}
		return err
	}
	require.NoError(t, run("GOMODCACHE="+modules))
	proxy := httptest.NewUnstartedServer(http.FileServer(http.Dir(filepath.Join(modules, "cache/download"))))
	proxy.Config.ErrorLog = log.New(io.Discard, "", 0) // the handshakes that are to fail
	proxy.StartTLS()
	t.Cleanup(proxy.Close)
	root := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: proxy.Certificate().Raw}))
	dir := writeTree(t, needsErrors)
	build := func(certs string) error {
		cache := t.TempDir()
		t.Cleanup(func() { // its directories are read-only
			cmd := exec.Command("go", "clean", "-modcache")
			cmd.Env = append(os.Environ(), "GOMODCACHE="+cache)
			assert.NoError(t, cmd.Run())
		})
		plan, err := plan.Resolve(t.Context(), os.DirFS(dir), plan.Config{Runtime: "scratch", Platforms: []string{"linux/amd64"}, CACerts: certs})
		require.NoError(t, err)
		result, err := build.BuildOne(t.Context(), newEngine(t, "GOMODCACHE="+cache, "GOPROXY="+proxy.URL, "GOSUMDB=off"), dir, plan, build.Discard)
		if err == nil {
			err = result.Close()
		}
		return err
	}
	err := build("")
	require.ErrorContains(t, err, "x509")
	require.ErrorContains(t, err, "--ca-cert FILE")
	if runtime.GOOS == "linux" {
		require.NoError(t, build(root))
	}
}

func TestNoGoCommand(t *testing.T) {
	dir := writeTree(t, hello)
	plan, err := plan.Resolve(t.Context(), os.DirFS(dir), plan.Config{Runtime: "scratch"})
	require.NoError(t, err)
	t.Setenv("PATH", t.TempDir())
	_, err = build.BuildOne(t.Context(), newEngine(t), dir, plan, build.Discard)
	assert.ErrorContains(t, err, "install Go 1.21 or newer")
}

// A module cache that somebody wrote to is refused before anything is compiled from it.
func TestAlteredModuleCache(t *testing.T) {
	dir := writeTree(t, needsErrors)
	cache := t.TempDir()
	t.Cleanup(func() { // its directories are read-only
		cmd := exec.Command("go", "clean", "-modcache")
		cmd.Env = append(os.Environ(), "GOMODCACHE="+cache)
		assert.NoError(t, cmd.Run())
	})
	plan, err := plan.Resolve(t.Context(), os.DirFS(dir), plan.Config{Runtime: "scratch", Platforms: []string{"linux/amd64"}})
	require.NoError(t, err)
	kept := newEngine(t, "GOMODCACHE="+cache) // one that remembers what it verified
	plain := host.New(&oci.Bases{}, append(os.Environ(), "GOMODCACHE="+cache))
	b := func(e build.Engine) error {
		result, err := build.BuildOne(t.Context(), e, dir, plan, build.Discard)
		if err == nil {
			err = result.Close()
		}
		return err
	}
	alter := func(name string) (undo func()) {
		name = filepath.Join(cache, name)
		content, err := os.ReadFile(name)
		require.NoError(t, err)
		info, err := os.Stat(name)
		require.NoError(t, err)
		require.NoError(t, os.Chmod(name, 0o644))
		other := slices.Clone(content)
		other[len(other)/2] ^= 1
		require.NoError(t, os.WriteFile(name, other, 0o644))
		require.NoError(t, os.Chtimes(name, info.ModTime(), info.ModTime()))
		return func() { require.NoError(t, os.WriteFile(name, content, 0o644)) }
	}
	for range 2 {
		require.NoError(t, b(kept))
	}
	require.NoError(t, b(plain))
	for _, name := range []string{"cache/download/github.com/pkg/errors/@v/v0.9.1.zip", "github.com/pkg/errors@v0.9.1/errors.go"} {
		undo := alter(name)
		for _, e := range []build.Engine{kept, plain} {
			err = b(e)
			require.ErrorContains(t, err, "verifying modules: the Go command failed", name)
			require.ErrorContains(t, err, "github.com/pkg/errors v0.9.1: ", name)
			require.ErrorContains(t, err, "go clean -modcache", name)
		}
		undo()
		require.NoError(t, b(kept))
	}
}

// A module in the place of another is verified too, which go mod verify leaves out.
func TestAlteredReplacement(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("go mod verify runs in each build")
	}
	replaced := maps.Clone(needsErrors)
	replaced["go.mod"] = "module example.com/errors\n\ngo 1.26.8\n\nrequire github.com/pkg/errors v0.8.1\n\nreplace github.com/pkg/errors => github.com/pkg/errors v0.9.1\n"
	dir := writeTree(t, replaced)
	cache := t.TempDir()
	t.Cleanup(func() { makeRemovable(t, cache) })
	e := newEngine(t, "GOMODCACHE="+cache)
	build := func() error {
		plan, err := plan.Resolve(t.Context(), os.DirFS(dir), plan.Config{Runtime: "scratch", Platforms: []string{"linux/amd64"}})
		require.NoError(t, err)
		result, err := build.BuildOne(t.Context(), e, dir, plan, build.Discard)
		if err == nil {
			err = result.Close()
		}
		return err
	}
	require.NoError(t, build())
	name := filepath.Join(cache, "github.com/pkg/errors@v0.9.1/errors.go")
	require.NoError(t, os.Chmod(name, 0o644))
	require.NoError(t, os.WriteFile(name, []byte("package errors"), 0o644))
	err := build()
	require.ErrorContains(t, err, "verifying modules: modules were altered:\ngithub.com/pkg/errors v0.9.1: dir has been modified (")
	require.ErrorContains(t, err, "go clean -modcache")
}

// steps are the names of the steps of a build.
type steps struct{ names []string }

func (s *steps) Step(lane, name string) build.Step {
	if lane == "" {
		s.names = append(s.names, name)
	}
	return build.Discard.Step(lane, name)
}

// What is in the module cache as it was when it was verified is not downloaded again.
func TestModulesAreRemembered(t *testing.T) {
	dir := writeTree(t, needsErrors)
	cache := t.TempDir()
	e := newEngine(t, "GOMODCACHE="+cache)
	build := func() []string {
		t.Helper()
		plan, err := plan.Resolve(t.Context(), os.DirFS(dir), plan.Config{Runtime: "scratch", Platforms: []string{"linux/amd64"}})
		require.NoError(t, err)
		var s steps
		result, err := build.BuildOne(t.Context(), e, dir, plan, &s)
		require.NoError(t, err)
		require.NoError(t, result.Close())
		return s.names
	}
	whole, remembered := []string{"download", "verify"}, []string{"verify"}
	assert.Equal(t, whole, build())
	t.Cleanup(func() { makeRemovable(t, cache) })
	if runtime.GOOS != "linux" {
		t.Skip("go mod download and go mod verify run in each build")
	}
	// For two seconds the cache is too new to be trusted.
	require.Eventually(t, func() bool { return slices.Equal(remembered, build()) }, time.Minute, time.Second)
	text := filepath.Join(dir, "main.go")
	require.NoError(t, os.WriteFile(text, []byte(needsErrors["main.go"]+"\n"), 0o644))
	assert.Equal(t, remembered, build(), "after an edit")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte(needsErrors["go.mod"]+"\n"), 0o644))
	assert.Equal(t, whole, build(), "of another go.mod")
	makeRemovable(t, cache)
	require.NoError(t, os.RemoveAll(cache))
	require.NoError(t, os.MkdirAll(cache, 0o755))
	assert.Equal(t, whole, build(), "of an empty cache")
}

// makeRemovable gives the directories of a module cache back to their owner.
func makeRemovable(t *testing.T, cache string) {
	t.Helper()
	assert.NoError(t, filepath.WalkDir(cache, func(name string, e fs.DirEntry, err error) error {
		if err != nil || !e.IsDir() {
			return err
		}
		return os.Chmod(name, 0o755)
	}))
}
