package changed_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/changed"
	"github.com/slipway-ci/slipway/internal/fault"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/test/testtool"
)

// hello is one program.
const hello = `
-- go.mod --
module example.com/hello

go 1.26.8
-- main.go --
package main

func main() {}
`

// fault is what is wrong with a revision or repository.
func faultOf(t *testing.T, dir, rev string) fault.Fault {
	t.Helper()
	_, err := changed.Since(t.Context(), dir, rev, []changed.Image{planned(t, dir, "hello", plan.Config{})}, lister(dir))
	faults := fault.As(err)
	require.Len(t, faults, 1, "%v", err)
	assert.Equal(t, "changed-since", faults[0].Field)
	assert.Equal(t, rev, faults[0].Value)
	return faults[0]
}

func TestRevisions(t *testing.T) {
	r := newRepo(t, hello)
	head := r.git("rev-parse", "HEAD")
	r.git("tag", "-a", "-m", "annotated", "annotated")
	r.write("main.go", "package main\n\nfunc main() { println() }\n")
	r.commit()
	in := []changed.Verdict{{Name: "hello", In: true, Reason: "main.go changed"}}
	out := []changed.Verdict{{Name: "hello", Reason: changed.Unchanged}}
	img := planned(t, r.dir, "hello", plan.Config{})
	for rev, want := range map[string][]changed.Verdict{
		"v1": in, "annotated": in, head: in, head[:8]: in, "HEAD~1": in, "main^": in, "@{1}": in, "v1^{commit}": in, ":/a com": out, "HEAD": out, "@": out, "main": out,
	} {
		got, err := changed.Since(t.Context(), r.dir, rev, []changed.Image{img}, lister(r.dir))
		require.NoError(t, err, rev)
		assert.Equal(t, want, got, rev)
	}
	for _, rev := range []string{"nowhere", "v1..main", "HEAD:main.go", "v1^{tree}", "0000000000000000000000000000000000000000", "HEAD HEAD", "v1\t", "*"} {
		f := faultOf(t, r.dir, rev)
		assert.Equal(t, "no such revision in this repository", f.Problem, rev)
		assert.Contains(t, f.Hint, "git fetch")
	}
	for _, rev := range []string{"", "-", "--all", "-h", "--output=/tmp/x", "--git-dir", "^v1", "v1\n", "v1\x00"} {
		assert.Equal(t, "not a revision", faultOf(t, r.dir, rev).Problem, rev)
	}

	clone := filepath.Join(t.TempDir(), "clone")
	r.git("clone", "-q", "--depth=1", "file://"+filepath.ToSlash(r.dir), clone)
	f := faultOf(t, clone, "v1")
	assert.Contains(t, f.Problem, "shallow")
	assert.Contains(t, f.Hint, "git fetch --unshallow")
	assert.Contains(t, f.Hint, "fetch-depth: 0")
}

func TestNoRepository(t *testing.T) {
	r := newRepo(t, hello)
	plain := t.TempDir()
	require.NoError(t, os.CopyFS(plain, os.DirFS(r.dir)))
	require.NoError(t, os.RemoveAll(filepath.Join(plain, ".git")))
	t.Setenv("GIT_CEILING_DIRECTORIES", filepath.Dir(plain))
	f := faultOf(t, plain, "v1")
	assert.Contains(t, f.Problem, "not a git repository")
	assert.Contains(t, f.Hint, "work tree of a git repository")

	r.git("init", "-q", "--bare", "bare")
	bare := r.path("bare")
	require.NoError(t, os.CopyFS(bare, os.DirFS(plain)))
	assert.Contains(t, faultOf(t, bare, "v1").Problem, "is not in a work tree")

	t.Setenv("PATH", t.TempDir())
	f = faultOf(t, r.dir, "v1")
	assert.Equal(t, "there is no git command on the PATH", f.Problem)
	assert.Contains(t, f.Hint, "install git")
}

// Git does not read a repository of somebody else's, and says how to let it.
func TestOwner(t *testing.T) {
	testtool.NeedRoot(t, "a directory of another user")
	r := newRepo(t, hello)
	require.NoError(t, filepath.Walk(r.dir, func(name string, _ os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(name, 12345, 12345)
	}))
	t.Setenv("HOME", t.TempDir())
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	t.Setenv("SUDO_UID", "")
	f := faultOf(t, r.dir, "v1")
	assert.Contains(t, f.Problem, "detected dubious ownership")
	assert.Equal(t, "git config --global --add safe.directory "+r.dir, f.Hint)

	t.Setenv("GIT_CONFIG_COUNT", "1")
	t.Setenv("GIT_CONFIG_KEY_0", "safe.directory")
	t.Setenv("GIT_CONFIG_VALUE_0", r.dir)
	assert.Equal(t, map[string]string{"hello": changed.Unchanged}, reasons(t, r.dir, planned(t, r.dir, "hello", plan.Config{})))
}

// A hook's variables, and settings of all kinds, change nothing.
func TestGitsSurroundings(t *testing.T) {
	r, other := newRepo(t, hello), newRepo(t, "\n-- a --\n")
	r.write("main.go", "package main\n\nfunc main() { println() }\n")
	for name, value := range map[string]string{
		"GIT_DIR": other.path(".git"), "GIT_WORK_TREE": other.dir, "GIT_INDEX_FILE": other.path(".git/index"), "GIT_PREFIX": "x/",
		"GIT_OBJECT_DIRECTORY": other.path(".git/objects"), "GIT_NAMESPACE": "x", "GIT_LITERAL_PATHSPECS": "1", "GIT_TRACE": "1",
		"GIT_EXTERNAL_DIFF": "false", "LC_ALL": "de_DE.UTF-8", "GIT_PAGER": "false",
	} {
		t.Setenv(name, value)
	}
	config := filepath.Join(t.TempDir(), "config")
	require.NoError(t, os.WriteFile(config, []byte(`
[core]
	fileMode = false
	ignoreStat = true
	quotePath = true
	checkStat = minimal
	autocrlf = true
	excludesFile = /dev/null
[diff]
	external = false
	ignoreSubmodules = all
	noprefix = true
	renames = copies
[status]
	showUntrackedFiles = no
[alias]
	ls-tree = "!false"
`), 0o644))
	t.Setenv("GIT_CONFIG_GLOBAL", config)
	assert.Equal(t, map[string]string{"hello": "main.go changed"}, reasons(t, r.dir, planned(t, r.dir, "hello", plan.Config{})))
	r.write("main.go", "package main\n\nfunc main() {}\n")
	assert.Equal(t, map[string]string{"hello": changed.Unchanged}, reasons(t, r.dir, planned(t, r.dir, "hello", plan.Config{})))
}

// The source may be a directory of the repository, at the end of a symbolic link, in another work tree, or unknown to the revision.
func TestPlaces(t *testing.T) {
	r := newRepo(t, "\n-- a/b c/go.mod --\nmodule example.com/hello\n\ngo 1.26.8\n-- a/b c/main.go --\npackage main\n\nfunc main() {}\n-- other/x.go --\n")
	source := r.path("a/b c")
	require.NoError(t, os.Symlink(source, r.path("link")))
	require.NoError(t, os.Symlink("a", r.path("up")))
	tree := filepath.Join(t.TempDir(), "tree")
	r.git("worktree", "add", "-q", tree, "v1")
	all := []string{source, r.path("link"), r.path("up/b c")}
	check := func(want string, sources ...string) {
		for _, source := range sources {
			assert.Equal(t, map[string]string{"hello": want}, reasons(t, source, planned(t, source, "hello", plan.Config{})), source)
		}
	}
	check(changed.Unchanged, append(all, filepath.Join(tree, "a/b c"))...)
	r.write("other/x.go", "package x")
	r.write("go.mod", "module example.com/above\n")
	check(changed.Unchanged, all...)
	r.write("a/b c/main.go", "package main\n\nfunc main() { println() }\n")
	check("main.go changed", all...)
	check(changed.Unchanged, filepath.Join(tree, "a/b c"))

	r.rename("a", "moved")
	check("go.mod is not in v1", r.path("moved/b c"))

	t.Chdir(r.path("moved"))
	check("go.mod is not in v1", "b c")
}

// Git may name contents by SHA-256.
func TestSHA256(t *testing.T) {
	r := &repo{t, t.TempDir()}
	if out, err := exec.Command("git", "-C", r.dir, "init", "-q", "--object-format=sha256").CombinedOutput(); err != nil {
		testtool.Skip(t, "a git that knows SHA-256: "+string(out))
	}
	r.extract(hello)
	r.commit()
	r.git("tag", "v1")
	assert.Equal(t, map[string]string{"hello": changed.Unchanged}, reasons(t, r.dir, planned(t, r.dir, "hello", plan.Config{})))
	r.write("main.go", "package main\n\nfunc main() { println() }\n")
	assert.Equal(t, map[string]string{"hello": "main.go changed"}, reasons(t, r.dir, planned(t, r.dir, "hello", plan.Config{})))
}

// A submodule's files count, whatever git is told about it.
func TestSubmodules(t *testing.T) {
	lib := newRepo(t, "\n-- go.mod --\nmodule example.com/lib\n\ngo 1.26.8\n-- lib.go --\npackage lib\n-- unused/u.go --\npackage unused\n-- .gitignore --\nignored*\n")
	newLibrary := func(t *testing.T) *repo {
		r := newRepo(t, `
-- go.mod --
module example.com/hello

go 1.26.8

require example.com/lib v0.0.0

replace example.com/lib => ./third/lib
-- main.go --
package main

import _ "example.com/lib"

func main() {}
`)
		r.git("submodule", "--quiet", "add", "--name", "lib", "file://"+filepath.ToSlash(lib.dir), "third/lib")
		r.git("config", "-f", ".gitmodules", "submodule.lib.ignore", "all")
		r.git("config", "submodule.lib.ignore", "all")
		r.commit()
		r.git("tag", "-f", "v1")
		return r
	}
	for name, test := range map[string]struct {
		edit func(*repo)
		want string
	}{
		"nothing":      {func(*repo) {}, changed.Unchanged},
		"unused":       {func(r *repo) { r.write("third/lib/unused/u.go", "package u") }, changed.Unchanged},
		"edited":       {func(r *repo) { r.write("third/lib/lib.go", "package lib // x") }, "third/lib/lib.go changed"},
		"ignored":      {func(r *repo) { r.write("third/lib/ignored.go", "package lib") }, "third/lib/ignored.go is not in v1"},
		"removed file": {func(r *repo) { r.write("third/lib/ignored.go", "package lib"); r.remove("third/lib/lib.go") }, "third/lib/ignored.go is not in v1"},
		"moved on": {
			func(r *repo) {
				sub := &repo{r.t, r.path("third/lib")}
				sub.write("lib.go", "package lib // x")
				sub.commit()
			}, "third/lib/lib.go changed",
		},
		"embedded, not checked out": {
			func(r *repo) {
				r.write("main.go", r.read("main.go")+"\n//go:embed third go.mod\nvar _ embed.FS\n")
				r.write("main.go", strings.Replace(r.read("main.go"), "import _", "import \"embed\"\nimport _", 1))
				r.write("third/x", "")
				r.write("go.mod", "module example.com/hello\n\ngo 1.26.8\n")
				r.write("main.go", strings.Replace(r.read("main.go"), "import _ \"example.com/lib\"\n", "", 1))
				r.commit()
				r.git("tag", "-f", "v1")
				r.git("submodule", "--quiet", "deinit", "-f", "--all")
			}, "the commit of the submodule third/lib is not at hand, which example.com/hello embeds",
		},
		"no repository": {func(r *repo) { r.remove("third/lib/.git") }, "third/lib/go.mod is not in v1"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newLibrary(t)
			test.edit(r)
			assert.Equal(t, map[string]string{"hello": test.want}, reasons(t, r.dir, planned(t, r.dir, "hello", plan.Config{})))
		})
	}
}

// What git makes of a file when it checks it out is as it was, and nothing else is.
func TestConversions(t *testing.T) {
	const attributes = `
-- go.mod --
module example.com/hello

go 1.26.8
-- main.go --
package main

import _ "embed"

//go:embed data.txt
var data string

func main() { println(data) }
-- .gitattributes --
data.txt filter=upper
*.go eol=crlf
-- data.txt --
text
`
	r := newRepo(t, attributes)
	r.write("sub/x", "")
	config := filepath.Join(t.TempDir(), "config")
	require.NoError(t, os.WriteFile(config, []byte("[filter \"upper\"]\n\tclean = tr A-Z a-z\n\tsmudge = tr a-z A-Z\n"), 0o644))
	t.Setenv("GIT_CONFIG_GLOBAL", config)
	check := func(want string) {
		t.Helper()
		assert.Equal(t, map[string]string{"hello": want}, reasons(t, r.dir, planned(t, r.dir, "hello", plan.Config{})))
	}
	source := r.read("main.go")
	check(changed.Unchanged) // as git has it
	r.write("data.txt", "TEXT\n")
	check(changed.Unchanged) // as git checks it out
	r.write("main.go", strings.ReplaceAll(source, "\n", "\r\n"))
	check(changed.Unchanged)
	r.write("data.txt", "Text\n") // for which git status sees no change either
	check("data.txt changed, which example.com/hello embeds")
	r.write("data.txt", "TEXT\n")
	r.write("main.go", strings.Replace(source, "\n", "\r\n", 1))
	check("main.go changed")
}

// Other attributes make other files of the same commit.
func TestAttributes(t *testing.T) {
	const out = changed.Unchanged
	const tree = `
-- x/.gitattributes --
*.md text
-- x/source/go.mod --
module example.com/hello

go 1.26.8
-- x/source/main.go --
package main

import _ "example.com/hello/a/b"

func main() {}
-- x/source/a/b/b.go --
package b
-- x/source/a/.gitattributes --
*.txt eol=crlf
`
	for name, test := range map[string]struct {
		edit func(*repo)
		want string
	}{
		"none":             {func(*repo) {}, out},
		"edited":           {func(r *repo) { r.write("x/source/a/.gitattributes", "*.txt eol=lf\n") }, "a/.gitattributes changed"},
		"removed":          {func(r *repo) { r.remove("x/source/a/.gitattributes") }, "a/.gitattributes was removed"},
		"added":            {func(r *repo) { r.write("x/source/a/b/.gitattributes", "") }, "a/b/.gitattributes is not in v1"},
		"added above":      {func(r *repo) { r.write(".gitattributes", "") }, "../../.gitattributes changed"},
		"edited above":     {func(r *repo) { r.write("x/.gitattributes", "") }, "../.gitattributes changed"},
		"removed above":    {func(r *repo) { r.remove("x/.gitattributes") }, "../.gitattributes changed"},
		"of other files":   {func(r *repo) { r.write("x/source/other/.gitattributes", ""); r.write("y/.gitattributes", "") }, out},
		"in the source":    {func(r *repo) { r.write("x/source/.gitattributes", "") }, ".gitattributes is not in v1"},
		"touched":          {func(r *repo) { r.write("x/.gitattributes", r.read("x/.gitattributes")) }, out},
		"added and staged": {func(r *repo) { r.write(".gitattributes", ""); r.commit() }, "../../.gitattributes changed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRepo(t, tree)
			test.edit(r)
			source := r.path("x/source")
			assert.Equal(t, map[string]string{"hello": test.want}, reasons(t, source, planned(t, source, "hello", plan.Config{})))
		})
	}
}

func TestTreeOfGit(t *testing.T) {
	r := newRepo(t, hello+"-- a b\tc --\nx\n-- \u00e4/\"q\" --\nx\n")
	r.write("new\nline", "x")
	r.symlink("nowhere", "link")
	r.chmod("go.mod", 0o755)
	r.commit()
	r.git("tag", "-f", "v1")
	list := func(files ...string) plan.Config {
		config := plan.Config{}
		for i, f := range files {
			config.Files = append(config.Files, fmt.Sprintf("%s:/%d", f, i))
		}
		return config
	}
	config := list("a b\tc", "\u00e4/\"q\"", "new\nline", "go.mod")
	assert.Equal(t, map[string]string{"hello": changed.Unchanged}, reasons(t, r.dir, planned(t, r.dir, "hello", config)))
	r.chmod("go.mod", 0o644)
	assert.Equal(t, map[string]string{"hello": "the mode of go.mod changed"}, reasons(t, r.dir, planned(t, r.dir, "hello", config)))
}
