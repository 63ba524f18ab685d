package progress

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// open returns a display on a terminal of a size, and what the terminal gets.
func open(t *testing.T, width, height int, environ ...string) (*Display, *terminal, *clock, *bytes.Buffer) {
	var out bytes.Buffer
	var c clock
	d, err := newDisplay("tty", &out, environ, c.elapsed)
	require.NoError(t, err)
	view := d.sink.(*terminal)
	view.width, view.height = width, height
	t.Cleanup(func() { d.Close() })
	return d, view, &c, &out
}

// content is what the terminal shows now, without colours.
func content(view *terminal) string { return ansi.Strip(view.View().Content) }

func TestTerminalShowsStepsByLane(t *testing.T) {
	d, view, c, out := open(t, 60, 24)
	d.Note("engine: host")
	arm := d.Step("linux/arm64", "compile")
	amd := d.Step("linux/amd64", "compile")
	push := d.Step("", "push")
	c.add(1200 * time.Millisecond)
	fmt.Fprint(arm, "example.com/\x1b[2J", strings.Repeat("long/", 20), "\n", "\n", "unfinished")
	amd.End(errors.New("exit 1"))
	guard := d.Step("linux/arm64", "guard")
	push.End(nil)
	c.add(time.Second)
	assert.Equal(t, `engine: host
✓ all          push      1.2s
✗ linux/amd64  compile   1.2s
⠹ linux/arm64  compile   2.2s  example.com/\u001b[2Jlong/lo…
⠹ linux/arm64  guard     1.0s`, content(view))

	arm.End(nil)
	d.Table(rows)
	_ = guard // never ended, as when a build is interrupted
	require.NoError(t, d.Close())
	assert.Empty(t, content(view))
	assert.True(t, strings.HasSuffix(ansi.Strip(out.String()), `engine: host
✓ all          push      1.2s
✗ linux/amd64  compile   1.2s
✓ linux/arm64  compile   2.2s
- linux/arm64  guard     1.0s

  PLATFORM      BINARY    IMAGE  UNPACKED  DIGEST
  linux/amd64    8.4MB    4.0MB    10.3MB  sha256:0a0a0a0a0…
  linux/arm/v7    999B  999.9kB    12.3GB  sha256:1b1b1b1b1…
done in 2.2s
`), out.String())
}

// The live view is drawn while steps run, and the terminal is given back as it was.
func TestTerminalDraws(t *testing.T) {
	d, _, _, out := open(t, 60, 24)
	drawn := &watched{w: out, saw: make(chan string, 1000)}
	d.sink.(*terminal).w = drawn
	step := d.Step("linux/arm64", "compile")
	fmt.Fprintln(step, "example.com/app")
	require.Eventually(t, func() bool {
		return strings.Contains(<-drawn.saw, "example.com/app")
	}, 10*time.Second, time.Millisecond)
	step.End(nil)
	require.NoError(t, d.Close())
	assert.Equal(t, 1, strings.Count(out.String(), ansi.ResetModeTextCursorEnable), "hides the cursor")
	assert.Equal(t, 1, strings.Count(out.String(), ansi.SetModeTextCursorEnable), "shows it again")
	for _, mode := range []string{ansi.SetModeAltScreenSaveCursor, ansi.SetModeBracketedPaste, ansi.RequestKittyKeyboard, ansi.SetModifyOtherKeys2} {
		assert.NotContains(t, out.String(), mode)
	}
}

// watched is a writer that shows what it is given.
type watched struct {
	w   io.Writer
	saw chan string
}

func (l *watched) Write(p []byte) (int, error) {
	l.saw <- string(p)
	return l.w.Write(p)
}

func TestTerminalColours(t *testing.T) {
	run := func(environ ...string) string {
		d, view, c, out := open(t, 80, 24, environ...)
		d.Warn("careful")
		fmt.Fprintln(d.Step("linux/arm64", "compile"), "\x1b[35mprinted")
		d.Step("linux/amd64", "compile").End(errors.New("exit 1"))
		d.Step("linux/amd64", "guard").End(nil)
		d.Table(rows)
		c.add(time.Second)
		frame := view.View().Content
		time.Sleep(3 * redrawEvery) // for the program's own sequences
		require.NoError(t, d.Close())
		return frame + out.String()
	}
	coloured := run("TERM=xterm-256color")
	assert.Contains(t, coloured, "\x1b[31m✗")
	assert.Contains(t, coloured, "\x1b[32m✓")
	assert.Contains(t, coloured, "\x1b[33mwarning:")
	assert.Contains(t, coloured, "\x1b[2mprinted")
	assert.NotContains(t, coloured, "\x1b[35m")

	assert.NotRegexp(t, `\x1b\[[0-9;:]*m`, run("TERM=xterm-256color", "COLORTERM=truecolor", "NO_COLOR=1"))
}

// No line is wider than the terminal and no view as high, whatever their size.
func TestTerminalOfAnySize(t *testing.T) {
	for _, size := range []struct{ width, height int }{{200, 50}, {80, 8}, {30, 24}, {10, 5}, {1, 1}} {
		d, view, c, _ := open(t, size.width, size.height)
		d.Warn("what may need the user's attention in a few words")
		for i := range 10 {
			platform := fmt.Sprint("linux/platform", i)
			d.Step(platform, "compile").End(nil)
			fmt.Fprintln(d.Step(platform, "assemble"), "漢字", strings.Repeat("long ", 50))
		}
		c.add(time.Hour)
		lines := strings.Split(content(view), "\n")
		assert.LessOrEqual(t, len(lines), max(size.height-1, 1), size)
		for _, line := range lines {
			assert.LessOrEqual(t, ansi.StringWidth(line), size.width, line)
		}
		d.Table(rows)
		require.NoError(t, d.Close())
		for line := range strings.Lines(view.text()) {
			assert.LessOrEqual(t, ansi.StringWidth(line), size.width, line)
		}
	}
}

func TestTerminalFollowsItsSize(t *testing.T) {
	d, view, _, _ := open(t, 80, 24)
	d.Step("linux/amd64", "compile")
	assert.Eventually(t, func() bool {
		// More than once, since the program reports the first size when it is ready to.
		view.program.Send(tea.WindowSizeMsg{Width: 12, Height: 24})
		return content(view) == "⠋ linux/amd…"
	}, 10*time.Second, time.Millisecond)
}

// What runs or failed stays in sight when the screen is too low for all.
func TestLowTerminalHidesWhatIsDone(t *testing.T) {
	d, view, _, out := open(t, 80, 5)
	for i := range 6 {
		d.Step("", fmt.Sprint("step", i)).End(nil)
	}
	d.Step("linux/amd64", "compile").End(errors.New("exit 1"))
	d.Step("linux/arm64", "compile")
	assert.Equal(t, `✓ 5 done
✓ all          step5     0.0s
✗ linux/amd64  compile   0.0s
⠋ linux/arm64  compile   0.0s`, content(view))
	require.NoError(t, d.Close())
	assert.Contains(t, ansi.Strip(out.String()), "✓ all          step0     0.0s\n", "all is there in the end")
}

func TestWideTerminalShowsWholeDigests(t *testing.T) {
	d, _, _, out := open(t, 140, 24)
	d.Table(rows)
	require.NoError(t, d.Close())
	assert.Contains(t, out.String(), rows[0].Digest)
}
