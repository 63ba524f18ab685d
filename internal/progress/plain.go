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
type plain struct{ w io.Writer }

func (p plain) show(e event) error {
	if e.kind == summary {
		_, err := fmt.Fprintln(p.w, strings.Join(table(e.rows, fullDigest, colours{}), "\n"))
		return err
	}
	// One call of Write for each line: other programs may write to the same log.
	_, err := fmt.Fprintln(p.w, strings.TrimRight(seconds(e.at)+" "+p.text(e), " "))
	return err
}

func (p plain) text(e event) string {
	switch e.kind {
	case note:
		return e.text
	case warning:
		return "warning: " + e.text
	}
	name := strings.TrimLeft(e.step.lane+" "+e.step.name, " ")
	switch {
	case e.kind == start:
		return name + " …"
	case e.kind == output:
		return name + " | " + e.text
	case errors.Is(e.err, context.Canceled):
		return fmt.Sprintf("%s stopped after %.1fs", name, e.took().Seconds())
	case e.err != nil:
		first, _, _ := strings.Cut(e.problem, "\n")
		return fmt.Sprintf("%s failed after %.1fs: %s", name, e.took().Seconds(), first)
	default:
		return fmt.Sprintf("%s done in %.1fs", name, e.took().Seconds())
	}
}

func (plain) close() error { return nil }

// seconds is a time in its own column.
func seconds(d time.Duration) string { return fmt.Sprintf("%5.1fs", d.Seconds()) }
