package progress

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/console"
)

// step is a step under way.
type step struct {
	display    *Display
	lane, name string
	began      time.Duration
	took       time.Duration // once it is over
	lines      lines

	progress build.Progress
	shown    time.Duration // when progress was shown
	skipped  build.Skipped
}

// title is the step with its lane.
func (s *step) title() string { return strings.TrimLeft(s.lane+" "+s.name, " ") }

// Write never fails: no build should break because its progress cannot be shown.
func (s *step) Write(p []byte) (int, error) {
	d := s.display
	d.mu.Lock()
	defer d.mu.Unlock()
	at := d.elapsed()
	for _, line := range s.lines.add(p) {
		d.show(event{kind: output, at: at, step: s, text: line})
	}
	return len(p), nil
}

// Progress shows p, unless the last one was shown just before.
func (s *step) Progress(p build.Progress) {
	d := s.display
	d.mu.Lock()
	defer d.mu.Unlock()
	p.Slowest = oneLine(d.clean(p.Slowest))
	s.progress = p
	at := d.elapsed()
	if at-max(s.shown, s.began) < d.sink.every() {
		return
	}
	s.shown = at
	d.show(event{kind: advance, at: at, step: s})
}

// Part is shown in a trace alone.
func (s *step) Part(p build.Part) {
	s.display.mu.Lock()
	defer s.display.mu.Unlock()
	p.Name = oneLine(s.display.clean(p.Name))
	s.display.spans.part(s, p)
}

// Skip is shown when the step ends.
func (s *step) Skip(skipped build.Skipped) {
	s.display.mu.Lock()
	defer s.display.mu.Unlock()
	skipped.Reason = oneLine(s.display.clean(skipped.Reason))
	s.skipped = skipped
}

func (s *step) End(err error) {
	d := s.display
	d.mu.Lock()
	defer d.mu.Unlock()
	at := d.elapsed()
	if line, ok := s.lines.rest(); ok {
		d.show(event{kind: output, at: at, step: s, text: line})
	}
	d.show(event{kind: end, at: at, step: s, err: err})
}

// far is how far the step is, after it has taken so long.
func (s *step) far(took time.Duration) string {
	p := s.progress
	switch p.Unit {
	case build.Packages:
		text := fmt.Sprintf("%d of %d packages", p.Done, p.Total)
		if p.Slowest != "" && p.For >= time.Second { // others are gone before they are read
			text += fmt.Sprintf(", %s for %.1fs", p.Slowest, p.For.Seconds())
		}
		return text
	case build.Bytes:
		text := console.Size(p.Done)
		if p.Total > 0 && p.Done != p.Total {
			text += " of " + console.Size(p.Total)
		}
		return text + ", " + console.Size(int64(float64(p.Done)/max(took, time.Millisecond).Seconds())) + "/s"
	default:
		return ""
	}
}

// result is what there is to say of a step that went well, besides the time.
func (s *step) result(took time.Duration) string {
	switch {
	case s.skipped.Reason == "" && s.progress.Unit == build.Packages:
		return fmt.Sprintf("%d packages", s.progress.Total)
	case s.skipped.Reason == "":
		return s.far(took)
	}
	text := s.skipped.Reason
	if s.skipped.Saved > 0 {
		text += fmt.Sprintf(", which took %.1fs", s.skipped.Saved.Seconds())
	}
	return text
}

// done is the last line of a summary.
func (o *outcome) done() string {
	text := fmt.Sprintf("done in %.1fs", o.took.Seconds())
	if o.saved > 0 {
		text += fmt.Sprintf("; caches saved %.1fs of work", o.saved.Seconds())
	}
	return text
}

// short sums up many images: which of them failed, and what took longest.
func (o *outcome) short() []string {
	all, failed := 0, []string{}
	for i, row := range o.rows {
		if row.Failed {
			failed = append(failed, row.Name)
		}
		if i == 0 || row.Name != o.rows[i-1].Name {
			all++
		}
	}
	lines := []string{fmt.Sprintf("  %d of %d images", all-len(failed), all)}
	if len(failed) > 0 {
		lines = append(lines, "  failed: "+strings.Join(failed, ", "))
	}
	for i, s := range o.slowest {
		lines = append(lines, fmt.Sprintf("  %-8s %s %s", cmp.Or(map[bool]string{true: "slowest:"}[i == 0], ""), seconds(s.took), s.title()))
	}
	return lines
}
