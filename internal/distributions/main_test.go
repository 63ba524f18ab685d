package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func serve(t *testing.T, text string) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/ubuntu.json" {
			_, _ = io.WriteString(w, text)
			return
		}
		_, _ = io.WriteString(w, `[{"cycle":"2","eol":"2030-01-31","latest":"2.1"},{"cycle":"1","eol":true}]`)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestMakeTable(t *testing.T) {
	now := time.Date(2026, 11, 27, 23, 0, 0, 0, time.UTC)
	table, err := makeTable(serve(t, `[{"cycle":"26.04","eol":"2031-04-30"}]`), now)
	require.NoError(t, err)
	assert.Contains(t, string(table), "const endsAsOf = \"2026-11-27\"\n")
	assert.Contains(t, string(table), "{\n\t\"Alpine 2\":     \"2030-01-31\",\n\t\"Debian 2\":     \"2030-01-31\",\n\t\"Ubuntu 26.04\": \"2031-04-30\",\n}\n")

	for _, text := range []string{`[]`, `<html>`, `[{"cycle":"1","eol":"soon"}]`} {
		_, err := makeTable(serve(t, text), now)
		assert.ErrorContains(t, err, "reading when the releases of Ubuntu end", text)
	}
}
