package progress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// plain writes timed lines.
type plain struct {
	w io.Writer
	// steps that are over, and when their number was last written: of many images there is no line for each.
	steps int
	shown time.Duration
}

// plainEvery is how much time is between two lines of one step's progress.
const plainEvery = 10 * time.Second

func (*plain) every() time.Duration { return plainEvery }

func (p *plain) show(e event) error {
	text := p.text(e)
	if e.many && (e.kind == start || e.kind == output || e.kind == end && e.err == nil) {
		if text = p.count(e); text == "" {
			return nil
		}
	}
	if e.kind == summary {
		_, err := fmt.Fprintln(p.w, strings.Join(summaryLines(e, fullDigest, colours{}), "\n")+"\n"+seconds(e.at)+" "+e.summary.done())
		return err
	}
	// One call of Write for each line: other programs may write to the same log.
	_, err := fmt.Fprintln(p.w, strings.TrimRight(seconds(e.at)+" "+text, " "))
	return err
}

// count is the number of steps that are over, now and then.
func (p *plain) count(e event) string {
	if e.kind == end {
		p.steps++
	}
	if e.at-p.shown < plainEvery {
		return ""
	}
	p.shown = e.at
	return fmt.Sprintf("%d steps done", p.steps)
}

func (p *plain) text(e event) string {
	switch e.kind {
	case note:
		return e.text
	case warning:
		return "warning: " + e.text
	case summary:
		return ""
	}
	name := e.step.title()
	switch {
	case e.kind == start:
		return name + " …"
	case e.kind == output:
		return name + " | " + e.text
	case e.kind == advance:
		return name + ": " + e.step.far(e.took())
	case errors.Is(e.err, context.Canceled):
		return fmt.Sprintf("%s stopped after %.1fs", name, e.took().Seconds())
	case e.err != nil:
		first, _, _ := strings.Cut(e.problem, "\n")
		return fmt.Sprintf("%s failed after %.1fs: %s", name, e.took().Seconds(), first)
	case e.step.skipped.Reason != "":
		return name + " skipped: " + e.step.result(e.took())
	default:
		text := fmt.Sprintf("%s done in %.1fs", name, e.took().Seconds())
		if result := e.step.result(e.took()); result != "" {
			text += ": " + result
		}
		return text
	}
}

func (*plain) close() error { return nil }

// seconds is a time in its own column.
func seconds(d time.Duration) string { return fmt.Sprintf("%5.1fs", d.Seconds()) }
