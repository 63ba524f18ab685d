//go:build buildkit_e2e

package dockerfile_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/build/host"
	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/dockerfile"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/registry"
	"github.com/slipway-ci/slipway/internal/test/enginetest"
	"github.com/slipway-ci/slipway/internal/test/testtool"
)

var amd64 = []string{"linux/amd64"}

// BuildKit makes of a rendered Dockerfile what the host engine makes of the plan: the same programs to the byte, the same
// files and configuration. It needs buildctl, which finds its daemon by BUILDKIT_HOST; the host engine takes bases from where
// SLIPWAY_MIRRORS says.
func TestBuildKitBuildsTheSame(t *testing.T) {
	hosts := newHost(t)
	for name, config := range map[string]plan.Config{
		"distroless": {Ports: []string{"8080"}, Env: []string{"A=b $c \"d\""}, Args: []string{"x y"}, Labels: []string{"a.label=1"}},
		"base":       {Runtime: "distroless-base", User: "4000:5000"},
		"alpine":     {Runtime: "alpine", Files: []string{"README.md:/doc/:0600", "main.go:/doc/tool:0755"}},
		"scratch":    {Runtime: "scratch", Stamps: []string{"main.version=v1.2.3 it's"}},
		"writable":   {Runtime: "alpine", Writable: []string{"/data", "/var/lib/app"}},
		"debug":      {Runtime: "distroless", Debug: true},
		"tzdata":     {Runtime: "distroless", TZData: true, BuildTags: []string{"extra"}},
		"cgo":        {Runtime: "distroless-base", CGO: "true"},
		"user":       {Runtime: "alpine", User: "4000:5000", Platforms: amd64},
		"nobody":     {Runtime: "alpine", User: "65534:65534", Platforms: amd64},
		"group":      {Runtime: "alpine", User: "4000:100", Platforms: amd64},
		"there":      {Runtime: "alpine", Writable: []string{"/srv/data", "/var/tmp/app", "/usr/local/bin"}, Platforms: amd64},
		"nonroot":    {Writable: []string{"/home/nonroot/cache", "/home/nonroot/.config/app", "/data/a/b"}, Platforms: amd64},
		"on scratch": {Runtime: "scratch", TZData: true, Healthcheck: []string{"http-server"}, HealthcheckOptions: []string{"retries=2"}, Writable: []string{"/data", "/var/lib/app"}, Files: []string{"README.md:/etc/shop/doc/:0600", "go.mod:/var/lib/x:0640"}, Platforms: amd64},
		"old debian": {Base: "gcr.io/distroless/static-debian12:nonroot", Platforms: amd64},
		"arm":        {Runtime: "scratch", Platforms: []string{"linux/arm/v7", "linux/amd64/v3"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.CopyFS(dir, os.DirFS("../../examples/http-server")))
			// The bundle begins with the builder's own, where Slipway brings one.
			assertBuildsTheSame(t, hosts, dir, config, "", plan.CABundle)
		})
	}
}

// C++ is compiled alike where its compiler is installed first and where it is there, with its library in the program.
func TestBuildKitCompilesCxxTheSame(t *testing.T) {
	testtool.Need(t, "g++", "g++")
	dir := t.TempDir()
	for name, content := range map[string]string{
		"go.mod":    "module example.com/cxx\n\ngo 1.26.8\n",
		"main.go":   "package main\n\n// int answer(void);\nimport \"C\"\n\nfunc main() { println(C.answer()) }\n",
		"answer.cc": "#include <iostream>\n\nextern \"C\" int answer(void) { std::cout << \"answer\" << std::endl; return 42; }\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644))
	}
	config := plan.Config{Runtime: "distroless-base", CGO: "dynamic", LDFlags: `-extldflags "-static-libstdc++ -static-libgcc"`, Platforms: amd64}
	assertBuildsTheSame(t, newHost(t), dir, config, "", plan.CABundle)
}

// Files go where COPY puts them, whatever the base has there.
func TestBuildKitPlacesTheSame(t *testing.T) {
	hosts := newHost(t)
	base := enginetest.PlacementBase(t)
	for name, config := range map[string]plan.Config{
		"files":    {Files: enginetest.PlacementFiles},
		"writable": {Writable: []string{"/var/run/state", "/home/nonroot/cache", "/owned", "/chain/state"}},
		"seeded": {
			Files: []string{"web:/var/run/state/web", "web/a:/owned/x/y:0600", "web:/srv"}, Links: []string{"/owned/link=/tmp"},
			Writable: []string{"/var/run/state:0:02775", "/owned", "/home/nonroot:0:0775", "/srv/sub:7"},
		},
		"links":     {Files: []string{"web:/up/share"}, Links: enginetest.PlacementLinks[:2]},
		"passwd":    {Runtime: "alpine"},
		"root user": {Runtime: "alpine", User: "0:0", AllowRoot: true, Files: []string{"seed.txt:/tmp/seed.txt"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.CopyFS(dir, os.DirFS("../../examples/http-server")))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "seed.txt"), []byte("seed\n"), 0o644))
			require.NoError(t, os.Mkdir(filepath.Join(dir, "web"), 0o755))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "web", "a"), []byte("a\n"), 0o644))
			require.NoError(t, os.Symlink("a", filepath.Join(dir, "web", "same")))
			config.Base, config.Platforms = "oci:"+base, amd64
			assertBuildsTheSame(t, hosts, dir, config, base, plan.CABundle)
		})
	}
}

func newHost(t *testing.T) build.Engine {
	t.Helper()
	var mirrors []string
	if list := os.Getenv("SLIPWAY_MIRRORS"); list != "" {
		mirrors = strings.Split(list, ",")
	}
	client, err := registry.New(registry.Options{Mirrors: mirrors})
	require.NoError(t, err)
	t.Cleanup(client.Close)
	store, err := cache.Open(t.TempDir())
	require.NoError(t, err)
	return host.New(&oci.Bases{Cache: store, Remote: client}, os.Environ())
}

// assertBuildsTheSame has both build a source. layout is the directory of the base, if it is an OCI layout.
func assertBuildsTheSame(t *testing.T, hosts build.Engine, dir string, config plan.Config, layout string, except ...string) {
	t.Helper()
	plan, err := plan.Resolve(t.Context(), os.DirFS(dir), config)
	require.NoError(t, err)
	text, err := dockerfile.Render(plan)
	require.NoError(t, err)
	at := t.TempDir()
	// The daemon's own frontend reads it, rather than the newest of Docker Hub.
	text = strings.TrimPrefix(text, "# syntax=docker/dockerfile:1\n")
	require.NoError(t, os.WriteFile(filepath.Join(at, "Dockerfile"), []byte(text), 0o644))
	if _, advice, ok := strings.Cut(text, "for a file called Dockerfile:\n#   "); ok {
		followAdvice(t, dir, at, advice)
	}
	var platforms []string
	for _, p := range plan.Platforms() {
		platforms = append(platforms, p.String())
	}
	archive := filepath.Join(at, "image.tar")
	args := []string{
		"build", "--frontend", "dockerfile.v0", "--local", "context=" + dir, "--local", "dockerfile=" + at,
		"--opt", "platform=" + strings.Join(platforms, ","), "--output", "type=oci,dest=" + archive, "--opt", "attest:provenance=disabled",
	}
	if layout != "" {
		base, err := (&oci.Bases{}).Resolve(t.Context(), "oci:"+layout)
		require.NoError(t, err)
		args = append(args, "--oci-layout", "base="+layout, "--opt", "context:base=oci-layout://base@"+base.Digest.String())
	}
	out, err := exec.CommandContext(t.Context(), "buildctl", args...).CombinedOutput()
	require.NoError(t, err, string(out))
	theirs, err := (&oci.Bases{}).Resolve(t.Context(), "oci-archive:"+archive)
	require.NoError(t, err)

	built, err := build.BuildOne(t.Context(), hosts, dir, plan, build.Discard)
	require.NoError(t, err)
	defer func() { assert.NoError(t, built.Close()) }()
	for i, p := range plan.Platforms() {
		got, err := theirs.Image(v1.Platform{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant})
		require.NoError(t, err)
		enginetest.AssertSame(t, built.Images[i], withoutAdditions(t, plan, got), except...)
	}
}

// followAdvice runs the command that a Dockerfile in the directory at gives in its comment.
func followAdvice(t *testing.T, dir, at, advice string) {
	t.Helper()
	command, _, _ := strings.Cut(advice, "\n")
	require.True(t, strings.HasSuffix(command, " > Dockerfile.dockerignore"), command)
	cmd := exec.CommandContext(t.Context(), "sh", "-c", strings.TrimSuffix(command, "Dockerfile.dockerignore")+"'"+at+"/Dockerfile.dockerignore'")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
}

// withoutAdditions is an image without what BuildKit sets unasked: a mark of how the entrypoint was written, and on scratch, if no program
// is to be found by its name, a search path.
func withoutAdditions(t *testing.T, plan *plan.Plan, img v1.Image) v1.Image {
	t.Helper()
	file, err := img.ConfigFile()
	require.NoError(t, err)
	config := file.Config
	config.ArgsEscaped = false
	if plan.Image.Base == "" && plan.Image.Path == nil {
		require.NotEmpty(t, config.Env)
		require.True(t, strings.HasPrefix(config.Env[0], "PATH="))
		config.Env = config.Env[1:]
		if len(config.Env) == 0 {
			config.Env = nil
		}
	}
	changed, err := mutate.Config(img, config)
	require.NoError(t, err)
	return changed
}
