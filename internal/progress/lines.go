package progress

import (
	"bytes"
	"strings"
	"unicode"

	"github.com/charmbracelet/x/ansi"
)

// longestLine bounds what is kept of a line whose end has not come.
const longestLine = 64 << 10

// lines makes lines out of output that comes in pieces.
type lines struct{ partial []byte }

// add returns the lines that p completes.
func (l *lines) add(p []byte) []string {
	l.partial = append(l.partial, p...)
	var complete []string
	for {
		line, rest, ok := bytes.Cut(l.partial, []byte("\n"))
		if !ok {
			break
		}
		complete = append(complete, visible(line))
		l.partial = rest
	}
	if len(l.partial) > longestLine {
		complete = append(complete, visible(l.partial))
		l.partial = nil
	}
	return complete
}

// rest returns the line that the output broke off in.
func (l *lines) rest() (string, bool) {
	line := l.partial
	l.partial = nil
	return visible(line), len(line) > 0
}

// visible is what a terminal would show of a line in the end: what follows a carriage return overwrites what was before.
func visible(line []byte) string {
	line = bytes.TrimRight(line, "\r")
	return clean(string(line[bytes.LastIndexByte(line, '\r')+1:]))
}

var blanks = strings.NewReplacer("\t", "    ", "\n", " ")

// clean makes one line of text that is safe to show: without control sequences, and without any character that does not
// stand for itself.
func clean(text string) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) {
			return -1
		}
		return r
	}, ansi.Strip(blanks.Replace(text)))
	return strings.TrimRight(text, " ")
}

// Clean makes a text of several lines safe to show, as the package says. Errors may hold what a build printed.
func Clean(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = clean(line)
	}
	return strings.Join(lines, "\n")
}
