package slipway_test

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const module = "github.com/slipway-ci/slipway"

// layers are those of the design, from the top down; a directory stands for the packages below it that are not listed themselves.
// Imports lead from one to itself or to one further down.
var layers = [][]string{
	{"internal/test", "internal/sizes", "internal/goversions", "internal/distributions", "internal/config/generate"}, // tests and generators
	{"cmd/slipway", "internal/config/options"}, // faces, and the options of the command; ci is another module
	{"."}, // the road
	{"internal/build", "internal/progress", "internal/doctor"},
	{"internal/config", "internal/plan", "internal/changed", "internal/check", "internal/dockerfile", "internal/attest", "internal/size", "internal/diff", "internal/inspect", "internal/vulndb"},
	{"internal/alpine", "internal/debian", "internal/distro", "internal/oci", "internal/registry"},
	{
		"internal/cache", "internal/child", "internal/console", "internal/fault", "internal/gitcommand", "internal/gocommand", "internal/goenv", "internal/secret",
		"internal/source", "internal/tracing",
	},
}

// layer is the number of a package's layer, by the longest path that it is below.
func layer(t *testing.T, path string) int {
	t.Helper()
	found, longest := -1, -1
	for i, layer := range layers {
		for _, dir := range layer {
			if (path == dir || strings.HasPrefix(path, dir+"/")) && len(dir) > longest {
				found, longest = i, len(dir)
			}
		}
	}
	require.NotEqual(t, -1, found, "the package %s is in no layer", path)
	return found
}

func list(t *testing.T, args ...string) []string {
	t.Helper()
	out, err := exec.Command("go", append([]string{"list"}, args...)...).Output()
	require.NoError(t, err)
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

func local(path string) (dir string, ok bool) {
	if path == module {
		return ".", true
	}
	return strings.CutPrefix(path, module+"/")
}

func TestNoImportRunsUpward(t *testing.T) {
	edges := 0
	for _, line := range list(t, "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...") {
		fields := strings.Fields(line)
		from, ok := local(fields[0])
		require.True(t, ok, fields[0])
		for _, path := range fields[1:] {
			if to, ok := local(path); ok {
				edges++
				assert.LessOrEqual(t, layer(t, from), layer(t, to), "%s imports %s, which stands above it", from, to)
			}
		}
	}
	assert.Greater(t, edges, 50)
}

// The Dagger module is compiled on each fresh engine, and signs by nothing but keys: it is spared the libraries of Sigstore.
func TestModuleIsSparedSigstore(t *testing.T) {
	for _, path := range list(t, "-deps", ".") {
		assert.False(t, strings.HasPrefix(path, "github.com/sigstore/") || path == module+"/internal/attest/keyless", path)
	}
}

// The picture in CONTRIBUTING.md shows the packages in the order of the layers, but for tests and generators.
func TestPictureShowsTheLayers(t *testing.T) {
	text, err := os.ReadFile("CONTRIBUTING.md")
	require.NoError(t, err)
	_, picture, _ := strings.Cut(string(text), "```\n")
	picture, _, found := strings.Cut(picture, "```\n")
	require.True(t, found)
	above := -1 // the last line of the layer above
	for _, layer := range layers[1:] {
		last := above
		for _, dir := range layer {
			if dir == "." {
				dir = "package slipway"
			}
			line := slices.IndexFunc(strings.Split(picture, "\n"), func(line string) bool {
				return strings.Contains(line+"  ", " "+dir+"  ")
			})
			assert.Greater(t, line, above, "%s", dir)
			last = max(last, line)
		}
		above = last
	}
}

// What a package may not depend on, even by way of others.
func TestDependencies(t *testing.T) {
	// Of docker/cli, go-containerregistry reads the files of logins by the package config, and no more.
	faces := []string{"github.com/spf13/cobra", "charm.land/", "github.com/docker/cli/cli/command", "github.com/docker/docker/", "github.com/moby/moby/", "dagger.io/"}
	images := []string{"github.com/google/go-containerregistry/pkg/v1", module + "/internal/build", module + "/internal/oci", module + "/internal/registry"}
	builds := []string{module + "/internal/build", module + "/internal/config", module + "/internal/plan", "dagger.io/"}
	for dir, forbidden := range map[string][]string{
		".":                   append([]string{"github.com/sigstore/"}, faces...), // what keyless signatures need is for the command alone
		"./internal/plan":     append(images, faces...),
		"./internal/config":   append(images, faces...),
		"./internal/alpine":   builds,
		"./internal/debian":   builds,
		"./internal/oci":      builds,
		"./internal/registry": builds,
	} {
		for _, path := range list(t, "-deps", dir) {
			for _, prefix := range forbidden {
				assert.False(t, strings.HasPrefix(path, prefix), "%s depends on %s", dir, path)
			}
		}
	}
}
