package plan

import (
	"testing"
	"testing/fstest"

	"github.com/moby/patternmatcher"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The patterns of files bring what is named, whichever way it is written, and nothing else.
func TestFilePatterns(t *testing.T) {
	names := []string{"a", "b.txt", "web/a", "web/b/c", "[id].js", "i.js", "!x", `b\s`, "a b"}
	for file, want := range map[string][]string{
		".:/all":                     names,
		"./:/all":                    names,
		"web/..:/all":                names,
		"a:/a":                       {"a"},
		"./a:/a:0600":                {"a"},
		"web:/w":                     {"web/a", "web/b/c"},
		"web/:/w":                    {"web/a", "web/b/c"},
		"web/./b/:/w":                {"web/b/c"},
		"[id].js:/i":                 {"[id].js"},
		"!x:/x":                      {"!x"},
		`b\s:/b`:                     {`b\s`},
		"a b:/b":                     {"a b"},
		"*:/all/":                    names,
		"web/*:/w/":                  {"web/a", "web/b/c"},
		"?.js:/w/":                   {"i.js"},
		"*.[jt]s:/w/":                {"[id].js", "i.js"},
		"!*:/w/":                     {"!x"},
		`b\*:/w/`:                    nil,
		"nothing:/n":                 nil,
		"{{.Arch}}:/n":               names,
		"web/{{.OS}}-{{.Arch}}/x:/n": nil,
		"web/{{.Platform}}/c:/n":     {"web/b/c"},
		"{{.OS}}{{.Arch}}.js:/n":     {"[id].js", "i.js"},
		"b.{{.Arch}}:/n":             {"b.txt"},
		"of no form":                 nil,
		"../out:/file":               nil,
		"https://example.com/a:/a":   nil,
	} {
		matcher, err := patternmatcher.New(Config{Files: []string{file}}.FilePatterns())
		require.NoError(t, err)
		var brought []string
		for _, name := range names {
			matches, err := matcher.MatchesOrParentMatches(name)
			require.NoError(t, err)
			if matches {
				brought = append(brought, name)
			}
		}
		assert.Equal(t, want, brought, file)
	}
}

// What the files of an image come from, for who looks for changes of it.
func TestFileRoots(t *testing.T) {
	files := []string{"web:/w", " ./a/:/a", "web/*.html:/w/", "*.md:/w/", "bin/tool-{{.Arch}}:/t", "{{.OS}}/x:/x", "x?/y:/y/", "https://example.com/web:/x", "of no form"}
	assert.Equal(t, []string{"web", "a", "web", ".", "bin", ".", "."}, Config{Files: files}.FileRoots())
}

// An ignored file that is not here is reported as one that is.
func TestFilesThatWereNotBrought(t *testing.T) {
	source := fstest.MapFS{
		"go.mod": {Data: []byte("module example.com/a\n\ngo 1.26.8\n")}, "main.go": {Data: []byte("package main\n\nfunc main() {}\n")},
		IgnoreFile: {Data: []byte("/secrets\n*.log\n!keep.log\n")},
	}
	for file, want := range map[string]string{
		"secrets/k:/k":   "secrets/k is left out by .dockerignore",
		"a.log:/a":       "a.log is left out by .dockerignore",
		"keep.log:/a":    "keep.log is not in the source",
		"x/secrets:/a":   "x/secrets is not in the source",
		".git/config:/a": ".git/config is not in the source",
	} {
		_, err := Resolve(t.Context(), source, Config{Files: []string{file}})
		require.ErrorContains(t, err, want, file)
	}
}
