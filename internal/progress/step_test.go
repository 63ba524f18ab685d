package progress

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/build"
)

// long is a run that compiles, moves bytes and finds that there is nothing to do.
func long(t *testing.T, format string) string {
	var out bytes.Buffer
	var c clock
	d, err := newDisplay(format, &out, nil, c.elapsed)
	require.NoError(t, err)

	compile := d.Step("linux/amd64", "compile")
	for i := range int64(24) { // twice a second
		c.add(500 * time.Millisecond)
		compile.Progress(build.Progress{Unit: build.Packages, Done: 10 * i, Total: 240, Slowest: "net/\x1b[2Jhttp", For: time.Duration(i) * 100 * time.Millisecond})
	}
	compile.End(nil)
	pull := d.Step("", "pull")
	c.add(10 * time.Second)
	pull.Progress(build.Progress{Unit: build.Bytes, Done: 5_000_000, Total: 20_000_000})
	c.add(10 * time.Second)
	pull.Progress(build.Progress{Unit: build.Bytes, Done: 20_000_000, Total: 20_000_000})
	pull.End(nil)
	again := d.Step("linux/arm64", "compile")
	again.Skip(build.Skipped{Reason: "unchanged since yesterday\x1b[2J", Saved: 30 * time.Second})
	again.End(nil)
	d.Table(rows[:1])
	require.NoError(t, d.Close())
	return out.String()
}

func TestPlainProgress(t *testing.T) {
	assert.Equal(t, `  0.0s linux/amd64 compile …
 10.0s linux/amd64 compile: 190 of 240 packages, net/\u001b[2Jhttp for 1.9s
 12.0s linux/amd64 compile done in 12.0s: 240 packages
 12.0s pull …
 22.0s pull: 5.0MB of 20.0MB, 500.0kB/s
 32.0s pull: 20.0MB, 1.0MB/s
 32.0s pull done in 20.0s: 20.0MB, 1.0MB/s
 32.0s linux/arm64 compile …
 32.0s linux/arm64 compile skipped: unchanged since yesterday\u001b[2J, which took 30.0s
`+plainTable+` 32.0s done in 32.0s; caches saved 30.0s of work
`, long(t, "plain"))
}

const plainTable = `  PLATFORM     BINARY  IMAGE  UNPACKED  DIGEST
  linux/amd64   8.4MB  4.0MB    10.3MB  sha256:0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a
`

func TestJSONProgress(t *testing.T) {
	text := long(t, "json")
	assert.Contains(t, text, `{"time":1,"event":"progress","lane":"linux/amd64","step":"compile","unit":"packages","done":10,"total":240,"longest":{"package":"net/\\u001b[2Jhttp","seconds":0.1}}
{"time":2,"event":"progress",`, "once a second")
	assert.Contains(t, text, `{"time":12,"event":"end","lane":"linux/amd64","step":"compile","seconds":12,"unit":"packages","done":240,"total":240}`)
	assert.Contains(t, text, `"event":"end","lane":"linux/arm64","step":"compile","seconds":0,"skipped":"unchanged since yesterday\\u001b[2J","savedSeconds":30}`)
	assert.Contains(t, text, `"event":"summary","seconds":32,"savedSeconds":30,"images":[`)
}

func TestTerminalProgress(t *testing.T) {
	d, view, c, out := open(t, 70, 24)
	compile := d.Step("linux/amd64", "compile")
	fmt.Fprintln(compile, "go: downloading a")
	c.add(2 * time.Second)
	compile.Progress(build.Progress{Unit: build.Packages, Done: 12, Total: 240, Slowest: "net/http", For: time.Second})
	again := d.Step("linux/arm64", "compile")
	again.Skip(build.Skipped{Reason: "unchanged"})
	again.End(nil)
	assert.Equal(t, `⠋ linux/amd64  compile   2.0s  12 of 240 packages, net/http for 1.0s
✓ linux/arm64  compile   0.0s  unchanged`, content(view))
	c.add(2 * time.Second)
	compile.Progress(build.Progress{Unit: build.Packages, Done: 13, Total: 240, Slowest: "net/url", For: 900 * time.Millisecond})
	assert.Contains(t, content(view), "13 of 240 packages\n", "what is quick is gone before anybody has read it")
	compile.End(nil)
	require.NoError(t, d.Close())
	assert.Contains(t, out.String(), "240 packages")
}

// many builds 50 images, of which one fails.
func many(t *testing.T, d *Display, c *clock) {
	d.Images(50)
	var all []Row
	for i := range 50 {
		name := fmt.Sprint("image", i)
		compile := d.Step(name+" linux/amd64", "compile")
		c.add(time.Duration(i) * 100 * time.Millisecond)
		io.WriteString(compile, "printed\n")
		if i == 20 {
			compile.End(errors.New("exit 1"))
			all = append(all, Row{Name: name, Failed: true})
			continue
		}
		compile.End(nil)
		d.Step(name+" linux/amd64", "push").End(nil)
		for _, row := range rows {
			row.Name = name
			all = append(all, row)
		}
	}
	d.Table(all)
	require.NoError(t, d.Close())
}

const fifty = `  49 of 50 images
  failed: image20
  slowest:   4.9s image49 linux/amd64 compile
             4.8s image48 linux/amd64 compile
             4.7s image47 linux/amd64 compile
             4.6s image46 linux/amd64 compile
             4.5s image45 linux/amd64 compile
`

func TestManyImages(t *testing.T) {
	var out bytes.Buffer
	var c clock
	d, err := newDisplay("plain", &out, nil, c.elapsed)
	require.NoError(t, err)
	many(t, d, &c)
	assert.Equal(t, ` 10.5s 28 steps done
 21.0s 40 steps done
 21.0s image20 linux/amd64 compile failed after 2.0s: exit 1
 32.5s 48 steps done
 43.5s 56 steps done
 56.1s 64 steps done
 66.6s 70 steps done
 78.0s 76 steps done
 90.3s 82 steps done
103.5s 88 steps done
117.6s 94 steps done
`+fifty+`122.5s done in 122.5s
`, out.String())

	d, _, clock, _ := open(t, 70, 24)
	view := d.sink.(*terminal)
	many(t, d, clock)
	assert.Equal(t, "✗ image20 linux/amd64  compile   2.0s\n\n"+fifty+"done in 122.5s\n", stripped(view))
}

func stripped(view *terminal) string { return ansi.Strip(view.text()) }
