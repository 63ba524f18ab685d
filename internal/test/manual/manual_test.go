// Package manual tests the README and docs: length, links, and figures. cmd/slipway and internal/test/conformance test their commands,
// Dockerfiles and slipway.yaml files.
package manual

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const root = "../../../"

func TestReadmeIsShort(t *testing.T) {
	assert.LessOrEqual(t, strings.Count(read(t, "README.md"), "\n"), 150)
}

// Every relative link leads to a file, and its fragment to a heading of that file.
func TestLinks(t *testing.T) {
	links := 0
	for _, page := range pages(t) {
		for _, link := range linksOf(read(t, page)) {
			if strings.Contains(link, "://") {
				continue
			}
			links++
			file, fragment, _ := strings.Cut(link, "#")
			target := page
			if file != "" {
				target = path.Join(path.Dir(page), file)
			}
			if _, err := os.Stat(root + target); !assert.NoError(t, err, "%s: %s", page, link) || fragment == "" {
				continue
			}
			assert.Contains(t, anchors(read(t, target)), fragment, "%s: %s", page, link)
		}
	}
	assert.Greater(t, links, 100)
}

func TestLinksAreFound(t *testing.T) {
	text := "# The `.ko.yaml` file, [again](x.md)\n\n## a_b C-d\n## a_b C-d\n[one](a.md#b) `[no](code)`\n```\n# no\n[no](block)\n```\n[two\nlines](c.md)\n"
	assert.Equal(t, []string{"x.md", "a.md#b", "c.md"}, linksOf(text))
	assert.Equal(t, []string{"the-koyaml-file-again", "a_b-c-d", "a_b-c-d-1"}, anchors(text))
}

// The index lists every page.
func TestIndexIsComplete(t *testing.T) {
	index := linksOf(read(t, "docs/README.md"))
	for _, page := range pages(t) {
		if name, ok := strings.CutPrefix(page, "docs/"); ok && name != "README.md" {
			assert.Contains(t, index, name)
		}
	}
}

// CONTRIBUTING names paths that exist, and every directory of internal.
func TestContributing(t *testing.T) {
	text := read(t, "CONTRIBUTING.md")
	named := regexp.MustCompile(`(?:^|[\s\x60(]|\./)((?:bench|ci|cmd|docs|examples|internal|testdata)(?:/[\w.-]*\w)+)`).FindAllStringSubmatch(text, -1)
	for _, match := range named {
		_, err := os.Stat(root + match[1])
		assert.NoError(t, err)
	}
	entries, err := os.ReadDir(root + "internal")
	require.NoError(t, err)
	for _, entry := range entries {
		assert.Regexp(t, `\binternal/`+entry.Name()+`\b`, text)
	}
	assert.Greater(t, len(named), len(entries))
}

// The README's times are those of the benchmark.
func TestTimesAreMeasured(t *testing.T) {
	results := map[string]map[string]string{}
	section := ""
	for line := range strings.Lines(read(t, "bench/RESULTS.md")) {
		if heading, ok := strings.CutPrefix(line, "## "); ok {
			section, _, _ = strings.Cut(heading, ":")
			results[section] = map[string]string{}
		} else if cells := row(line); section != "" && len(cells) > 1 {
			results[section][cells[0]] = cells[1]
		}
	}
	var tools []string
	times := 0
	for line := range strings.Lines(read(t, "README.md")) {
		cells := row(line)
		if len(cells) == 0 {
			tools = nil
			continue
		}
		if slices.Contains(cells, "bare `go build`") {
			tools = cells
			continue
		}
		section, ok := strings.CutPrefix(cells[0], "`")
		if tools == nil || !ok {
			continue
		}
		section, _, _ = strings.Cut(section, "`")
		require.Contains(t, results, section)
		for i, cell := range cells[1:] {
			if cell != "" {
				tool := map[string]string{"Slipway": "slipway", "ko, `KOCACHE`": "ko, KOCACHE", "bare `go build`": "go build"}[tools[i+1]]
				if tool == "" {
					tool = tools[i+1]
				}
				assert.Equal(t, results[section][tool], cell, "%s: %s", section, tool)
				times++
			}
		}
	}
	assert.Greater(t, times, 15)
}

// row is the cells of a table's row; none of any other line.
func row(line string) []string {
	line, ok := strings.CutPrefix(strings.TrimSpace(line), "|")
	if !ok {
		return nil
	}
	cells := strings.Split(strings.TrimSuffix(line, "|"), "|")
	for i := range cells {
		cells[i] = strings.TrimSpace(cells[i])
	}
	return cells
}

// pages are the Markdown files of the repository, from its root.
func pages(t *testing.T) (all []string) {
	t.Helper()
	require.NoError(t, fs.WalkDir(os.DirFS(root), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name != "." && (strings.HasPrefix(entry.Name(), ".") || slices.Contains([]string{"dist", "node_modules", "testdata"}, entry.Name())):
			return fs.SkipDir
		case filepath.Ext(name) == ".md":
			all = append(all, name)
		}
		return nil
	}))
	require.Contains(t, all, "README.md")
	return all
}

func read(t *testing.T, page string) string {
	t.Helper()
	text, err := os.ReadFile(root + page)
	require.NoError(t, err)
	return string(text)
}

var (
	block   = regexp.MustCompile("(?ms)^```.*?^```")
	inline  = regexp.MustCompile("`[^`\n]*`")
	link    = regexp.MustCompile(`\[[^\]]*\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
)

func linksOf(text string) (all []string) {
	// A link around code is still one.
	text = inline.ReplaceAllString(block.ReplaceAllString(text, ""), "code")
	for _, match := range link.FindAllStringSubmatch(text, -1) {
		all = append(all, match[1])
	}
	return all
}

// anchors are those that GitHub gives the headings of a page.
func anchors(text string) (all []string) {
	seen := map[string]int{}
	for _, match := range heading.FindAllStringSubmatch(block.ReplaceAllString(text, ""), -1) {
		title := link.ReplaceAllStringFunc(match[1], func(s string) string { return s[1:strings.Index(s, "]")] })
		anchor := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, title)
		seen[anchor]++
		if n := seen[anchor]; n > 1 {
			anchor += "-" + string(rune('0'+n-1))
		}
		all = append(all, anchor)
	}
	return all
}
