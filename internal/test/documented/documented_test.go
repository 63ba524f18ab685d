package documented

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const root = "../../.."

func TestCompare(t *testing.T) {
	dir := t.TempDir()
	page := "text\n\n```\nok   go1.26.8 in /usr/local/go\n  3.9MB of ghcr.io/me/api@sha256:0a…, 1.5s\n…\nend 0123456789ab\n```\n\n```console\n$ slipway one\nfirst\n\n$ slipway two\n…\nlast …\n```\n\n```sh\nno output\n```\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "page.md"), []byte(page), 0o644))
	outputs, err := Outputs(dir, "page.md")
	require.NoError(t, err)
	assert.Equal(t, []Output{
		{"page.md", 4, "ok   go1.26.8 in /usr/local/go", []string{"ok   go1.26.8 in /usr/local/go", "  3.9MB of ghcr.io/me/api@sha256:0a…, 1.5s", "…", "end 0123456789ab"}},
		{"page.md", 11, "$ slipway one", []string{"first"}},
		{"page.md", 14, "$ slipway two", []string{"…", "last …"}},
	}, outputs)
	names := map[string]string{"ghcr.io/me/api": "localhost:5000/a", "/usr/local/go": "/go"}
	const first, second = "ok go1.27.11 in /go\n", "812.0kB of localhost:5000/a@sha256:b1c2, 11.0s\n"
	for printed, want := range map[string]string{
		first + second + "end aabbccddeeff\n":                          "",
		first + second + "more\nend 1\nand more\nend aabbccddeeff\n":   "",
		first + second + "end aabbccddeeff\nmore\n":                    "lines that were printed are missing",
		first + second + "end now\n":                                   "line 4 of the output was not printed there: end 0123456789ab",
		"ok go1.x in /go\n" + second + "end aabbccddeeff\n":            "line 1 ",
		"ok go1.26.8 in /usr/local/go\n" + second + "end aabbccddee\n": "line 1 ",
		first + "812.0 of localhost:5000/a@sha256:b1, 11.0s\nend 0a":   "line 2 ",
		first + "8.0kB of localhost:5000/a@sha512:b1, 11.0s\nend 0a":   "line 2 ",
	} {
		err := Compare(dir, "page.md", "ok ", printed, names)
		if want == "" {
			assert.NoError(t, err, printed)
		} else {
			assert.ErrorContains(t, err, want, printed)
		}
	}
	assert.NoError(t, Compare(dir, "page.md", "$ slipway two", "last word and all that follows\n", nil))
	assert.NoError(t, Compare(dir, "page.md", "$ slipway two", "last\n", nil))
	assert.ErrorContains(t, Compare(dir, "page.md", "$ slipway two", "lost\n", nil), "page.md:14: line 2 of the output was not printed there: last …")
	assert.ErrorContains(t, Compare(dir, "page.md", "$ slipway three", "", nil), "no output on page.md begins with $ slipway three")
}

// inputs are blocks of JSON that nobody prints, with what reads them.
var inputs = map[string]string{
	"docs/checks.md":  "a document that a user writes, which TestDocumentedSuppression reads",
	"docs/dagger.md":  "a configuration that a user writes, which TestDocumentedToolchain reads, and TestWorkspace on an engine",
	"docs/pinning.md": "Renovate's configuration: TestRenovate reads the preset that it names",
}

// comparison is where a script or a test compares an output: its page and beginning.
var comparison = regexp.MustCompile(`(?m)^documented \S+ (\S+) (?:'([^']*)'|(\S+))|documented\.Compare\(root, "([^"]+)", [\x60"]([^\x60]+?)[\x60"],`)

// Every output in the documentation is compared with what is printed.
func TestEveryOutputIsCompared(t *testing.T) {
	compared := map[string][]string{}
	for _, pattern := range []string{"cmd/slipway/testdata/*/*.txtar", "internal/progress/*_test.go"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		require.NoError(t, err)
		require.NotEmpty(t, files)
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			for _, m := range comparison.FindAllStringSubmatch(string(text), -1) {
				page := m[1] + m[4]
				compared[page] = append(compared[page], m[2]+m[3]+m[5])
			}
		}
	}
	pages, err := Pages(root)
	require.NoError(t, err)
	found := 0
	for _, page := range pages {
		outputs, err := Outputs(root, page)
		require.NoError(t, err)
		for _, o := range outputs {
			if inputs[page] != "" && strings.HasPrefix(o.Beginning, "{") {
				continue
			}
			found++
			begins := func(beginning string) bool { return strings.HasPrefix(o.Beginning, beginning) }
			assert.True(t, slices.ContainsFunc(compared[page], begins), "%s:%d: no test compares the output that begins with %s", page, o.Line, o.Beginning)
		}
		text, err := os.ReadFile(filepath.Join(root, page))
		require.NoError(t, err)
		for _, b := range Blocks(string(text)) {
			assert.Contains(t, []string{"", "console", "json", "sh", "yaml", "go", "dockerfile"}, b.Language, "%s:%d", page, b.Line)
		}
	}
	assert.Greater(t, found, 8)
}
