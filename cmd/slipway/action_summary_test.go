package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/test/testtool"
)

// comments is GitHub's API for the comments of pull request 7, which has many of others.
type comments struct {
	all []map[string]any
}

func (c *comments) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer t0psecret" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	var sent map[string]any
	if r.Method != http.MethodGet && json.NewDecoder(r.Body).Decode(&sent) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	const list = "/repos/me/api/issues/7/comments"
	switch {
	case r.Method == http.MethodGet && r.URL.Path == list:
		begin := 0
		if r.URL.Query().Get("page") == "2" {
			begin = 100
		}
		_ = json.NewEncoder(w).Encode(c.all[min(begin, len(c.all)):min(begin+100, len(c.all))])
	case r.Method == http.MethodPost && r.URL.Path == list:
		c.all = append(c.all, map[string]any{"id": len(c.all), "body": sent["body"], "user": map[string]any{"type": "Bot"}})
	case r.Method == http.MethodPatch:
		for _, one := range c.all {
			if r.URL.Path == fmt.Sprintf("/repos/me/api/issues/comments/%v", one["id"]) {
				one["body"] = sent["body"]
				return
			}
		}
		w.WriteHeader(http.StatusNotFound)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// The summary has sizes, what grew and findings; as a comment there is one, however often it is written.
func TestActionsSummary(t *testing.T) {
	testtool.Need(t, "jq", "jq")
	testtool.Need(t, "curl", "curl")
	bash := testtool.Need(t, "bash", "bash")
	script := ""
	for _, step := range readAction(t).Runs.Steps {
		if step.ID == "summary" {
			script = step.Run
		}
	}
	require.NotEmpty(t, script)
	temp, report := t.TempDir(), t.TempDir()
	// It stands for slipway size, whose own tests say what that prints.
	require.NoError(t, os.MkdirAll(filepath.Join(temp, "slipway"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(temp, "slipway", "slipway"), []byte("#!/bin/sh\necho \"$*\"; echo '</pre>module a +1B'; case $2 in *missing*) exit 1; esac\n"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(report, "findings.sarif"), []byte(`{"runs": [{"results": [
		{"level": "error", "message": {"text": "bad\n<script>"}, "locations": [{"physicalLocation": {"artifactLocation": {"uri": "main.go"}, "region": {"startLine": 3}}}]}
	]}]}`), 0o644))
	c := &comments{}
	for i := range 120 {
		c.all = append(c.all, map[string]any{"id": i, "body": "<!-- slipway job -->", "user": map[string]any{"type": "User"}})
	}
	server := httptest.NewServer(c)
	defer server.Close()
	run := func(env ...string) (summary, said string, err error) {
		file := filepath.Join(t.TempDir(), "summary")
		cmd := exec.Command(bash, "-eo", "pipefail", "-c", script)
		cmd.Env = append(os.Environ(), append([]string{
			"RUNNER_TEMP=" + temp, "GITHUB_STEP_SUMMARY=" + file, "GITHUB_JOB=job", "GITHUB_API_URL=" + server.URL, "GITHUB_REPOSITORY=me/api",
			"TOKEN=t0psecret", "PULL_REQUEST=7", "COMMENT=false", "COMPARE=", "REPORT=", "NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1",
			`BUILT=[{"name": "a<b", "reference": "r.io/a@sha256:1", "platforms": [{"platform": "linux/amd64", "binarySize": 8412345, "imageSize": 999000, "unpackedSize": 10312345, "digest": "sha256:0123456789abcdef"}]}]`,
		}, env...)...)
		out, err := cmd.CombinedOutput()
		text, _ := os.ReadFile(file)
		return string(text), string(out), err
	}

	text, said, err := run()
	require.NoError(t, err, said)
	assert.Contains(t, text, "| a&lt;b | linux/amd64 | 8.4 MB | 999 kB | 10.3 MB | `sha256:0123456789ab` |\n")
	assert.NotContains(t, text, "What grew")
	assert.NotContains(t, text, "Findings")
	assert.Len(t, c.all, 120, "nobody asked for a comment")

	text, said, err = run("COMPARE=r.io/{{.Name}}:main", "REPORT="+report, "COMMENT=true")
	require.NoError(t, err, said)
	assert.Contains(t, text, "<pre>size r.io/a&lt;b:main r.io/a@sha256:1\n&lt;/pre&gt;module a +1B\n</pre>")
	assert.Contains(t, text, "1 findings\n\n- error <code>main.go:3</code> bad &lt;script&gt;\n")
	require.Len(t, c.all, 121)
	assert.Equal(t, text, c.all[120]["body"])

	text, said, err = run("COMPARE=r.io/missing:main", "COMMENT=true")
	require.NoError(t, err, said)
	assert.Contains(t, text, "<pre>nothing to compare with: size r.io/missing:main")
	require.Len(t, c.all, 121, "the comment is updated")
	assert.Equal(t, text, c.all[120]["body"])

	_, said, err = run("COMMENT=true", "PULL_REQUEST=")
	require.NoError(t, err, said)
	_, said, err = run("COMMENT=true", "TOKEN=wrong")
	require.Error(t, err)
	assert.NotContains(t, strings.ReplaceAll(said, "401", ""), "wrong", "no token is printed")
}
