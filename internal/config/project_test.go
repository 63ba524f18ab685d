package config_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/config"
	"github.com/slipway-ci/slipway/internal/fault"
	"github.com/slipway-ci/slipway/internal/plan"
)

const shop = `# The shop's services.
defaults:
  platforms: [linux/amd64, linux/arm64]
  go: 1.26
  repository: ghcr.io/example/{{.Name}}
  labels: {team: shop, tier: backend}
  env: &env
    LOG_LEVEL: info
images:
  - name: api
    package: ./cmd/api
    ports: [8080, "53/udp"]
    labels: {tier: edge, on: true}
    tags: ["{{.Git.Tag}}", latest]
  - name: tools
    packages: [./cmd/migrate, cmd/backup]
    platforms: linux/amd64
    allow-root: true
    env: {ZONE: eu, LOG_LEVEL: debug}
    files:
      - config.yaml:/etc/app/config.yaml:0644
  - {name: copy, package: ./cmd/copy, env: *env}
`

func TestParse(t *testing.T) {
	p, err := config.Parse([]byte(shop))
	require.NoError(t, err)
	require.Len(t, p.Images, 3)
	both := []string{"linux/amd64", "linux/arm64"}

	api := p.Images[0]
	assert.Equal(t, plan.Config{
		Name: "api", Packages: []string{"./cmd/api"}, Platforms: both, Go: "1.26", Ports: []string{"8080", "53/udp"},
		Labels: []string{"team=shop", "tier=edge", "on=true"}, Env: []string{"LOG_LEVEL=info"},
	}, api.Config)
	assert.Equal(t, "ghcr.io/example/{{.Name}}", api.Repository)
	assert.Equal(t, plan.List{"{{.Git.Tag}}", "latest"}, api.Tags)

	assert.Equal(t, plan.Config{
		Name: "tools", Packages: []string{"./cmd/migrate", "cmd/backup"}, Platforms: []string{"linux/amd64"}, Go: "1.26", AllowRoot: true,
		Labels: []string{"team=shop", "tier=backend"}, Env: []string{"ZONE=eu", "LOG_LEVEL=debug"},
		Files: []string{"config.yaml:/etc/app/config.yaml:0644"},
	}, p.Images[1].Config)
	assert.Equal(t, plan.Pairs{"LOG_LEVEL=info"}, p.Images[2].Env)
	assert.Equal(t, plan.Config{
		Platforms: both, Go: "1.26", Labels: []string{"team=shop", "tier=backend"}, Env: []string{"LOG_LEVEL=info"},
	}, p.Defaults.Config)
}

func TestRead(t *testing.T) {
	p, err := config.Read(fstest.MapFS{})
	assert.NoError(t, err)
	assert.Nil(t, p)
	p, err = config.Read(fstest.MapFS{config.File: {Data: []byte(shop)}})
	assert.NoError(t, err)
	assert.Len(t, p.Images, 3)
	_, err = config.Read(fstest.MapFS{config.File + "/x": {}})
	assert.Error(t, err)
}

func TestFaults(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"several at once": {
			"defaults:\n  name: x\n  port: 80\nimages:\n  - package: ./a\n  - name: b\n    debug: perhaps\n  - name: b\n    name: c\n    ports: {a: 1}\nmore: 1\n",
			`slipway.yaml:2 "name": a default that only one image can have: move it to the image
slipway.yaml:3 "port": no such setting: the settings are those of slipway.schema.json, such as package, platforms and ports
slipway.yaml:5: an image without a name: give it one, such as that of its program
slipway.yaml:7 "debug": not true or false: write debug: true
slipway.yaml:8 "b": two images have this name: rename one
slipway.yaml:9 "name": set twice: leave one out
slipway.yaml:10 "ports": not a list: write ports: [ONE, ANOTHER]
slipway.yaml:11 "more": no such key: write defaults and a list of images, as in slipway.schema.json`,
		},
		"empty":         {"# nothing\n", "slipway.yaml: it is empty: write defaults and a list of images, as in slipway.schema.json"},
		"no images":     {"defaults: {}\n", `slipway.yaml:1 "images": not a list of images: write defaults and a list of images, as in slipway.schema.json`},
		"a list":        {"- name: a\n", `slipway.yaml:1: the file is not a mapping: write defaults and a list of images, as in slipway.schema.json`},
		"an image text": {"images: [api]\n", "slipway.yaml:1: an image is not a mapping: write defaults and a list of images, as in slipway.schema.json"},
		"no YAML":       {"images: [\n", "slipway.yaml: line 1: did not find expected node content: mend the YAML"},
		"two packages":  {"images:\n- name: a\n  package: ./a\n  packages: [./b]\n", `slipway.yaml:4 "packages": package and packages: leave one out`},
		"no value":      {"images:\n- name: a\n  base:\n", `slipway.yaml:3 "base": not a text: write base: TEXT`},
		"pairs":         {"images:\n- name: a\n  labels: [a=b]\n  env: {A: [1]}\n", `slipway.yaml:3 "labels": not a mapping: write labels: {KEY: VALUE}` + "\n" + `slipway.yaml:4 "A": not a text: write env: {KEY: VALUE}`},
		"two documents": {"images: [{name: a}]\n---\nimages: []\n", "slipway.yaml: more than one document: write all images into the list of the first"},
		"checks":        {"images: [{name: a, vulndb: file:///x}]\n", `slipway.yaml:1 "vulndb": no such setting: the settings are those of slipway.schema.json, such as package, platforms and ports`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := config.Parse([]byte(c.text))
			assert.NotNil(t, fault.As(err))
			assert.EqualError(t, err, c.want)
		})
	}
}

// What is wrong with a value is reported with its line.
func TestLocate(t *testing.T) {
	p, err := config.Parse([]byte("defaults:\n  runtime: alpin\nimages:\n- name: a\n  package: cmd/a\n  ports:\n  - 80\n  - http\n  labels:\n    x: '{{.No}}'\n"))
	require.NoError(t, err)
	source := fstest.MapFS{"go.mod": {Data: []byte("module example.com/a\n\ngo 1.26.8\n")}, "cmd/a/a.go": {Data: []byte("package main\n\nfunc main() {}\n")}}
	_, err = plan.Resolve(t.Context(), source, p.Images[0].Config)
	var where []string
	for _, f := range fault.As(err) {
		where = append(where, p.Images[0].Locate(f).Field)
	}
	assert.Equal(t, []string{"slipway.yaml:2: runtime", "slipway.yaml:8: port", "slipway.yaml:10: label"}, where)
	none := fault.Fault{Field: "go.sum", Problem: "missing"}
	assert.Equal(t, none, p.Images[0].Locate(none))

	_, err = plan.Resolve(t.Context(), fstest.MapFS{"go.mod": source["go.mod"]}, plan.Config{Packages: p.Images[0].Packages})
	require.Len(t, fault.As(err), 1)
	assert.Equal(t, "slipway.yaml:5: package", p.Images[0].Locate(fault.As(err)[0]).Field)
}

func TestOver(t *testing.T) {
	p, err := config.Parse([]byte(shop))
	require.NoError(t, err)
	flags := config.Image{Tags: []string{"edge"}}
	flags.Platforms, flags.Labels, flags.Debug, flags.Runtime = []string{"linux/arm/v7"}, []string{"tier=x", "new=y"}, false, "scratch"
	got := p.Images[0].Over(flags, func(key string) bool { return slices.Contains([]string{"platforms", "labels", "tags", "ports"}, key) })
	assert.Equal(t, plan.List{"linux/arm/v7"}, got.Platforms)
	assert.Equal(t, plan.Pairs{"team=shop", "on=true", "tier=x", "new=y"}, got.Labels)
	assert.Equal(t, plan.List{"edge"}, got.Tags)
	assert.Empty(t, got.Ports, "given, and empty")
	assert.Empty(t, got.Runtime, "not given")
	assert.Equal(t, plan.Pairs{"team=shop", "tier=edge", "on=true"}, p.Images[0].Labels, "the file's stay as they are")
}

// Every setting of an image has a place in the file.
func TestEveryFieldHasAKey(t *testing.T) {
	fields := map[string]bool{}
	keys := map[string]bool{}
	for _, s := range config.Settings() {
		assert.Regexp(t, `^[a-z]+(-[a-z]+)*$`, s.Key())
		assert.False(t, keys[s.Key()], s.Key())
		fields[s.Field], keys[s.Key()] = true, true
	}
	for field := range reflect.TypeFor[plan.Config]().Fields() {
		if !field.Anonymous && field.Name != "VulnDB" && field.Name != "RunPrebuild" {
			assert.True(t, fields[field.Name], field.Name)
		}
	}
	assert.False(t, keys["run-prebuild"], "a cloned file starts nothing")
	for _, key := range []string{"annotations", "env", "labels", "stamps"} {
		assert.True(t, keys[key], key)
	}
}

// A file of a few kilobytes may mean gigabytes.
func TestAliasesAndDefaultsAreBounded(t *testing.T) {
	var text strings.Builder
	text.WriteString("defaults:\n  args: &many [")
	text.WriteString(strings.Repeat("a,", 20_000))
	text.WriteString("]\nimages:\n")
	for i := range 1000 {
		fmt.Fprintf(&text, "  - {name: i%d, env: {}, tags: *many}\n", i)
	}
	_, err := config.Parse([]byte(text.String()))
	require.Len(t, fault.As(err), 1)
	assert.ErrorContains(t, err, "more than 1048576 values up to here")
}

func FuzzParse(f *testing.F) {
	f.Add(shop)
	f.Add("images: &a\n- *a\n")
	f.Add("images:\n- name: a\n  labels: {? [a] : b}\n")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := config.Parse([]byte(text))
		if err != nil {
			assert.NotNil(t, fault.As(err), "%v", err)
			assert.NotContains(t, err.Error(), "\x00", strings.TrimSpace(text))
			return
		}
		for _, image := range p.Images {
			assert.NotEmpty(t, image.Name)
		}
	})
}

func TestTarget(t *testing.T) {
	p, err := config.Parse([]byte("images:\n- name: a\n  repository: r.example/{{.Name}}\n  tags: ['{{.Git.Tag}}', '{{or .Git.Branch \"x\"}}', latest]\n"))
	require.NoError(t, err)
	a := p.Images[0]
	a.Facts.Git = plan.Git{Commit: "0123456", Tag: "v1"}
	repository, tags, skipped, err := a.Target("a")
	require.NoError(t, err)
	assert.Equal(t, "r.example/a", repository)
	assert.Equal(t, []string{"v1", "x", "latest"}, tags)
	assert.Empty(t, skipped)
	a.Facts.Git = plan.Git{Commit: "0123456", Branch: "latest"}
	_, tags, skipped, err = a.Target("a")
	require.NoError(t, err)
	assert.Equal(t, []string{"latest"}, tags, "each once")
	assert.Equal(t, []string{"{{.Git.Tag}}"}, skipped)
	a.Repository = "{{.Git.Tag}}"
	_, _, _, err = a.Target("a")
	assert.EqualError(t, err, `slipway.yaml:3: repository "{{.Git.Tag}}": it is empty when filled in: give a default, like {{or .Git.Branch "main"}}`)
}

func TestSame(t *testing.T) {
	p, err := config.Parse([]byte(shop))
	require.NoError(t, err)
	again, err := config.Parse([]byte("# moved down\n\n" + shop))
	require.NoError(t, err)
	api, ok := again.Find("api")
	require.True(t, ok)
	assert.True(t, api.Listed())
	assert.True(t, p.Images[0].Same(api))
	api.Facts.Git.Tag = "v1"
	assert.True(t, p.Images[0].Same(api), "a fact is no setting")
	api.Tags = []string{"other"}
	assert.False(t, p.Images[0].Same(api))
	_, ok = again.Find("none")
	assert.False(t, ok)
	defaults, ok := again.Find("")
	assert.True(t, ok)
	assert.True(t, defaults.Same(p.Defaults))
	assert.False(t, config.Image{}.Listed())
}
