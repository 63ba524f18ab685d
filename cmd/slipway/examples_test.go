package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/test/registrytest"
	"github.com/slipway-ci/slipway/internal/test/testtool"
)

// example is a way to build a program of the directory examples, and to see that it runs.
type example struct {
	name     string
	runtimes []string
	flags    []string
	// arm64 are the arguments for qemu where the image has that platform, too.
	arm64 []string
	// env is the environment of the program, besides its port and its directory.
	env   []string
	ready func(port, said string) bool
	do    func(t *testing.T, port string)
}

var (
	onArm64     = []string{} // nothing but the program itself
	anyRuntime  = withoutDebian(plan.Runtimes())
	healthy     = answers("/health", `200 {"status":"healthy"}`)
	atKathmandu = []string{"ZONE=Asia/Kathmandu", "AT=18:30"}
)

// withoutDebian leaves out the runtime that is made of packages of Debian's archive: TestDebianImages has it.
func withoutDebian(runtimes []string) []string {
	return slices.DeleteFunc(runtimes, func(r string) bool { return r == string(plan.Debian) })
}

// runningExamples are all but private-module, which has its own test.
var runningExamples = []example{
	{name: "http-server", runtimes: anyRuntime, arm64: onArm64, ready: answers("/health", "200 OK")},
	{name: "gin-api", runtimes: anyRuntime, arm64: onArm64, ready: healthy},
	{
		name: "grpc-service", runtimes: anyRuntime, flags: []string{"--package", "./cmd/server"}, arm64: onArm64,
		ready: func(port, _ string) bool { return grpcHealth(port) == "serving" },
	},
	{
		name: "worker", runtimes: anyRuntime, flags: []string{"--tzdata"}, arm64: onArm64, env: atKathmandu,
		ready: func(_, said string) bool { return strings.Contains(said, `T18:30:00+05:45","zone":"Asia/Kathmandu"`) },
	},
	{
		// The stand-in for the runtime has no C library for arm64, but the cross compiler does.
		name: "cgo-sqlite", runtimes: []string{"distroless-base"}, flags: []string{"--cgo", "--writable", "/data"},
		arm64: []string{"-L", "/usr/aarch64-linux-gnu"}, ready: healthy, do: keepsNotes,
	},
	{
		name: "cgo-sqlite", runtimes: anyRuntime, flags: []string{"--cgo", "static", "--writable", "/data"}, ready: healthy, do: keepsNotes,
	},
}

func answers(path, want string) func(port, said string) bool {
	return func(port, _ string) bool { return get("http://127.0.0.1:"+port+path) == want }
}

func keepsNotes(t *testing.T, port string) {
	url := "http://127.0.0.1:" + port + "/notes"
	resp, err := http.Post(url, "text/plain", strings.NewReader("buy milk"))
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, http.StatusCreated, resp.StatusCode)
	assert.Equal(t, `200 [{"id":1,"text":"buy milk"}]`, get(url))
}

// grpcHealth asks a gRPC server how it is, in its own words on the wire.
// Source: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md and health-checking.md
func grpcHealth(port string) string {
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{Protocols: &protocols}}
	defer client.CloseIdleConnections()
	empty := []byte{0, 0, 0, 0, 0} // not compressed, of length 0: a HealthCheckRequest without a service
	req, err := http.NewRequest(http.MethodPost, "http://127.0.0.1:"+port+"/grpc.health.v1.Health/Check", bytes.NewReader(empty))
	if err != nil {
		return err.Error()
	}
	req.Header = http.Header{"Content-Type": {"application/grpc"}, "Te": {"trailers"}}
	resp, err := client.Do(req)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.Trailer.Get("Grpc-Status") != "0" || !bytes.Equal(body, []byte{0, 0, 0, 0, 2, 8, 1}) { // field 1 is 1: SERVING
		return fmt.Sprintf("%v %v %x", err, resp.Trailer, body)
	}
	return "serving"
}

// Every example becomes an image on each runtime that fits it, runs in it, answers, and stops when it is told to. Within a
// session of Dagger (dagger run go test ./cmd/slipway -run TestExamples), its engine compiles. All of it is slow: without
// RUN_SLOW_TESTS each example has one runtime.
func TestExamples(t *testing.T) {
	registry := registrytest.Start(t)
	pushBases(t, registry.Host)
	mirrors := "SLIPWAY_MIRRORS=gcr.io=" + registry.Host + ",docker.io=" + registry.Host
	for i, e := range runningExamples {
		for j, runtime := range e.runtimes {
			t.Run(strings.Join(append([]string{e.name, "on", runtime}, e.flags...), " "), func(t *testing.T) {
				if j != i%len(e.runtimes) { // so that each example and each runtime has its turn
					testtool.NeedTime(t, "every example on every runtime")
				}
				if e.name == "cgo-sqlite" {
					testtool.NeedTime(t, "SQLite is compiled")
				}
				e.run(t, runtime, mirrors)
			})
		}
	}
}

func (e example) run(t *testing.T, runtime, mirrors string) {
	platforms := "linux/amd64"
	if e.arm64 != nil {
		platforms += ",linux/arm64"
	}
	if strings.Contains(strings.Join(e.flags, " "), "--cgo") {
		testtool.Need(t, "gcc", "gcc")
		testtool.Need(t, "aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu libc6-dev-arm64-cross")
		testtool.Need(t, "musl-gcc", "musl-tools")
	}
	archive := filepath.Join(t.TempDir(), "image.tar")
	args := append([]string{"build", "--runtime", runtime, "--platform", platforms, "--output", archive}, e.flags...)
	must(t, slipwayCommand(t, []string{sharedCache, mirrors}, append(args, "../../examples/"+e.name)...))

	runs := func(t *testing.T, cmd *exec.Cmd, port string) {
		untilStopped(t, cmd, func(said string) bool { return e.ready(port, said) }, func() {
			if e.do != nil {
				e.do(t, port)
			}
		})
	}
	t.Run("amd64 in a container", func(t *testing.T) {
		port := freePort(t)
		runs(t, container(t, unpack(t, archive, "amd64"), append(e.env, "PORT="+port)...), port)
	})
	if e.arm64 == nil {
		return
	}
	t.Run("arm64 under qemu", func(t *testing.T) {
		port := freePort(t)
		programs, err := filepath.Glob(filepath.Join(unpack(t, archive, "arm64"), "rootfs", "app", "*"))
		require.NoError(t, err)
		require.Len(t, programs, 1)
		cmd := exec.Command(testtool.Need(t, "qemu-aarch64-static", "qemu-user-static"), append(e.arm64, programs...)...)
		cmd.Env = append(e.env, "PORT="+port, "DATA="+t.TempDir())
		runs(t, cmd, port)
	})
}

// All images of a slipway.yaml are built at once, and run.
func TestManyImagesExample(t *testing.T) {
	registry := registrytest.Start(t)
	pushBases(t, registry.Host)
	mirrors := "SLIPWAY_MIRRORS=gcr.io=" + registry.Host + ",docker.io=" + registry.Host
	source := copyExample(t, "shop")
	cmd := slipwayCommand(t, []string{sharedCache, mirrors}, "build", "--all", source)
	cmd.Dir = t.TempDir()
	archives := strings.Fields(must(t, cmd))
	require.Equal(t, []string{"dist/api.tar", "dist/report.tar", "dist/all.tar"}, archives)

	run := func(name string, until func(said, port string) bool) {
		t.Run(name, func(t *testing.T) {
			port := freePort(t)
			untilStopped(t, container(t, unpack(t, filepath.Join(cmd.Dir, "dist", name+".tar"), "amd64"), "PORT="+port), func(said string) bool { return until(said, port) }, func() {})
		})
	}
	serves := func(_, port string) bool {
		return get("http://127.0.0.1:"+port+"/") == `200 [{"article":"tea","pieces":3,"cents":450},{"article":"cup","pieces":1,"cents":1200}]`
	}
	run("api", serves)
	run("all", serves)
	out, err := container(t, unpack(t, filepath.Join(cmd.Dir, "dist", "report.tar"), "amd64")).Output()
	require.NoError(t, err)
	assert.Equal(t, "2 orders, 25.50 in all\n", string(out))
}

// The code of the gRPC service is that of its .proto: made anew, it gives the same image. Without protoc the build says so.
func TestGenerateExample(t *testing.T) {
	protoc := testtool.Need(t, "protoc", "protobuf-compiler")
	source := copyExample(t, "grpc-service")
	build := func(flags ...string) slipway.Result {
		args := append([]string{"build", "--json", "--runtime", "scratch", "--platform", "linux/amd64", "--package", "./cmd/server", "--output", filepath.Join(t.TempDir(), "image.tar")}, flags...)
		var r slipway.Result
		require.NoError(t, json.Unmarshal([]byte(must(t, slipwayCommand(t, nil, append(args, source)...))), &r))
		return r
	}
	committed := build()
	assert.Equal(t, committed.Digest, build("--generate").Digest)

	generated := filepath.Join(source, "greeter", "greeter.pb.go")
	require.NoError(t, os.Remove(generated))
	assert.Equal(t, committed.Digest, build("--generate").Digest)
	assert.NoFileExists(t, generated, "the user's directory stays as it is")

	bin := t.TempDir()
	for _, name := range []string{"go", "sh", "gcc"} {
		if path, err := exec.LookPath(name); err == nil {
			require.NoError(t, os.Symlink(path, filepath.Join(bin, name)))
		}
	}
	own, err := exec.LookPath("slipway")
	require.NoError(t, err)
	cmd := slipwayCommand(t, []string{"PATH=" + bin}, "build", "--generate", "--runtime", "scratch", "--package", "./cmd/server", "--output", filepath.Join(t.TempDir(), "x.tar"), source)
	cmd.Path, cmd.Err = own, nil
	said := fails(t, exitFailed, cmd)
	assert.Contains(t, said, "protoc", protoc)
	assert.Contains(t, said, "generating code: the Go command failed")
}
