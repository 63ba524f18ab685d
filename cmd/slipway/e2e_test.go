package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway"
	"github.com/slipway-ci/slipway/internal/test/registrytest"
	"github.com/slipway-ci/slipway/internal/test/testtool"
)

// slipwayCommand is a call of the command in its own process.
func slipwayCommand(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "slipway", args...)
	own := slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, "SLIPWAY_") })
	cmd.Env = append(append(own, goEnvironment(t)...), "XDG_CACHE_HOME="+t.TempDir(), "SLIPWAY_PROGRESS=plain")
	cmd.Env = append(cmd.Env, env...)
	return cmd
}

// must runs it and returns its standard output without the newline.
func must(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	return strings.TrimSuffix(string(out), "\n")
}

// fails runs it, wants that exit status, and returns its standard error.
func fails(t *testing.T, status int, cmd *exec.Cmd) string {
	t.Helper()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	assert.Equal(t, status, exit.ExitCode(), stderr.String())
	assert.Empty(t, string(out), "standard output is for results")
	return stderr.String()
}

// The README's first command, and what a user does next: start the program. Other people's tools open the image.
func TestExampleRuns(t *testing.T) {
	skopeo := testtool.Need(t, "skopeo", "skopeo")
	dir := t.TempDir()
	archive := filepath.Join(dir, "image.tar")
	must(t, slipwayCommand(t, []string{sharedCache}, "build", "--runtime", "scratch", "--port", "8080", "--stamp", "main.version=v1.2.3", "--output", archive, "../../examples/http-server"))
	for _, arch := range []string{"amd64", "arm64"} {
		out, err := exec.Command(skopeo, "--override-arch", arch, "inspect", "oci-archive:"+archive).CombinedOutput()
		require.NoError(t, err, string(out))
		assert.Contains(t, string(out), fmt.Sprintf("%q: %q", "Architecture", arch))
	}

	unpack := func(t *testing.T, arch string) string { return unpack(t, archive, arch) }
	t.Run("amd64 directly", func(t *testing.T) {
		if runtime.GOARCH != "amd64" {
			testtool.Skip(t, "a processor of type amd64")
		}
		serves(t, exec.Command(filepath.Join(unpack(t, "amd64"), "rootfs", "app", "http-server")))
	})
	t.Run("arm64 under qemu", func(t *testing.T) {
		qemu := testtool.Need(t, "qemu-aarch64-static", "qemu-user-static")
		serves(t, exec.Command(qemu, filepath.Join(unpack(t, "arm64"), "rootfs", "app", "http-server")))
	})
	t.Run("amd64 in a container", func(t *testing.T) {
		port := freePort(t)
		servesOn(t, container(t, unpack(t, "amd64"), "PORT="+port), port)
	})
}

// unpack unpacks the image for an architecture from an archive, into a bundle that runc can run.
func unpack(t *testing.T, archive, arch string) (bundle string) {
	t.Helper()
	skopeo, umoci := testtool.Need(t, "skopeo", "skopeo"), testtool.Need(t, "umoci", "umoci")
	testtool.NeedRoot(t, "umoci restores owners")
	layout, bundle := filepath.Join(t.TempDir(), "layout"), filepath.Join(t.TempDir(), "bundle")
	for _, args := range [][]string{
		{skopeo, "--insecure-policy", "--override-arch", arch, "copy", "oci-archive:" + archive, "oci:" + layout + ":image"},
		{umoci, "unpack", "--image", layout + ":image", bundle},
	} {
		out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
		require.NoError(t, err, string(out))
	}
	return bundle
}

// container is a run of the image for amd64 in a bundle: as its user, in its file system, on the host's network, with more
// environment.
func container(t *testing.T, bundle string, env ...string) *exec.Cmd {
	t.Helper()
	if runtime.GOARCH != "amd64" {
		testtool.Skip(t, "a processor of type amd64")
	}
	runc := testtool.Need(t, "runc", "runc")
	onHostNetwork(t, bundle, env...)
	name := fmt.Sprintf("slipway-test-%d-%d", os.Getpid(), containers.Add(1))
	return exec.Command(runc, "--root", t.TempDir(), "run", "--bundle", bundle, name)
}

var containers atomic.Int64

func freePort(t *testing.T) string {
	_, port, _ := strings.Cut(registrytest.FreeAddress(t), ":")
	return port
}

func serves(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	port := freePort(t)
	cmd.Env = []string{"PORT=" + port}
	servesOn(t, cmd, port)
}

// get is the status and the body of an answer, or the error.
func get(url string) string {
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(url)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%d %s", resp.StatusCode, bytes.TrimSpace(body))
}

// servesOn starts the example server, asks how it is, and stops it as Kubernetes would.
func servesOn(t *testing.T, cmd *exec.Cmd, port string) {
	t.Helper()
	untilStopped(t, cmd, func(string) bool { return get("http://127.0.0.1:"+port+"/health") == "200 OK" }, func() {
		assert.Contains(t, get("http://127.0.0.1:"+port+"/"), "v1.2.3", "the stamp is in the program")
	})
}

// untilStopped starts a program, waits until it is ready, which may be seen by what it has written, does what is to be done
// with it, and stops it as Kubernetes would.
func untilStopped(t *testing.T, cmd *exec.Cmd, ready func(said string) bool, do func()) {
	t.Helper()
	var out lockedBuffer
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(t, cmd.Start())
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // it fails if all went well
	if !assert.Eventually(t, func() bool { return ready(out.String()) }, 30*time.Second, 50*time.Millisecond, "it does not get ready") {
		t.Fatal(out.String())
	}
	do()
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	select {
	case err := <-exited:
		assert.NoError(t, err, out.String())
	case <-time.After(20 * time.Second):
		t.Error("it does not stop when asked to")
	}
}

// lockedBuffer may be read while it is written to.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// onHostNetwork changes the runtime configuration that umoci made: no terminal, the host's network, more environment. The
// user, the command and the file system stay the image's.
func onHostNetwork(t *testing.T, bundle string, env ...string) {
	t.Helper()
	changeBundle(t, bundle, func(config map[string]any) {
		process := config["process"].(map[string]any)
		process["terminal"] = false
		for _, kv := range env {
			process["env"] = append(process["env"].([]any), kv)
		}
		user := process["user"].(map[string]any)
		assert.Contains(t, []any{1000., 65532.}, user["uid"])
		assert.Equal(t, user["uid"], user["gid"])
		linux := config["linux"].(map[string]any)
		linux["namespaces"] = slices.DeleteFunc(linux["namespaces"].([]any), func(n any) bool { return n.(map[string]any)["type"] == "network" })
	})
}

func changeBundle(t *testing.T, bundle string, change func(config map[string]any)) {
	t.Helper()
	name := filepath.Join(bundle, "config.json")
	raw, err := os.ReadFile(name)
	require.NoError(t, err)
	var config map[string]any
	require.NoError(t, json.Unmarshal(raw, &config))
	change(config)
	raw, err = json.Marshal(config)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(name, raw, 0o644))
}

// All runtimes, published to a registry that this process runs and to a real one that wants a login.
func TestPublishEveryRuntime(t *testing.T) {
	test := func(t *testing.T, host string, options ...remote.Option) {
		pushBases(t, host, options...)
		for _, runtime := range []string{"distroless", "distroless-base", "alpine", "scratch"} {
			t.Run(runtime, func(t *testing.T) {
				ref := must(t, slipwayCommand(t, []string{sharedCache, "SLIPWAY_MIRRORS=gcr.io=" + host + ",docker.io=" + host},
					"publish", "--runtime", runtime, "--repository", host+"/team/server", "--tag", "v1,"+runtime, "../../examples/http-server"))
				digest, err := name.NewDigest(ref)
				require.NoError(t, err)
				tag, err := name.NewTag(host + "/team/server:" + runtime)
				require.NoError(t, err)
				for _, ref := range []name.Reference{digest, tag} {
					index, err := remote.Index(ref, options...)
					require.NoError(t, err)
					require.NoError(t, validate.Index(index))
					got, err := index.Digest()
					require.NoError(t, err)
					assert.Equal(t, digest.DigestStr(), got.String())
				}
				img, err := remote.Image(tag, append(options, remote.WithPlatform(v1.Platform{OS: "linux", Architecture: "arm64"}))...)
				require.NoError(t, err)
				assertBase(t, img, runtime)
			})
		}
	}
	t.Run("in process", func(t *testing.T) {
		registrytest.NoLogin(t)
		test(t, registrytest.Start(t).Host)
	})
	t.Run("docker-registry", func(t *testing.T) {
		host := registrytest.StartDistribution(t, true)
		registrytest.Login(t, host, registrytest.User, registrytest.Password)
		test(t, host, withLogin(registrytest.User, registrytest.Password))

		file := registrytest.Login(t, host, registrytest.User, "wrong-horse")
		said := fails(t, exitFailed, slipwayCommand(t, []string{sharedCache}, "publish", "--runtime", "scratch", "--platform", "linux/amd64", "--repository", host+"/team/server", "../../examples/http-server"))
		assert.Contains(t, said, "401 Unauthorized")
		assert.Contains(t, said, file, "the error names where the credential came from")
		assert.NotContains(t, said, "wrong-horse")
	})
}

func assertBase(t *testing.T, img v1.Image, runtime string) {
	t.Helper()
	manifest, err := img.Manifest()
	require.NoError(t, err)
	want := map[string]string{
		"distroless":      "gcr.io/distroless/static-debian13:nonroot",
		"distroless-base": "gcr.io/distroless/base-debian13:nonroot",
		"alpine":          "docker.io/library/alpine:3.24.2",
		"scratch":         "",
	}[runtime]
	assert.Equal(t, want, manifest.Annotations["org.opencontainers.image.base.name"])
	assert.Equal(t, want != "", manifest.Annotations["org.opencontainers.image.base.digest"] != "")
}

// The same digest, whoever builds, wherever, and whatever surrounds the source.
func TestReproducible(t *testing.T) {
	out := t.TempDir()
	build := func(name, umask string, env []string, dir string, flags ...string) string {
		archive := filepath.Join(out, name+".tar")
		cmd := slipwayCommand(t, env, append([]string{"build", "--runtime", "scratch", "--json", "--file", "README.md:/doc/", "--output", archive}, append(flags, dir)...)...)
		cmd.Args = append([]string{"sh", "-c", "umask " + umask + `; exec "$@"`, "sh"}, cmd.Args...)
		cmd.Path = testtool.Need(t, "sh", "dash")
		var r slipway.Result
		require.NoError(t, json.Unmarshal([]byte(must(t, cmd)), &r))
		content, err := os.ReadFile(archive)
		require.NoError(t, err)
		return fmt.Sprintf("%s %d %v", r.Digest, len(content), r.Platforms)
	}
	source := copyExample(t, "http-server")
	first := build("first", "022", nil, source)
	assert.Equal(t, first, build("again", "022", nil, source), "a second run")
	assert.Equal(t, first, build("order", "022", []string{"SLIPWAY_PLATFORMS=linux/arm64,linux/amd64"}, source), "platforms in another order")

	elsewhere := copyExample(t, "http-server")
	home := t.TempDir()
	other := []string{"TZ=Asia/Kathmandu", "HOME=" + home, "USER=somebody", "LOGNAME=somebody", "LANG=tr_TR.UTF-8", "TMPDIR=" + t.TempDir()}
	assert.Equal(t, first, build("elsewhere", "077", other, elsewhere), "another directory, home, user, umask and time zone")
	t.Run("nothing compiled before", func(t *testing.T) {
		testtool.NeedTime(t, "the standard library is compiled again")
		alone := []string{"SLIPWAY_PLATFORMS=linux/arm64"}
		anew := slices.Concat(alone, other, []string{"GOCACHE=" + filepath.Join(home, "cache")})
		assert.Equal(t, build("alone", "022", alone, source), build("anew", "077", anew, elsewhere))
	})

	git := func(args ...string) {
		out, err := exec.Command("git", append([]string{"-C", elsewhere, "-c", "user.name=t", "-c", "user.email=t@example.com"}, args...)...).CombinedOutput()
		require.NoError(t, err, string(out))
	}
	git("init", "-q")
	git("add", ".")
	git("commit", "-qm", "first")
	assert.Equal(t, first, build("git", "022", nil, elsewhere), "in a git repository")
	assert.NotEqual(t, first, build("revision", "022", nil, elsewhere, "--revision", "auto"), "unless the commit is asked for")
	require.NoError(t, os.Chmod(filepath.Join(elsewhere, "README.md"), 0o600))
	require.NoError(t, os.Chtimes(filepath.Join(elsewhere, "README.md"), time.Now(), time.Now()))
	assert.Equal(t, first, build("modes", "022", nil, elsewhere), "other modes and times of files")
	assert.NotEqual(t, first, build("epoch", "022", []string{"SOURCE_DATE_EPOCH=1700000000"}, elsewhere))
}

// What the bill of materials of an archive says is found once.
func TestArchiveIsReadOnce(t *testing.T) {
	registry := registrytest.Start(t)
	cache := t.TempDir()
	run := func(args ...string) { must(t, slipwayCommand(t, []string{"XDG_CACHE_HOME=" + cache}, args...)) }
	archive := filepath.Join(t.TempDir(), "hello.tar")
	run("build", "--runtime", "scratch", "--platform", "linux/amd64", "--output", archive, "../../examples/http-server")
	require.NoError(t, os.RemoveAll(filepath.Join(cache, "slipway")))
	publish := func(format string) []string {
		run("publish", "--repository", registry.Host+"/team/app", "--sbom", format, archive)
		notes, err := filepath.Glob(filepath.Join(cache, "slipway", "notes", "*"))
		require.NoError(t, err)
		return notes
	}
	checked := publish("none") // what its layers hold, which is compared with what the archive says
	first := publish("spdx")
	assert.Greater(t, len(first), len(checked), "a document")
	assert.Equal(t, first, publish("spdx"))
	assert.Greater(t, len(publish("cyclonedx")), len(first), "another document")
}

// A disk that fills up costs the result, and nothing that was there.
func TestFullDisk(t *testing.T) {
	testtool.NeedRoot(t, "mounting a small disk")
	disk := t.TempDir()
	out, err := exec.Command(testtool.Need(t, "mount", "mount"), "-t", "tmpfs", "-o", "size=512k", "tmpfs", disk).CombinedOutput()
	if err != nil {
		testtool.Skip(t, "the right to mount: "+string(out))
	}
	t.Cleanup(func() { assert.NoError(t, exec.Command("umount", "--lazy", disk).Run()) })
	archive := filepath.Join(disk, "image.tar")
	require.NoError(t, os.WriteFile(archive, []byte("what was there"), 0o644))
	for _, output := range []string{archive, filepath.Join(disk, "layout")} {
		said := fails(t, exitFailed, slipwayCommand(t, []string{sharedCache}, "build", "--runtime", "scratch", "--output", output, "../../examples/http-server"))
		assert.Contains(t, said, "no space left on device")
		assert.Contains(t, said, "--output")
	}
	content, err := os.ReadFile(archive)
	require.NoError(t, err)
	assert.Equal(t, "what was there", string(content))
	entries, err := os.ReadDir(disk)
	require.NoError(t, err)
	for _, e := range entries {
		assert.Contains(t, []string{"image.tar", "layout"}, e.Name(), "nothing half-written stays")
	}
	assert.NoFileExists(t, filepath.Join(disk, "layout", "index.json"))

	said := fails(t, exitFailed, slipwayCommand(t, []string{"TMPDIR=" + disk}, "build", "--runtime", "scratch", "--output", filepath.Join(t.TempDir(), "x.tar"), "../../examples/http-server"))
	assert.Contains(t, said, "no space left on device")
}

// --load hands docker a stream that it understands.
func TestLoad(t *testing.T) {
	skopeo := testtool.Need(t, "skopeo", "skopeo")
	bin, out := t.TempDir(), t.TempDir()
	loaded := filepath.Join(out, "loaded.tar")
	script := "#!/bin/sh\n[ \"$*\" = load ] && cat > '" + loaded + "' && echo 'Loaded image: http-server:latest'\n"
	require.NoError(t, os.WriteFile(filepath.Join(bin, "docker"), []byte(script), 0o755))
	env := []string{sharedCache, "PATH=" + bin + ":" + os.Getenv("PATH")}
	args := []string{"build", "--runtime", "scratch", "--load", "--output", filepath.Join(out, "x.tar"), "../../examples/http-server"}
	must(t, slipwayCommand(t, env, args...))
	for _, form := range []string{"docker-archive:", "oci-archive:"} {
		said, err := exec.Command(skopeo, "inspect", "--config", form+loaded).CombinedOutput()
		require.NoError(t, err, string(said))
		assert.Contains(t, string(said), runtime.GOARCH)
	}
	f, err := os.Open(loaded)
	require.NoError(t, err)
	defer f.Close()
	names := map[string]bool{}
	for archive := tar.NewReader(f); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		names[h.Name] = true
	}
	assert.True(t, names["manifest.json"] && names["index.json"] && names["oci-layout"])

	// A daemon that fails is reported, and one that cannot run the image is not asked.
	require.NoError(t, os.WriteFile(filepath.Join(bin, "docker"), []byte("#!/bin/sh\necho 'Cannot connect to the Docker daemon' >&2\nexit 1\n"), 0o755))
	said := fails(t, exitFailed, slipwayCommand(t, env, args...))
	assert.Contains(t, said, "Cannot connect to the Docker daemon")
	said = fails(t, exitRequest, slipwayCommand(t, env, append([]string{"build", "--platform", "linux/s390x"}, args[1:]...)...))
	assert.Contains(t, said, "add --platform linux/"+runtime.GOARCH)
}
