package progress

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock stands still until it is told to go on.
type clock struct{ now atomic.Int64 }

func (c *clock) elapsed() time.Duration { return time.Duration(c.now.Load()) }
func (c *clock) add(d time.Duration)    { c.now.Add(int64(d)) }

var rows = []Row{
	{Platform: "linux/amd64", Binary: 8_412_345, Image: 4_000_000, Unpacked: 10_312_345, Digest: "sha256:" + strings.Repeat("0a", 32)},
	{Platform: "linux/arm/v7", Binary: 999, Image: 999_949, Unpacked: 12_345_678_901, Digest: "sha256:" + strings.Repeat("1b", 32)},
}

// story is a run with one of everything.
func story(t *testing.T, format string) string {
	var out bytes.Buffer
	var c clock
	d, err := newDisplay(format, &out, nil, c.elapsed)
	require.NoError(t, err)

	d.Note("engine: host")
	download := d.Step("", "download")
	c.add(250 * time.Millisecond)
	io.WriteString(download, "go: downloading a v1.0.0\ngo: down")
	amd64 := d.Step("linux/amd64", "compile")
	c.add(time.Second)
	io.WriteString(download, "loading b v1.0.0\r\n\n10%\r20%\r")
	io.WriteString(amd64, "\x1b[31mmain.go:1\x1b[0m: <bad>")
	download.End(nil)
	c.add(100 * time.Second)
	d.Warn("the clock\nis slow")
	amd64.End(errors.New("compile: exit 1\n\x1b[2Jmain.go:1"))
	d.Step("linux/arm64", "guard").End(nil)
	d.Table(rows)
	require.NoError(t, d.Close())

	d.Note("too late")
	late := d.Step("", "late")
	fmt.Fprintln(late, "too late")
	late.End(nil)
	require.NoError(t, d.Close())
	return out.String()
}

func TestPlain(t *testing.T) {
	assert.Equal(t, `  0.0s engine: host
  0.0s download …
  0.2s download | go: downloading a v1.0.0
  0.2s linux/amd64 compile …
  1.2s download | go: downloading b v1.0.0
  1.2s download |
  1.2s download | 20%
  1.2s download done in 1.2s
101.2s warning: the clock is slow
101.2s linux/amd64 compile | main.go:1: <bad>
101.2s linux/amd64 compile failed after 101.0s: compile: exit 1
101.2s linux/arm64 guard …
101.2s linux/arm64 guard done in 0.0s
  PLATFORM      BINARY    IMAGE  UNPACKED  DIGEST
  linux/amd64    8.4MB    4.0MB    10.3MB  sha256:`+strings.Repeat("0a", 32)+`
  linux/arm/v7    999B  999.9kB    12.3GB  sha256:`+strings.Repeat("1b", 32)+`
101.2s done in 101.2s
`, story(t, "plain"))
}

func TestJSON(t *testing.T) {
	assert.Equal(t, `{"time":0,"event":"begin","version":1}
{"time":0,"event":"note","text":"engine: host"}
{"time":0,"event":"start","step":"download"}
{"time":0.25,"event":"output","step":"download","text":"go: downloading a v1.0.0"}
{"time":0.25,"event":"start","lane":"linux/amd64","step":"compile"}
{"time":1.25,"event":"output","step":"download","text":"go: downloading b v1.0.0"}
{"time":1.25,"event":"output","step":"download"}
{"time":1.25,"event":"output","step":"download","text":"20%"}
{"time":1.25,"event":"end","step":"download","seconds":1.25}
{"time":101.25,"event":"warning","text":"the clock is slow"}
{"time":101.25,"event":"output","lane":"linux/amd64","step":"compile","text":"main.go:1: <bad>"}
{"time":101.25,"event":"end","lane":"linux/amd64","step":"compile","seconds":101,"error":"compile: exit 1\n\\u001b[2Jmain.go:1"}
{"time":101.25,"event":"start","lane":"linux/arm64","step":"guard"}
{"time":101.25,"event":"end","lane":"linux/arm64","step":"guard","seconds":0}
{"time":101.25,"event":"summary","seconds":101.25,"images":[`+
		`{"platform":"linux/amd64","binarySize":8412345,"imageSize":4000000,"unpackedSize":10312345,"digest":"sha256:`+strings.Repeat("0a", 32)+`"},`+
		`{"platform":"linux/arm/v7","binarySize":999,"imageSize":999949,"unpackedSize":12345678901,"digest":"sha256:`+strings.Repeat("1b", 32)+`"}],`+
		`"slowest":[{"lane":"linux/amd64","step":"compile","seconds":101},{"step":"download","seconds":1.25}]}
`, story(t, "json"))
}

// Each line comes out whole, and those of one step in their order, however steps run beside each other.
func TestConcurrentStepsDoNotMix(t *testing.T) {
	const steps, count = 8, 50
	for _, format := range []string{"plain", "json", "tty"} {
		t.Run(format, func(t *testing.T) {
			var out bytes.Buffer
			d, err := New(t.Context(), format, &out, nil)
			require.NoError(t, err)
			var group sync.WaitGroup
			for i := range steps {
				group.Go(func() {
					step := d.Step(fmt.Sprint("lane", i), "compile")
					for j := range count {
						fmt.Fprintf(step, "line %d ", j)
						fmt.Fprintf(step, "of lane%d\n", i)
					}
					d.Note("noted")
					step.End(nil)
				})
			}
			group.Wait()
			require.NoError(t, d.Close())
			if format != "plain" {
				return
			}
			next := map[string]int{}
			line := regexp.MustCompile(`^ *\d+\.\ds (lane\d) compile \| line (\d+) of (lane\d)$`)
			for text := range strings.Lines(out.String()) {
				if m := line.FindStringSubmatch(strings.TrimSpace(text)); m != nil {
					assert.Equal(t, m[1], m[3])
					assert.Equal(t, fmt.Sprint(next[m[1]]), m[2])
					next[m[1]]++
				}
			}
			assert.Len(t, next, steps)
			assert.Equal(t, steps*(count+3), strings.Count(out.String(), "\n"))
		})
	}
}

func TestAutoIsPlainWithoutATerminal(t *testing.T) {
	file, err := os.Create(t.TempDir() + "/log")
	require.NoError(t, err)
	defer file.Close()
	for _, w := range []io.Writer{io.Discard, file} {
		for _, format := range []string{"", "auto"} {
			d, err := New(t.Context(), format, w, []string{"TERM=xterm"})
			require.NoError(t, err)
			assert.IsType(t, &plain{}, d.sink)
		}
	}
}

func TestDrawable(t *testing.T) {
	assert.True(t, drawable([]string{"TERM=xterm"}))
	assert.True(t, drawable([]string{"TERM=dumb", "TERM=xterm", "CI=false"}), "the last value counts")
	assert.False(t, drawable([]string{"TERM=dumb"}))
	assert.False(t, drawable([]string{"TERM=xterm", "CI=true"}))
}

func TestWrongFormat(t *testing.T) {
	_, err := New(t.Context(), "pretty", io.Discard, nil)
	assert.EqualError(t, err, `progress "pretty": no such format: choose from auto, tty, plain, json`)
	assert.ErrorAs(t, err, new(fault.Faults))
}

// failing is a writer that works a number of times.
type failing struct{ writes int }

var errFull = errors.New("no space left on device")

func (f *failing) Write(p []byte) (int, error) {
	if f.writes--; f.writes < 0 {
		return 0, errFull
	}
	return len(p), nil
}

// A build goes on when its log cannot be written, and Close reports that.
func TestWriteErrors(t *testing.T) {
	for _, format := range []string{"plain", "json", "tty"} {
		d, err := New(t.Context(), format, &failing{writes: 1}, nil)
		require.NoError(t, err)
		step := d.Step("", "download")
		n, err := io.WriteString(step, "text\n")
		assert.Equal(t, 5, n)
		assert.NoError(t, err)
		step.End(nil)
		for range 2 {
			err = d.Close()
			assert.ErrorIs(t, err, errFull, format)
			assert.ErrorContains(t, err, "writing progress: ", format)
		}
	}
}

func TestClosingAnUnusedDisplayWritesNothing(t *testing.T) {
	for _, format := range []string{"plain", "json", "tty"} {
		var out bytes.Buffer
		d, err := New(t.Context(), format, &out, nil)
		require.NoError(t, err)
		require.NoError(t, d.Close())
		assert.Empty(t, out.String(), format)
	}
}

func ExampleDisplay() {
	d, err := newDisplay("plain", os.Stdout, os.Environ(), new(clock).elapsed)
	if err != nil {
		panic(err)
	}
	defer d.Close()
	var report build.Reporter = d
	step := report.Step("linux/amd64", "compile")
	fmt.Fprintln(step, "example.com/app")
	step.End(nil)
	// Output:
	//   0.0s linux/amd64 compile …
	//   0.0s linux/amd64 compile | example.com/app
	//   0.0s linux/amd64 compile done in 0.0s
}
