package dagger_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/attest/provenance"
	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/build/dagger"
	"github.com/slipway-ci/slipway/internal/build/dagger/session"
	"github.com/slipway-ci/slipway/internal/build/host"
	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/registry"
	"github.com/slipway-ci/slipway/internal/test/daggertest"
)

// All platforms are pushed at once, in their order and each from its own archive, under each tag, with the annotations that the engine
// does not read. It compiles nothing for it.
func TestPush(t *testing.T) {
	dir := program(t)
	plan := resolve(t, dir, plan.Config{Runtime: "scratch"})
	recorded := daggertest.Start(t, func(c daggertest.Chain) (any, error) {
		if last := c[len(c)-1]; last.Name == "publish" {
			return last.Args["address"].(string) + "@sha256:abc", nil
		}
		return nil, errors.New("nothing else is asked")
	})
	client := connect(t)
	images := []dagger.Archive{
		{"linux/arm/v6", client.CurrentModule().WorkdirFile("v6.tar"), map[string]string{"b": "2", "a": "1"}},
		{"linux/arm/v7", client.CurrentModule().WorkdirFile("v7.tar"), nil},
	}
	login := dagger.Login{}
	push := func(tags ...string) (string, error) {
		return dagger.New(client, client.Host().Directory(dir), plan, dagger.Private{}).
			Push(t.Context(), images, registry.Target{Repository: "registry.example:5000/team/app", Tags: tags}, login)
	}
	ref, err := push("v1", "v2")
	require.NoError(t, err)
	assert.Equal(t, "registry.example:5000/team/app@sha256:abc", ref)

	var addresses []any
	for _, chain := range recorded.Asked() {
		last := chain[len(chain)-1]
		if last.Name != "publish" {
			continue
		}
		addresses = append(addresses, last.Args["address"])
		assert.Nil(t, last.Args["forcedCompression"], "gzip is the engine's own choice")
		var pushed []string
		for _, variant := range last.Args["platformVariants"].([]any) {
			variant := variant.(daggertest.Chain)
			text := variant[0].Args["platform"].(string) + " " + variant.Named("import")[0].Args["source"].(daggertest.Chain).Named("workdirFile")[0].Args["path"].(string)
			for _, call := range variant[2:] {
				text += fmt.Sprintf(" %s %s=%s", call.Name, call.Args["name"], call.Args["value"])
			}
			pushed = append(pushed, text)
		}
		assert.Equal(t, []string{"linux/arm/v6 v6.tar withAnnotation a=1 withAnnotation b=2", "linux/arm/v7 v7.tar"}, pushed)
	}
	assert.Equal(t, []any{"registry.example:5000/team/app:v1", "registry.example:5000/team/app:v2"}, addresses)

	// It compresses the layers of an archive again, with gzip unless it is asked for another.
	plan.Image.Compression.Format = "zstd"
	_, err = push("v3")
	require.NoError(t, err)
	asked := recorded.Asked()
	assert.Equal(t, "Zstd", asked[len(asked)-1].Named("publish")[0].Args["forcedCompression"])
	assert.Empty(t, asked[len(asked)-1].Named("withRegistryAuth"), "the engine has its own login")

	login = dagger.Login{User: "me", Password: client.SetSecret("password", "hunter2")}
	_, err = push("v4")
	require.NoError(t, err)
	asked = recorded.Asked()
	given := asked[len(asked)-1].Named("withRegistryAuth")
	require.Len(t, given, 1)
	assert.Equal(t, "registry.example:5000/team/app", given[0].Args["address"])
	assert.Equal(t, "me", given[0].Args["username"])
}

// What the engine's errors are for a registry that refuses its login: with a status, and as containerd words it where the registry asks
// for a login by a challenge.
func TestPushRefused(t *testing.T) {
	const ref = "registry.example/team/app"
	for said, refused := range map[string]bool{
		"push access denied, repository does not exist or may require authorization: authorization failed: no basic auth credentials": true,
		"server message: insufficient_scope: authorization failed":                                                                    true,
		"unexpected status from HEAD request to https://registry.example/v2/team/app: 403 Forbidden":                                  true,
		"failed to fetch anonymous token: unexpected status from GET request: 401 Unauthorized":                                       true,
		"connection refused": false,
	} {
		t.Run(said, func(t *testing.T) {
			dir := program(t)
			p := resolve(t, dir, plan.Config{Runtime: "scratch"})
			daggertest.Start(t, func(daggertest.Chain) (any, error) { return nil, errors.New(said) })
			client := connect(t)
			build := dagger.New(client, client.Host().Directory(dir), p, dagger.Private{})
			_, err := build.Push(t.Context(), []dagger.Archive{{Platform: "linux/amd64", File: client.CurrentModule().WorkdirFile("x")}}, registry.Target{Repository: ref, Tags: []string{"v1"}}, dagger.Login{})
			require.ErrorContains(t, err, "pushing to "+ref+":v1: ")
			require.ErrorContains(t, err, said)
			advised := strings.HasSuffix(err.Error(), ": give a login by with-login or --registry-config, or log in with docker login where the dagger command runs")
			assert.Equal(t, refused, advised, err)
		})
	}
}

// What the module archives and publishes is the host engine's to the byte, in each compression and at each level, although only the
// files that are placed are on this side of the session.
func TestEngineOfDescribedBuilds(t *testing.T) {
	dir := program(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.com/app\n\ngo 1.26.8\n"), 0o644))
	files := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(files, "config.yaml"), []byte("a: 1\n"), 0o644))
	hosts, err := cache.Open(t.TempDir())
	require.NoError(t, err)
	for _, compression := range []string{"", "gzip", "zstd", "zstd:19"} {
		p := resolve(t, dir, plan.Config{Runtime: "scratch", Files: []string{"config.yaml:/etc/app/"}, Compression: compression})
		daggertest.Start(t, compiles(dir, p))
		client := connect(t)
		own := session.Of(func(p *plan.Plan) *dagger.Build {
			return dagger.New(client, client.Host().Directory(dir), p, dagger.Private{})
		}, &oci.Bases{})
		var digests []string
		for at, e := range map[string]build.Engine{files: own, dir: host.New(&oci.Bases{Cache: hosts}, os.Environ())} {
			result, err := build.BuildOne(t.Context(), e, at, p, build.Discard)
			require.NoError(t, err)
			digest, err := result.Artifact.Digest()
			require.NoError(t, err)
			digests = append(digests, digest.String())
			require.NoError(t, result.Close())
		}
		assert.Equal(t, digests[1], digests[0], compression)
	}
}

// The builder is named with the digest that the engine resolved.
func TestBuilderImage(t *testing.T) {
	dir := program(t)
	plan := resolve(t, dir, plan.Config{})
	digest := "sha256:" + strings.Repeat("b", 64)
	daggertest.Start(t, func(c daggertest.Chain) (any, error) {
		return c.Named("from")[0].Args["address"].(string) + "@" + digest, nil
	})
	client := connect(t)
	found, err := dagger.New(client, client.Host().Directory(dir), plan, dagger.Private{}).BuilderImage(t.Context())
	require.NoError(t, err)
	assert.Equal(t, provenance.Image{Name: plan.Builder, Digest: digest}, found)
}

// Of the engine's module cache, the licences and go.mod files of the modules in go.sum come to this side, and nothing else.
func TestLicences(t *testing.T) {
	dir := program(t)
	plan := resolve(t, dir, plan.Config{})
	cache := t.TempDir()
	for name, content := range map[string]string{
		"github.com/pkg/errors@v0.9.1/LICENSE":                      "of errors",
		"github.com/pkg/errors@v0.9.1/errors.go":                    "package errors",
		"github.com/pkg/errors@v0.9.1/sub/LICENSE":                  "of a part",
		"github.com/pkg/errors@v0.9.1/COPYING.md":                   strings.Repeat("x", 2<<20),
		"cache/download/github.com/pkg/errors/@v/v0.9.1.mod":        "module github.com/pkg/errors",
		"cache/download/github.com/pkg/errors/@v/v0.9.1.zip":        "zip",
		"cache/download/github.com/!burnt!sushi/toml/@v/v1.0.0.mod": "module toml",
		"github.com/!burnt!sushi/toml@v1.0.0/licence.txt":           "of toml",
		"github.com/of/another@v1.0.0/LICENSE":                      "of nobody's",
		"cache/download/github.com/of/another/@v/v1.0.0.mod":        "module another",
	} {
		file := filepath.Join(cache, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(content), 0o644))
	}
	recorded := daggertest.Start(t, func(c daggertest.Chain) (any, error) {
		last := c[len(c)-1]
		list := filepath.Join(t.TempDir(), "modules")
		require.NoError(t, os.WriteFile(list, []byte(c.Named("withNewFile")[0].Args["contents"].(string)), 0o644))
		all := execs(c)
		command := all[len(all)-1]
		out := last.Args["path"].(string)
		require.NoError(t, os.Remove(out)) // the script makes it
		script := strings.NewReplacer("/out", out, "/modules", list).Replace(command[2])
		run := exec.Command("sh", "-c", script)
		run.Env = append(os.Environ(), "GOMODCACHE="+cache)
		said, err := run.CombinedOutput()
		require.NoError(t, err, string(said))
		return out, nil
	})
	client := connect(t)
	out := t.TempDir()
	err := dagger.New(client, client.Host().Directory(dir), plan, dagger.Private{}).Licences(t.Context(), out,
		"github.com/pkg/errors v0.9.1 h1:x\ngithub.com/pkg/errors v0.9.1/go.mod h1:y\n", "github.com/BurntSushi/toml v1.0.0/go.mod h1:z\nlost.example/m v1.0.0 h1:x\nno line\n")
	require.NoError(t, err)
	var copied []string
	require.NoError(t, fs.WalkDir(os.DirFS(out), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			copied = append(copied, name)
		}
		return err
	}))
	assert.Equal(t, []string{
		"cache/download/github.com/!burnt!sushi/toml/@v/v1.0.0.mod", "cache/download/github.com/pkg/errors/@v/v0.9.1.mod",
		"github.com/!burnt!sushi/toml@v1.0.0/licence.txt", "github.com/pkg/errors@v0.9.1/LICENSE",
	}, copied)
	asked := recorded.Asked()
	assert.Equal(t, [][]string{download(plan), verify(plan)}, execs(asked[len(asked)-1])[:2], "when the modules are there")

	// A program without dependencies asks for nothing.
	require.NoError(t, dagger.New(client, client.Host().Directory(dir), plan, dagger.Private{}).Licences(t.Context(), out))
	assert.Len(t, recorded.Asked(), len(asked))
}
