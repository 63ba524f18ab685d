package host_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/build/host"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/plan"
)

func TestList(t *testing.T) {
	const tree = `
-- go.mod --
module example.com/hello

go 1.26.8
-- main.go --
package main

func main() {}
-- arm.go --
//go:build arm64 && special

package main
-- x86.go --
//go:build amd64 || !special

package main
`
	dir := t.TempDir()
	writeArchive(t, dir, tree)
	plan, err := plan.Resolve(t.Context(), os.DirFS(dir), plan.Config{Runtime: "scratch", BuildTags: []string{"special"}})
	require.NoError(t, err)
	for i, want := range []string{"main.go x86.go", "arm.go main.go"} {
		e := host.New(&oci.Bases{}, append(os.Environ(), "GOFLAGS=-tags=other", "GOARCH=mips"))
		out, err := e.List(t.Context(), dir, plan, plan.Compile[i], "-f", "{{join .GoFiles \" \"}}")
		require.NoError(t, err)
		assert.Equal(t, want, strings.TrimSpace(string(out)), plan.Compile[i].Platform)
	}

	p := plan.Compile[0]
	p.Packages = []string{"./nowhere"}
	_, err = host.New(&oci.Bases{}, os.Environ()).List(t.Context(), dir, plan, p)
	assert.ErrorContains(t, err, "listing packages for linux/amd64: the Go command failed")
}

// In a workspace the Go command writes what go.work.sum lacks, if it may.
func TestListWritesNothing(t *testing.T) {
	const tree = `
-- go.work --
go 1.26.8
use (
	./a
	./b
)
-- a/go.mod --
module example.com/a

go 1.26.8

require golang.org/x/text v0.3.0
-- a/main.go --
package main

import "golang.org/x/text/language"

func main() { println(language.English.String()) }
-- b/go.mod --
module example.com/b

go 1.26.8
-- b/go.sum --
`
	const sums = `golang.org/x/text v0.3.0 h1:g61tztE5qeGQ89tm6NTjjM9VPIm088od1l6aSorWRWg=
golang.org/x/text v0.3.0/go.mod h1:NqM8EUOU14njkJ3fqMW+pc6Ldnwhi/IjpwHt7yyuwOQ=
`
	for name, test := range map[string]struct {
		sum, fails string
	}{
		"complete":   {sum: sums},
		"incomplete": {sum: strings.SplitAfter(sums, "\n")[1], fails: "updates to go.sum needed"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			writeArchive(t, dir, tree)
			require.NoError(t, os.WriteFile(filepath.Join(dir, "go.work.sum"), []byte(test.sum), 0o644))
			plan, err := plan.Resolve(t.Context(), os.DirFS(dir), plan.Config{Runtime: "scratch", Packages: []string{"./a"}})
			require.NoError(t, err)
			before := readTree(t, dir)
			out, err := host.New(&oci.Bases{}, os.Environ()).List(t.Context(), dir, plan, plan.Compile[0], "-deps")
			if test.fails == "" {
				require.NoError(t, err)
				assert.Contains(t, string(out), "golang.org/x/text/language\n")
			} else {
				require.ErrorContains(t, err, test.fails)
			}
			assert.Equal(t, before, readTree(t, dir))
		})
	}
}

func writeArchive(t *testing.T, dir, archive string) {
	t.Helper()
	for _, f := range txtar.Parse([]byte(archive)).Files {
		name := filepath.Join(dir, f.Name)
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
		require.NoError(t, os.WriteFile(name, f.Data, 0o644))
	}
}

func readTree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	require.NoError(t, fs.WalkDir(os.DirFS(dir), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		content, err := os.ReadFile(filepath.Join(dir, name))
		files[name] = string(content)
		return err
	}))
	return files
}
