package slipway_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway"
	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/fault"
	"github.com/slipway-ci/slipway/internal/test/registrytest"
)

// TestMain keeps Slipway's cache out of the user's, and Go's where it is.
func TestMain(m *testing.M) { os.Exit(withOwnCache(m)) }

func withOwnCache(m *testing.M) int {
	goCache, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		panic(err)
	}
	dir, err := os.MkdirTemp("", "cache-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	for variable, value := range map[string]string{"GOCACHE": strings.TrimSpace(string(goCache)), "XDG_CACHE_HOME": dir, "LocalAppData": dir} {
		if err := os.Setenv(variable, value); err != nil {
			panic(err)
		}
	}
	return m.Run()
}

func builder(t *testing.T) *slipway.Builder {
	t.Helper()
	b, err := slipway.Host(t.Context(), os.Environ())
	require.NoError(t, err)
	t.Cleanup(b.Close)
	return b
}

func planned(t *testing.T, dir string, to slipway.Sink, change func(*slipway.Request)) []*slipway.Image {
	t.Helper()
	request := &slipway.Request{Dir: dir, To: to, All: true}
	request.Settings.Runtime, request.Settings.Platforms = "scratch", []string{"linux/amd64"}
	if change != nil {
		change(request)
	}
	images, err := request.Plan(t.Context())
	require.NoError(t, err)
	return images
}

// notes has what a build notes and warns of.
type notes struct {
	build.Reporter
	text []string
}

func (n *notes) Note(text string) { n.text = append(n.text, text) }
func (n *notes) Warn(text string) { n.text = append(n.text, "warning: "+text) }

// One road: an archive, the same image in a registry, from the source and from the archive, and tags that move when all are up.
func TestBuildAndPublish(t *testing.T) {
	host := registrytest.Start(t).Host
	dir, b := shop(t, two), builder(t)
	toHost := func(r *slipway.Request) { r.Settings.Repository = host + "/shop/{{.Name}}" }

	output := filepath.Join(t.TempDir(), "out")
	files := b.Build(t.Context(), planned(t, dir, &slipway.Files{}, func(r *slipway.Request) { r.Output = output }))
	require.NoError(t, slipway.Failures(files))
	assert.FileExists(t, filepath.Join(output, "index.json"))

	pushed := b.Build(t.Context(), planned(t, dir, &slipway.Registry{}, toHost))
	require.NoError(t, slipway.Failures(pushed))
	for i, want := range []string{"api v1", "web latest"} {
		name, tag, _ := strings.Cut(want, " ")
		assert.Equal(t, files[i].Digest, pushed[i].Digest)
		assert.Equal(t, host+"/shop/"+name+"@"+pushed[i].Digest, pushed[i].Reference)
		assert.Equal(t, []string{tag}, pushed[i].Tags)
		assert.Equal(t, pushed[i].Digest, digestOf(t, host+"/shop/"+name+":"+tag))
	}

	archive := filepath.Join(t.TempDir(), "web.tar")
	one := b.Build(t.Context(), planned(t, dir, &slipway.Files{}, func(r *slipway.Request) { r.All, r.Names, r.Output = false, []string{"web"}, archive }))
	require.NoError(t, slipway.Failures(one))
	request := &slipway.Request{To: &slipway.Registry{}}
	request.Settings.Repository = host + "/archived/{{.Name}}"
	image, err := request.PlanArchive(archive)
	require.NoError(t, err)
	again := b.PublishArchive(t.Context(), image)
	require.NoError(t, again.Err)
	assert.Equal(t, pushed[1].Digest, digestOf(t, host+"/archived/web:latest"))
	assert.Equal(t, pushed[1].Platforms[0].Digest, again.Platforms[0].Digest)

	// An image that fails stops no other, and every tag.
	require.NoError(t, os.WriteFile(filepath.Join(dir, "web", "broken.go"), []byte("package main\n\nvar x = missing\n"), 0o644))
	broken := b.Build(t.Context(), planned(t, dir, &slipway.Registry{}, func(r *slipway.Request) { r.Settings.Repository = host + "/broken/{{.Name}}" }))
	failures := slipway.Failures(broken)
	assert.ErrorContains(t, failures, "1 of 2 images failed: web\nweb: ")
	assert.ErrorContains(t, failures, "no tag has moved, since tags move when all images are up; these are up, by their digests: api")
	assert.Equal(t, broken[0].Digest, digestOf(t, broken[0].Reference))
	assert.Nil(t, broken[0].Tags)
	ref, err := name.ParseReference(host + "/broken/api:v1")
	require.NoError(t, err)
	_, err = remote.Head(ref)
	assert.ErrorContains(t, err, "404")
}

// A result has the bills of materials that were attached, each with its image.
func TestResultsHaveTheirSBOMs(t *testing.T) {
	host := registrytest.Start(t).Host
	dir, b := shop(t, two), builder(t)
	publish := func(to *slipway.Registry) []*slipway.Result {
		results := b.Build(t.Context(), planned(t, dir, to, func(r *slipway.Request) {
			r.Settings.Repository, r.Settings.Platforms = host+"/shop/{{.Name}}", []string{"linux/amd64", "linux/arm64"}
		}))
		require.NoError(t, slipway.Failures(results))
		require.Len(t, results[0].Platforms, 2)
		return results
	}
	for _, image := range publish(&slipway.Registry{SBOM: slipway.SPDX, Provenance: true})[0].Platforms {
		assert.Contains(t, string(image.SBOM), `"SPDX-2.3"`)
		_, arch, _ := strings.Cut(image.Platform, "/")
		assert.Contains(t, string(image.SBOM), "arch="+arch)
	}
	assert.Nil(t, publish(&slipway.Registry{})[0].Platforms[0].SBOM)
}

func digestOf(t *testing.T, reference string) string {
	t.Helper()
	ref, err := name.ParseReference(reference)
	require.NoError(t, err)
	descriptor, err := remote.Head(ref)
	require.NoError(t, err)
	return descriptor.Digest.String()
}

// What is built of a source that is elsewhere is brought before it is built: also the files that the image holds.
func TestBuildFetches(t *testing.T) {
	dir, b := t.TempDir(), builder(t)
	elsewhere := os.DirFS(shop(t, ""))
	var fetched [][]string
	request := &slipway.Request{Dir: dir, To: &slipway.Files{}, Output: filepath.Join(t.TempDir(), "out"), Fetch: func(_ context.Context, patterns []string) error {
		fetched = append(fetched, patterns)
		if len(fetched) == 1 {
			return os.CopyFS(dir, elsewhere)
		}
		return nil
	}}
	request.Settings = packages("./api")
	request.Settings.Runtime, request.Settings.Platforms, request.Settings.Files = "scratch", []string{"linux/amd64"}, []string{"web:/web"}
	images, err := request.Plan(t.Context())
	require.NoError(t, err)
	require.Len(t, fetched, 1)
	require.NoError(t, slipway.Failures(b.Build(t.Context(), images)))
	require.Len(t, fetched, 2)
	assert.Subset(t, fetched[1], []string{"go.mod", "web"})
}

// A source that differs from its commit by one program changes one image.
func TestChangedSince(t *testing.T) {
	dir, b := shop(t, two), builder(t)
	for _, args := range [][]string{{"init", "-q"}, {"add", "."}, {"commit", "-q", "-m", "first"}} {
		cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=x", "-c", "user.email=x@example.com"}, args...)...)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
	}
	changed := func(since string) (names []string, said []string) {
		report := &notes{}
		b.Report = report
		in, err := b.ChangedSince(t.Context(), since, planned(t, dir, nil, nil))
		require.NoError(t, err)
		for _, image := range in {
			names = append(names, image.Plan.Name)
		}
		return names, report.text
	}
	in, said := changed("HEAD")
	assert.Empty(t, in)
	assert.Equal(t, []string{"api is out: nothing that it is made of changed", "web is out: nothing that it is made of changed"}, said)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "web", "main.go"), []byte("package main\n\nfunc main() { println() }\n"), 0o644))
	in, said = changed("HEAD")
	assert.Equal(t, []string{"web"}, in)
	assert.Contains(t, said[1], "web is in: web/main.go")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "slipway.yaml"), []byte(strings.Replace(two, "tags: [v1]", "tags: [v2]", 1)), 0o644))
	in, said = changed("HEAD")
	assert.Equal(t, []string{"api", "web"}, in)
	assert.Equal(t, "api is in: its settings in slipway.yaml changed", said[0])
}

// What runs as root says so, and a tag that is empty is reported.
func TestBuildNotes(t *testing.T) {
	report := &notes{Reporter: build.Discard}
	b := builder(t)
	b.Report = report
	images := planned(t, shop(t, ""), &slipway.Registry{}, func(r *slipway.Request) {
		r.All, r.Settings.Packages, r.Settings.User, r.Settings.AllowRoot = false, []string{"./api"}, "0", true
		r.Settings.Repository, r.Settings.Tags = registrytest.Start(t).Host+"/root", []string{"{{.Env.NONE}}"}
		r.Environ = []string{"NONE="}
	})
	require.NoError(t, slipway.Failures(b.Build(t.Context(), images)))
	require.Len(t, report.text, 3)
	assert.Equal(t, `api gets no tag of "{{.Env.NONE}}": it is empty when filled in`, report.text[0])
	assert.Equal(t, "api is found by its digest alone", report.text[1])
	assert.Contains(t, report.text[2], "warning: the program runs as root, since --allow-root permits it")
}

// Each face names its own flags or arguments in the errors of several images, as in that of one. They are of work that failed.
func TestFailuresAreReworded(t *testing.T) {
	wrong := slipway.Faults{{Field: "go", Problem: "unknown", Hint: "choose another with --go"}}
	failures := slipway.Failures([]*slipway.Result{{Name: "api", Err: wrong}, {Name: "web", Err: fmt.Errorf("reading --go: %w", wrong)}})
	assert.EqualError(t, failures, "2 of 2 images failed: api, web\napi: go: unknown: choose another with --go\nweb: reading --go: go: unknown: choose another with --go")
	assert.Equal(t, "2 of 2 images failed: api, web\napi: go-version: unknown: choose another with --go-version\nweb: reading --go: go-version: unknown: choose another with --go-version",
		fault.Reword(failures, func(sentence string) string { return strings.ReplaceAll(sentence, "--go", "--go-version") }))
	assert.Empty(t, fault.As(failures))
}
