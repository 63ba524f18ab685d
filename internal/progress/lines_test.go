package progress

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"
)

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                "plain",
		"\x1b[1;31mred\x1b[0m": "red",
		"\x1b]0;title\x07text": "text",
		"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\": "link",
		"\x1bP1$r0m\x1b\\dcs":                      "dcs",
		"\x9b2Jc1":                                 "c1",
		"\u009b2Jc1":                               "2Jc1",
		"a\x1b[2J\x1b[Hb":                          "ab",
		"bell\a back\b null\x00 del\x7f":           "bell back null del",
		"\tindented":                               "    indented",
		"two\nlines":                               "two lines",
		"right\u202eto left":                       "rightto left",
		"zero\u200bwidth":                          "zerowidth",
		"broken \xff byte":                         "broken  byte",
		"unfinished \x1b[":                         "unfinished",
		"naïve 漢字 ✓":                               "naïve 漢字 ✓",
	} {
		assert.Equal(t, want, clean(in), "%q", in)
	}
}

// Whatever a program prints, nothing is left that a terminal would take for more than text.
func TestCleanAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		out := clean(string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")))
		if !utf8.ValidString(out) {
			t.Fatalf("%q is not UTF-8", out)
		}
		for _, r := range out {
			if r < ' ' || 0x7f <= r && r < 0xa0 {
				t.Fatalf("%q has %U", out, r)
			}
		}
	})
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
