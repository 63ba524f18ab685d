//go:build dagger_e2e

package moduletest

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/registry"
	"github.com/slipway-ci/slipway/internal/test/enginetest"
)

// These tests call the module as its users do: by the dagger command, from another repository's directory, on whatever engine
// it reaches. With SLIPWAY_E2E_REPOSITORY, a repository that the engine can push to, they publish there.

// user is a directory of a user: a copy of an example, in its own repository.
func user(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS("../../../examples/http-server")))
	require.NoError(t, exec.Command("git", "init", "-q", dir).Run())
	return dir
}

// command calls the module from the directory dir. SLIPWAY_MIRRORS says where the module finds bases, if they are elsewhere.
func command(ctx context.Context, t *testing.T, dir string, args ...string) *exec.Cmd {
	t.Helper()
	root, err := filepath.Abs("../../..")
	require.NoError(t, err)
	if at := slices.Index(args, "call"); at >= 0 && os.Getenv("SLIPWAY_MIRRORS") != "" {
		args = slices.Insert(slices.Clone(args), at+1, "--mirrors", os.Getenv("SLIPWAY_MIRRORS"))
	}
	cmd := exec.CommandContext(ctx, "dagger", append([]string{"--progress=plain", "-m", root}, args...)...)
	cmd.Dir = dir
	return cmd
}

// withoutOurs is the environment for the slipway command, which takes these tests' own variables for misspelt settings.
func withoutOurs(env []string) []string {
	return slices.DeleteFunc(env, func(kv string) bool { return strings.HasPrefix(kv, "SLIPWAY_E2E_") })
}

func call(t *testing.T, dir string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	cmd := command(t.Context(), t, dir, args...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	err = cmd.Run()
	return out.String(), said.String(), err
}

func TestFunctions(t *testing.T) {
	dir := user(t)
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"plan"}, "go build -mod=readonly"},
		{[]string{"plan", "--as-json"}, `"name": "http-server"`},
		{[]string{"dockerfile"}, "FROM gcr.io/distroless/static-debian13:nonroot"},
		{[]string{"build", "entrypoint"}, "/app/http-server"},
		{[]string{"build", "user"}, "65532:65532"},
		{[]string{"build", "--platform", "linux/arm64", "platform"}, "linux/arm64"},
		{[]string{"--runtime", "SCRATCH", "--user", "4000", "build", "file", "--path", "/etc/passwd", "contents"}, "app:x:4000:4000:"},
		{[]string{"--stamps", "main.version=v1.2.3", "binary", "size"}, "e+06"},
		{[]string{"builder", "with-exec", "--args", "go,list,-m", "stdout"}, "http-server"},
		{[]string{"binaries", "entries"}, "linux-amd64/\nlinux-arm64/"},
		{[]string{"--runtime", "SCRATCH", "image-archive", "size"}, "e+06"},
		{[]string{"--runtime", "ALPINE", "--runtime-packages", "curl", "build", "file", "--path", "/lib/apk/db/installed", "contents"}, "P:curl"},
		{[]string{"--runtime", "SCRATCH", "--debugger", "build", "entrypoint"}, "/app/dlv\nexec"},
		{[]string{"--builder-packages", "git", "--generate", "--tzdata", "binary", "size"}, "e+06"},
		{[]string{"verify"}, ""},
		{[]string{"vet"}, ""},
		{[]string{"test"}, ""},
		{[]string{"lint"}, ""},
	} {
		out, said, err := call(t, dir, append([]string{"call"}, test.args...)...)
		require.NoError(t, err, "%v: %s", test.args, said)
		assert.Contains(t, out, test.want, test.args)
	}
}

// What is published can be pulled, by each of its names, and runs. The repository is one that the engine can push to, and
// this machine pull from.
func TestPublish(t *testing.T) {
	repository := os.Getenv("SLIPWAY_E2E_REPOSITORY")
	if repository == "" {
		t.Skip("SKIPPED: set SLIPWAY_E2E_REPOSITORY to a repository to publish to")
	}
	dir := user(t)
	out, said, err := call(t, dir, "call", "--runtime", "SCRATCH", "publish", "--repository", repository, "--tags", "v1,v2", "reference")
	require.NoError(t, err, said)
	ref := strings.TrimSpace(out)
	require.Contains(t, ref, repository+"@sha256:")
	assert.Contains(t, said, "published "+ref)
	assert.Contains(t, said, "tags: v1, v2")

	client, err := registry.New(registry.Options{})
	require.NoError(t, err)
	defer client.Close()
	store, err := cache.Open(t.TempDir())
	require.NoError(t, err)
	bases := &oci.Bases{Cache: store, Remote: client, Fetch: client.Fetch}
	pulled, err := bases.Resolve(t.Context(), ref)
	require.NoError(t, err)
	for _, tag := range []string{"v1", "v2"} {
		tagged, err := bases.Resolve(t.Context(), repository+":"+tag)
		require.NoError(t, err)
		assert.Equal(t, pulled.Digest, tagged.Digest)
	}
	_, err = pulled.Image(v1.Platform{OS: "linux", Architecture: "arm64"})
	require.NoError(t, err)
	if goruntime.GOOS != "linux" || goruntime.GOARCH != "amd64" {
		return
	}
	img, err := pulled.Image(v1.Platform{OS: "linux", Architecture: "amd64"})
	require.NoError(t, err)
	program := filepath.Join(t.TempDir(), "http-server")
	require.NoError(t, os.WriteFile(program, []byte(enginetest.Files(t, img)["/app/http-server"].Content), 0o755))
	cmd := exec.Command(program)
	port := freePort(t)
	cmd.Env = []string{"PORT=" + port}
	require.NoError(t, cmd.Start())
	defer func() { _, _ = cmd.Process.Kill(), cmd.Wait() }()
	assertHealthy(t, port)
}

func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	return port
}

func assertHealthy(t *testing.T, port string) {
	t.Helper()
	status := 0
	assert.Eventually(t, func() bool {
		answer, err := http.Get("http://127.0.0.1:" + port + "/health")
		if err == nil {
			status = answer.StatusCode
			_ = answer.Body.Close()
		}
		return err == nil
	}, 2*time.Minute, 200*time.Millisecond)
	assert.Equal(t, http.StatusOK, status)
}

// The program answers on the caller's own machine.
func TestServe(t *testing.T) {
	port := freePort(t)
	assertServes(t, port, func(ctx context.Context) *exec.Cmd {
		return command(ctx, t, user(t), "call", "--ports", "8080", "serve", "up", "--ports", port+":8080")
	})
}

// assertServes runs a command until the program that it runs answers on port.
func assertServes(t *testing.T, port string, command func(context.Context) *exec.Cmd) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	cmd := command(ctx)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	var said bytes.Buffer
	cmd.Stderr = &said
	require.NoError(t, cmd.Start())
	assertHealthy(t, port)
	stop()
	_ = cmd.Wait()
	if t.Failed() {
		t.Log(said.String())
	}
}

// daggerOne reports whether the dagger command is of version 1.0.
func daggerOne(t *testing.T) bool {
	t.Helper()
	version, err := exec.Command("dagger", "version").Output()
	require.NoError(t, err)
	return strings.Contains(string(version), " v1.")
}

// The same sentences as the command's.
func TestFaults(t *testing.T) {
	dir := user(t)
	for want, args := range map[string][]string{
		`platforms "linux/sparc": unknown architecture "sparc": choose from`:                                              {"--platforms", "linux/sparc", "build"},
		`user "0": the program would run as root: choose a user like 1000:1000`:                                           {"--user", "0", "plan"},
		`base "golang:latest": what it means changes from day to day`:                                                     {"--base", "golang:latest", "plan"},
		`repository "Example.com/Team": repository names are lower case`:                                                  {"publish", "--repository", "Example.com/Team"},
		`platform "linux/s390x": not one of the build's: choose from linux/amd64`:                                         {"build", "--platform", "linux/s390x"},
		`ports "80": the program runs as the user 65532, and in the engine's containers root alone may listen below 1024`: {"--ports", "80", "serve"},
		`required flag(s) "password" not set`:                                                                             {"with-login", "--username", "me", "publish", "--repository", "a.example/b"},
		`packages "./nosuch": no such directory in the source: name the directory of a main p`:                            {"--packages", "./nosuch", "build"},
	} {
		_, said, err := call(t, dir, append([]string{"call"}, args...)...)
		require.Error(t, err, args)
		assert.Contains(t, said, want)
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "broken.go"), []byte("package main\n\nvar x = undefinedThing\n"), 0o644))
	_, said, err := call(t, dir, "call", "build")
	require.Error(t, err)
	assert.Contains(t, said, "the Go command failed")
	assert.Contains(t, said, "./broken.go:3:9: undefined: undefinedThing")
}

// Each check passes, and each fails where it should, with what it found.
func TestChecks(t *testing.T) {
	dir := checked(t)
	check := func(module string, names ...string) (string, error) {
		_, said, err := call(t, filepath.Join(dir, module), append([]string{"call", "--vulndb-files", filepath.Join(dir, "vulndb")}, names...)...)
		return said, err
	}
	for _, name := range []string{"verify", "vet", "test", "lint", "vulncheck"} {
		said, err := check("good", name)
		require.NoError(t, err, "%s: %s", name, said)
	}
	other := "net/url.Parse is in the program example.com/other for linux/arm64"
	if goruntime.GOARCH == "arm64" { // and so the engine's, as a rule: the source shows it there
		other = "net/url.Parse is called, by way of example.com/other.host"
	}
	for _, test := range []struct{ module, name, want string }{
		{"bad", "verify", "go.mod or go.sum is not tidy"},
		{"bad", "vet", "self-assignment of two (vet)"},
		{"bad", "test", "bad_test.go:6: example.com/bad: TestBad failed"},
		{"bad", "lint", "self-assignment of two (govet)"},
		{"tampered", "verify", "SECURITY ERROR"},
		{"reached", "vulncheck", "net/url.Parse is called, by way of example.com/reached.main"},
		{"other", "vulncheck", other},
		{"racy", "--runtime DISTROLESS_BASE --cgo DYNAMIC test", "WARNING: DATA RACE"},
	} {
		words := strings.Fields(test.name)
		said, err := check(test.module, words...)
		require.Error(t, err, test)
		assert.Contains(t, said, test.want, test)
	}
	suppression := func(name string) (string, error) {
		vex, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "reached", ".slipway-vex.json"), vex, 0o644))
		return check("reached", "vulncheck")
	}
	said, err := suppression("good.vex")
	require.NoError(t, err, said)
	said, err = suppression("expired.vex")
	require.Error(t, err)
	assert.Contains(t, said, "the suppression has expired on 2026-01-31")

	out := filepath.Join(dir, "reports")
	said, err = check("bad", "reports", "-o", out)
	require.NoError(t, err, said)
	for _, name := range []string{"junit.xml", "findings.sarif", "coverage.out", "govulncheck.json", "summary.md"} {
		assert.FileExists(t, filepath.Join(out, name))
	}
}

// What slipway pin wrote holds for the module, too.
func TestPinned(t *testing.T) {
	dir := user(t)
	pin := exec.Command("go", "run", "./cmd/slipway", "pin", "--runtime", "alpine", dir)
	pin.Dir = "../../.."
	pin.Env = withoutOurs(os.Environ())
	out, err := pin.CombinedOutput()
	require.NoError(t, err, "%s", out)
	for _, image := range []string{"golang", "alpine"} {
		planned, said, err := call(t, dir, "call", "--runtime", "ALPINE", "plan")
		require.NoError(t, err, said)
		assert.Regexp(t, "docker.io/library/"+image+":[^ ]+@sha256:[0-9a-f]{64}", planned)
	}
	_, said, err := call(t, dir, "call", "--runtime", "ALPINE", "build", "sync")
	require.NoError(t, err, said)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "slipway.lock"), nil, 0o644))
	_, said, err = call(t, dir, "call", "--runtime", "ALPINE", "build", "sync")
	require.Error(t, err)
	assert.Contains(t, said, "call pin")
}

// What functions write into the source they return as changes.
func TestGenerators(t *testing.T) {
	dir := user(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "gen.go"), []byte("package main\n\n//go:generate cp go.mod made.txt\n"), 0o644))
	mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	require.NoError(t, err)
	untidy := append(slices.Clone(mod), "\nrequire golang.org/x/mod v0.20.0\n"...)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), untidy, 0o644))

	tidied, said, err := call(t, dir, "call", "tidy", "after", "file", "--path", "go.mod", "contents")
	require.NoError(t, err, said)
	assert.Equal(t, string(mod), tidied)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), mod, 0o644))

	for _, function := range []string{"modified-paths", "removed-paths"} {
		out, said, err := call(t, dir, "call", "generate", function)
		require.NoError(t, err, said)
		assert.Empty(t, strings.TrimSpace(out), function)
	}
	added, said, err := call(t, dir, "call", "generate", "added-paths")
	require.NoError(t, err, said)
	assert.Equal(t, "made.txt", strings.TrimSpace(added))

	pinned, said, err := call(t, dir, "call", "pin", "after", "file", "--path", "slipway.lock", "contents")
	require.NoError(t, err, said)
	pin := exec.Command("go", "run", "./cmd/slipway", "pin", dir)
	pin.Dir = "../../.."
	pin.Env = withoutOurs(os.Environ())
	if mirrors := os.Getenv("SLIPWAY_MIRRORS"); mirrors != "" {
		pin.Env = append(pin.Env, "SLIPWAY_MIRRORS="+mirrors)
	}
	out, err := pin.CombinedOutput()
	require.NoError(t, err, "%s", out)
	text, err := os.ReadFile(filepath.Join(dir, "slipway.lock"))
	require.NoError(t, err)
	assert.Equal(t, string(text), pinned)
}

// dagger check runs them all.
func TestDaggerCheck(t *testing.T) {
	dir := checked(t)
	_, said, err := call(t, filepath.Join(dir, "bad"), "check")
	require.Error(t, err)
	for _, want := range []string{"TestBad failed", "self-assignment of two (vet)", "self-assignment of two (govet)", "is not tidy"} {
		assert.Contains(t, said, want)
	}
	_, said, err = call(t, filepath.Join(dir, "good"), "check", "verify", "vet", "test", "lint")
	require.NoError(t, err, said)
}

// Images of slipway.yaml, one by one and all at once; one that fails leaves the others alone.
func TestImages(t *testing.T) {
	repository := os.Getenv("SLIPWAY_E2E_REPOSITORY")
	if repository == "" {
		t.Skip("SKIPPED: set SLIPWAY_E2E_REPOSITORY to a repository to publish to")
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":   "module example.com/shop\n\ngo 1.26.8\n",
		"motd":     "hello\n",
		"a/a.go":   "package main\n\nfunc main() { println(\"a\") }\n",
		"b/b.go":   "package main\n\nfunc main() { println(\"b\") }\n",
		"c/c.go":   "package main\n\nfunc main() { println(\"c\") }\n",
		".gitkeep": "",
		"slipway.yaml": `defaults:
  runtime: scratch
  platforms: linux/amd64
  repository: ` + repository + `-{{.Name}}
images:
  - {name: a, package: ./a, tags: [v1, "{{.Name}}"], files: ["motd:/etc/motd"]}
  - {name: b, package: ./b, labels: {team: shop}}
  - {name: both, packages: [./b, ./a]}
`,
	} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	require.NoError(t, exec.Command("git", "init", "-q", dir).Run())
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"images"}, "a\nb\nboth"},
		{[]string{"image", "--name", "a", "build", "file", "--path", "/etc/motd", "contents"}, "hello"},
		{[]string{"--user", "4000", "image", "--name", "both", "build", "user"}, "4000:4000"},
		{[]string{"image", "--name", "both", "build", "entrypoint"}, "/app/b"},
		{[]string{"--packages", "./c", "build", "entrypoint"}, "/app/c"},
		{[]string{"image", "--name", "b", "publish", "--tags", "v3", "reference"}, repository + "-b@sha256:"},
		{[]string{"vet"}, ""},
	} {
		out, said, err := call(t, dir, append([]string{"call"}, test.args...)...)
		require.NoError(t, err, "%v: %s", test.args, said)
		assert.Contains(t, out, test.want, test.args)
	}
	for want, args := range map[string][]string{
		"3 images to choose from in slipway.yaml: a, b, both: choose one, as in: image --name NAME build": {"build", "entrypoint"},
		`image "d": not in slipway.yaml: choose from a, b, both`:                                          {"image", "--name", "d", "plan"},
	} {
		_, said, err := call(t, dir, append([]string{"call"}, args...)...)
		require.Error(t, err)
		assert.Contains(t, said, want)
	}

	began := time.Now()
	out, said, err := call(t, dir, "call", "publish-all", "images", "reference")
	require.NoError(t, err, said)
	t.Logf("publish-all of three: %s", time.Since(began))
	for _, name := range []string{"a", "b", "both"} {
		assert.Contains(t, out, repository+"-"+name+"@sha256:")
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a", "broken.go"), []byte("package main\n\nvar _ = missing\n"), 0o644))
	_, said, err = call(t, dir, "call", "publish-all")
	require.Error(t, err)
	assert.Contains(t, said, "2 of 3 images failed: a, both")
	assert.Contains(t, said, "undefined: missing")
	assert.Contains(t, said, "published: "+repository+"-b@sha256:")
}
