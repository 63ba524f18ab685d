package slipway_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway"
)

// shop is a source of two programs, with what slipway.yaml says of its images.
func shop(t *testing.T, images string) string {
	t.Helper()
	dir := t.TempDir()
	files := map[string]string{
		"go.mod": "module example.com/shop\n\ngo 1.26.8\n", "api/main.go": "package main\n\nfunc main() {}\n", "web/main.go": "package main\n\nfunc main() {}\n",
	}
	if images != "" {
		files["slipway.yaml"] = images
	}
	for name, text := range files {
		at := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(at), 0o755))
		require.NoError(t, os.WriteFile(at, []byte(text), 0o644))
	}
	return dir
}

func names(images []*slipway.Image) (names []string) {
	for _, image := range images {
		names = append(names, image.Plan.Name)
	}
	return names
}

const two = "defaults: {repository: 'ghcr.io/shop/{{.Name}}'}\nimages:\n  - {name: api, package: ./api, tags: [v1]}\n  - {name: web, package: ./web}\n"

func TestRequestChooses(t *testing.T) {
	dir, plain := shop(t, two), shop(t, "")
	for name, c := range map[string]struct {
		request slipway.Request
		want    []string
		fault   string
	}{
		"all":                 {request: slipway.Request{Dir: dir, All: true}, want: []string{"api", "web"}},
		"by name":             {request: slipway.Request{Dir: dir, Names: []string{"web"}}, want: []string{"web"}},
		"in the file's order": {request: slipway.Request{Dir: dir, Names: []string{"web", "api"}}, want: []string{"api", "web"}},
		"by package":          {request: slipway.Request{Dir: dir, Settings: packages("./web")}, want: []string{"web"}},
		"without a file":      {request: slipway.Request{Dir: plain, Settings: packages("./api")}, want: []string{"api"}},
		"which":               {request: slipway.Request{Dir: dir}, fault: `image: 2 images to choose from in ` + dir + `/slipway.yaml: api, web: name one or more, or use --all`},
		"unknown":             {request: slipway.Request{Dir: dir, Names: []string{"worker", "api"}}, fault: `image "worker": not in ` + dir + `/slipway.yaml: choose from api, web`},
		"names and all":       {request: slipway.Request{Dir: dir, Names: []string{"api"}, All: true}, fault: `all "api": names besides it: leave one of the two out`},
		"all without file":    {request: slipway.Request{Dir: plain, All: true}, fault: `all: there is no ` + plain + `/slipway.yaml: list the images there, or leave --all out`},
		"package for several": {request: slipway.Request{Dir: dir, All: true, Settings: packages("./web")}, fault: `package: given for several images: give it in ` + dir + `/slipway.yaml, for each its own`},
		"no directory":        {request: slipway.Request{Dir: dir + "/go.mod"}, fault: `source "` + dir + `/go.mod": not a directory: give slipway the directory of a Go module`},
	} {
		t.Run(name, func(t *testing.T) {
			images, err := c.request.Plan(t.Context())
			if c.fault != "" {
				require.ErrorAs(t, err, new(slipway.Faults))
				assert.EqualError(t, err, filepath.FromSlash(c.fault))
				return
			}
			require.NoError(t, err)
			assert.Equal(t, c.want, names(images))
		})
	}
}

func packages(dirs ...string) (s slipway.Settings) {
	s.Packages = dirs
	return s
}

func TestRequestFillsInTargets(t *testing.T) {
	dir := shop(t, two)
	request := slipway.Request{Dir: dir, To: &slipway.Registry{}, All: true}
	images, err := request.Plan(t.Context())
	require.NoError(t, err)
	assert.Equal(t, slipway.Target{Repository: "ghcr.io/shop/api", Tags: []string{"v1"}}, images[0].Target)
	assert.Equal(t, slipway.Target{Repository: "ghcr.io/shop/web", Tags: []string{"latest"}}, images[1].Target)

	request.Settings.Tags = []string{"{{.Env.CHANNEL}}", "{{.Env.TOKEN}}", "{{.Env.NOTHING}}", "x{{/**/}}"}
	request.Environ = []string{"CHANNEL=next", "NOTHING="}
	_, err = request.Plan(t.Context())
	assert.ErrorContains(t, err, "TOKEN", "a variable that is not set")
	request.Environ = append(request.Environ, "TOKEN=secret")
	_, err = request.Plan(t.Context())
	assert.ErrorContains(t, err, "TOKEN", "a variable that holds a secret")
	request.Settings.Tags = []string{"{{.Env.CHANNEL}}", "{{.Env.NOTHING}}"}
	images, err = request.Plan(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{"next"}, images[0].Target.Tags)
	assert.Equal(t, []string{"{{.Env.NOTHING}}"}, images[0].Skipped)

	// Everything that is wrong, at once.
	request.Settings = slipway.Settings{Repository: "ghcr.io/Shop/all", Tags: []string{"a b"}}
	request.Settings.Ports = []string{"none"}
	_, err = request.Plan(t.Context())
	for _, want := range []string{`port "none"`, `repository "ghcr.io/Shop/all"`, `tag "a b"`} {
		assert.ErrorContains(t, err, want)
	}
	request.Settings = slipway.Settings{Repository: "ghcr.io/shop/all"}
	_, err = request.Plan(t.Context())
	assert.NoError(t, err, "other tags")
	request.Settings.Tags = []string{"v2"}
	_, err = request.Plan(t.Context())
	assert.EqualError(t, err, `tag "ghcr.io/shop/all:v2": api and web would both have it: give each another repository or tag, such as by {{.Name}}`)
	request.Settings.Tags = []string{}
	images, err = request.Plan(t.Context())
	require.NoError(t, err)
	assert.Empty(t, images[0].Target.Tags)
}

// A link that leads out of the files that are asked for is brought with what it leads to.
func TestRequestFetchesWhatLinksLeadTo(t *testing.T) {
	dir := t.TempDir()
	var fetched [][]string
	request := slipway.Request{Dir: dir, Fetch: func(_ context.Context, patterns []string) error {
		fetched = append(fetched, patterns)
		if slices.Equal(patterns, []string{"**"}) {
			return os.WriteFile(filepath.Join(dir, "plain.txt"), []byte("hello"), 0o644)
		}
		return errors.Join(
			os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.com/shop\n\ngo 1.26.8\n"), 0o644),
			os.WriteFile(filepath.Join(dir, "main.go"), []byte("package main\n\nfunc main() {}\n"), 0o644),
			os.Mkdir(filepath.Join(dir, "web"), 0o755),
			os.Symlink("../plain.txt", filepath.Join(dir, "web", "link")),
		)
	}}
	request.Settings.Files = []string{"web:/web"}
	_, err := request.Plan(t.Context())
	require.NoError(t, err)
	assert.Len(t, fetched, 2)
}

// A source that is elsewhere is read file by file, and no fault names the directory that it was brought to.
func TestRequestFetches(t *testing.T) {
	elsewhere := fstest.MapFS{
		"go.mod":       {Data: []byte("module example.com/shop\n\ngo 1.26.8\n")},
		"api/main.go":  {Data: []byte("package main\n\nfunc main() {}\n")},
		"web/index":    {Data: []byte("hello")},
		"slipway.yaml": {Data: []byte("images: [{name: api, package: ./api, files: ['web:/web'], revision: auto}]\n")},
	}
	dir := t.TempDir()
	var fetched [][]string
	request := slipway.Request{Dir: dir, Fetch: func(_ context.Context, patterns []string) error {
		fetched = append(fetched, patterns)
		if len(fetched) == 1 {
			return os.CopyFS(dir, fs.FS(elsewhere))
		}
		return nil
	}}
	_, err := request.Plan(t.Context())
	assert.ErrorContains(t, err, `slipway.yaml:1: revision "auto": not a commit`)
	require.Len(t, fetched, 2)
	assert.Contains(t, fetched[0], "slipway.yaml")
	assert.Equal(t, []string{"web"}, fetched[1])

	request.Settings.Revision = "0123456789012345678901234567890123456789"
	images, err := request.Plan(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{"api"}, names(images))
	request.Names = []string{"web"}
	_, err = request.Plan(t.Context())
	assert.EqualError(t, err, `image "web": not in slipway.yaml: choose from api`)
}

func TestRequestForOnePlatform(t *testing.T) {
	dir := shop(t, "")
	request := slipway.Request{Dir: dir, To: &slipway.Document{}, Settings: packages("./api")}
	platform := func(platforms ...string) string {
		request.Settings.Platforms = platforms
		images, err := request.Plan(t.Context())
		require.NoError(t, err)
		require.Len(t, images[0].Plan.Compile, 1)
		return images[0].Plan.Compile[0].Platform.String()
	}
	assert.Equal(t, "linux/amd64", platform())
	assert.Equal(t, "linux/riscv64", platform("linux/riscv64"))
	request.Settings.Platforms = []string{"linux/amd64", "linux/arm64"}
	_, err := request.Plan(t.Context())
	assert.ErrorContains(t, err, `platform "linux/amd64,linux/arm64": several platforms`)
}
