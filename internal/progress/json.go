package progress

import (
	"encoding/json"
	"io"
	"math"
	"time"
)

// jsonLines writes one object on each line.
type jsonLines struct{ w io.Writer }

// record is an event as the package's documentation describes it.
type record struct {
	Time    float64  `json:"time"`
	Event   string   `json:"event"`
	Lane    string   `json:"lane,omitempty"`
	Step    string   `json:"step,omitempty"`
	Text    string   `json:"text,omitempty"`
	Seconds *float64 `json:"seconds,omitempty"` // a pointer, since an end after no time at all has it too
	Error   string   `json:"error,omitempty"`
	Images  []Row    `json:"images,omitempty"`
}

func (j jsonLines) show(e event) error {
	r := record{Time: milliseconds(e.at), Event: e.kind, Text: e.text, Images: e.rows}
	if e.step != nil {
		r.Lane, r.Step = e.step.lane, e.step.name
	}
	if e.kind == end {
		took := milliseconds(e.took())
		r.Seconds = &took
	}
	r.Error = e.problem
	encoder := json.NewEncoder(j.w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(r)
}

func (jsonLines) close() error { return nil }

// milliseconds are seconds without digits that mean nothing.
func milliseconds(d time.Duration) float64 { return math.Round(d.Seconds()*1000) / 1000 }
