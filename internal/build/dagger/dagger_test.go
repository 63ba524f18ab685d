package dagger_test

import (
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	sdk "dagger.io/dagger"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/build/dagger"
	"github.com/slipway-ci/slipway/internal/build/dagger/session"
	"github.com/slipway-ci/slipway/internal/build/host"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/test/daggertest"
)

// These tests run without an engine: a recorded session shows what is asked of it. What a real engine makes of that, the
// suite of all engines shows: dagger run go test -tags dagger_e2e ./internal/build/dagger

// program is a source tree with a dependency, which the tests never download.
func program(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"go.mod":        "module example.com/app\n\ngo 1.26.8\n\nrequire github.com/pkg/errors v0.9.1\n",
		"go.sum":        "github.com/pkg/errors v0.9.1 h1:FEBLx1zS214owpjy7qsBeixbURkuhQAwrK5UwLGTwt4=\n",
		"main.go":       "package main\n\nfunc main() { println(\"app\") }\n",
		"config.yaml":   "a: 1\n",
		".dockerignore": "# not for builds\n\nsecrets/\n*.log\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644))
	}
	return dir
}

func resolve(t *testing.T, dir string, config plan.Config) *plan.Plan {
	t.Helper()
	plan, err := plan.Resolve(t.Context(), os.DirFS(dir), config)
	require.NoError(t, err)
	return plan
}

// compiles answers as an engine that has compiled: with this machine's Go.
func compiles(dir string, p *plan.Plan) daggertest.Answer {
	return func(c daggertest.Chain) (any, error) {
		last := c[len(c)-1]
		if last.Name != "export" {
			return nil, nil
		}
		out := last.Args["path"].(string)
		env := os.Environ()
		for _, v := range c.Named("withEnvVariable") {
			if name := v.Args["name"].(string); !slices.ContainsFunc(p.Caches, func(c plan.Cache) bool { return c.Env == name }) {
				env = append(env, fmt.Sprintf("%s=%s", name, v.Args["value"]))
			}
		}
		builds := execs(c)
		args := append(slices.Clone(builds[len(builds)-1][1:]), ".")
		args = slices.Replace(args, slices.Index(args, "-o")+1, slices.Index(args, "-o")+2, out+"/")
		cmd := exec.Command("go", args[:len(args)-1]...)
		cmd.Dir, cmd.Env = dir, env
		if said, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%w: %s", err, said)
		}
		return out, nil
	}
}

// execs are the commands of a chain.
func execs(c daggertest.Chain) [][]string {
	var all [][]string
	for _, call := range c.Named("withExec") {
		var args []string
		for _, a := range call.Args["args"].([]any) {
			args = append(args, a.(string))
		}
		all = append(all, args)
	}
	return all
}

// download and verify are the commands for a plan's modules.
func download(plan *plan.Plan) []string {
	return []string{"sh", "-c", plan.Dependencies.DownloadScript()}
}

func verify(plan *plan.Plan) []string {
	return []string{"sh", "-c", plan.Dependencies.VerifyScript()}
}

func connect(t *testing.T) *sdk.Client {
	t.Helper()
	client, err := sdk.Connect(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, client.Close()) })
	return client
}

func newEngine(t *testing.T) build.Engine {
	t.Helper()
	return session.New(connect(t), &oci.Bases{}, nil)
}

// exports are the chains that end in an export, by the architecture that they compile for.
func exports(t *testing.T, recorded *daggertest.Session) map[string]daggertest.Chain {
	t.Helper()
	found := map[string]daggertest.Chain{}
	for _, c := range recorded.Asked() {
		if c[len(c)-1].Name != "export" {
			continue
		}
		for _, v := range c.Named("withEnvVariable") {
			if v.Args["name"] == "GOARCH" {
				arch := v.Args["value"].(string)
				require.NotContains(t, found, arch, "compiled twice")
				found[arch] = c
			}
		}
	}
	return found
}

func TestBuildAsksForWhatThePlanSays(t *testing.T) {
	dir := program(t)
	plan := resolve(t, dir, plan.Config{Runtime: "scratch"})
	recorded := daggertest.Start(t, compiles(dir, plan))
	result, err := build.BuildOne(t.Context(), newEngine(t), dir, plan, build.Discard)
	require.NoError(t, err)
	defer func() { assert.NoError(t, result.Close()) }()

	chains := exports(t, recorded)
	require.Len(t, chains, 2)
	for _, compile := range plan.Compile {
		chain := chains[compile.Platform.Architecture]
		assert.Equal(t, "container", chain[0].Name)
		assert.Empty(t, chain[0].Args, "the builder is of the engine's own platform")
		assert.Equal(t, plan.Builder, chain.Named("from")[0].Args["address"])
		assert.Equal(t, [][]string{download(plan), verify(plan), compile.Command("/out")}, execs(chain))

		caches := map[any]any{}
		for _, m := range chain.Named("withMountedCache") {
			caches[m.Args["path"]] = m.Args["cache"].(daggertest.Chain)[0].Args["key"]
		}
		assert.Equal(t, map[any]any{"/go/pkg/mod": "go-mod", "/root/.cache/go-build": "go-build"}, caches)

		// What comes in, and when: the modules' files alone, then the commands, then the source.
		var order []string
		for _, call := range chain {
			switch call.Name {
			case "withExec":
				order = append(order, fmt.Sprint(call.Args["args"].([]any)[1:3]...))
			case "withDirectory":
				from := call.Args["source"].(daggertest.Chain)
				assert.Equal(t, "/src", call.Args["path"])
				assert.Equal(t, "host", from[0].Name)
				assert.Equal(t, []any{"secrets", "*.log", "**/.git"}, from[1].Args["exclude"])
				if include := from[2].Args["include"].([]any); slices.Contains(include, any("**/*.go")) {
					assert.Len(t, include, len(plan.Source.Files), "and nothing that compiling does not read")
					order = append(order, "source")
				} else {
					assert.Equal(t, []any{"go.mod", "go.sum"}, include)
					order = append(order, "modules' files")
				}
			}
		}
		assert.Equal(t, []string{"modules' files", fmt.Sprint("-c", plan.Dependencies.DownloadScript()), fmt.Sprint("-c", plan.Dependencies.VerifyScript()), "source", fmt.Sprint(compile.Command("/out")[1], compile.Command("/out")[2])}, order)
		last := len(chain) - 1
		assert.Equal(t, []string{"withExec", "directory", "export"}, []string{chain[last-2].Name, chain[last-1].Name, chain[last].Name})
	}
}

// The images are the host engine's, to the byte.
func TestSameImageAsOnTheHost(t *testing.T) {
	dir := program(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.com/app\n\ngo 1.26.8\n"), 0o644))
	plan := resolve(t, dir, plan.Config{Runtime: "scratch", Files: []string{"config.yaml:/etc/app/"}})
	daggertest.Start(t, compiles(dir, plan))
	var digests []string
	for _, e := range []build.Engine{newEngine(t), host.New(&oci.Bases{}, os.Environ())} {
		result, err := build.BuildOne(t.Context(), e, dir, plan, build.Discard)
		require.NoError(t, err)
		digest, err := result.Artifact.Digest()
		require.NoError(t, err)
		digests = append(digests, digest.String())
		require.NoError(t, result.Close())
	}
	assert.Equal(t, digests[1], digests[0])
}

// What a command printed reaches the user, with what mends it, and not the engine's query.
func TestFailedCommand(t *testing.T) {
	dir := program(t)
	plan := resolve(t, dir, plan.Config{Runtime: "scratch", Platforms: []string{"linux/amd64"}})
	compile := plan.Compile[0].Command("/out")
	for name, test := range map[string]struct {
		failed *daggertest.ExecFailure
		want   string
	}{
		"download": {
			&daggertest.ExecFailure{Cmd: download(plan), ExitCode: 1, Stderr: "verifying x: checksum mismatch\nSECURITY ERROR\n"},
			"downloading modules: the Go command failed (exit status 1):\nverifying x: checksum mismatch\nSECURITY ERROR\nThe module is not the one that go.sum records",
		},
		"verify": {
			&daggertest.ExecFailure{Cmd: verify(plan), ExitCode: 1, Stdout: "x v1: dir has been modified\n"},
			"verifying modules: the Go command failed (exit status 1):\nx v1: dir has been modified\nThe module cache was changed after the download: prune",
		},
		"compile": {
			&daggertest.ExecFailure{Cmd: compile, ExitCode: 1, Stderr: "./main.go:3:1: undefined: x\n"},
			"compiling for linux/amd64: the Go command failed (exit status 1):\n./main.go:3:1: undefined: x",
		},
	} {
		t.Run(name, func(t *testing.T) {
			daggertest.Start(t, func(c daggertest.Chain) (any, error) {
				if slices.ContainsFunc(execs(c), func(args []string) bool { return slices.Equal(args, test.failed.Cmd) }) {
					return nil, test.failed
				}
				return nil, nil
			})
			_, err := build.BuildOne(t.Context(), newEngine(t), dir, plan, build.Discard)
			require.Error(t, err)
			assert.True(t, strings.HasPrefix(err.Error(), test.want), err.Error())
			assert.NotContains(t, err.Error(), "process")
		})
	}
	daggertest.Start(t, func(c daggertest.Chain) (any, error) {
		if c[0].Name == "host" {
			return nil, nil // the source arrives
		}
		return nil, errors.New("no space on the engine")
	})
	_, err := build.BuildOne(t.Context(), newEngine(t), dir, plan, build.Discard)
	assert.ErrorContains(t, err, "downloading and verifying modules: ")
	assert.ErrorContains(t, err, "no space on the engine")
}

// A login goes to the engine once, as a secret, and is nowhere else.
func TestPrivateModules(t *testing.T) {
	const password = "hunter2"
	dir := program(t)
	plan := resolve(t, dir, plan.Config{})
	recorded := daggertest.Start(t, func(daggertest.Chain) (any, error) { return "out", nil })
	client := connect(t)
	build := dagger.New(client, client.Host().Directory(dir), plan, dagger.Private{
		Netrc: client.SetSecret("netrc", "machine git.example login me password "+password),
		Proxy: client.SetSecret("proxy", "https://me:"+password+"@proxy.example"),
		Env:   map[string]string{"GOPRIVATE": "git.example"},
	})
	err := build.Export(t.Context(), plan.Compile[0], t.TempDir())
	require.NoError(t, err)

	var told int
	for _, query := range recorded.Queries() {
		if strings.Contains(query, password) {
			assert.Contains(t, query, "setSecret(")
			assert.NotContains(t, query, "withExec")
			told++
		}
	}
	assert.Equal(t, 2, told)
	asked := recorded.Asked()
	chain := asked[len(asked)-1]
	assert.Equal(t, "/root/.netrc", chain.Named("withMountedSecret")[0].Args["path"])
	var secret []any
	for _, v := range chain.Named("withSecretVariable") {
		secret = append(secret, v.Args["name"])
	}
	assert.Equal(t, []any{"GOPROXY"}, secret)
}

// The command's user needs to say nothing again: what finds private modules on this machine goes along.
func TestCallersLogins(t *testing.T) {
	dir := program(t)
	netrc := filepath.Join(t.TempDir(), "netrc")
	require.NoError(t, os.WriteFile(netrc, []byte("machine git.example password hunter2"), 0o600))
	plan := resolve(t, dir, plan.Config{Runtime: "scratch", Platforms: []string{"linux/amd64"}})
	recorded := daggertest.Start(t, compiles(dir, plan))
	environ := []string{"GOENV=off", "NETRC=" + netrc, "GOPRIVATE=git.example", "GOPROXY=https://me:hunter2@proxy.example", "SSH_AUTH_SOCK=/agent.sock", "GOFLAGS=-race"}
	result, err := build.BuildOne(t.Context(), session.New(connect(t), &oci.Bases{}, environ), dir, plan, build.Discard)
	require.NoError(t, err)
	defer func() { assert.NoError(t, result.Close()) }()
	chain := exports(t, recorded)["amd64"]
	assert.Len(t, chain.Named("withMountedSecret"), 1)
	assert.Len(t, chain.Named("withUnixSocket"), 1)
	assert.Len(t, chain.Named("withSecretVariable"), 1)
	for _, v := range chain.Named("withEnvVariable") {
		assert.NotEqual(t, "-race", v.Args["value"])
	}
	for _, query := range recorded.Queries() {
		assert.False(t, strings.Contains(query, "hunter2") && !strings.Contains(query, "setSecret("), query)
	}
}

// The container of a platform starts from its base, has the plan's settings, and runs nothing while it is made.
func TestContainer(t *testing.T) {
	dir := program(t)
	plan := resolve(t, dir, plan.Config{
		Runtime: "alpine", Ports: []string{"8080", "53/udp"}, Env: []string{"A=b=c"}, Args: []string{"x"},
		Labels: []string{"l=1"}, Annotations: []string{"n=2"}, Files: []string{"config.yaml:/etc/app/:0600"},
		Healthcheck: []string{"app", "check"}, HealthcheckOptions: []string{"timeout=90s", "retries=5"},
	})
	recorded := daggertest.Start(t, func(c daggertest.Chain) (any, error) {
		if listed(c) {
			return listing("41ed 0 0 4096", "/base", "", "41e8 0 5 4096", "/base/etc", "", "81a0 7 7 30", "/base/etc/passwd", "", "81a0 7 7 30", "/base/etc/group", ""), nil
		}
		switch c[len(c)-1].Name {
		case "contents":
			return "root:x:0:0:root:/root:/bin/sh\n", nil
		case "imageRef":
			return plan.Image.Base + "@sha256:abc", nil
		default:
			return "ok", nil
		}
	})
	client := connect(t)
	build := dagger.New(client, client.Host().Directory(dir), plan, dagger.Private{})
	ctr, err := dagger.Container(build, t.Context(), plan.Compile[1])
	require.NoError(t, err)
	_, err = ctr.Sync(t.Context())
	require.NoError(t, err)

	asked := recorded.Asked()
	chain := asked[len(asked)-1]
	assert.Equal(t, "linux/arm64", chain[0].Args["platform"])
	assert.Equal(t, plan.Image.Base, chain[1].Args["address"])
	assert.Empty(t, execs(chain), "no program of the platform runs")
	arg := func(call, name string) any { return chain.Named(call)[0].Args[name] }
	assert.Equal(t, "1000:1000", arg("withUser", "name"))
	assert.Equal(t, "/app", arg("withWorkdir", "path"))
	assert.Equal(t, []any{"/app/app"}, arg("withEntrypoint", "args"))
	assert.Equal(t, []any{"x"}, arg("withDefaultArgs", "args"))
	assert.Equal(t, "b=c", arg("withEnvVariable", "value"))
	variables := chain.Named("withEnvVariable")
	assert.Equal(t, "ok:/app", variables[len(variables)-1].Args["value"], "the PATH of the base, and the programs'")
	assert.Equal(t, "UDP", chain.Named("withExposedPort")[0].Args["protocol"])
	assert.Equal(t, "l", arg("withLabel", "name"))
	assert.Equal(t, map[string]any{"args": []any{"app", "check"}, "timeout": "1m30s", "retries": int64(5)}, chain.Named("withDockerHealthcheck")[0].Args)
	annotations := map[any]any{}
	for _, a := range chain.Named("withAnnotation") {
		annotations[a.Args["name"]] = a.Args["value"]
	}
	assert.Equal(t, map[any]any{
		"n": "2", "org.opencontainers.image.title": "app",
		"org.opencontainers.image.base.name": plan.Image.Base, "org.opencontainers.image.base.digest": "sha256:abc",
	}, annotations)

	placed, owners, dirs := map[any]any{}, map[any]any{}, map[string]string{}
	for _, layer := range chain.Named("withDirectory") {
		maps.Copy(dirs, directories(layer))
		for _, call := range onSkeleton(t, layer) {
			if call.Name == "withFile" {
				assert.Equal(t, "0:0", call.Args["owner"])
			}
			if call.Name == "chown" {
				owners[call.Args["path"]] = call.Args["owner"]
			}
			if strings.HasPrefix(call.Name, "with") && call.Name != "withTimestamps" {
				placed[call.Args["path"]] = call.Args["permissions"]
				if call.Args["path"] == "/etc/passwd" {
					assert.Equal(t, "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/home/app:/sbin/nologin\n", call.Args["contents"])
				}
			}
		}
	}
	assert.Equal(t, map[any]any{
		"/app/app": int64(0o755), "/etc/app/config.yaml": int64(0o600), "/etc/group": int64(0o640), "/etc/passwd": int64(0o640),
		"/etc/ssl/certs/ca-certificates.crt": int64(0o644),
	}, placed)
	assert.Equal(t, map[any]any{"/etc/group": "7:7", "/etc/passwd": "7:7", "/etc/ssl/certs/ca-certificates.crt": "0:0"}, owners, "a file of the base keeps its owner")
	assert.Equal(t, map[string]string{"/etc": "750 0:5", "/etc/ssl": "755 0:0", "/etc/ssl/certs": "755 0:0", "/etc/app": "755 0:0", "/app": "755 0:0", "/home": "755 0:0", "/home/app": "700 1000:1000"}, dirs)
}

// listed reports whether a chain asks for the listing of the base.
func listed(c daggertest.Chain) bool {
	files := c.Named("file")
	return len(files) > 0 && files[len(files)-1].Args["path"] == "/listing.base64"
}

// listing is one of these texts, three for each file.
func listing(texts ...string) string {
	return base64.StdEncoding.EncodeToString([]byte(strings.Join(texts, "\x00") + "\x00"))
}

// directories are the directories that a layer is made with, with their modes and owners.
func directories(layer daggertest.Call) map[string]string {
	all := map[string]string{}
	for _, command := range execs(layer.Args["source"].(daggertest.Chain)) {
		for args := command[4:]; len(args) > 0; args = args[3:] {
			all[args[2]] = args[0] + " " + args[1]
		}
	}
	return all
}

// onSkeleton are the calls that put a layer's files into the directories of the base.
func onSkeleton(t *testing.T, layer daggertest.Call) daggertest.Chain {
	t.Helper()
	source := layer.Args["source"].(daggertest.Chain)
	at := slices.IndexFunc(source, func(c daggertest.Call) bool { return c.Name == "directory" && c.Args["path"] == "/skeleton" })
	require.GreaterOrEqual(t, at, 0)
	return source[at+1:]
}

// The engine drops the sticky bit of directories that it makes itself.
func TestStickyDirectory(t *testing.T) {
	dir := program(t)
	plan := resolve(t, dir, plan.Config{Runtime: "scratch"})
	recorded := daggertest.Start(t, func(daggertest.Chain) (any, error) { return "ok", nil })
	client := connect(t)
	ctr, err := dagger.Container(dagger.New(client, client.Host().Directory(dir), plan, dagger.Private{}), t.Context(), plan.Compile[0])
	require.NoError(t, err)
	_, err = ctr.Sync(t.Context())
	require.NoError(t, err)
	asked := recorded.Asked()
	made := map[string]string{}
	for _, layer := range asked[len(asked)-1].Named("withDirectory") {
		maps.Copy(made, directories(layer))
	}
	assert.Equal(t, map[string]string{"/app": "755 0:0", "/etc": "755 0:0", "/etc/ssl": "755 0:0", "/etc/ssl/certs": "755 0:0", "/home": "755 0:0", "/home/app": "700 1000:1000", "/tmp": "1777 0:0"}, made)
}

// What the settings bring into the builder is there before the modules, so that no edit repeats it; the debugger is compiled
// apart from the source.
func TestBuilderOfSettings(t *testing.T) {
	dir := program(t)
	root := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: httptestRoot(t)}))
	plan := resolve(t, dir, plan.Config{
		CGO: "true", Runtime: "distroless-base", Debug: true, Generate: plan.List{"true"}, BuilderPackages: []string{"protobuf-dev"}, CACerts: root,
		Surroundings: plan.Surroundings{Engine: dagger.Capabilities(map[string]string{"GOPRIVATE": "git.example"})},
	})
	recorded := daggertest.Start(t, func(daggertest.Chain) (any, error) { return "out", nil })
	client := connect(t)
	build := dagger.New(client, client.Host().Directory(dir), plan, dagger.Private{
		Env: map[string]string{"GOPRIVATE": "git.example"},
	})
	compile := plan.Compile[1]
	require.NoError(t, build.Export(t.Context(), compile, t.TempDir()))
	asked := recorded.Asked()
	chain := asked[len(asked)-1]
	trust := []string{"sh", "-c", "{ echo; cat; } >>/etc/ssl/certs/ca-certificates.crt"}
	assert.Equal(t, [][]string{
		trust, plan.Prepare, compile.C.Install, download(plan), verify(plan), plan.Generate, compile.Command("/out"),
	}, execs(chain))
	assert.Equal(t, root, chain.Named("withExec")[0].Args["stdin"])
	filters := make([]int, 0, 2)
	for _, call := range chain.Named("withDirectory") {
		filters = append(filters, len(call.Args["source"].(daggertest.Chain).Named("filter")))
	}
	assert.Equal(t, []int{1, 0}, filters, "the modules' files, then the whole source: cgo and generators read what they want")

	debugger := chain.Named("withFile")[0].Args["source"].(daggertest.Chain)
	assert.Equal(t, "dlv", chain.Named("withFile")[0].Args["path"])
	compiled := execs(debugger)
	assert.Equal(t, [][]string{plan.Debugger.Download, plan.Debugger.Command("/go/pkg/mod", "/out")}, compiled[len(compiled)-2:])
	assert.Empty(t, debugger.Named("withDirectory"), "no edit of the source compiles it again")
	env := map[any]any{}
	for _, v := range debugger.Named("withEnvVariable") {
		env[v.Args["name"]] = v.Args["value"]
	}
	assert.Equal(t, "arm64", env["GOARCH"])
	assert.Equal(t, "0", env["CGO_ENABLED"])
}

// httptestRoot is a certificate that may sign.
func httptestRoot(t *testing.T) []byte {
	t.Helper()
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	return server.Certificate().Raw
}

// Directories of the user's are the user's, and what is above them and beside them is root's; packages are installed before any
// layer, as root.
func TestContainerOfSettings(t *testing.T) {
	dir := program(t)
	plan := resolve(t, dir, plan.Config{
		Runtime: "alpine", Writable: []string{"/var/lib/app"}, RuntimePackages: []string{"curl"}, Platforms: []string{"linux/amd64"},
	})
	recorded := daggertest.Start(t, func(c daggertest.Chain) (any, error) {
		if listed(c) {
			return listing("41ed 0 0 4096", "/base", ""), nil
		}
		if c[len(c)-1].Name == "contents" {
			return "root:x:0:0:root:/root:/bin/sh\n", nil
		}
		return "ok", nil
	})
	client := connect(t)
	ctr, err := dagger.Container(dagger.New(client, client.Host().Directory(dir), plan, dagger.Private{}), t.Context(), plan.Compile[0])
	require.NoError(t, err)
	_, err = ctr.Sync(t.Context())
	require.NoError(t, err)
	asked := recorded.Asked()
	chain := asked[len(asked)-1]
	assert.Equal(t, [][]string{plan.Image.Install}, execs(chain))
	names := make([]string, 4)
	for i := range names {
		names[i] = chain[i].Name
	}
	assert.Equal(t, []string{"container", "from", "withUser", "withExec"}, names)
	assert.Equal(t, "0", chain[2].Args["name"])
	users := chain.Named("withUser")
	assert.Equal(t, "1000:1000", users[len(users)-1].Args["name"])

	owners := map[string]string{}
	for _, layer := range chain.Named("withDirectory") {
		maps.Copy(owners, directories(layer))
		for _, c := range onSkeleton(t, layer) {
			if c.Name == "chown" {
				assert.Equal(t, "0:0", c.Args["owner"])
			}
		}
	}
	maps.DeleteFunc(owners, func(_, owner string) bool { return strings.HasSuffix(owner, " 0:0") })
	assert.Equal(t, map[string]string{"/var/lib/app": "755 1000:1000", "/home/app": "700 1000:1000"}, owners)
}

// The engine downloads files of the network, and compares their digests.
func TestContainerWithDownloads(t *testing.T) {
	dir := program(t)
	digest := "sha256:" + strings.Repeat("a", 64)
	lock := "docker.io/library/golang:1.26.8-alpine " + digest + "\nfile https://example.com/tool_amd64 5 " + digest + "\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "slipway.lock"), []byte(lock), 0o644))
	plan := resolve(t, dir, plan.Config{
		Runtime: "scratch", Go: "1.26.8", Files: []string{"https://example.com/tool_{{.Arch}}:/bin/tool"}, Platforms: []string{"linux/amd64"},
	})
	recorded := daggertest.Start(t, func(daggertest.Chain) (any, error) { return "ok", nil })
	client := connect(t)
	ctr, err := dagger.Container(dagger.New(client, client.Host().Directory(dir), plan, dagger.Private{}), t.Context(), plan.Compile[0])
	require.NoError(t, err)
	_, err = ctr.Sync(t.Context())
	require.NoError(t, err)
	asked := recorded.Asked()
	var downloads []map[string]any
	for _, layer := range asked[len(asked)-1].Named("withDirectory") {
		for _, c := range onSkeleton(t, layer).Named("withFile") {
			if from := c.Args["source"].(daggertest.Chain); from[0].Name == "http" {
				assert.Equal(t, "/bin/tool", c.Args["path"])
				assert.EqualValues(t, 0o755, c.Args["permissions"])
				downloads = append(downloads, from[0].Args)
			}
		}
	}
	assert.Equal(t, []map[string]any{{"url": "https://example.com/tool_amd64", "checksum": digest}}, downloads)
}

// What a program is made of is listed where it is compiled.
func TestList(t *testing.T) {
	dir := program(t)
	p := resolve(t, dir, plan.Config{Runtime: "scratch", Platforms: []string{"linux/arm64"}})
	daggertest.Start(t, func(c daggertest.Chain) (any, error) {
		if c[len(c)-1].Name == "stdout" {
			return fmt.Sprint(execs(c)[len(execs(c))-1]), nil
		}
		return nil, nil
	})
	out, root, err := session.New(connect(t), &oci.Bases{}, nil).List(t.Context(), dir, p, p.Compile[0], "-deps")
	require.NoError(t, err)
	assert.Equal(t, "[go list -mod=readonly -trimpath -buildvcs=false -ldflags=-s -w -deps .]", string(out))
	assert.Equal(t, "/src", root)
	renamed := p.Compile[0]
	renamed.Packages, renamed.Renamed = nil, []plan.Renamed{{Package: "./other", Name: "other-2"}}
	out, _, err = session.New(connect(t), &oci.Bases{}, nil).List(t.Context(), dir, p, renamed, "-deps")
	require.NoError(t, err)
	assert.Contains(t, string(out), "-deps ./other]", "programs with names of their own count, too")
}
