package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/gocommand"
)

// recorder is a step that keeps what is written to it.
type recorder struct{ bytes.Buffer }

func (*recorder) Progress(build.Progress) {}
func (*recorder) Part(build.Part)         {}
func (*recorder) Skip(build.Skipped)      {}
func (*recorder) End(error)               {}

func TestCancelEndsTheWholeGroup(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	pidFile := filepath.Join(t.TempDir(), "pid")
	// A grandchild that ignores interrupts and holds the output open.
	script := `(trap "" INT TERM; echo $$ > "$1.tmp"; sh -c 'echo $PPID' > "$1"; exec sleep 600) & wait`
	go func() {
		for {
			if pid, err := os.ReadFile(pidFile); err == nil && len(pid) > 0 {
				cancel(errors.New("enough"))
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	err := command{dir: ".", env: os.Environ(), args: []string{"sh", "-c", script, "sh", pidFile}, what: "waiting"}.run(ctx, build.Discard.Step("", ""))
	require.ErrorIs(t, err, context.Canceled)
	pid, err := os.ReadFile(pidFile)
	require.NoError(t, err)
	proc := fmt.Sprintf("/proc/%s/stat", strings.TrimSpace(string(pid)))
	require.Eventually(t, func() bool {
		stat, err := os.ReadFile(proc)
		return errors.Is(err, os.ErrNotExist) || strings.Contains(string(stat), ") Z ") // gone, or waiting for init
	}, 10*time.Second, 10*time.Millisecond, "the grandchild lives on")
}

func TestFailureShowsTheTailAndTheHint(t *testing.T) {
	script := `i=0; while [ $i -lt 5000 ]; do echo "line $i"; i=$((i+1)); done; echo "missing go.sum entry for x" >&2; exit 3`
	var out recorder
	err := command{dir: ".", env: os.Environ(), args: []string{"sh", "-c", script}, what: "compiling"}.run(t.Context(), &out)
	var failed *gocommand.Error
	require.ErrorAs(t, err, &failed)
	assert.Equal(t, 5001, strings.Count(out.String(), "\n"), "everything is streamed")
	lines := strings.Split(failed.Output, "\n")
	assert.Len(t, lines, 41)
	assert.Equal(t, "…", lines[0])
	assert.Equal(t, "line 4999", lines[39])
	assert.ErrorContains(t, err, "compiling: the Go command failed (exit status 3):\n…")
	assert.ErrorContains(t, err, "run go mod tidy")
}

func TestTailBeginsWithAWholeLine(t *testing.T) {
	out := &tail{next: build.Discard.Step("", "")}
	for i := range 20000 {
		fmt.Fprintf(out, "%06d\n", i)
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	assert.Equal(t, gocommand.Cut, lines[0])
	assert.Equal(t, "019999", lines[len(lines)-1])
	for _, l := range lines[1:] {
		assert.Len(t, l, 6)
	}
	assert.LessOrEqual(t, out.buf.Len(), 2*tailBytes)
}
