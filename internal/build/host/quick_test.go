package host_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/plan"
)

// The Go command is not asked for its graph when the last build was quick and nothing but the source has changed, which is what
// an edit is.
func TestEditsAreNotWatched(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the Go command that logs is a shell script")
	}
	real, err := exec.LookPath("go")
	require.NoError(t, err)
	// A distribution of Go whose command logs.
	root, log := t.TempDir(), filepath.Join(t.TempDir(), "log")
	goroot, err := exec.Command(real, "env", "GOROOT").Output()
	require.NoError(t, err)
	version, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(goroot)), "VERSION"))
	require.NoError(t, err)
	for name, text := range map[string]string{
		"VERSION": string(version), "go.env": "", "pkg/x": "", "src/x": "", "bin/go": "#!/bin/sh\necho \"$*\" >> '" + log + "'\nexec '" + real + "' \"$@\"\n",
	} {
		file := filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o755))
	}
	old := time.Now().Add(-time.Hour)
	require.NoError(t, filepath.WalkDir(root, func(name string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Chtimes(name, old, old))
	}))
	t.Setenv("PATH", filepath.Join(root, "bin")+string(filepath.ListSeparator)+os.Getenv("PATH"))
	dir := writeTree(t, hello)
	b := newBuilder(t)
	builds := func() string {
		require.NoError(t, os.RemoveAll(log))
		_, _, err := b.build(dir, plan.Config{Runtime: "scratch", Platforms: []string{"linux/amd64"}})
		require.NoError(t, err)
		text, err := os.ReadFile(log)
		require.NoError(t, err)
		var found []string
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "build ") {
				found = append(found, line)
			}
		}
		require.Len(t, found, 1)
		return found[0]
	}
	assert.Contains(t, builds(), "-debug-actiongraph=")
	var args string
	for i := range 5 { // some of which may take long on a busy machine
		edited := strings.Replace(hello["main.go"], "hello", strconv.Itoa(i), 1)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte(edited), 0o644))
		if args = builds(); !strings.Contains(args, "-debug-actiongraph") {
			break
		}
	}
	assert.NotContains(t, args, "-debug-actiongraph")
}
