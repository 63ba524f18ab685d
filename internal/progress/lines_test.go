package progress

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"

	"github.com/slipway-ci/slipway/internal/console"
)

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                 "plain",
		"\x1b[1;31mred\x1b[0m":  "red",
		"\x1b]0;title\x07text":  `\u001b]0;title\u0007text`,
		"a\x1b[2J\x1b[Hb":       `a\u001b[2J\u001b[Hb`,
		"\tindented":            "    indented",
		"two\nlines":            "two lines",
		"right\u202eto left   ": `right\u202eto left`,
	} {
		assert.Equal(t, want, oneLine(console.Visible(in)), "%q", in)
	}
	long := oneLine(strings.Repeat("é", longestShown))
	assert.Less(t, len(long), longestShown+50)
	assert.True(t, strings.HasSuffix(long, "é… (8192 bytes more)"), long[longestShown-10:])
	assert.Equal(t, "a\n    b", Clean("a  \r\n\tb"))
}

// How output is cut into pieces makes no difference.
func TestLinesComeInPieces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pieces := rapid.SliceOf(rapid.StringMatching(`[a-c\r\n]{0,5}`)).Draw(t, "pieces")
		var l, whole lines
		var got []string
		for _, piece := range pieces {
			got = append(got, l.add([]byte(piece))...)
		}
		want := whole.add([]byte(strings.Join(pieces, "")))
		if !slices.Equal(want, got) {
			t.Fatalf("%q, not %q", got, want)
		}
		gotRest, gotOK := l.rest()
		wantRest, wantOK := whole.rest()
		if gotRest != wantRest || gotOK != wantOK {
			t.Fatalf("%q, not %q", gotRest, wantRest)
		}
	})
}

// A program that never ends its line must not fill the memory.
func TestEndlessLine(t *testing.T) {
	var l lines
	var got []string
	for range 3 {
		got = append(got, l.add([]byte(strings.Repeat("x", longestLine)))...)
	}
	assert.Len(t, got, 1)
	assert.Len(t, got[0], 2*longestLine)
	assert.Len(t, l.partial, longestLine)
}
