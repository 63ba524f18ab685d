package changed_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/changed"
	"github.com/slipway-ci/slipway/internal/plan"
)

// services are two programs, api and web, which share the package common.
const services = `
-- go.mod --
module example.com/services

go 1.26.8
-- .gitignore --
ignored*
-- README.md --
Services.
-- cmd/api/main.go --
package main

import (
	"example.com/services/internal/common"
	"example.com/services/internal/db"
)

func main() { println(common.Name, db.Schema, db.Directory) }
-- cmd/api/README.md --
The API.
-- cmd/web/main.go --
package main

import "example.com/services/internal/common"

func main() { println(common.Name) }
-- internal/common/common.go --
package common

const Name = "common"
-- internal/common/common_test.go --
package common

const test = 1
-- internal/common/other_windows.go --
package common

const Other = 1
-- internal/db/db.go --
package db

import "embed"

//go:embed schema.sql
var Schema string

//go:embed all:static pages/*.html
var Directory embed.FS
-- internal/db/schema.sql --
select 1;
-- internal/db/static/a/b.txt --
b
-- internal/db/pages/index.html --
<html>
-- internal/db/pages/notes.txt --
notes
-- internal/unused/unused.go --
package unused
-- conf/app.yaml --
a: 1
-- conf/sub/more.yaml --
b: 1
-- docs/guide.md --
Guide.
`

// lock pins what the images need.
const lock = "docker.io/library/golang:1.26.8-alpine sha256:0123456789012345678901234567890123456789012345678901234567890123\n"

// Of what image api and image web are made, and of what they are not.
func TestSince(t *testing.T) {
	const out = changed.Unchanged
	for name, test := range map[string]struct {
		edit     func(*repo)
		api, web string
	}{
		"nothing":               {func(*repo) {}, out, out},
		"touched":               {func(r *repo) { r.write("cmd/api/main.go", r.read("cmd/api/main.go")) }, out, out},
		"main":                  {func(r *repo) { r.write("cmd/api/main.go", r.read("cmd/api/main.go")+"//") }, "cmd/api/main.go changed", out},
		"shared":                {func(r *repo) { r.write("internal/common/common.go", "package common\n\nconst Name = \"x\"\n") }, "internal/common/common.go changed", "internal/common/common.go changed"},
		"a new file":            {func(r *repo) { r.write("cmd/web/more.go", "package main\n") }, out, "cmd/web/more.go is not in v1"},
		"ignored":               {func(r *repo) { r.write("cmd/web/ignored.go", "package main\n") }, out, "cmd/web/ignored.go is not in v1"},
		"a new file for others": {func(r *repo) { r.write("cmd/web/more_windows.go", "package main\n") }, out, out},
		"changed for others":    {func(r *repo) { r.write("internal/common/other_windows.go", "package common\n") }, out, out},
		"removed for others":    {func(r *repo) { r.remove("internal/common/other_windows.go") }, out, out},
		"gone, and was left out": {
			func(r *repo) {
				r.write("internal/common/x.go", "//go:build ignore\n\npackage x\n")
				r.commit()
				r.git("tag", "-f", "v1")
				r.remove("internal/common/x.go")
			}, "internal/common/x.go was removed", "internal/common/x.go was removed",
		},
		"left out": {
			func(r *repo) {
				r.write("internal/common/common.go", "//go:build !linux\n\n"+r.read("internal/common/common.go"))
				r.write("internal/common/new.go", "package common\n\nconst Name = \"\"\n")
			},
			"internal/common/new.go is not in v1", "internal/common/new.go is not in v1",
		},
		"a test":        {func(r *repo) { r.write("internal/common/common_test.go", "package common\n\nconst test = 2\n") }, out, out},
		"a new test":    {func(r *repo) { r.write("cmd/api/main_test.go", "package main\n") }, out, out},
		"a broken test": {func(r *repo) { r.write("internal/db/db_test.go", "package") }, "go list says: internal/db/db_test.go:1:8: expected 'IDENT', found 'EOF'", out},
		"readme": {func(r *repo) {
			r.write("README.md", "x")
			r.write("cmd/api/README.md", "x")
			r.write("cmd/api/notes", "x")
		}, out, out},
		"another package": {func(r *repo) { r.write("internal/unused/unused.go", "package unused\n\nconst x = 1\n") }, out, out},
		"embedded":        {func(r *repo) { r.write("internal/db/schema.sql", "select 2;") }, "internal/db/schema.sql changed, which example.com/services/internal/db embeds", out},
		"embedded by a directory": {
			func(r *repo) { r.write("internal/db/static/a/b.txt", "c") },
			"internal/db/static/a/b.txt changed, which example.com/services/internal/db embeds", out,
		},
		"new in an embedded directory": {
			func(r *repo) { r.write("internal/db/static/a/.ignored", "c") },
			"internal/db/static/a/.ignored is not in v1, which example.com/services/internal/db embeds", out,
		},
		"gone from an embedded directory": {
			func(r *repo) { r.rename("internal/db/static/a/b.txt", "internal/db/static/c.txt") },
			"internal/db/static/c.txt is not in v1, which example.com/services/internal/db embeds", out,
		},
		"gone from a pattern": {
			func(r *repo) {
				r.write("internal/db/pages/a.html", "")
				r.commit()
				r.git("tag", "-f", "v1")
				r.remove("internal/db/pages/a.html")
			},
			"internal/db/pages/a.html was removed, which example.com/services/internal/db embeds", out,
		},
		"not matched by a pattern": {func(r *repo) { r.remove("internal/db/pages/notes.txt") }, out, out},
		"a module in an embedded directory": {
			func(r *repo) {
				r.write("internal/db/static/m/go.mod", "module m\n")
				r.write("internal/db/static/m/x.txt", "x")
				r.commit()
				r.git("tag", "-f", "v1")
				r.remove("internal/db/static/m/go.mod")
			},
			"internal/db/static/m/go.mod was removed, which example.com/services/internal/db embeds", out,
		},
		"go.mod":      {func(r *repo) { r.write("go.mod", r.read("go.mod")+"// x\n") }, "go.mod changed", "go.mod changed"},
		"a go.sum":    {func(r *repo) { r.write("go.sum", "\n") }, "go.sum is not in v1", "go.sum is not in v1"},
		"a workspace": {func(r *repo) { r.write("go.work", "go 1.26.8\nuse .\n") }, "go.work is not in v1", "go.work is not in v1"},
		"a module above a package": {
			func(r *repo) { r.write("internal/db/go.mod", "module example.com/other\n") },
			"go list says: cmd/api/main.go:5:2: cannot find module providing package example.com/services/internal/db: import lookup disabled by -mod=readonly", out,
		},
		"a module that was above a package": {
			func(r *repo) {
				r.write("internal/db/go.mod", "module example.com/other\n")
				r.commit()
				r.git("tag", "-f", "v1")
				r.remove("internal/db/go.mod")
			},
			"internal/db/go.mod was removed", out,
		},
		"the lock":           {func(r *repo) { r.write("slipway.lock", lock) }, "slipway.lock is not in v1", "slipway.lock is not in v1"},
		"vendor":             {func(r *repo) { r.write("vendor/modules.txt", "") }, "vendor/modules.txt is not in v1", "vendor/modules.txt is not in v1"},
		".dockerignore":      {func(r *repo) { r.write(".dockerignore", "") }, ".dockerignore is not in v1", ".dockerignore is not in v1"},
		"a file":             {func(r *repo) { r.write("conf/app.yaml", "a: 2\n") }, out, "conf/app.yaml changed"},
		"a new file below":   {func(r *repo) { r.write("conf/sub/ignored", "") }, out, "conf/sub/ignored is not in v1"},
		"a file gone":        {func(r *repo) { r.remove("conf/sub/more.yaml") }, out, "conf/sub/more.yaml was removed"},
		"an empty directory": {func(r *repo) { require.NoError(r.t, os.Mkdir(r.path("conf/empty"), 0o755)) }, out, "conf/empty is not in v1"},
		"a mode":             {func(r *repo) { r.chmod("conf/app.yaml", 0o755) }, out, "the mode of conf/app.yaml changed"},
		"a mode that does not count": {
			func(r *repo) { r.chmod("conf/app.yaml", 0o600); r.chmod("cmd/api/main.go", 0o755) }, out, out,
		},
		"a file that git ignores changes of": {
			func(r *repo) {
				r.git("update-index", "--assume-unchanged", "cmd/api/main.go")
				r.write("cmd/api/main.go", r.read("cmd/api/main.go")+"//")
			},
			"cmd/api/main.go changed", out,
		},
		"a profile":      {func(r *repo) { r.write("cmd/web/default.pgo", "") }, out, "cmd/web/default.pgo is not in v1"},
		"a syntax error": {func(r *repo) { r.write("internal/db/db.go", "package") }, "go list says: internal/db/db.go:1:8: expected 'IDENT', found 'EOF'", out},
		"a missing package": {
			func(r *repo) { r.remove("internal/db") },
			"go list says: cmd/api/main.go:5:2: cannot find module providing package example.com/services/internal/db: import lookup disabled by -mod=readonly", out,
		},
		"committed": {func(r *repo) { r.write("cmd/web/main.go", r.read("cmd/web/main.go")+"//"); r.commit() }, out, "cmd/web/main.go changed"},
		"reverted": {
			func(r *repo) {
				before := r.read("cmd/web/main.go")
				r.write("cmd/web/main.go", before+"//")
				r.commit()
				r.write("cmd/web/main.go", before)
			}, out, out,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRepo(t, services)
			test.edit(r)
			got := reasons(
				t, r.dir,
				planned(t, r.dir, "api", plan.Config{Packages: []string{"./cmd/api"}}),
				planned(t, r.dir, "web", plan.Config{Packages: []string{"cmd/web"}, Files: []string{" conf:/etc/web"}}),
			)
			assert.Equal(t, map[string]string{"api": test.api, "web": test.web}, got)
		})
	}
}

// Certificates and the like are read from files that plans do not name.
func TestRead(t *testing.T) {
	r := newRepo(t, hello+"-- certs/a.pem --\na\n")
	outside := filepath.Join(t.TempDir(), "b.pem")
	require.NoError(t, os.WriteFile(outside, nil, 0o644))
	img := planned(t, r.dir, "hello", plan.Config{})
	img.Read = []string{outside, r.path("certs/a.pem")}
	assert.Equal(t, map[string]string{"hello": changed.Unchanged}, reasons(t, r.dir, img))
	r.write("certs/a.pem", "b\n")
	assert.Equal(t, map[string]string{"hello": "certs/a.pem changed"}, reasons(t, r.dir, img))
	t.Chdir(r.dir)
	img.Read = []string{"certs/a.pem"}
	assert.Equal(t, map[string]string{"hello": "certs/a.pem changed"}, reasons(t, r.dir, img))
}
