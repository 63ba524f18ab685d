package host

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/plan"
)

// A real go build, which is held while it compiles one package, and once more while it links.
func TestWatcher(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the tool that holds the compiler is a shell script")
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":       "module example.com/app\n\ngo 1.21\n",
		"main.go":      "package main\n\nimport \"example.com/app/held\"\n\nfunc main() { held.Do() }\n",
		"held/held.go": "package held\n\nimport \"example.com/app/first\"\n\nfunc Do() { first.Do() }\n",
		"first/one.go": "package first\n\nfunc Do() {}\n",
		// The Go command asks the tools for their versions, too.
		"hold.sh": `#!/bin/sh
case "$*" in
*-V=full*) ;;
*"-p example.com/app/held "*) until [ -e "$HOLD/compile" ]; do sleep 0.02; done ;;
*/link\ *) until [ -e "$HOLD/link" ]; do sleep 0.02; done ;;
esac
exec "$@"
`,
	} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755))
	}
	graph := filepath.Join(t.TempDir(), "graph.json")
	cmd := exec.Command("go", "build", graphFlag+"="+graph, "-toolexec="+filepath.Join(dir, "hold.sh"), "-o", filepath.Join(dir, "app"), ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOLD="+dir, "GOFLAGS=", "GOTMPDIR="+t.TempDir(), "CGO_ENABLED=0")
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(t, cmd.Start())
	defer cmd.Process.Kill()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()

	now := time.Now()
	w := watcher{file: graph, atOnce: 2, now: func() time.Time { return now }}
	until := func(reached func(build.Progress) bool) (p build.Progress) {
		t.Helper()
		require.Eventually(t, func() bool {
			var ok bool
			p, ok = w.look()
			return ok && reached(p)
		}, time.Minute, 10*time.Millisecond, "%v", &out)
		return p
	}
	until(func(p build.Progress) bool { return p.Slowest == "example.com/app/held" })
	now = now.Add(time.Hour)
	p := until(func(p build.Progress) bool { return p.Done == p.Total-2 }) // all but what is held and what needs it
	assert.Greater(t, p.Total, int64(3), "the standard library counts, too")
	assert.Equal(t, time.Hour, p.For)
	busy := w
	busy.atOnce = 1
	p, _ = busy.look()
	assert.Less(t, p.Done, p.Total-2, "with all hands busy, nobody knows what is in the cache")

	require.NoError(t, os.WriteFile(filepath.Join(dir, "compile"), nil, 0o644))
	p = until(func(p build.Progress) bool { return p.Done == p.Total })
	assert.Equal(t, build.Progress{Unit: build.Packages, Done: p.Total, Total: p.Total, Slowest: "linking"}, p)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "link"), nil, 0o644))
	require.NoError(t, <-ended, "%v", &out)
}

// A Go command without the flag compiles without progress.
func TestGoWithoutGraphs(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the Go command that lacks the flag is a shell script")
	}
	real, err := exec.LookPath("go")
	require.NoError(t, err)
	dir, bin := t.TempDir(), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(bin, "go"), []byte(`#!/bin/sh
case "$*" in *`+graphFlag+`*) echo "flag provided but not defined: `+graphFlag+`" >&2; exit 2 ;; esac
exec '`+real+`' "$@"
`), 0o755))
	t.Setenv("PATH", bin+string(filepath.ListSeparator)+os.Getenv("PATH"))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte("package main\n\nfunc main() {}\n"), 0o644))
	c := &compiler{plan: &plan.Plan{}, dir: t.TempDir(), caller: map[string]string{"PATH": os.Getenv("PATH"), "HOME": os.Getenv("HOME"), "GOCACHE": os.Getenv("GOCACHE")}}
	cmd := command{dir: dir, args: []string{"go", "build", "-o", filepath.Join(dir, "app"), "main.go"}, what: "compiling"}
	require.NoError(t, c.watched(t.Context(), into{io.Discard}, cmd, nil, 1))
	assert.FileExists(t, filepath.Join(dir, "app"))
}

func TestQuickBuildsAreExpected(t *testing.T) {
	is := inputs{Digest: "sha256:2", Settings: "sha256:0"}
	was := inputs{Digest: "sha256:1", Settings: "sha256:0"}
	assert.True(t, expectQuick(is, cachedPrograms{Inputs: was, Took: time.Second}))
	assert.False(t, expectQuick(is, cachedPrograms{Inputs: was, Took: time.Minute}))
	assert.False(t, expectQuick(is, cachedPrograms{Inputs: was}), "a first build")
	assert.False(t, expectQuick(is, cachedPrograms{Inputs: inputs{Settings: "sha256:1"}, Took: time.Second}), "another go.sum")
	assert.False(t, expectQuick(inputs{}, cachedPrograms{Took: time.Second}), "nothing is known")
}

// collected is a step that keeps its parts.
type collected struct {
	build.Step
	parts []build.Part
}

func (c *collected) Part(p build.Part) { c.parts = append(c.parts, p) }

// What took a second or more to compile or link is a part; what was in the Go command's cache took none.
func TestParts(t *testing.T) {
	file := filepath.Join(t.TempDir(), "graph.json")
	require.NoError(t, os.WriteFile(file, []byte(`[
		{"ID": 0, "Mode": "link-install", "Package": "example.com/app", "TimeStart": "2026-01-02T15:04:00Z", "TimeDone": "2026-01-02T15:05:00Z"},
		{"ID": 1, "Mode": "link", "Package": "example.com/app", "Objdir": "b001/", "TimeStart": "2026-01-02T15:04:05Z", "TimeDone": "2026-01-02T15:04:07Z"},
		{"ID": 2, "Mode": "build", "Package": "net/http", "Objdir": "b002/", "TimeStart": "2026-01-02T15:04:00Z", "TimeDone": "2026-01-02T15:04:01Z"},
		{"ID": 3, "Mode": "build", "Package": "fmt", "Objdir": "b003/", "TimeStart": "2026-01-02T15:04:00Z", "TimeDone": "2026-01-02T15:04:00.9Z"}
	]`), 0o644))
	step := &collected{}
	parts(file, step)
	at := func(second int) time.Time { return time.Date(2026, 1, 2, 15, 4, second, 0, time.UTC) }
	assert.Equal(t, []build.Part{
		{Name: "link example.com/app", Began: at(5), Done: at(7)},
		{Name: "net/http", Began: at(0), Done: at(1)},
	}, step.parts)
}
