// Package console is the edge between Slipway and whoever reads what it prints. Text from outside, such as a compiler's output, a
// registry's answer, a label or the name of a file, is harmless behind it: it neither moves a terminal's cursor nor reverses the
// direction of text, no CI system takes it for a command, and no secret is in it.
package console

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// colour is a control sequence that changes how text looks and nothing else.
var colour = regexp.MustCompile(`\x1b\[[0-9;:]*m`)

// Visible writes text so that every character stands for itself, but for line feeds and tabs. Colours are taken out. All else that
// would not be seen, or would change how the rest is seen, becomes its escape in JSON, such as \u001b: in a text that is JSON it
// keeps its meaning. The beginning of what a CI system would take for a command becomes one, too.
func Visible(text string) string {
	if harmless(text) {
		return text
	}
	text = colour.ReplaceAllString(text, "")
	var b strings.Builder
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == '\r' && strings.HasPrefix(text[i+1:], "\n"): // as Windows ends lines
		case r == '\n', r == '\t', visible(r), style(r) && i > 0 && text[i-1] >= utf8.RuneSelf:
			b.WriteRune(r) // for a byte that is no UTF-8 the character for such
		default:
			escape(&b, r)
		}
		i += size
	}
	return withoutCommands(b.String())
}

// Line is [Visible] in one line.
func Line(text string) string {
	return strings.ReplaceAll(Visible(text), "\n", `\n`)
}

// harmless reports whether Visible would leave text, which is nearly always so, as it is; in one pass.
func harmless(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' && c != '\n' && c != '\t' || c >= 0x7f || c == '#' || c == ':' && i+1 < len(text) && text[i+1] == ':' {
			return false
		}
	}
	return true
}

// visible reports whether r can be seen, or is a space.
func visible(r rune) bool {
	return unicode.IsGraphic(r) && !unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// style reports whether r says how the symbol before it is shown: as text or as an emoji.
func style(r rune) bool { return r == 0xfe0e || r == 0xfe0f }

func escape(b *strings.Builder, r rune) {
	if high, low := utf16.EncodeRune(r); high != unicode.ReplacementChar {
		fmt.Fprintf(b, `\u%04x\u%04x`, high, low)
		return
	}
	fmt.Fprintf(b, `\u%04x`, r)
}

// command is what begins a command: of GitHub Actions and those who follow it, at the beginning of a line; and of GitHub, Azure
// Pipelines and TeamCity, anywhere. Those of GitLab and Jenkins begin with control characters. Sources:
// https://github.com/actions/runner/blob/main/src/Runner.Common/ActionCommand.cs
// https://github.com/microsoft/azure-pipelines-task-lib/blob/master/node/taskcommand.ts
// https://www.jetbrains.com/help/teamcity/service-messages.html
var command = regexp.MustCompile(`(?im)^[\s\p{Z}]*::|##(\[|vso\[|teamcity\[)`)

func withoutCommands(text string) string {
	if !strings.Contains(text, "::") && !strings.Contains(text, "##") {
		return text
	}
	return command.ReplaceAllStringFunc(text, func(match string) string {
		if before, found := strings.CutSuffix(match, "::"); found {
			return before + `\u003a:`
		}
		return `\u0023` + match[1:]
	})
}
