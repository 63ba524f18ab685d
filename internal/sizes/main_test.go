package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/test/testtool"
)

const root = "../../"

// cells is the table of docs/runtimes.md, without its head.
func cells(t *testing.T) (rows [][]string, text string) {
	t.Helper()
	page, err := os.ReadFile(root + "docs/runtimes.md")
	require.NoError(t, err)
	_, rest, ok := strings.Cut(string(page), begin)
	require.True(t, ok)
	text, _, ok = strings.Cut(rest, end)
	require.True(t, ok)
	for line := range strings.Lines(text) {
		rows = append(rows, strings.Split(strings.Trim(line, "| \n"), " | "))
	}
	require.Greater(t, len(rows), 2)
	return rows[2:], text
}

var number = regexp.MustCompile(`[0-9]+(\.[0-9]+)?`)

func numbers(t *testing.T, cell string) []float64 {
	t.Helper()
	var all []float64
	for _, text := range number.FindAllString(cell, -1) {
		n, err := strconv.ParseFloat(text, 64)
		require.NoError(t, err)
		all = append(all, n)
	}
	require.NotEmpty(t, all, cell)
	return all
}

// Images are no bigger than is usual for such a program, nor than is usual for such a runtime. Stripping takes off about a
// third.
func TestTableKeepsTheBounds(t *testing.T) {
	rows, _ := cells(t)
	require.Len(t, rows, len(builds))
	for i, b := range builds {
		row := rows[i]
		require.Len(t, row, 7)
		assert.Equal(t, []string{"`" + b.example + "`", b.config.Runtime}, row[:2])
		most := usual[b.config.Runtime].to
		if b.usual.to != 0 {
			most = min(most, b.usual.to)
		}
		platforms := 2
		if b.config.Platforms != nil {
			platforms = len(b.config.Platforms)
		}
		program, saved, pulled, unpacked := numbers(t, row[2]), numbers(t, row[3]), numbers(t, row[4]), numbers(t, row[5])
		require.Len(t, unpacked, platforms)
		for j := range unpacked {
			assert.LessOrEqual(t, unpacked[j], most, row)
			assert.LessOrEqual(t, pulled[j], unpacked[j], row)
			assert.LessOrEqual(t, program[j], unpacked[j], row)
			assert.InDelta(t, 40, saved[j], 12.5, row)
		}
	}
}

// Whoever measures again gets the same numbers.
func TestTableIsWhatIsMeasured(t *testing.T) {
	_, text := cells(t)
	for _, b := range builds[:testtool.Trials(1, 3)] {
		require.Equal(t, "http-server", b.example)
		r, err := measure(t.Context(), root+"examples", b)
		require.NoError(t, err)
		assert.Contains(t, text, r.String()+"\n")
	}
}

// The documentation says nothing else than the table.
func TestPagesAreOfTheTable(t *testing.T) {
	rows, _ := cells(t)
	measured := map[string]bool{}
	for _, row := range rows {
		amd64, _, _ := strings.Cut(row[5], " ")
		measured[amd64] = true
	}
	pages, err := filepath.Glob(root + "docs/*.md")
	require.NoError(t, err)
	found := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		for _, match := range regexp.MustCompile(`([0-9.]+) MB\s+unpacked`).FindAllStringSubmatch(string(text), -1) {
			found++
			assert.True(t, measured[match[1]], "%s: %s", page, match[0])
		}
	}
	assert.Equal(t, 5, found)
}

func TestBetween(t *testing.T) {
	text, err := between("a\n"+begin+"old\n"+end+"b\n", "new\n")
	require.NoError(t, err)
	assert.Equal(t, "a\n"+begin+"new\n"+end+"b\n", text)
	for _, text := range []string{"", begin, end, end + begin} {
		_, err := between(text, "new\n")
		assert.Error(t, err)
	}
}
