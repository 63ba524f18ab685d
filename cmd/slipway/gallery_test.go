package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/config"
	"github.com/slipway-ci/slipway/internal/test/testtool"
)

const mostLines = 20

// shown is a slipway.yaml of the gallery in its page, with the name of its file.
var shown = regexp.MustCompile("(?s)<!-- gallery/([^ ]+) -->\n```yaml\n(.*?)```\n")

// The page shows the files of the gallery, each of which is short, and each image of which can be planned in a source that has what it names.
func TestGallery(t *testing.T) {
	const page = "../../docs/gallery.md"
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	files, err := filepath.Glob("../../docs/gallery/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	there := map[string]string{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		there[filepath.Base(file)] = string(content)
	}
	now := shown.ReplaceAllStringFunc(string(text), func(block string) string {
		parts := shown.FindStringSubmatch(block)
		content, ok := there[parts[1]]
		assert.True(t, ok, "%s: no file gallery/%s, or shown twice", page, parts[1])
		delete(there, parts[1])
		if !*update {
			assert.Equal(t, content, parts[2], parts[1])
		}
		return "<!-- gallery/" + parts[1] + " -->\n```yaml\n" + content + "```\n"
	})
	assert.Empty(t, there, "files that the page does not show")
	if *update {
		require.NoError(t, os.WriteFile(page, []byte(now), 0o644))
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) { plansOfGallery(t, file) })
	}
}

// plansOfGallery plans each image of a slipway.yaml in a source that has its packages and files, and a tag of git.
func plansOfGallery(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.LessOrEqual(t, strings.Count(string(text), "\n"), mostLines)
	project, err := config.Parse(text)
	require.NoError(t, err)
	source := t.TempDir()
	write := func(name, content string) {
		path := filepath.Join(source, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
	}
	write(config.File, string(text))
	write("go.mod", "module example.com/gallery\n\ngo 1.26.8\n")
	for _, image := range project.Images {
		require.NotEmpty(t, image.Packages, image.Name)
		for _, program := range image.Packages {
			dir, _, _ := strings.Cut(program, "=")
			write(dir+"/main.go", "package main\n\nfunc main() {}\n")
		}
		for _, f := range image.Files {
			name, _, _ := strings.Cut(f, ":")
			write(name, "a file\n")
		}
	}
	program := testtool.Need(t, "git", "git")
	git := func(args ...string) {
		cmd := exec.Command(program, append([]string{"-C", source, "-c", "user.name=A", "-c", "user.email=a@example.com"}, args...)...)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	git("init", "-q")
	git("add", ".")
	git("commit", "-q", "-m", "a release")
	git("tag", "v1.2.3")
	for _, name := range project.Names() {
		var out, said bytes.Buffer
		args := []string{"plan", name, source}
		if image, _ := project.Find(name); image.Generates() {
			args = append(args, "--generate")
		}
		assert.Zero(t, run(t.Context(), args, nil, &out, &said), "%s: %s", name, &said)
	}
}
