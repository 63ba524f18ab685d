package host_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"
	modzip "golang.org/x/mod/zip"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/build/host"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/test/testtool"
)

// moduleProxy is the directory of a GOPROXY with the module example.com/NAME v1.0.0 for each of names, and their lines of a go.sum.
func moduleProxy(t *testing.T, names ...string) (dir, sums string) {
	t.Helper()
	dir = t.TempDir()
	for _, name := range names {
		m := module.Version{Path: "example.com/" + name, Version: "v1.0.0"}
		sums += addModule(t, dir, m, "module "+m.Path+"\n\ngo 1.26\n", "package "+name+"\n\nconst Name = \""+name+"\"\n")
	}
	return dir, sums
}

// addModule adds a module of one file to the directory of a GOPROXY, and returns its lines of a go.sum.
func addModule(t *testing.T, dir string, m module.Version, goMod, code string) string {
	t.Helper()
	return addTree(t, dir, m, goMod, writeTree(t, map[string]string{"go.mod": goMod, "code.go": code}))
}

// addTree adds a module that lies in the directory source.
func addTree(t *testing.T, dir string, m module.Version, goMod, source string) string {
	t.Helper()
	at := filepath.Join(dir, filepath.FromSlash(m.Path), "@v", m.Version)
	require.NoError(t, os.MkdirAll(filepath.Dir(at), 0o755))
	require.NoError(t, os.WriteFile(at+".mod", []byte(goMod), 0o644))
	require.NoError(t, os.WriteFile(at+".info", []byte(`{"Version":"`+m.Version+`"}`), 0o644))
	zip, err := os.Create(at + ".zip")
	require.NoError(t, err)
	require.NoError(t, errors.Join(modzip.CreateFromDir(zip, m, source), zip.Close()))
	whole, err := dirhash.HashZip(zip.Name(), dirhash.Hash1)
	require.NoError(t, err)
	alone := writeTree(t, map[string]string{"go.mod": goMod})
	ofGoMod, err := dirhash.HashDir(alone, "", dirhash.Hash1)
	require.NoError(t, err)
	return fmt.Sprintf("%s %s %s\n%[1]s %[2]s/go.mod %[4]s\n", m.Path, m.Version, whole, ofGoMod)
}

// A module that cannot be had is an error only where go build needs it.
func TestMissingModule(t *testing.T) {
	const (
		goMod = "module example.com/app\n\ngo 1.26.8\n\nrequire (\n\texample.com/here v1.0.0\n\texample.com/missing v1.0.0\n)\n"
		uses  = "package main\n\nimport \"example.com/here\"\n\nfunc main() { println(here.Name) }\n"
		needs = "package main\n\nimport \"example.com/missing\"\n\nfunc main() { println(missing.Name) }\n"
	)
	for name, test := range map[string]struct {
		gone      string // what the proxy lacks of a module
		workspace bool
		withSums  string // of which modules
		main      string
		fails     bool
		slow      bool // another of its kind is always tried
	}{
		"no zip file":                   {gone: "*.zip", withSums: "here missing", main: uses},
		"nothing":                       {gone: "*", withSums: "here missing", main: uses, slow: true},
		"nothing and no sums":           {gone: "*", withSums: "here", main: uses},
		"workspace":                     {gone: "*.zip", withSums: "here missing", main: uses, workspace: true, slow: true},
		"workspace of incomplete sums":  {gone: "*.zip", withSums: "here", main: uses, workspace: true},
		"needed":                        {gone: "*.zip", withSums: "here missing", main: needs, fails: true},
		"nothing of what is needed":     {gone: "*", withSums: "here missing", main: needs, fails: true, slow: true},
		"workspace that needs a module": {gone: "*.zip", withSums: "here missing", main: needs, workspace: true, fails: true, slow: true},
	} {
		t.Run(name, func(t *testing.T) {
			if test.slow {
				testtool.NeedTime(t, "each source is built six times")
			}
			proxy, sums := moduleProxy(t, "here", "missing")
			gone, err := filepath.Glob(filepath.Join(proxy, "example.com/missing/@v", test.gone))
			require.NoError(t, err)
			for _, file := range gone {
				require.NoError(t, os.Remove(file))
			}
			var kept strings.Builder
			for line := range strings.Lines(sums) {
				if name, _, _ := strings.Cut(strings.TrimPrefix(line, "example.com/"), " "); strings.Contains(test.withSums, name) {
					kept.WriteString(line)
				}
			}
			tree := "-- app/go.mod --\n" + goMod + "-- app/go.sum --\n" + kept.String() + "-- app/main.go --\n" + test.main
			if test.workspace {
				tree += "-- go.work --\ngo 1.26.8\n\nuse (\n\t./app\n\t./other\n)\n-- other/go.mod --\nmodule example.com/other\n\ngo 1.26.8\n"
			}
			dir := t.TempDir()
			writeArchive(t, dir, tree)
			before := readTree(t, dir)
			config := plan.Config{Runtime: "scratch", Platforms: []string{"linux/amd64"}, Packages: []string{"./app"}}
			plan, err := plan.Resolve(t.Context(), os.DirFS(dir), config)
			require.NoError(t, err)
			for _, kind := range []string{"with a cache", "without"} {
				cache := t.TempDir()
				t.Cleanup(func() { makeRemovable(t, cache) })
				env := []string{"GOMODCACHE=" + cache, "GOPROXY=file://" + filepath.ToSlash(proxy), "GOSUMDB=off"}
				e := newEngine(t, env...)
				if kind == "without" {
					e = host.New(&oci.Bases{}, append(os.Environ(), env...))
				}
				for range 3 { // what is known of earlier builds changes nothing
					result, err := build.BuildOne(t.Context(), e, dir, plan, build.Discard)
					if test.fails {
						require.ErrorContains(t, err, "example.com/missing@v1.0.0: reading file://", kind)
					} else {
						require.NoError(t, err, kind)
						require.NoError(t, result.Close())
					}
				}
				assert.Equal(t, before, readTree(t, dir), "nothing was written to the source")
				script := func(text string) error {
					cmd := exec.Command(testtool.Need(t, "sh", "dash"), "-c", text)
					cmd.Dir, cmd.Env = filepath.Join(dir, plan.Source.Dir), append(append(os.Environ(), env...), "GOFLAGS=-mod=readonly")
					out, err := cmd.CombinedOutput()
					t.Logf("%s", out)
					return err
				}
				assert.NoError(t, script(plan.Dependencies.DownloadScript()), "go build says what is needed")
				assert.NoError(t, script(plan.Dependencies.VerifyScript()))
				if test.fails {
					continue
				}
				file := filepath.Join(cache, "example.com", "here@v1.0.0", "code.go")
				require.NoError(t, os.Chmod(file, 0o644))
				require.NoError(t, os.WriteFile(file, []byte("package here\n\nconst Name = \"evil\"\n"), 0o644))
				_, err := build.BuildOne(t.Context(), e, dir, plan, build.Discard)
				require.ErrorContains(t, err, "verifying modules: ", kind)
				require.ErrorContains(t, err, "example.com/here v1.0.0: dir has been modified", kind)
				require.ErrorContains(t, err, "go clean -modcache", kind)
				if test.gone == "*.zip" { // else go mod verify does not come that far
					require.Error(t, script(plan.Dependencies.VerifyScript()))
				}
			}
		})
	}
}

// A module that is not what go.sum says is an error even where nothing needs it.
func TestMissingModuleIsNotAnAlteredOne(t *testing.T) {
	proxy, sums := moduleProxy(t, "here")
	cache := t.TempDir()
	t.Cleanup(func() { makeRemovable(t, cache) })
	dir := writeTree(t, map[string]string{
		"go.mod":  "module example.com/app\n\ngo 1.26.8\n\nrequire example.com/here v1.0.0\n",
		"go.sum":  strings.Replace(sums, "h1:", "h1:AAAA", 1),
		"main.go": hello["main.go"],
	})
	plan, err := plan.Resolve(t.Context(), os.DirFS(dir), plan.Config{Runtime: "scratch", Platforms: []string{"linux/amd64"}})
	require.NoError(t, err)
	env := []string{"GOMODCACHE=" + cache, "GOPROXY=file://" + filepath.ToSlash(proxy), "GOSUMDB=off"}
	_, err = build.BuildOne(t.Context(), newEngine(t, env...), dir, plan, build.Discard)
	require.ErrorContains(t, err, "downloading modules: the Go command failed")
	require.ErrorContains(t, err, "The module is not the one that go.sum records")
	cmd := exec.Command(testtool.Need(t, "sh", "dash"), "-c", plan.Dependencies.DownloadScript())
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	assert.Contains(t, string(out), "SECURITY ERROR")
}
