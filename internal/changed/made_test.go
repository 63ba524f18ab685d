package changed_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/changed"
	"github.com/slipway-ci/slipway/internal/plan"
)

// What one image is made of, in repositories of many kinds.
func TestMade(t *testing.T) {
	const linked = hello + `
-- shared/lib.txt --
package lib
-- shared/conf.yaml --
a: 1
-- real/lib/more.go --
package lib

const More = 1
-- real/conf/b.yaml --
b: 1
`
	// The links are made by link.
	link := func(r *repo) {
		r.write("main.go", "package main\n\nimport _ \"example.com/hello/link/lib\"\n\nfunc main() {}\n")
		r.symlink("hop", "link")
		r.symlink("real", "hop")
		r.symlink("../../shared/lib.txt", "real/lib/lib.go")
		r.symlink("../shared/conf.yaml", "real/conf.yaml")
		r.symlink("../../real/conf", "deep/er/conf")
		r.commit()
		r.git("tag", "-f", "v1")
	}
	withC := hello + `
-- c.go --
package main

// #include "lib/a.inc"
import "C"
-- lib/a.inc --
int a;
-- other/other.go --
package other
`
	withAssembly := hello + `
-- f_amd64.s --
#include "textflag.h"
	#   include  "../hello/inc/k.inc"
-- near.inc --
k
-- inc/k.inc --
k
-- far/k.inc --
k
`
	vendored := `
-- go.mod --
module example.com/hello

go 1.26.8

require (
	example.com/lib v1.0.0
	example.com/other v1.0.0
)
-- main.go --
package main

import _ "example.com/lib/sub"

func main() {}
-- vendor/modules.txt --
# example.com/lib v1.0.0
## explicit
example.com/lib/sub
# example.com/other v1.0.0
## explicit
example.com/other
-- vendor/example.com/lib/sub/sub.go --
package sub
-- vendor/example.com/other/other.go --
package other
`
	workspace := `
-- go.work --
go 1.26.8

use (
	./a
	./b
	./e
)

replace example.com/c => ./c
-- a/go.mod --
module example.com/a

go 1.26.8

require example.com/c v0.0.0
-- a/main.go --
package main

import (
	_ "example.com/b"
	_ "example.com/c/sub"
)

func main() {}
-- b/go.mod --
module example.com/b

go 1.26.8
-- b/b.go --
package b
-- b/unused/u.go --
package unused
-- c/go.mod --
module example.com/c

go 1.26.8
-- c/sub/sub.go --
package sub
-- d/go.mod --
module example.com/d

go 1.26.8
-- e/go.mod --
module example.com/e

go 1.26.8
-- e/go.sum --
`
	nested := hello + "-- a/go.mod --\nmodule example.com/a\n\ngo 1.26.8\n-- a/main.go --\npackage main\n\nfunc main() {}\n"
	a := plan.Config{Packages: []string{"./a"}}
	arm := plan.Config{Platforms: []string{"linux/arm64"}}
	c := plan.Config{CGO: "dynamic", Base: "registry.example/base:1"}
	tagged := hello + "\n-- lib/lib.go --\npackage lib\n-- special.go --\n//go:build special\n\npackage main\n\nimport _ \"example.com/hello/lib\"\n"
	touch := func(names ...string) func(*repo) {
		return func(r *repo) {
			for _, name := range names {
				r.write(name, r.read(name)+"\n")
			}
		}
	}
	for name, test := range map[string]struct {
		tree   string
		before func(*repo)
		edit   func(*repo)
		config plan.Config
		want   string
	}{
		"links: nothing":                {linked, link, func(*repo) {}, plan.Config{Files: []string{"deep/er/conf:/a", "real/conf.yaml:/b"}}, ""},
		"links: target":                 {linked, link, touch("shared/lib.txt"), plan.Config{}, "shared/lib.txt changed"},
		"links: beside":                 {linked, link, touch("real/lib/more.go"), plan.Config{}, "real/lib/more.go changed"},
		"links: new":                    {linked, link, func(r *repo) { r.write("real/lib/new.go", "package lib") }, plan.Config{}, "real/lib/new.go is not in v1"},
		"links: gone":                   {linked, link, func(r *repo) { r.remove("real/lib/more.go") }, plan.Config{}, "real/lib/more.go was removed"},
		"links: to elsewhere":           {linked, link, func(r *repo) { r.write("real2/lib/lib.go", "package lib"); r.remove("hop"); r.symlink("real2", "hop") }, plan.Config{}, "hop changed"},
		"links: to the same":            {linked, link, func(r *repo) { r.remove("link"); r.symlink("real", "link") }, plan.Config{}, "link changed"},
		"links: now a directory":        {linked, link, func(r *repo) { r.remove("link"); r.remove("hop"); r.rename("real", "link") }, plan.Config{}, "link/lib/lib.go is not in v1"},
		"links: now a file":             {linked, link, func(r *repo) { r.remove("real/lib/lib.go"); r.write("real/lib/lib.go", "package lib\n") }, plan.Config{}, "real/lib/lib.go changed"},
		"links: now links":              {linked, link, func(r *repo) { r.rename("main.go", "main.txt"); r.symlink("main.txt", "main.go") }, plan.Config{}, "main.go changed"},
		"links: settings' file":         {linked, link, touch("shared/conf.yaml"), plan.Config{Files: []string{"real/conf.yaml:/b"}}, "shared/conf.yaml changed"},
		"links: its mode":               {linked, link, func(r *repo) { r.chmod("shared/conf.yaml", 0o700) }, plan.Config{Files: []string{"real/conf.yaml:/b"}}, "the mode of shared/conf.yaml changed"},
		"links: settings' directory":    {linked, link, touch("real/conf/b.yaml"), plan.Config{Files: []string{"deep/er/conf:/a"}}, "real/conf/b.yaml changed"},
		"links: gone from it":           {linked, link, func(r *repo) { r.rename("real/conf/b.yaml", "real/b.yaml"); r.write("real/conf/a/c", "") }, plan.Config{Files: []string{"deep/er/conf:/a"}}, "real/conf/a is not in v1"},
		"links: unused":                 {linked, link, touch("real/conf/b.yaml", "shared/conf.yaml"), plan.Config{}, ""},
		"links: of directories, unused": {linked, func(r *repo) { r.symlink("real", "x"); link(r) }, func(r *repo) { r.remove("x"); r.symlink("shared", "x") }, plan.Config{}, ""},
		"links: excluded": {
			linked, func(r *repo) {
				link(r)
				r.symlink("shared/extra.txt", "extra.go")
				r.write("shared/extra.txt", "package main\n")
				r.commit()
				r.git("tag", "-f", "v1")
			},
			func(r *repo) { r.write("shared/extra.txt", "//go:build ignore\n\npackage main\n") },
			plan.Config{},
			"shared/extra.txt changed",
		},
		"links: out of the source": {
			linked, func(r *repo) {
				outside := filepath.Join(r.t.TempDir(), "out.go")
				require.NoError(r.t, os.WriteFile(outside, []byte("package main\n"), 0o644))
				r.symlink(outside, "out.go")
				r.commit()
				r.git("tag", "-f", "v1")
			}, func(*repo) {}, plan.Config{}, "out.go leads out of the source",
		},
		"links: absolute": {
			linked, func(r *repo) {
				r.write("shared/main.txt", "package main\n")
				r.symlink(r.path("shared/main.txt"), "abs.go")
				r.commit()
				r.git("tag", "-f", "v1")
			},
			touch("shared/main.txt"),
			plan.Config{},
			"shared/main.txt changed",
		},

		"cgo: nothing":           {withC, nil, func(*repo) {}, c, ""},
		"cgo: off":               {withC, nil, touch("lib/a.inc"), plan.Config{}, ""},
		"cgo: off, file changed": {withC, nil, touch("c.go"), plan.Config{}, "c.go changed"},
		"cgo: included":          {withC, nil, touch("lib/a.inc"), c, "lib/a.inc changed, and the C or assembly of example.com/hello may include any file"},
		"cgo: ignored":           {withC + "-- .gitignore --\nx\n", nil, func(r *repo) { r.write("x/y", "") }, c, "x/y is not in v1, and the C or assembly of example.com/hello may include any file"},
		"cgo: gone":              {withC, nil, func(r *repo) { r.remove("lib/a.inc") }, c, "lib/a.inc was removed, and the C or assembly of example.com/hello may include any file"},
		"cgo: a link":            {withC, func(r *repo) { r.symlink("lib", "link"); r.commit(); r.git("tag", "-f", "v1") }, func(*repo) {}, c, ""},
		"cgo: a link out of the source": {
			withC, func(r *repo) { r.symlink("..", "link"); r.commit(); r.git("tag", "-f", "v1") }, func(*repo) {}, c,
			"link leads out of the source, and the C or assembly of example.com/hello may include any file",
		},
		"cgo: Go": {withC, nil, touch("other/other.go"), c, ""},

		"assembly: nothing":          {withAssembly, nil, func(*repo) {}, plan.Config{}, ""},
		"assembly: beside":           {withAssembly, nil, touch("near.inc"), plan.Config{}, "near.inc changed"},
		"assembly: included":         {withAssembly, nil, touch("inc/k.inc"), plan.Config{}, "inc/k.inc changed, and the C or assembly of example.com/hello may include any file"},
		"assembly: none here":        {withAssembly, nil, touch("inc/k.inc", "near.inc"), arm, ""},
		"assembly: includes nothing": {strings.Replace(withAssembly, "../hello/inc/", "", 1), nil, touch("far/k.inc"), plan.Config{}, ""},

		"vendor: nothing":     {vendored, nil, func(*repo) {}, plan.Config{}, ""},
		"vendor: edited":      {vendored, nil, touch("vendor/example.com/lib/sub/sub.go"), plan.Config{}, "vendor/example.com/lib/sub/sub.go changed"},
		"vendor: another":     {vendored, nil, touch("vendor/example.com/other/other.go"), plan.Config{}, ""},
		"vendor: modules.txt": {vendored, nil, touch("vendor/modules.txt"), plan.Config{}, "vendor/modules.txt changed"},
		"vendor: not in git": {vendored, func(r *repo) {
			r.git("rm", "-rq", "--cached", "vendor")
			r.write(".gitignore", "vendor\n")
			r.commit()
			r.git("tag", "-f", "v1")
		}, func(*repo) {}, plan.Config{}, "vendor/modules.txt is not in v1"},

		"workspace: nothing":        {workspace, nil, func(*repo) {}, a, ""},
		"workspace: used":           {workspace, nil, touch("b/b.go"), a, "b/b.go changed"},
		"workspace: replaced":       {workspace, nil, touch("c/sub/sub.go"), a, "c/sub/sub.go changed"},
		"workspace: unused package": {workspace, nil, touch("b/unused/u.go"), a, ""},
		"workspace: go.work":        {workspace, nil, touch("go.work"), a, "go.work changed"},
		"workspace: its go.mod":     {workspace, nil, touch("b/go.mod"), a, "b/go.mod changed"},
		"workspace: not imported":   {workspace, nil, touch("e/go.mod"), a, "e/go.mod changed"},
		"workspace: its sum gone":   {workspace, nil, func(r *repo) { r.remove("e/go.sum") }, a, "e/go.sum was removed"},
		"workspace: another module": {workspace, nil, touch("d/go.mod"), a, ""},
		"workspace: a sum gone":     {workspace + "-- c/go.sum --\n", nil, func(r *repo) { r.remove("c/go.sum") }, a, "c/go.sum was removed"},
		"workspace: no go.work.sum": {workspace + "-- go.work.sum --\n", nil, func(r *repo) { r.remove("go.work.sum") }, a, "go.work.sum was removed"},
		"workspace: a go.work nearer": {workspace, nil, func(r *repo) {
			r.write("a/go.work", "go 1.26.8\n\nuse (\n\t.\n\t../b\n)\n\nreplace example.com/c => ../c\n")
		}, a, "a/go.work is not in v1"},
		"workspace: removed": {
			workspace, nil, func(r *repo) {
				r.remove("go.work")
				r.write("a/go.mod", r.read("a/go.mod")+"\nrequire example.com/b v0.0.0\n\nreplace example.com/b => ../b\n\nreplace example.com/c => ../c\n")
			}, a, "a/go.mod changed",
		},

		"nested: nothing":       {nested, nil, touch("go.mod", "main.go"), a, ""},
		"nested: its module":    {nested, nil, touch("a/go.mod"), a, "a/go.mod changed"},
		"nested: a module more": {nested, nil, func(r *repo) { r.write("a/sub/go.mod", "module example.com/a/sub\n") }, a, ""},
		"nested: a workspace":   {nested, nil, func(r *repo) { r.write("go.work.sum", "") }, a, "go.work.sum is not in v1"},
		"names":                 {hello, nil, func(r *repo) { r.write("a\x1b[2J\n.go", "package main\n") }, plan.Config{}, `"a\x1b[2J\n.go" is not in v1`},

		"tags: nothing":      {tagged, nil, touch("lib/lib.go"), plan.Config{}, ""},
		"tags: set":          {tagged, nil, touch("lib/lib.go"), plan.Config{BuildTags: []string{"special"}}, "lib/lib.go changed"},
		"tags: one platform": {tagged + "-- x_arm64.go --\npackage main\n\nimport _ \"example.com/hello/lib\"\n", nil, touch("lib/lib.go"), plan.Config{Platforms: []string{"linux/amd64", "linux/arm64"}}, "lib/lib.go changed"},

		"generate":         {hello, nil, func(*repo) {}, plan.Config{Generate: plan.List{"true"}}, "go generate may read any file"},
		"a base in a file": {hello, nil, func(*repo) {}, plan.Config{Base: "oci-archive:base.tar"}, "the base oci-archive:base.tar is a file, which may have changed"},
		"linker":           {hello, nil, func(*repo) {}, plan.Config{LDFlags: "-X main.x=y '-extldflags=-T link.ld'"}, "the linker's flags may name any file"},
		"linker, harmless": {hello, nil, func(*repo) {}, plan.Config{LDFlags: "-X example.com/a-ext/b.c=a@b.c -buildid="}, ""},
		"lock":             {hello + "-- slipway.lock --\n" + lock, nil, func(r *repo) { r.write("slipway.lock", "#\n"+lock) }, plan.Config{}, "slipway.lock changed"},
		"lock, the same":   {hello + "-- slipway.lock --\n" + lock, nil, func(*repo) {}, plan.Config{}, ""},
		"no package named": {hello, nil, func(r *repo) { r.rename("main.go", "internal/main.go") }, plan.Config{}, "no setting names its package, and ./internal may not always have been the one"},
		"two programs":     {hello + "-- two/main.go --\npackage main\n\nfunc main() {}\n", nil, touch("two/main.go"), plan.Config{Packages: []string{".", "two"}}, "two/main.go changed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRepo(t, test.tree)
			if test.before != nil {
				test.before(r)
			}
			test.edit(r)
			if test.want == "" {
				test.want = changed.Unchanged
			}
			assert.Equal(t, map[string]string{"image": test.want}, reasons(t, r.dir, planned(t, r.dir, "image", test.config)))
		})
	}
}

// A module cache in the source, as some CI systems have it, is not the source's: go.sum says what is in it.
func TestModuleCacheInside(t *testing.T) {
	t.Parallel()
	r := newRepo(t, `
-- go.mod --
module example.com/hello

go 1.26.8

require golang.org/x/text v0.3.0
-- go.sum --
golang.org/x/text v0.3.0 h1:g61tztE5qeGQ89tm6NTjjM9VPIm088od1l6aSorWRWg=
golang.org/x/text v0.3.0/go.mod h1:NqM8EUOU14njkJ3fqMW+pc6Ldnwhi/IjpwHt7yyuwOQ=
-- main.go --
package main

import "golang.org/x/text/language"

func main() { println(language.English.String()) }
`)
	list := lister(r.dir, "GOMODCACHE="+r.path(".go/mod"), "GOFLAGS=-modcacherw")
	t.Cleanup(func() { // a module cache is read-only
		_ = filepath.Walk(r.path(".go"), func(name string, _ os.FileInfo, _ error) error { return os.Chmod(name, 0o755) })
	})
	verdicts, err := changed.Since(t.Context(), r.dir, "v1", []changed.Image{planned(t, r.dir, "hello", plan.Config{})}, list)
	require.NoError(t, err)
	assert.Equal(t, []changed.Verdict{{Name: "hello", Reason: changed.Unchanged}}, verdicts)
	assert.DirExists(t, r.path(".go/mod/golang.org/x/text@v0.3.0"))
}

// One question is asked for all images that compile alike, and none for those that are in already.
func TestQuestions(t *testing.T) {
	r := newRepo(t, services)
	config := func(pkg string) plan.Config {
		return plan.Config{Packages: []string{pkg}, Platforms: []string{"linux/amd64", "linux/arm64"}}
	}
	api, web, stamped, tagged, settings := config("cmd/api"), config("cmd/web"), config("cmd/api"), config("cmd/api"), config("cmd/web")
	stamped.Stamps = []string{"main.version=v1"}
	stamped.Ports = []string{"80"}
	tagged.BuildTags = []string{"special"}
	images := []changed.Image{
		planned(t, r.dir, "api", api), planned(t, r.dir, "web", web), planned(t, r.dir, "stamped", stamped), planned(t, r.dir, "tagged", tagged),
		planned(t, r.dir, "settings", settings),
	}
	images[4].Settings = "its ports changed"
	var mutex sync.Mutex
	var asked []string
	verdicts, err := changed.Since(t.Context(), r.dir, "v1", images, func(ctx context.Context, plan *plan.Plan, c plan.Compile, args ...string) ([]byte, error) {
		mutex.Lock()
		defer mutex.Unlock()
		asked = append(asked, c.Platform.String()+" "+strings.Join(c.Packages, " "))
		return lister(r.dir)(ctx, plan, c, args...)
	})
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{
		"linux/amd64 ./cmd/api ./cmd/web", "linux/arm64 ./cmd/api ./cmd/web", "linux/amd64 ./cmd/api", "linux/arm64 ./cmd/api",
	}, asked)
	assert.Equal(t, []changed.Verdict{
		{"api", false, changed.Unchanged},
		{"web", false, changed.Unchanged},
		{"stamped", false, changed.Unchanged},
		{"tagged", false, changed.Unchanged},
		{"settings", true, "its ports changed"},
	}, verdicts)
}

// What the Go command does not know is no error: the build will say it better. The end of the context is one.
func TestNoAnswer(t *testing.T) {
	r := newRepo(t, hello)
	images := []changed.Image{planned(t, r.dir, "hello", plan.Config{})}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for _, test := range []struct {
		out    string
		err    error
		reason string
	}{
		{"", errors.New("no go command\nat all"), "the Go command does not know: no go command"},
		{"", nil, "go list does not know example.com/hello"},
		{"{", nil, "the Go command does not know: reading the output of go list: unexpected EOF"},
		{`{"ImportPath":"example.com/hello","Incomplete":true}`, nil, "go list says: example.com/hello cannot be loaded"},
		{`{"ImportPath":"example.com/hello","Dir":"` + r.dir + `","Deps":["fmt"]}`, nil, "go list does not know fmt"},
		{`{"ImportPath":"example.com/hello","Dir":"/elsewhere"}`, nil, "the directory of example.com/hello is not in the source"},
	} {
		verdicts, err := changed.Since(ctx, r.dir, "v1", images, func(context.Context, *plan.Plan, plan.Compile, ...string) ([]byte, error) {
			return []byte(test.out), test.err
		})
		require.NoError(t, err)
		assert.Equal(t, []changed.Verdict{{"hello", true, test.reason}}, verdicts)
	}
	_, err := changed.Since(ctx, r.dir, "v1", images, func(context.Context, *plan.Plan, plan.Compile, ...string) ([]byte, error) {
		cancel()
		return nil, ctx.Err()
	})
	require.ErrorIs(t, err, context.Canceled)
	_, err = changed.Since(ctx, r.dir, "v1", images, nil)
	require.ErrorIs(t, err, context.Canceled)
}
