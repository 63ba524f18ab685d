package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const page = `---
title: A distribution
releases:
  - releaseCycle: "2.10"
    eol: 2030-01-31
    latest: "2.10.1"
  - releaseCycle: "1"
    eol: true
---
> [A distribution](https://example.com) is {{ it }}: a page
`

// clone is a directory with the pages of the distributions, that of Ubuntu being text.
func clone(t *testing.T, text string) string {
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "products"), 0o755))
	for name, content := range map[string]string{"alpine-linux": page, "debian": page, "ubuntu": text} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "products", name+".md"), []byte(content), 0o644))
	}
	return dir
}

func TestTable(t *testing.T) {
	now := time.Date(2026, 11, 27, 23, 0, 0, 0, time.UTC)
	file := filepath.Join(t.TempDir(), "table.go")
	dir := clone(t, "---\nreleases:\n  - releaseCycle: \"26.04\"\n    eol: 2031-04-30\n---\n[Ubuntu](x)")
	server := httptest.NewServer(http.FileServer(http.Dir(dir)))
	t.Cleanup(server.Close)
	for day, args := range map[string][]string{"2026-08-22": {dir, file, "2026-08-22"}, "2026-11-27": {server.URL, file}} {
		require.NoError(t, run(args, now))
		table, err := os.ReadFile(file)
		require.NoError(t, err)
		assert.Contains(t, string(table), "const endsAsOf = \""+day+"\"\n", "the day of the data")
		assert.Contains(t, string(table), "{\n\t\"Alpine 2.10\":  \"2030-01-31\",\n\t\"Debian 2.10\":  \"2030-01-31\",\n\t\"Ubuntu 26.04\": \"2031-04-30\",\n}\n")
	}
	require.NoError(t, os.WriteFile(file, []byte("as it was"), 0o644))
	for _, args := range [][]string{{dir, file}, {dir, file, "today"}, {server.URL, file, "2026-08-22"}, {server.URL + "/x", file}, {file, file, "2026-08-22"}} {
		assert.Error(t, run(args, now), args)
	}
	for _, text := range []string{"", "<html>", "---\nreleases: []\n---\n", "---\nreleases: [{releaseCycle: \"1\", eol: soon}]\n---\n", "---\nreleases: [{releaseCycle: \"1\"}]\n---\n"} {
		assert.ErrorContains(t, run([]string{clone(t, text), file, "2026-08-22"}, now), "reading when the releases of Ubuntu end", text)
	}
	left, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, "as it was", string(left))
}
