package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/slipway-ci/slipway/internal/secret"
)

// hostile are texts that do more than to be read, and what is shown of them.
var hostile = map[string]string{
	"plain text\n\tindented ✓ naïve 漢字": "plain text\n\tindented ✓ naïve 漢字",
	"\x1b[1;31mred\x1b[0m":              "red",
	"a\x1b[2J\x1b[Hb":                   `a\u001b[2J\u001b[Hb`,
	"\x1b\x1b[m[2J":                     `\u001b[2J`,
	"\x1b]0;title\x07":                  `\u001b]0;title\u0007`,
	"\x1b]8;;http://x\x1b\\link":        `\u001b]8;;http://x\u001b\link`,
	"over\rwritten":                     `over\u000dwritten`,
	"dos\r\nlines\r\n":                  "dos\nlines\n",
	"\u009b2J \x9b2J":                   `\u009b2J ` + "\ufffd2J",
	"nul\x00 bell\a del\x7f back\b":     `nul\u0000 bell\u0007 del\u007f back\u0008`,
	"right\u202eto\u2066left":           `right\u202eto\u2066left`,
	"zero\u200bwidth\ufeff\u2060":       `zero\u200bwidth\ufeff\u2060`,
	"tag\U000e0041 line\u2028":          `tag\udb40\udc41 line\u2028`,
	"filler\u3164 x\ufe0f ✔\ufe0f":      `filler\u3164 x\ufe0f ` + "✔\ufe0f",
	"broken \xff byte":                  "broken \ufffd byte",

	"::error::x":                        `\u003a:error::x`,
	"a\n \u00a0::set-output x":          "a\n \u00a0" + `\u003a:set-output x`,
	"a\r::add-mask::x":                  `a\u000d::add-mask::x`,
	"\x1b[m::stop-commands::x":          `\u003a:stop-commands::x`,
	":\x1b[m:error::x":                  `\u003a:error::x`,
	"C++ has std::string":               "C++ has std::string",
	"x ##[add-mask]y":                   `x \u0023#[add-mask]y`,
	"###[group]":                        `#\u0023#[group]`,
	"##vso[task.setvariable]":           `\u0023#vso[task.setvariable]`,
	"##\ufe0fVSO[task.x]":               `##\ufe0fVSO[task.x]`,
	"##TeamCity[x]":                     `\u0023#TeamCity[x]`,
	"## heading #[x]":                   "## heading #[x]",
	"\x1b[0Ksection_start:1:x\r\x1b[0K": `\u001b[0Ksection_start:1:x\u000d\u001b[0K`,
}

func TestVisible(t *testing.T) {
	for in, want := range hostile {
		assert.Equal(t, want, Visible(in), "%q", in)
		assert.Equal(t, strings.ReplaceAll(want, "\n", `\n`), Line(in), "%q", in)
	}
}

// Whatever is printed, nothing is left that a terminal or a CI system would take for more than text, and it is the same when it
// goes through twice.
func TestVisibleAnything(t *testing.T) {
	piece := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{":", "::", "#", "##", "[", "vso[", "\x1b[m", "\x1b", "\n", "\r", "\xff", "\u202e"}))
	rapid.Check(t, func(t *rapid.T) {
		out := Visible(strings.Join(rapid.SliceOf(piece).Draw(t, "pieces"), ""))
		if !utf8.ValidString(out) || Visible(out) != out {
			t.Fatalf("%q", out)
		}
		for _, r := range out {
			if r != '\n' && r != '\t' && !unicode.IsGraphic(r) {
				t.Fatalf("%q has %U", out, r)
			}
		}
		for line := range strings.Lines(out) {
			if strings.HasPrefix(strings.TrimSpace(line), "::") || strings.Contains(line, "##[") || strings.Contains(line, "##vso[") {
				t.Fatalf("%q is a command", line)
			}
		}
	})
}

// JSON keeps its meaning.
func TestVisibleJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := strings.ToValidUTF8(rapid.String().Draw(t, "text"), "") + "\u202e\U000e0041\u009b##vso[x]\x1b[31m"
		var encoded bytes.Buffer
		encoder := json.NewEncoder(&encoded)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		require.NoError(t, encoder.Encode(map[string]string{text: text}))
		var decoded map[string]string
		require.NoError(t, json.Unmarshal([]byte(Visible(encoded.String())), &decoded))
		require.Equal(t, map[string]string{text: text}, decoded)
	})
}

// How a text comes in pieces makes no difference.
func TestWriter(t *testing.T) {
	var known secret.Set
	known.Add("t0psecret")
	for in, want := range hostile {
		in, want = in+" t0psecret https://u:PW@host/", want+" REDACTED https://REDACTED@host/"
		var whole, bytewise bytes.Buffer
		w := NewWriter(&whole, &known)
		fmt.Fprint(w, in)
		require.NoError(t, w.Flush())
		w = NewWriter(&bytewise, &known)
		for i := range len(in) {
			n, err := w.Write([]byte{in[i]})
			require.NoError(t, err)
			require.Equal(t, 1, n)
		}
		require.NoError(t, w.Flush())
		assert.Equal(t, want, whole.String(), "%q", in)
		assert.Equal(t, want, bytewise.String(), "%q", in)
	}
}

// Slipway's own commands remain, and what is in them from outside is harmless, too.
func TestCommands(t *testing.T) {
	var out bytes.Buffer
	var known secret.Set
	known.Add("t0psecret")
	w := NewWriter(&out, &known)
	fmt.Fprint(w, "unfinished ")
	require.NoError(t, w.Commands("::error title=x::a\x1b[2J t0psecret\n ::error::x\n::notice::##[y]\n"))
	assert.Equal(t, `unfinished ::error title=x::a\u001b[2J REDACTED`+"\n "+`\u003a:error::x`+"\n"+`::notice::\u0023#[y]`+"\n", out.String())
	require.NoError(t, w.Exact("##[x] u:pw@h"))
	assert.True(t, strings.HasSuffix(out.String(), "\n##[x] u:pw@h"))
	assert.Nil(t, w.Terminal())
	assert.NotNil(t, NewWriter(os.Stderr, &known).Terminal())
}
