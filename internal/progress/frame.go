package progress

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"
)

// colours are the styles of a terminal. The zero value has none.
type colours struct{ good, bad, warn, dim lipgloss.Style }

var coloured = colours{
	good: lipgloss.NewStyle().Foreground(lipgloss.Green),
	bad:  lipgloss.NewStyle().Foreground(lipgloss.Red),
	warn: lipgloss.NewStyle().Foreground(lipgloss.Yellow),
	dim:  lipgloss.NewStyle().Faint(true),
}

var spinner = []rune("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")

// frame returns the lines of the live view. Where the screen is too low for all, steps that went well make room for
// those that run or failed, and then what is above for what is below.
func (t *terminal) frame() []string {
	// A view as high as the screen cannot be taken away again.
	height := max(t.height-1, 1)
	lines := t.noteLines()
	steps := t.steps
	if excess := len(lines) + len(steps) - height; excess > 0 {
		steps = nil
		done := 0
		for _, s := range t.steps {
			// One more than the excess, since the line with their number needs room too.
			if s.ended && s.err == nil && done <= excess {
				done++
				continue
			}
			steps = append(steps, s)
		}
		if done > 0 {
			lines = append(lines, t.cut(t.colours.good.Render("✓")+fmt.Sprintf(" %d done", done)))
		}
	}
	lines = append(lines, t.stepLines(steps)...)
	return lines[max(len(lines)-height, 0):]
}

// text is what stays when the program has ended.
func (t *terminal) text() string {
	steps := t.steps
	if t.many {
		steps = slices.DeleteFunc(slices.Clone(steps), func(s *stepView) bool { return s.ended && s.err == nil })
	}
	lines := append(t.noteLines(), t.stepLines(steps)...)
	if t.summary != nil {
		lines = append(lines, "")
		lines = append(lines, t.tableLines()...)
		lines = append(lines, t.cut(t.summary.summary.done()))
	}
	return strings.Join(lines, "\n") + "\n"
}

// noteLines are the notes, whole: a warning must not lose its end.
func (t *terminal) noteLines() []string {
	var lines []string
	for _, n := range t.notes {
		lines = append(lines, strings.Split(ansi.Wrap(n, t.width, ""), "\n")...)
	}
	return lines
}

func (t *terminal) stepLines(steps []*stepView) []string {
	laneWidth, nameWidth := 0, 0
	for _, s := range t.steps {
		laneWidth = max(laneWidth, utf8.RuneCountInString(laneName(s.lane)))
		nameWidth = max(nameWidth, utf8.RuneCountInString(s.name))
	}
	now := t.elapsed()
	var lines []string
	for _, s := range steps {
		took := s.took
		if !s.ended {
			took = now - s.began
		}
		line := fmt.Sprintf("%s %-*s  %-*s %s", t.mark(s, now), laneWidth, laneName(s.lane), nameWidth, s.name, seconds(took))
		if (s.ended || !t.closing) && s.last != "" {
			line += "  " + t.colours.dim.Render(s.last)
		}
		lines = append(lines, t.cut(line))
	}
	return lines
}

// laneName is how a lane is called among others.
func laneName(lane string) string {
	if lane == "" {
		return "all"
	}
	return lane
}

// mark is the state of a step in one character.
func (t *terminal) mark(s *stepView, now time.Duration) string {
	switch {
	case errors.Is(s.err, context.Canceled):
		return "-"
	case s.err != nil:
		return t.colours.bad.Render("✗")
	case s.ended:
		return t.colours.good.Render("✓")
	case t.closing: // it was given up
		return t.colours.dim.Render("-")
	default:
		return string(spinner[int(now/redrawEvery)%len(spinner)])
	}
}

// tableLines are the summary. Only a wide terminal has room for whole digests.
func (t *terminal) tableLines() []string {
	lines := summaryLines(*t.summary, fullDigest, t.colours)
	for _, line := range lines {
		if ansi.StringWidth(line) > t.width {
			lines = summaryLines(*t.summary, shortDigest, t.colours)
			break
		}
	}
	for i, line := range lines {
		lines[i] = t.cut(line)
	}
	return lines
}

// cut keeps a line within the terminal's width.
func (t *terminal) cut(line string) string { return ansi.Truncate(line, t.width, "…") }
