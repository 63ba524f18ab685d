package tracing

import (
	"context"
	"fmt"
	"sync"

	"github.com/go-logr/logr"
	sdk "go.opentelemetry.io/otel/sdk/trace"
)

// exporter gives spans to another, until that fails: a collector that does not answer is asked once.
type exporter struct {
	// next waits until the other is made, which is done beside the run; nil if it cannot be made.
	next func() sdk.SpanExporter

	mu  sync.Mutex
	err error // the first
}

// ExportSpans never fails, since the SDK would report each failure.
func (e *exporter) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	if next := e.next(); e.failed() == nil {
		e.keep(next.ExportSpans(ctx, spans))
	}
	return nil
}

// Shutdown is that of a [sdk.SpanExporter].
func (e *exporter) Shutdown(ctx context.Context) error {
	if next := e.next(); next != nil {
		return next.Shutdown(ctx)
	}
	return nil
}

func (e *exporter) keep(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.err == nil {
		e.err = err
	}
}

func (e *exporter) failed() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.err
}

// logs is where the SDK logs what is wrong with variables. Their values, which come with it, may be secrets.
type logs struct{ to *exporter }

func (logs) Init(logr.RuntimeInfo)                    {}
func (logs) Enabled(int) bool                         { return false }
func (logs) Info(int, string, ...any)                 {}
func (l logs) Error(err error, text string, _ ...any) { l.to.keep(fmt.Errorf("%s: %w", text, err)) }
func (l logs) WithValues(...any) logr.LogSink         { return l }
func (l logs) WithName(string) logr.LogSink           { return l }
