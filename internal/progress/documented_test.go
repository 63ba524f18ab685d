package progress

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/test/documented"
)

const root = "../.."

// documentedRun is the run that docs/progress.md shows.
func documentedRun(t *testing.T, format string) string {
	var out bytes.Buffer
	var c clock
	d, err := newDisplay(format, &out, nil, c.elapsed)
	require.NoError(t, err)
	c.add(time.Second)
	amd64 := d.Step("linux/amd64", "compile")
	c.add(10 * time.Second)
	amd64.Progress(build.Progress{Unit: build.Packages, Done: 213, Total: 312, Slowest: "net/http", For: 3200 * time.Millisecond})
	c.add(10400 * time.Millisecond)
	amd64.End(nil)
	arm64 := d.Step("linux/arm64", "compile")
	c.add(100 * time.Millisecond)
	arm64.Skip(build.Skipped{Reason: "nothing that the programs are made of has changed since 2026-01-02 15:04:05", Saved: 20100 * time.Millisecond})
	arm64.End(nil)
	push := d.Step("", "push")
	c.add(3100 * time.Millisecond)
	push.Progress(build.Progress{Unit: build.Bytes, Done: 12_345_678, Total: 12_345_678})
	push.End(nil)
	c.add(100 * time.Millisecond)
	d.Table(rows[:1])
	require.NoError(t, d.Close())
	return out.String()
}

// The lines and events in docs/progress.md are those of a run.
func TestDocumented(t *testing.T) {
	assert.NoError(t, documented.Compare(root, "docs/progress.md", `  1.0s linux/amd64`, documentedRun(t, "plain"), nil))
	assert.NoError(t, documented.Compare(root, "docs/progress.md", `{"time":1`, documentedRun(t, "json"), nil))
}
