package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// textOf returns the text of an SVG image, and fails if it is not well-formed.
func textOf(t *testing.T, svg string) string {
	t.Helper()
	var text strings.Builder
	for decoder := xml.NewDecoder(strings.NewReader(svg)); ; {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return text.String()
		}
		require.NoError(t, err)
		if data, ok := token.(xml.CharData); ok {
			text.Write(data)
		}
	}
}

func TestRecording(t *testing.T) {
	frames, err := record([]string{`printf 'a<b\n\033[31mred\033[0m'`, `sh -c 'test -t 1; echo $NAME; sleep 0.3; echo later'`}, t.TempDir(), []string{"NAME=value"})
	require.NoError(t, err)
	shown := func(f frame) string {
		var text []string
		for _, l := range f.lines {
			text = append(text, string(l))
		}
		return strings.TrimSpace(strings.Join(text, "\n"))
	}
	last := shown(frames[len(frames)-1])
	assert.Contains(t, last, "\na&lt;b\n<tspan fill=\"#800000\">red</tspan>\n")
	assert.True(t, strings.HasSuffix(last, "\nvalue\nlater"), last)
	assert.NotContains(t, shown(frames[0]), "\n")
	for i := range frames[1:] {
		assert.Greater(t, frames[i+1].at, frames[i].at)
	}
	assert.Greater(t, frames[len(frames)-1].at, 300*time.Millisecond)

	text := textOf(t, render(frames, "printf; sh"))
	assert.Contains(t, text, "a<b")
	assert.Equal(t, 1, strings.Count(text, "later\n"), "lines that several frames show are there once")
}

func TestFailedCommand(t *testing.T) {
	_, err := record([]string{"sh -c 'echo why; exit 3'"}, t.TempDir(), nil)
	assert.ErrorContains(t, err, "exit status 3")
	assert.ErrorContains(t, err, "why")
}

func TestStills(t *testing.T) {
	all := make([]frame, 4)
	for i, at := range []time.Duration{0, 10, 60, 100} {
		all[i] = frame{at: at * time.Second, lines: [rows]line{line(at.String())}}
	}
	var shown []line
	for i, f := range stills(all, 5) {
		assert.Equal(t, time.Duration(i)*rest, f.at)
		shown = append(shown, f.lines[0])
	}
	assert.Equal(t, []line{"0s", "10ns", "10ns", "60ns", "100ns"}, shown, "at 0, 25, 50, 75 and 100 s")
}

// The documentation's recordings are of these sessions.
func TestRecorded(t *testing.T) {
	for name, s := range sessions {
		svg, err := os.ReadFile("../../docs/" + name + ".svg")
		require.NoError(t, err)
		_, shown, _ := strings.Cut(textOf(t, string(svg)), s.commands[len(s.commands)-1]) // after the title
		text := strings.ReplaceAll(shown, "\n", "")
		for _, command := range s.commands {
			assert.Contains(t, text, command, name)
		}
	}
}
