package host_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/mod/module"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/build/host"
	"github.com/slipway-ci/slipway/internal/build/slot"
	"github.com/slipway-ci/slipway/internal/plan"
)

// A new machine builds by the packages' files alone, with no module proxy and nothing in its module cache, and as without a cache. What they
// are not enough for is built with whole modules.
func TestSharedSources(t *testing.T) {
	proxy := t.TempDir()
	goMod := "module example.com/lib\n\ngo 1.26\n"
	lib := writeTree(t, map[string]string{
		"go.mod": goMod, "LICENSE": "MIT", "lib.go": "package lib\n\nconst Name = \"lib\"\n", "lib_test.go": "package lib\n",
		"other/other.go": "package other\n\nconst Name = \"other\"\n",
	})
	sum := addTree(t, proxy, module.Version{Path: "example.com/lib", Version: "v1.0.0"}, goMod, lib)
	dir := writeTree(t, map[string]string{"go.mod": "module example.com/app\n\ngo 1.26.8\n\nrequire example.com/lib v1.0.0\n", "go.sum": sum})
	edit := func(imported, text string) {
		main := "package main\n\nimport \"example.com/" + imported + "\"\n\nfunc main() { println(" + text + ") }\n"
		require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte(main), 0o644))
	}
	out, err := exec.Command("go", "env", "GOCACHE").Output()
	require.NoError(t, err)
	layout := filepath.Join(t.TempDir(), "cache")
	repository, err := slot.Open("oci:"+layout, nil)
	require.NoError(t, err)
	on := sourceMachines{dir, repository, strings.TrimSpace(string(out))}
	builds := func(proxy string, shared bool) (report, digest string, modules []string, err error) {
		t.Helper()
		return on.builds(t, proxy, shared, func(e *host.Engine, p *plan.Plan) {
			// Bills of materials find licences, and what is cached of results is listed, without the whole modules.
			assert.FileExists(t, filepath.Join(e.ModuleCache(dir, p), "example.com", "lib@v1.0.0", "LICENSE"))
			listed, err := e.List(t.Context(), dir, p, p.Compile[0], "-deps", "-json=Module")
			require.NoError(t, err)
			assert.Contains(t, string(listed), "example.com/lib")
		})
	}
	nearby, none := "file://"+filepath.ToSlash(proxy), "file://"+filepath.ToSlash(filepath.Join(proxy, "none"))
	const taken = "the packages' files of modules come from shared"

	edit("lib", "lib.Name")
	report, first, modules, err := builds(nearby, true)
	require.NoError(t, err)
	assert.NotContains(t, report, taken)
	assert.Equal(t, []string{"cache", "example.com"}, modules)

	edit("lib", `lib.Name + "edited"`)
	report, edited, modules, err := builds(none, true)
	require.NoError(t, err)
	assert.Contains(t, report, taken)
	assert.Empty(t, modules, "nothing of it gets into the user's module cache")
	assert.NotEqual(t, first, edited)
	_, plain, _, err := builds(nearby, false)
	require.NoError(t, err)
	assert.Equal(t, plain, edited, "the digest is that of a build without the cache")

	edit("lib", "lib.Nothing")
	report, _, _, fails := builds(nearby, true)
	assert.Contains(t, report, taken)
	_, _, _, plainly := builds(nearby, false)
	require.Error(t, plainly)
	assert.EqualError(t, fails, plainly.Error())

	edit("lib/other", "other.Name")
	report, other, modules, err := builds(nearby, true)
	require.NoError(t, err)
	assert.Contains(t, report, taken)
	assert.Contains(t, modules, "example.com", "a package that was not recorded needs whole modules")
	_, plain, _, err = builds(nearby, false)
	require.NoError(t, err)
	assert.Equal(t, plain, other)

	edit("lib/other", `other.Name + "edited"`)
	_, _, modules, err = builds(none, true)
	require.NoError(t, err, "it is recorded by now")
	assert.Empty(t, modules)

	damageSets(t, layout)
	report, other, modules, err = builds(nearby, true)
	require.NoError(t, err)
	assert.Contains(t, report, "no modules are taken from shared: ")
	assert.Contains(t, modules, "example.com")
	_, plain, _, err = builds(nearby, false)
	require.NoError(t, err)
	assert.Equal(t, plain, other)
}

// sourceMachines are new machines that build a source, each once.
type sourceMachines struct {
	dir        string
	repository slot.Repository
	goCache    string // which all have
}

// builds builds on a new machine, and reports its steps, the digest of its image, and what is in its module cache then. What is built can be
// checked before it is closed.
func (m sourceMachines) builds(t *testing.T, proxy string, shared bool, check func(*host.Engine, *plan.Plan)) (report, digest string, modules []string, err error) {
	t.Helper()
	moduleCache := t.TempDir()
	t.Cleanup(func() { _ = exec.Command("chmod", "-R", "u+w", moduleCache).Run() }) // so that it can be removed
	bare, sharing := newMachine(t, m.repository, "GOCACHE="+m.goCache, "GOMODCACHE="+moduleCache, "GOPROXY="+proxy, "GOSUMDB=off")
	e := bare
	if shared {
		e = sharing
	}
	p, err := plan.Resolve(t.Context(), os.DirFS(m.dir), plan.Config{Runtime: "scratch", Platforms: []string{"linux/amd64"}, Go: "1.26.8"})
	require.NoError(t, err)
	var steps output
	built, err := build.BuildOne(t.Context(), e, m.dir, p, &steps)
	list := func() (names []string) {
		entries, err := os.ReadDir(moduleCache)
		require.NoError(t, err)
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}
	if err != nil {
		return steps.String(), "", list(), err
	}
	is, err := built.Artifact.Digest()
	require.NoError(t, err)
	check(bare, p)
	modules = list()
	require.NoError(t, built.Close())
	assert.Equal(t, moduleCache, bare.ModuleCache(m.dir, p))
	return steps.String(), is.String(), modules, nil
}

// damageSets changes a byte of all that is compressed in a repository.
func damageSets(t *testing.T, layout string) {
	t.Helper()
	blobs, err := filepath.Glob(filepath.Join(layout, "blobs", "sha256", "*"))
	require.NoError(t, err)
	damaged := 0
	for _, name := range blobs {
		content, err := os.ReadFile(name)
		require.NoError(t, err)
		if bytes.HasPrefix(content, []byte("\x28\xb5\x2f\xfd")) { // zstd
			content[len(content)/2] ^= 1
			require.NoError(t, os.WriteFile(name, content, 0o644))
			damaged++
		}
	}
	require.NotZero(t, damaged)
}

// Whatever a source imports, and of which versions, the image is that of a build without the cache. Every fifth machine finds it damaged.
func TestSharedSourcesOfAnySource(t *testing.T) {
	proxy := t.TempDir()
	add := func(v module.Version, files map[string]string) (sum string) {
		return addTree(t, proxy, v, files["go.mod"], writeTree(t, files))
	}
	nested := add(module.Version{Path: "example.com/lib/nested", Version: "v1.0.0"}, map[string]string{
		"go.mod": "module example.com/lib/nested\n\ngo 1.26\n", "nested.go": "package nested\n\nconst Name = \"nested\"\n",
		"other/other.go": "package other\n\nconst Name = \"nested other\"\n",
	})
	sums := map[string]string{}
	for _, version := range []string{"v1.0.0", "v1.1.0"} {
		sums[version] = add(module.Version{Path: "example.com/lib", Version: version}, map[string]string{
			"go.mod": "module example.com/lib\n\ngo 1.26\n\nrequire example.com/lib/nested v1.0.0\n",
			"lib.go": "package lib\n\nconst Name = \"lib " + version + "\"\n", "lib_test.go": "package lib\n",
			"tagged/tagged_amd64.go": "package tagged\n\nconst Name = \"amd64\"\n", "tagged/tagged_arm64.go": "package tagged\n\nconst Name = 1\n",
			"embedding/embedding.go": "package embedding\n\nimport _ \"embed\"\n\n//go:embed files/name.txt\nvar Name string\n", "embedding/files/name.txt": version,
			"through/through.go": "package through\n\nimport \"example.com/lib/nested\"\n\nconst Name = nested.Name\n",
			"internal/x/x.go":    "package x\n\nconst Name = \"x\"\n",
			"inner/inner.go":     "package inner\n\nimport \"example.com/lib/internal/x\"\n\nconst Name = x.Name\n",
			"assembly/a.go":      "package assembly\n\nimport _ \"unsafe\"\n\nfunc f()\n\nvar Name = \"assembly\"\n\nfunc init() { f() }\n",
			"assembly/a_amd64.s": "#include \"a.h\"\n\nTEXT ·f(SB), 4, $0-0\n\tRETURN\n", "assembly/a.h": "#define RETURN RET\n",
		})
	}
	packages := []string{
		"lib", "lib/tagged", "lib/embedding", "lib/through", "lib/inner", "lib/assembly", "lib/nested", "lib/nested/other",
	}
	out, err := exec.Command("go", "env", "GOCACHE").Output()
	require.NoError(t, err)
	layout := filepath.Join(t.TempDir(), "cache")
	repository, err := slot.Open("oci:"+layout, nil)
	require.NoError(t, err)
	on := sourceMachines{writeTree(t, map[string]string{"main.go": ""}), repository, strings.TrimSpace(string(out))}
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(on.dir, name), []byte(text), 0o644))
	}
	random, taken := rand.New(rand.NewPCG(18, 3)), 0
	for step := range 20 {
		version := []string{"v1.0.0", "v1.1.0"}[random.IntN(2)]
		var imports, uses []string
		for i, name := range packages {
			if random.IntN(3) == 0 {
				imports = append(imports, fmt.Sprintf("import p%d %q\n", i, "example.com/"+name))
				uses = append(uses, fmt.Sprintf("p%d.Name", i))
			}
		}
		uses = append(uses, strconv.Itoa(step))
		write("go.mod", "module example.com/app\n\ngo 1.26.8\n\nrequire (\n\texample.com/lib "+version+"\n\texample.com/lib/nested v1.0.0\n)\n")
		write("go.sum", sums[version]+nested)
		write("main.go", "package main\n\n"+strings.Join(imports, "")+"\nfunc main() { println("+strings.Join(uses, ", ")+") }\n")
		if step%5 == 4 {
			damageSets(t, layout)
		}
		none := func(*host.Engine, *plan.Plan) {}
		nearby := "file://" + filepath.ToSlash(proxy)
		report, digest, _, err := on.builds(t, nearby, true, none)
		require.NoError(t, err, "step %d: %s %v", step, version, imports)
		_, plain, _, err := on.builds(t, nearby, false, none)
		require.NoError(t, err)
		require.Equal(t, plain, digest, "step %d: %s %v", step, version, imports)
		if strings.Contains(report, "the packages' files of modules come from shared") {
			taken++
		}
	}
	assert.Greater(t, taken, 5, "the cache was of use")
}
