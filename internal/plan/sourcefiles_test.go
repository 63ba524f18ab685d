package plan_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/fault"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/source"
)

// module makes a module with more files, which are empty, and opens it.
func module(t *testing.T, files ...string) (string, *source.Tree) {
	t.Helper()
	dir := t.TempDir()
	put := func(name, text string) {
		at := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(at), 0o755))
		require.NoError(t, os.WriteFile(at, []byte(text), 0o644))
	}
	put("go.mod", "module example.com/hello\n\ngo 1.26.8\n")
	put("main.go", "package main\n\nfunc main() {}\n")
	for _, name := range files {
		put(name, "")
	}
	tree, err := source.Open(dir)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, tree.Close()) })
	return dir, tree
}

// placed are the paths below /src that --file .:/src places, with a slash after those of directories.
func placed(t *testing.T, tree *source.Tree, config plan.Config) []string {
	t.Helper()
	config.Files = []string{".:/src"}
	plan, err := plan.Resolve(t.Context(), tree, config)
	require.NoError(t, err)
	var names []string
	for _, layer := range plan.Image.Layers {
		for _, f := range layer.Files {
			if name, ok := strings.CutPrefix(f.Path, "/src/"); ok {
				if f.Dir {
					name += "/"
				}
				names = append(names, name)
			}
		}
	}
	return names
}

// What Docker's documentation says of .dockerignore, and what its readers are known to get wrong.
func TestDockerignoreMeansWhatItMeansToDocker(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"none", "", "a.log d/ d/a.log d/e/ d/e/b.log d/keep.txt secrets/ secrets/key"},
		{"leading slash", "/secrets", "a.log d/ d/a.log d/e/ d/e/b.log d/keep.txt"},
		{"trailing slash", "secrets/", "a.log d/ d/a.log d/e/ d/e/b.log d/keep.txt"},
		{"dot", "./secrets/../secrets", "a.log d/ d/a.log d/e/ d/e/b.log d/keep.txt"},
		{"byte order mark", "\ufeffsecrets\r\n*.log\r\n", "d/ d/a.log d/e/ d/e/b.log d/keep.txt"},
		{"the root", ".", "a.log d/ d/a.log d/e/ d/e/b.log d/keep.txt secrets/ secrets/key"},
		{"the root with a slash", "/", "a.log d/ d/a.log d/e/ d/e/b.log d/keep.txt secrets/ secrets/key"},
		{"what is below a directory", "**/e/**", "a.log d/ d/a.log d/e/ d/keep.txt secrets/ secrets/key"},
		{"one level", "*.log", "d/ d/a.log d/e/ d/e/b.log d/keep.txt secrets/ secrets/key"},
		{"all levels", "**/*.log", "d/ d/e/ d/keep.txt secrets/ secrets/key"},
		{"spaces and comments", "# a.log\n  secrets  \n\n", "a.log d/ d/a.log d/e/ d/e/b.log d/keep.txt"},
		{"exception", "d\nsecrets\n!d/keep.txt", "a.log d/ d/keep.txt"},
		{"the last counts", "!d/keep.txt\nd\nsecrets", "a.log"},
		{"everything but", "*\n!secrets", "secrets/ secrets/key"},
		{"escape", `a\.log` + "\n" + `\!d` + "\nsecrets", "d/ d/a.log d/e/ d/e/b.log d/keep.txt"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir, tree := module(t, "a.log", "d/a.log", "d/e/b.log", "d/keep.txt", "secrets/key", ".git/HEAD", "d/.git")
			if test.text != "" {
				require.NoError(t, os.WriteFile(filepath.Join(dir, ".dockerignore"), []byte(test.text), 0o644))
			}
			var got []string
			for _, name := range placed(t, tree, plan.Config{}) {
				if name != ".dockerignore" && name != "go.mod" && name != "main.go" {
					got = append(got, name)
				}
			}
			assert.Equal(t, test.want, strings.Join(got, " "))
		})
	}
}

func TestDockerignoreThatDockerRefuses(t *testing.T) {
	dir, tree := module(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".dockerignore"), []byte("[a\n"), 0o644))
	_, err := plan.Resolve(t.Context(), tree, plan.Config{})
	assert.ErrorContains(t, err, ".dockerignore: ")
	assert.NotNil(t, fault.As(err))
}

func TestWhatABuildNeedsAndDockerignoreLeavesOut(t *testing.T) {
	dir, tree := module(t, "app", "other/other.go")
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".dockerignore"), []byte("*\n!app\n"), 0o644))
	plan, err := plan.Resolve(t.Context(), tree, plan.Config{Packages: []string{"."}})
	require.NoError(t, err)
	assert.Equal(t, []string{"go.mod", "main.go"}, plan.Source.Excluded)
}

// A second build has the image of the first.
func TestOutputsAreNoPartOfTheSource(t *testing.T) {
	_, clean := module(t)
	_, built := module(t, "dist/hello.tar", "dist/.tmp-1", "out/layout/blobs/x")
	config := plan.Config{Surroundings: plan.Surroundings{Outputs: []string{"dist/*.tar", "dist/.tmp-*", "out/layout"}}}
	assert.Equal(t, placed(t, clean, config), placed(t, built, config))
	_, users := module(t, "dist/hello.tar", "dist/app.js")
	assert.Contains(t, placed(t, users, config), "dist/app.js")

	config.Files = []string{"dist/hello.tar:/x"}
	_, err := plan.Resolve(t.Context(), users, config)
	assert.NoError(t, err, "who names it wants it")
}

// A link of a directory is one of the image where it leads to what comes with it; else it is the file that it leads to.
func TestLinksOfDirectories(t *testing.T) {
	dir, tree := module(t, "web/a.txt", "web/sub/b.txt", "web/only/x", "web/secret", "outside.txt", "other/x")
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".dockerignore"), []byte("web/secret\nweb/gone\n"), 0o644))
	links := map[string]string{
		"web/file": "a.txt", "web/dot": "./a.txt", "web/dir": "sub/", "web/sub/up": "../a.txt", "web/sub/top": "..", "web/over": "sub/../a.txt",
		"web/through": "dir/b.txt", "web/only/up": "../a.txt", "web/chain": "through", "web/home": "../web/a.txt",
		"web/out": "../outside.txt", "web/toout": "out", "web/ignored": "secret", "web/throughtop": "sub/top/sub/b.txt", "web/gone": "nowhere",
	}
	for name, target := range links {
		require.NoError(t, os.Symlink(target, filepath.Join(dir, name)))
	}
	p, err := plan.Resolve(t.Context(), tree, plan.Config{Files: []string{"web:/www", "web/only:/only", "web/file:/file"}})
	require.NoError(t, err)
	got := map[string]string{}
	for _, f := range p.Image.Layers[0].Files {
		switch {
		case f.Link != "":
			assert.Equal(t, "0777", f.Mode.String(), f.Path)
			got[f.Path] = "-> " + f.Link
		case f.Source != "":
			got[f.Path] = f.Source
		}
	}
	assert.Equal(t, map[string]string{
		"/www/a.txt": "web/a.txt", "/www/sub/b.txt": "web/sub/b.txt",
		"/www/file": "-> a.txt", "/www/dot": "-> ./a.txt", "/www/dir": "-> sub/", "/www/sub/up": "-> ../a.txt", "/www/sub/top": "-> ..",
		"/www/over": "-> sub/../a.txt", "/www/through": "-> dir/b.txt", "/www/chain": "-> through", "/www/throughtop": "-> sub/top/sub/b.txt",
		"/www/home": "web/home", "/www/out": "web/out", "/www/toout": "web/toout", "/www/ignored": "web/ignored",
		"/www/only/up": "-> ../a.txt", "/www/only/x": "web/only/x", "/only/x": "web/only/x", "/only/up": "web/only/up", "/file": "web/file",
	}, got)
	assert.Equal(t, []bool{false, false}, []bool{p.Image.Copies[0].Links, p.Image.Copies[1].Links})

	_, err = plan.Resolve(t.Context(), tree, plan.Config{Files: []string{"web/sub:/sub"}})
	require.ErrorContains(t, err, "web/sub/top is a link to a directory that web/sub has not")
	require.NoError(t, os.Remove(filepath.Join(dir, "web/sub/top")))
	require.NoError(t, os.Remove(filepath.Join(dir, "web/throughtop")))
	require.NoError(t, os.Remove(filepath.Join(dir, "web/sub/up")))
	require.NoError(t, os.Symlink("b.txt", filepath.Join(dir, "web/sub/same")))
	p, err = plan.Resolve(t.Context(), tree, plan.Config{Files: []string{"web/sub:/sub", "web:/www"}})
	require.NoError(t, err)
	assert.Equal(t, []bool{true, false}, []bool{p.Image.Copies[0].Links, p.Image.Copies[1].Links})

	for target, want := range map[string]string{
		"../other": "web/link is a link to a directory that web has not", "../..": "web/link is a link that leads out of the source",
		"nowhere": "web/link is a link to nothing", "/web/a.txt": "web/link is a link that leads out of the source", "link": "web/link is",
	} {
		require.NoError(t, os.Symlink(target, filepath.Join(dir, "web", "link")))
		_, err = plan.Resolve(t.Context(), tree, plan.Config{Files: []string{"web:/www"}})
		require.ErrorContains(t, err, want)
		require.NoError(t, os.Remove(filepath.Join(dir, "web", "link")))
	}
}

// A pattern places each match as if it were named alone.
func TestFilesByPatterns(t *testing.T) {
	dir, tree := module(t, "web/a.html", "web/b.html", "web/c.css", "web/sub/d.html", "web/x*y", "web/.git/x", "web/secret.html", "dist/a.tar")
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".dockerignore"), []byte("web/secret.html\n"), 0o644))
	for file, want := range map[string]string{
		"web/*.html:/www/":  "/www/a.html /www/b.html",
		"web/?.*:/www/":     "/www/a.html /www/b.html /www/c.css",
		"web/*:/www/":       "/www/a.html /www/b.html /www/c.css /www/sub/d.html /www/x*y",
		"*b/[ab].*:/:0600":  "/a.html /b.html",
		"web/x*y:/exactly":  "/exactly",
		`web/x\**:/www/`:    "/www/x*y",
		"dist/*:/d/":        "! nothing in the source matches dist/*",
		"web/secret*:/www/": "! nothing in the source matches web/secret*",
		"web/*.html:/www":   "! /www would be several files: name the directory for them, with a slash at its end: /www/",
		"web/*[:/www/":      "! web/*[ is no pattern",
	} {
		p, err := plan.Resolve(t.Context(), tree, plan.Config{Files: []string{file}, Surroundings: plan.Surroundings{Outputs: plan.Outputs{"dist/*.tar"}}})
		if problem, faulty := strings.CutPrefix(want, "! "); faulty {
			require.ErrorContains(t, err, problem, file)
			continue
		}
		require.NoError(t, err, file)
		var names []string
		for _, f := range p.Image.Layers[0].Files {
			if f.Source != "" {
				names = append(names, f.Path)
			}
		}
		assert.Equal(t, want, strings.Join(names, " "), file)
	}
}

func TestGoDoesNotFollowLinksOutOfTheSource(t *testing.T) {
	outside := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(outside, "x.go"), []byte("package main\n"), 0o644))
	for name, test := range map[string]struct{ target, imports, want string }{
		"main.go":        {"x.go", "", "main.go"},
		"asm_amd64.s":    {"x.go", "", "asm_amd64.s"},
		"inner/lib.go":   {"x.go", "", "inner/lib.go"},
		"lib":            {"", "example.com/hello/lib", "lib"},
		"go.mod":         {"x.go", "", "go.mod"},
		"go.sum":         {"x.go", "", "go.sum"},
		"slipway.lock":   {"x.go", "", "slipway.lock"},
		".dockerignore":  {"x.go", "", ".dockerignore"},
		"vendor/a/a.go":  {"x.go", "", "vendor/a/a.go"},
		"unused":         {"", "", ""},
		".#main.go":      {"nobody", "", ""},
		"node_modules/y": {"", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir, tree := module(t, "inner/keep", "node_modules/keep")
			if strings.HasPrefix(name, "vendor/") {
				require.NoError(t, os.MkdirAll(filepath.Join(dir, "vendor", "a"), 0o755))
				require.NoError(t, os.WriteFile(filepath.Join(dir, "vendor", "modules.txt"), nil, 0o644))
			}
			if test.imports != "" {
				require.NoError(t, os.WriteFile(filepath.Join(dir, "imports.go"), []byte("package main\n\nimport _ \""+test.imports+"\"\n"), 0o644))
			}
			require.NoError(t, os.RemoveAll(filepath.Join(dir, name)))
			require.NoError(t, os.Symlink(filepath.Join(outside, test.target), filepath.Join(dir, name)))
			_, err := plan.Resolve(t.Context(), tree, plan.Config{Packages: []string{"."}})
			if test.want == "" {
				assert.NoError(t, err)
				return
			}
			faults := fault.As(err)
			require.NotEmpty(t, faults, "%v", err)
			var fields []string
			for _, f := range faults {
				fields = append(fields, f.Field)
				assert.NotContains(t, f.Error(), "package main")
			}
			assert.Contains(t, err.Error(), test.want+": a link that leads out of the source", fields)
		})
	}
}
