package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/test/testtool"
)

// findings runs checks that fail, and returns what they say.
func findings(t *testing.T, args ...string) string {
	t.Helper()
	cmd := slipwayCommand(t, nil, append([]string{"check"}, args...)...)
	out, err := cmd.Output()
	require.Error(t, err)
	assert.Equal(t, exitFailed, cmd.ProcessState.ExitCode())
	return string(out)
}

func TestCheckFindsDataRaces(t *testing.T) {
	testtool.Need(t, "gcc", "gcc")
	archive, err := txtar.ParseFile("testdata/script/check.txtar")
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, txtar.Write(archive, dir))
	out := findings(t, "test", filepath.Join(dir, "racy"))
	assert.Contains(t, out, "WARNING: DATA RACE")
	assert.Contains(t, out, "FAIL  test       0 passed, 1 failed")
}

// golangci-lint takes minutes to compile, once.
func TestCheckLints(t *testing.T) {
	testtool.NeedTime(t, "golangci-lint is compiled")
	dir := t.TempDir()
	for name, content := range map[string]string{
		"go.mod":  "module example.com/m\n\ngo 1.26.8\n",
		"main.go": "package main\n\nimport \"os\"\n\nfunc main() {\n\tos.Remove(\"x\")\n}\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644))
	}
	out := findings(t, "lint", dir)
	assert.Contains(t, out, "main.go:6:11: Error return value of `os.Remove` is not checked (errcheck)")
	assert.Contains(t, out, "FAIL  lint       1 finding")

	// The user's configuration counts.
	config := filepath.Join(dir, ".golangci.yml")
	require.NoError(t, os.WriteFile(config, []byte("version: \"2\"\nlinters:\n  disable: [errcheck]\n"), 0o644))
	assert.Contains(t, must(t, slipwayCommand(t, nil, "check", "lint", dir)), "ok    lint       no findings")
	require.NoError(t, os.WriteFile(config, []byte("version: \"2\"\nlinters:\n  enable: [nosuch]\n"), 0o644))
	assert.Contains(t, findings(t, "lint", dir), "FAIL  lint       did not work")

	// But for what it would have written or run.
	require.NoError(t, os.WriteFile(config, []byte("version: \"2\"\nlinters:\n  default: none\n  enable: [whitespace]\nissues:\n  fix: true\n"+
		"output:\n  formats:\n    text:\n      path: written.txt\n    html:\n      path: written.html\n"), 0o644))
	source := "package main\n\nfunc main() {\n\n\tprintln()\n\n}\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte(source), 0o644))
	assert.Contains(t, findings(t, "lint", dir), "(whitespace)")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, entries, 3)
	text, err := os.ReadFile(filepath.Join(dir, "main.go"))
	require.NoError(t, err)
	assert.Equal(t, source, string(text))
}
