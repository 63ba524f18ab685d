package plan

import (
	"slices"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEmbedded(t *testing.T) {
	for text, want := range map[string][]string{
		"package a\n":                         nil,
		"//go:embed static\nvar x embed.FS\n": {"static"},
		"//go:embed a.txt  b/*.html\t all:c\n//go:embed \"d e\" `f` g\n":   {"a.txt", "b/*.html", "c", "d e", "f", "g"},
		"var (\n\t//go:embed in.txt\n\tx string\n)\n//go:embed\nvar y int": {"in.txt"},
	} {
		assert.Equal(t, want, embedded([]byte(text)), text)
	}
}

// What compiling reads is separated from what it does not, and where that cannot be said it is everything.
func TestCompiledFiles(t *testing.T) {
	tree := map[string]string{
		"go.mod":            "module example.com/app\n\ngo 1.26.8\n\nrequire example.com/app/other/v2 v2.0.0\n\nreplace example.com/lib => ./third/lib\n",
		"go.sum":            "x",
		"main.go":           "package main\n\nimport (\n\t_ \"embed\"\n\n\t_ \"example.com/app/other/v2/x\"\n\t_ \"example.com/app/web\"\n\t_ \"example.com/lib\"\n)\n\nfunc main() {}\n",
		"web/web.go":        "package web\n\nimport \"embed\"\n\n//go:embed static/*.html all:tree\nvar FS embed.FS\n",
		"third/lib/go.mod":  "module example.com/lib\n\ngo 1.26.8\n",
		"third/lib/lib.go":  "package lib\n\nimport _ \"embed\"\n\n//go:embed lib.txt\nvar Text string\n",
		".hidden/hidden.go": "package hidden\n\n//go:embed hidden.txt\n",
	}
	files := func(config Config, change ...string) []string {
		fsys := fstest.MapFS{}
		for name, text := range tree {
			fsys[name] = &fstest.MapFile{Data: []byte(text)}
		}
		for i := 0; i < len(change); i += 2 {
			fsys[change[i]] = &fstest.MapFile{Data: []byte(change[i+1])}
		}
		config.Packages = []string{"."}
		plan, err := Resolve(t.Context(), fsys, config)
		require.NoError(t, err)
		return plan.Source.Files
	}
	assert.Equal(t, slices.Concat(goReads, []string{"third/lib/lib.txt", "web/static/*.html", "web/tree"}), files(Config{}))
	assert.Equal(t, slices.Concat(goReads, []string{"third/lib/lib.txt", "vendor", "web/static/*.html", "web/tree"}), files(Config{}, "vendor/modules.txt", ""))
	assert.Nil(t, files(Config{CGO: "true", Runtime: "distroless-base"}))
	assert.Nil(t, files(Config{Generate: List{"true"}}))
	assert.Nil(t, files(Config{}, "extra.go", "package main\n\nimport _ \"example.com/app/linked\"\n"), "a package that a link leads to")
	assert.NotNil(t, files(Config{}, "extra.go", "package main\n\nimport _ \"example.com/application\"\n"), "of another module")
}
