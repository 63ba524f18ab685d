package dockerfile_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/dockerfile"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/test/testtool"
)

// source makes a module with more files; those whose text begins with #! are executable.
func source(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	files["go.mod"] = "module example.com/hello\n\ngo 1.26.8\n"
	files["main.go"] = "package main\n\nfunc main() {}\n"
	for name, text := range files {
		at := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(at), 0o755))
		mode := fs.FileMode(0o640)
		if strings.HasPrefix(text, "#!") {
			mode = 0o740
		}
		require.NoError(t, os.WriteFile(at, []byte(text), mode))
	}
	return dir
}

func render(t *testing.T, dir string, config plan.Config) (*plan.Plan, string) {
	t.Helper()
	plan, err := plan.Resolve(t.Context(), os.DirFS(dir), config)
	require.NoError(t, err)
	text, err := dockerfile.Render(plan)
	require.NoError(t, err)
	return plan, text
}

// The stage of files makes, in a shell, the files and directories that the plan says, with their modes.
func TestTheStageOfFilesMakesWhatThePlanSays(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the script is for a shell and its modes")
	}
	dir := source(t, map[string]string{
		"web/a b.txt": "1", "web/it's $HOME.js": "2", "web/[id].js": "3", "web/run.sh": "#!/bin/sh", "web/sub/-x": "4", "web/sub/EOF\nEOF\n": "5",
		"web/sub/back\\slash": "6", "web/.git": "gitdir: x", "web/.hidden": "7", "dist/hello.tar": "8", "strange/*": "9", "plain.txt": "10",
		"web/dist/more.tar": "11", "-dash": "12", "odd\nEOF\n/x": "13",
	})
	require.NoError(t, os.Symlink("../plain.txt", filepath.Join(dir, "web", "link")))
	p, text := render(t, dir, plan.Config{
		Files:        []string{"web:/www", "web/sub:/modes:0600", ".:/src", "web/[id].js:/x/[id].js", "strange/*:/star's", "plain.txt:/plain.txt", "-dash:/dash", "odd\nEOF\n:/odd"},
		Surroundings: plan.Surroundings{Outputs: []string{"dist/*.tar", "web/dist/*.tar"}},
	})
	assert.Contains(t, text, "\nCOPY --chmod=0644 plain.txt /plain.txt\n")
	assert.Contains(t, text, "\nCOPY --chmod=0644 [\"-dash\",\"/dash\"]\n")

	_, script, found := strings.Cut(text, "<<\"EOFF\"\n")
	require.True(t, found, text)
	script, _, _ = strings.Cut(script, "\nEOFF\n")
	root := t.TempDir()
	script = strings.NewReplacer("/context", dir, "/files", filepath.Join(root, "files")).Replace(script)
	out, err := exec.CommandContext(t.Context(), "sh", "-c", script).CombinedOutput()
	require.NoError(t, err, string(out))

	want := map[string]plan.File{}
	for _, layer := range p.Image.Layers {
		for _, f := range layer.Files {
			if layer.Name == plan.FilesLayer && f.Path != "/plain.txt" && f.Path != "/dash" {
				want[f.Path] = f
			}
		}
	}
	for n, at := range []string{"/www", "/modes", "/src", "/odd", "/star's", "/x/[id].js"} {
		top := filepath.Join(root, "files", string(rune('0'+n)))
		require.NoError(t, filepath.WalkDir(top, func(name string, e fs.DirEntry, err error) error {
			require.NoError(t, err)
			info, err := e.Info()
			require.NoError(t, err)
			inner, err := filepath.Rel(top, name)
			require.NoError(t, err)
			made := filepath.ToSlash(filepath.Join(at, inner))
			f, ok := want[made]
			if assert.True(t, ok, "%s is no part of the plan", made) {
				assert.Equal(t, f.Dir, e.IsDir(), made)
				assert.Equal(t, f.Mode.FileMode(), info.Mode().Perm(), made)
			}
			if !e.IsDir() && ok {
				got, err := os.ReadFile(name)
				require.NoError(t, err)
				should, err := os.ReadFile(filepath.Join(dir, f.Source))
				require.NoError(t, err)
				assert.Equal(t, string(should), string(got), made)
			}
			delete(want, made)
			return nil
		}))
	}
	assert.Empty(t, want, "missing")
}

// The stage of files keeps the links that the plan keeps.
func TestTheStageOfFilesKeepsLinks(t *testing.T) {
	testtool.Need(t, "sh", "dash")
	dir := source(t, map[string]string{"all/a.txt": "1", "all/sub/b.txt": "2", "some/a.txt": "3", "out.txt": "4"})
	for name, target := range map[string]string{"all/dir": "sub", "all/sub/loop": "..", "all/-x": "a.txt", "some/-in": "-a", "some/-a": "a.txt", "some/out": "../out.txt"} {
		require.NoError(t, os.Symlink(target, filepath.Join(dir, name)))
	}
	p, text := render(t, dir, plan.Config{Files: []string{"all:/all", "some:/some"}})
	_, script, found := strings.Cut(text, "<<\"EOF\"\n")
	require.True(t, found, text)
	script, _, _ = strings.Cut(script, "\nEOF\n")
	root := t.TempDir()
	script = strings.NewReplacer("/context", dir, "/files", filepath.Join(root, "files")).Replace(script)
	out, err := exec.CommandContext(t.Context(), "sh", "-c", script).CombinedOutput()
	require.NoError(t, err, string(out))
	links := 0
	for _, f := range p.Image.Layers[0].Files {
		made := filepath.Join(root, "files", strings.NewReplacer("/all", "0", "/some", "1").Replace(f.Path))
		info, err := os.Lstat(made)
		require.NoError(t, err, f.Path)
		assert.Equal(t, f.Link != "", info.Mode().Type() == fs.ModeSymlink, f.Path)
		if f.Link != "" {
			links++
			target, err := os.Readlink(made)
			require.NoError(t, err)
			assert.Equal(t, f.Link, target)
		}
	}
	assert.Equal(t, 5, links)
}

func TestManyFilesAreFewLines(t *testing.T) {
	files := map[string]string{}
	for a := range 20 {
		for b := range 20 {
			files[filepath.Join("web", string(rune('a'+a)), string(rune('a'+b)))] = ""
		}
	}
	dir := source(t, files)
	_, text := render(t, dir, plan.Config{Files: []string{"web:/www"}})
	assert.Less(t, strings.Count(text, "\n"), 80)
	assert.Contains(t, text, "\nCOPY --from=files /files/0/ /www/\n")
}

// COPY reads patterns, variables, quotes and flags in its arguments, in JSON as well.
func TestOddNamesAreArgumentsOfCopy(t *testing.T) {
	dir := source(t, map[string]string{"main.go": "", "x": ""})
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "it's [a] $b"), 0o755))
	for _, name := range []string{"go.mod", "main.go"} {
		require.NoError(t, os.Rename(filepath.Join(dir, name), filepath.Join(dir, "it's [a] $b", name)))
	}
	_, text := render(t, dir, plan.Config{Packages: []string{"./it's [a] $b"}, Files: []string{"x:/a b/$c"}})
	assert.Contains(t, text, "\nWORKDIR /src/it\\'s [a] \\$b\n")
	assert.Contains(t, text, "\nCOPY --chmod=0644 [\"x\",\"/a b/\\\\$c\"]\n")
}

// Where the context has to have more than .dockerignore leaves in, no directory of it is copied whole.
func TestIgnoredFilesStayOutOfDirectories(t *testing.T) {
	dir := source(t, map[string]string{".dockerignore": "*\n!app\n", "app/it's": "1", "secret": "2"})
	_, text := render(t, dir, plan.Config{Files: []string{".:/all"}})
	assert.Contains(t, text, "> Dockerfile.dockerignore\n")
	assert.NotContains(t, text, "cp -RL")
	assert.Contains(t, text, "\nmkdir -p /files/0/app\ninstall -D -m 0644 '/context/app/it'\\''s' '/files/0/app/it'\\''s'\n")
	assert.NotContains(t, text, "/files/0/main.go")
}
