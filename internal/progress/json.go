package progress

import (
	"encoding/json"
	"io"
	"math"
	"time"

	"github.com/slipway-ci/slipway/internal/build"
)

// formatVersion is that of the json format. It changes when a member changes its meaning or goes away.
const formatVersion = 1

// jsonLines writes one object on each line.
type jsonLines struct {
	w     io.Writer
	begun bool
}

// jsonEvery is how much time is between two events of one step's progress.
const jsonEvery = time.Second

func (*jsonLines) every() time.Duration { return jsonEvery }

// record is an event as the package's documentation describes it.
type record struct {
	Time    float64  `json:"time"`
	Event   string   `json:"event"`
	Version int      `json:"version,omitempty"`
	Lane    string   `json:"lane,omitempty"`
	Step    string   `json:"step,omitempty"`
	Text    string   `json:"text,omitempty"`
	Seconds *float64 `json:"seconds,omitempty"` // a pointer, since an end after no time at all has it too
	Error   string   `json:"error,omitempty"`
	Skipped string   `json:"skipped,omitempty"`
	Saved   float64  `json:"savedSeconds,omitempty"`

	Unit    build.Unit `json:"unit,omitempty"`
	Done    *int64     `json:"done,omitempty"`
	Total   int64      `json:"total,omitempty"`
	Longest *longest   `json:"longest,omitempty"`

	Images  []Row     `json:"images,omitempty"`
	Slowest []longest `json:"slowest,omitempty"`
}

// longest is what took, or has taken, so long.
type longest struct {
	Package string  `json:"package,omitempty"`
	Lane    string  `json:"lane,omitempty"`
	Step    string  `json:"step,omitempty"`
	Seconds float64 `json:"seconds"`
}

func (j *jsonLines) show(e event) error {
	if !j.begun {
		j.begun = true
		if err := j.write(record{Time: milliseconds(e.at), Event: begin, Version: formatVersion}); err != nil {
			return err
		}
	}
	return j.write(newRecord(e))
}

func newRecord(e event) record {
	r := record{Time: milliseconds(e.at), Event: e.kind, Text: e.text, Error: e.problem}
	if e.step != nil {
		r.Lane, r.Step = e.step.lane, e.step.name
	}
	switch e.kind {
	case end:
		took := milliseconds(e.took())
		r.Seconds = &took
		r.Skipped, r.Saved = e.step.skipped.Reason, milliseconds(e.step.skipped.Saved)
	case summary:
		took := milliseconds(e.summary.took)
		r.Images, r.Seconds, r.Saved = e.summary.rows, &took, milliseconds(e.summary.saved)
		for _, s := range e.summary.slowest {
			r.Slowest = append(r.Slowest, longest{Lane: s.lane, Step: s.name, Seconds: milliseconds(s.took)})
		}
	}
	if (e.kind == advance || e.kind == end) && e.step.progress.Unit != "" {
		p := e.step.progress
		r.Unit, r.Done, r.Total = p.Unit, &p.Done, p.Total
		if e.kind == end && e.err == nil && p.Unit == build.Packages {
			p.Done, p.Slowest = p.Total, "" // which nobody may have seen
		}
		if p.Slowest != "" {
			r.Longest = &longest{Package: p.Slowest, Seconds: milliseconds(p.For)}
		}
	}
	return r
}

func (j *jsonLines) write(r record) error {
	encoder := json.NewEncoder(j.w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(r)
}

func (*jsonLines) close() error { return nil }

// milliseconds are seconds without digits that mean nothing.
func milliseconds(d time.Duration) float64 { return math.Round(d.Seconds()*1000) / 1000 }
