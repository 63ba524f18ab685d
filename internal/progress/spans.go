package progress

import (
	"context"
	"errors"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/slipway-ci/slipway/internal/build"
)

// spans makes a span of each step, and of its parts. A nil one does nothing. What steps print is in no span.
type spans struct {
	run   trace.Span // above all
	began time.Time
	open  map[*step]trace.Span
}

// newSpans makes those below the span of ctx, if that is recorded.
func newSpans(ctx context.Context, began time.Time) *spans {
	run := trace.SpanFromContext(ctx)
	if !run.IsRecording() {
		return nil
	}
	return &spans{run: run, began: began, open: map[*step]trace.Span{}}
}

func (s *spans) show(e event) {
	if s == nil {
		return
	}
	switch at := trace.WithTimestamp(s.began.Add(e.at)); e.kind {
	case start:
		s.open[e.step] = below(s.run, e.step.title(), at, trace.WithAttributes(text("step", e.step.name)...), trace.WithAttributes(text("lane", e.step.lane)...))
	case end:
		span := s.open[e.step]
		delete(s.open, e.step)
		span.SetAttributes(found(e.step)...)
		first, _, _ := strings.Cut(e.problem, "\n")
		switch {
		case errors.Is(e.err, context.Canceled):
			span.SetStatus(codes.Error, stopped)
		case e.err != nil:
			span.SetStatus(codes.Error, first)
		}
		span.End(at)
	case warning:
		s.run.AddEvent("warning", at, trace.WithAttributes(text("text", e.text)...))
	}
}

// stopped is the status of a step that was interrupted.
const stopped = "stopped"

func (s *spans) part(of *step, p build.Part) {
	if s == nil || s.open[of] == nil {
		return
	}
	below(s.open[of], p.Name, trace.WithTimestamp(p.Began)).End(trace.WithTimestamp(p.Done))
}

// close ends the spans of steps that have not ended.
func (s *spans) close(at time.Duration) {
	if s == nil {
		return
	}
	for _, span := range s.open {
		span.SetStatus(codes.Error, stopped)
		span.End(trace.WithTimestamp(s.began.Add(at)))
	}
	clear(s.open)
}

func below(parent trace.Span, name string, options ...trace.SpanStartOption) trace.Span {
	tracer := parent.TracerProvider().Tracer("github.com/slipway-ci/slipway")
	_, span := tracer.Start(trace.ContextWithSpan(context.Background(), parent), name, options...)
	return span
}

// found is what there is to say of a step that is over.
func found(s *step) []attribute.KeyValue {
	attributes := text("skipped", s.skipped.Reason)
	if s.skipped.Saved > 0 {
		attributes = append(attributes, attribute.Float64("slipway.saved_seconds", milliseconds(s.skipped.Saved)))
	}
	switch p := s.progress; p.Unit {
	case build.Packages:
		attributes = append(attributes, attribute.Int64("slipway.packages", p.Total))
	case build.Bytes:
		attributes = append(attributes, attribute.Int64("slipway.bytes", p.Done))
	}
	return attributes
}

// text is an attribute, if there is a value.
func text(name, value string) []attribute.KeyValue {
	if value == "" {
		return nil
	}
	return []attribute.KeyValue{attribute.String("slipway."+name, value)}
}
