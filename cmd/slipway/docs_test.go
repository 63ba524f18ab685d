package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/test/documented"
)

var update = flag.Bool("update", false, "render the Dockerfiles in docs again")

// rendered is a Dockerfile in a text, with the command that renders it.
var rendered = regexp.MustCompile("(?s)<!-- slipway (dockerfile [^>]*) -->\n```dockerfile\n(.*?)```\n")

// The Dockerfiles in the documentation are those that the command renders.
func TestDocumentedDockerfiles(t *testing.T) {
	t.Chdir("../..")
	pages, err := filepath.Glob("docs/*.md")
	require.NoError(t, err)
	found := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		now := rendered.ReplaceAllStringFunc(string(text), func(block string) string {
			found++
			parts := rendered.FindStringSubmatch(block)
			var out, said bytes.Buffer
			require.Zero(t, run(t.Context(), strings.Fields(parts[1]), nil, &out, &said), "%s: %s: %s", page, parts[1], &said)
			if !*update {
				assert.Equal(t, parts[2], out.String(), "%s: %s", page, parts[1])
			}
			return "<!-- slipway " + parts[1] + " -->\n```dockerfile\n" + out.String() + "```\n"
		})
		if *update {
			require.NoError(t, os.WriteFile(page, []byte(now), 0o644))
		}
	}
	assert.Equal(t, 8, found)
}

// The digests of the session in the README are those of a build today.
func TestReadmeSession(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	const command = "build --runtime scratch --port 8080 examples/http-server"
	require.Contains(t, string(text), "$ slipway "+command+"\n")
	t.Chdir("../..")
	var out, said bytes.Buffer
	args := append(strings.Fields(command), "--json", "--engine", "host", "--output", filepath.Join(t.TempDir(), "image.tar"))
	require.Zero(t, run(t.Context(), args, os.Environ(), &out, &said), "%s", &said)
	var built struct {
		Digest    string
		Platforms []struct{ Platform, Digest string }
	}
	require.NoError(t, json.Unmarshal(out.Bytes(), &built))
	assert.Contains(t, string(text), "@"+built.Digest+"\n")
	require.Len(t, built.Platforms, 2)
	for _, p := range built.Platforms {
		assert.Regexp(t, "(?m)^  "+p.Platform+" .* "+p.Digest[:len("sha256:")+12]+"$", string(text))
	}
}

// called is a command line in a block, which may be a session or a step of a CI system, or between backticks.
var called = regexp.MustCompile("(?m)(?:^ *|[\x60(]|run:? |- |&& |^\\$ |\\./cmd/|^ *[A-Z_]+=[^ ]+ )slipway ([^\x60#\n|>&)]+)")

// mentioned is the command with more words on a line of a block.
var mentioned = regexp.MustCompile(`(?:^|[^/\w-])slipway \S`)

// Every command line in the documentation is one that the command understands, and the examples that it names are there.
func TestDocumentedCommands(t *testing.T) {
	pages, err := documented.Pages("../..")
	require.NoError(t, err)
	lines := 0
	for _, page := range pages {
		file, err := os.ReadFile(filepath.Join("../..", page))
		require.NoError(t, err)
		text := strings.ReplaceAll(string(file), "\\\n", "")
		for _, block := range documented.Blocks(text) {
			for i, line := range block.Lines {
				line, _, _ = strings.Cut(line, "#")
				prints := block.Language == "" || block.Language == "console" && !strings.HasPrefix(line, "$ ")
				if mentioned.MatchString(line) && !prints {
					assert.Regexp(t, called, line, "%s:%d: nobody checks this command", page, block.Line+i)
				}
			}
		}
		for _, match := range called.FindAllStringSubmatch(text, -1) {
			words := strings.Fields(strings.NewReplacer(`"`, "", `'`, "", " …", "").Replace(match[1]))
			root := quietRoot()
			command, rest, err := root.Find(joinOptional(words))
			require.NoError(t, err)
			if command == root || len(rest) == 0 {
				continue // a word, or the name of a command, in a sentence
			}
			lines++
			require.NoError(t, command.ParseFlags(rest), "%s: slipway %s", page, match[1])
			args := command.Flags().Args()
			require.NoError(t, command.ValidateArgs(args), "%s: slipway %s", page, match[1])
			for _, dir := range args {
				if strings.HasPrefix(dir, "examples/") {
					assert.FileExists(t, filepath.Join("../..", dir, "go.mod"), match[1])
				}
			}
		}
	}
	assert.Greater(t, lines, 120)
}

// A line with a flag that does not exist would be found.
func TestDocumentedCommandsCanFail(t *testing.T) {
	for line, words := range map[string]string{
		"run `slipway build --nosuch x` now": "build --nosuch x", "a slipway plan": "", "A=1 slipway plan # x": "plan ", "$(slipway publish --x)": "publish --x",
		"dagger run slipway plan": "plan", "slipway pin --check     # in CI": "pin --check     ",
		"$ slipway diff a b": "diff a b", "  - run: slipway diff a b": "diff a b", "A_B=… slipway plan": "plan", "a && slipway plan x": "plan x", "    - slipway publish": "publish",
	} {
		match := called.FindStringSubmatch(line)
		if words == "" {
			assert.Nil(t, match, line)
			continue
		}
		require.NotNil(t, match, line)
		assert.Equal(t, words, match[1])
	}
	command, rest, err := quietRoot().Find([]string{"build", "--nosuch", "x"})
	require.NoError(t, err)
	assert.Error(t, command.ParseFlags(rest))
}
