package host_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/mod/module"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/plan"
)

// Of a workspace's modules, those are downloaded that the program needs, with what a newer version that another module asks for needs besides.
func TestWorkspaceDownloads(t *testing.T) {
	proxy, sums := moduleProxy(t, "here", "extra", "unrelated")
	newer := addModule(t, proxy, module.Version{Path: "example.com/here", Version: "v1.1.0"},
		"module example.com/here\n\ngo 1.26\n\nrequire example.com/extra v1.0.0\n",
		"package here\n\nimport \"example.com/extra\"\n\nconst Name = extra.Name\n")
	for name, test := range map[string]struct {
		other, workSum string
		want           []string
	}{
		"what the program needs": {other: "require example.com/unrelated v1.0.0\n", want: []string{"here@v1.0.0"}},
		"a newer version":        {other: "require (\n\texample.com/here v1.1.0\n\texample.com/unrelated v1.0.0\n)\n", want: []string{"extra@v1.0.0", "here@v1.1.0"}},
		"a newer version, with all sums": {
			other: "require (\n\texample.com/here v1.1.0\n\texample.com/unrelated v1.0.0\n)\n", workSum: sums + newer, want: []string{"extra@v1.0.0", "here@v1.1.0"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			writeArchive(t, dir, "-- go.work --\ngo 1.26.8\n\nuse (\n\t./app\n\t./other\n)\n"+
				"-- app/go.mod --\nmodule example.com/app\n\ngo 1.26.8\n\nrequire example.com/here v1.0.0\n-- app/go.sum --\n"+sums+
				"-- app/main.go --\npackage main\n\nimport \"example.com/here\"\n\nfunc main() { println(here.Name) }\n"+
				"-- other/go.mod --\nmodule example.com/other\n\ngo 1.26.8\n\n"+test.other)
			if test.workSum != "" {
				require.NoError(t, os.WriteFile(filepath.Join(dir, "go.work.sum"), []byte(test.workSum), 0o644))
			}
			before := readTree(t, dir)
			plan, err := plan.Resolve(t.Context(), os.DirFS(dir), plan.Config{Runtime: "scratch", Platforms: []string{"linux/amd64"}, Packages: []string{"./app"}})
			require.NoError(t, err)
			modules := t.TempDir()
			t.Cleanup(func() { makeRemovable(t, modules) })
			e := newEngine(t, "GOMODCACHE="+modules, "GOPROXY=file://"+filepath.ToSlash(proxy), "GOSUMDB=off")
			for range 2 { // the second knows what the first completed
				result, err := build.BuildOne(t.Context(), e, dir, plan, build.Discard)
				require.NoError(t, err)
				require.NoError(t, result.Close())
			}
			entries, err := os.ReadDir(filepath.Join(modules, "example.com"))
			require.NoError(t, err)
			var got []string
			for _, entry := range entries {
				got = append(got, entry.Name())
			}
			assert.Equal(t, test.want, got)
			assert.Equal(t, before, readTree(t, dir), "nothing was written to the source")
		})
	}
}
