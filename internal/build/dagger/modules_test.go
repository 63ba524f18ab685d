package dagger_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/build/dagger"
	"github.com/slipway-ci/slipway/internal/build/host"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/test/daggertest"
)

// Programs of two modules are compiled in containers of their own, each in the directory of its module, and the image is the host engine's.
func TestModulesOfOneImage(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"api", "plugin"} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, name), 0o755))
		for file, content := range map[string]string{
			"go.mod":  "module example.com/" + name + "\n\ngo 1.26.8\n",
			"main.go": "package main\n\nfunc main() { println(\"" + name + "\") }\n",
		} {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name, file), []byte(content), 0o644))
		}
	}
	p := resolve(t, dir, plan.Config{Runtime: "scratch", Platforms: []string{"linux/amd64"}, Packages: []string{"./api", "./plugin"}})
	var inModule func(c daggertest.Chain) (any, error)
	inModule = func(c daggertest.Chain) (any, error) {
		for _, merged := range c.Named("withDirectory") {
			if source, ok := merged.Args["source"].(daggertest.Chain); ok && merged.Args["path"] == "/" {
				if _, err := inModule(append(source[:len(source):len(source)], c[len(c)-1])); err != nil {
					return nil, err
				}
			}
		}
		workdirs := c.Named("withWorkdir")
		if len(workdirs) == 0 {
			return "ok", nil
		}
		return compiles(filepath.Join(dir, strings.TrimPrefix(workdirs[0].Args["path"].(string), "/src/")), p)(c)
	}
	daggertest.Start(t, inModule)
	var digests []string
	for _, e := range []build.Engine{newEngine(t), host.New(&oci.Bases{}, os.Environ())} {
		result, err := build.BuildOne(t.Context(), e, dir, p, build.Discard)
		require.NoError(t, err)
		digest, err := result.Artifact.Digest()
		require.NoError(t, err)
		digests = append(digests, digest.String())
		require.NoError(t, result.Close())
	}
	assert.Equal(t, digests[1], digests[0])

	client := connect(t)
	_, err := dagger.New(client, client.Host().Directory(dir), p, dagger.Private{}).Programs(t.Context(), p.Compile...)
	assert.NoError(t, err, "the guard found the programs of both modules in one directory")
}
