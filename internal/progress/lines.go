package progress

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/slipway-ci/slipway/internal/console"
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
	return string(line[bytes.LastIndexByte(line, '\r')+1:])
}

var blanks = strings.NewReplacer("\t", "    ", "\n", " ")

// longestShown bounds what is shown of a line, in bytes.
const longestShown = 8 << 10

// oneLine makes one line of a harmless text.
func oneLine(text string) string {
	text = strings.TrimRight(blanks.Replace(text), " ")
	if len(text) > longestShown {
		text = strings.ToValidUTF8(text[:longestShown], "") + fmt.Sprintf("… (%d bytes more)", len(text)-longestShown)
	}
	return text
}

// oneByOne makes lines of a harmless text, each as oneLine.
func oneByOne(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = oneLine(line)
	}
	return strings.Join(lines, "\n")
}

// Clean makes a text of several lines safe to show, as the package says. Errors may hold what a build printed.
func Clean(text string) string { return oneByOne(console.Visible(text)) }
