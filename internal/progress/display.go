package progress

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/console"
	"github.com/slipway-ci/slipway/internal/fault"
)

// Formats are the names that [New] takes.
var Formats = []string{"auto", "tty", "plain", "json"}

// Display shows progress. Its methods may be called from many goroutines.
type Display struct {
	elapsed func() time.Duration // since the start; tests have their own clock
	clean   func(string) string  // makes text harmless

	mu      sync.Mutex
	sink    sink
	spans   *spans // nil where nobody wants a trace
	closed  bool
	err     error // the first that writing met
	many    bool  // images, so that only what matters is shown of each
	slowest []*step
	saved   time.Duration
}

var _ build.Reporter = (*Display)(nil)

// sink shows events in one format. Its methods are called one at a time.
type sink interface {
	show(event) error
	// every is how much time is between two reports of a step's progress, and before the first.
	every() time.Duration
	close() error
}

// The kinds of events, as the json format spells them.
const (
	begin   = "begin"
	start   = "start"
	output  = "output"
	advance = "progress"
	end     = "end"
	note    = "note"
	warning = "warning"
	summary = "summary"
)

type event struct {
	kind string
	at   time.Duration // since the start
	step *step         // of start, output, progress and end
	text string        // of output, note and warning
	err  error         // of end
	// problem is what err says, for people.
	problem string
	many    bool     // of all
	summary *outcome // of summary
}

// took is how long the step of a progress or an end has taken.
func (e event) took() time.Duration { return e.at - e.step.began }

// outcome is what a summary shows.
type outcome struct {
	rows    []Row
	took    time.Duration
	saved   time.Duration
	slowest []*step // from the slowest on, each of which took a second or more
}

// New returns a display that writes to w in format; an empty one means auto. environ, in the form of [os.Environ], is
// asked for TERM, CI and NO_COLOR. Nothing is written and nothing runs before the first event. If ctx has a span that is recorded, each step
// is a span below it. A wrong format is reported as [fault.Faults].
func New(ctx context.Context, format string, w io.Writer, environ []string) (*Display, error) {
	began := time.Now()
	d, err := newDisplay(format, w, environ, func() time.Duration { return time.Since(began) })
	if err == nil {
		d.spans = newSpans(ctx, began)
	}
	return d, err
}

func newDisplay(format string, w io.Writer, environ []string, elapsed func() time.Duration) (*Display, error) {
	d := &Display{elapsed: elapsed, clean: console.Visible}
	if edge, ok := w.(*console.Writer); ok {
		d.clean = edge.Clean
		if terminal := edge.Terminal(); terminal != nil && isTerminal(terminal) {
			w = terminal // which is drawn on; each text is clean before
		}
	}
	if format == "" || format == "auto" {
		format = "plain"
		if isTerminal(w) && drawable(environ) {
			format = "tty"
		}
	}
	switch format {
	case "tty":
		d.sink = newTerminal(w, environ, elapsed)
	case "plain":
		d.sink = &plain{w: w}
	case "json":
		d.sink = &jsonLines{w: w}
	default:
		return nil, fault.Faults{{Field: "progress", Value: format, Problem: "no such format", Hint: "choose from " + strings.Join(Formats, ", ")}}
	}
	return d, nil
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(interface{ Fd() uintptr })
	return ok && term.IsTerminal(int(f.Fd()))
}

// drawable reports whether a live view makes sense on a terminal. Some CI systems give programs a terminal, and keep what
// they write to it as a log.
func drawable(environ []string) bool {
	ci := getenv(environ, "CI")
	return getenv(environ, "TERM") != "dumb" && (ci == "" || ci == "false" || ci == "0")
}

// getenv returns the last value of a variable, which is the one that counts.
func getenv(environ []string, name string) string {
	for _, variable := range slices.Backward(environ) {
		if value, ok := strings.CutPrefix(variable, name+"="); ok {
			return value
		}
	}
	return ""
}

// Step begins a step.
func (d *Display) Step(lane, name string) build.Step {
	s := &step{display: d, lane: oneLine(d.clean(lane)), name: oneLine(d.clean(name))}
	d.mu.Lock()
	defer d.mu.Unlock()
	s.began = d.elapsed()
	d.show(event{kind: start, at: s.began, step: s})
	return s
}

// Note shows what is worth knowing, such as which engine is at work, in one line.
func (d *Display) Note(text string) { d.tellNow(event{kind: note, text: text}) }

// Warn shows what may need the user's attention, in one line.
func (d *Display) Warn(text string) { d.tellNow(event{kind: warning, text: text}) }

// manyImages is from how many images on people get a summary in place of each step.
const manyImages = 11

// Images says how many images there are. It is called before the first step.
func (d *Display) Images(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.many = n >= manyImages
}

// Table shows what was built, and how long everything took. A terminal has it below the steps when the display is closed.
func (d *Display) Table(rows []Row) {
	rows = slices.Clone(rows)
	for i, row := range rows {
		rows[i].Name, rows[i].Platform, rows[i].Digest = oneLine(d.clean(row.Name)), oneLine(d.clean(row.Platform)), oneLine(d.clean(row.Digest))
	}
	d.tellNow(event{kind: summary, summary: &outcome{rows: rows}})
}

// Close ends the display and gives the terminal back. Nothing is shown after it. It returns the first error that writing
// met, and returns the same when it is called again.
func (d *Display) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.closed {
		d.closed = true
		d.keep(d.sink.close())
		d.spans.close(d.elapsed())
	}
	return d.err
}

func (d *Display) tellNow(e event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e.at = d.elapsed()
	d.show(e)
}

// show shows e; d.mu is held, so that what is shown is in the order of its times.
func (d *Display) show(e event) {
	if d.closed || d.err != nil {
		return
	}
	e.text = oneLine(d.clean(e.text))
	if e.err != nil {
		e.problem = oneByOne(d.clean(e.err.Error()))
	}
	switch e.kind {
	case end:
		d.ended(e)
	case summary:
		e.summary.took, e.summary.saved, e.summary.slowest = e.at, d.saved, slices.Clone(d.slowest)
	}
	e.many = d.many
	d.spans.show(e)
	d.keep(d.sink.show(e))
}

// slowestShown is how many steps a summary names.
const slowestShown = 5

// ended keeps of a step what the summary says.
func (d *Display) ended(e event) {
	e.step.took = e.took()
	d.saved += e.step.skipped.Saved
	if e.step.took < time.Second {
		return
	}
	d.slowest = append(d.slowest, e.step)
	slices.SortStableFunc(d.slowest, func(x, y *step) int { return cmp.Compare(y.took, x.took) })
	d.slowest = d.slowest[:min(len(d.slowest), slowestShown)]
}

func (d *Display) keep(err error) {
	if err != nil && d.err == nil {
		d.err = fmt.Errorf("writing progress: %w", err)
	}
}
