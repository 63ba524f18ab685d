package progress

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/slipway-ci/slipway/internal/build"
)

func TestSpans(t *testing.T) {
	recorded := tracetest.NewSpanRecorder()
	provider := sdk.NewTracerProvider(sdk.WithSpanProcessor(recorded))
	ctx, run := provider.Tracer("").Start(t.Context(), "slipway build")
	var c clock
	began := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	d, err := newDisplay("plain", io.Discard, nil, c.elapsed)
	require.NoError(t, err)
	d.spans = newSpans(ctx, began)

	compile := d.Step("linux/amd64", "compile")
	io.WriteString(compile, "password hunter2\n")
	c.add(time.Second)
	push := d.Step("", "push")
	c.add(time.Second)
	compile.Part(build.Part{Name: "net/http", Began: began.Add(time.Second), Done: began.Add(2 * time.Second)})
	compile.Progress(build.Progress{Unit: build.Packages, Done: 311, Total: 312})
	compile.End(nil)
	push.Progress(build.Progress{Unit: build.Bytes, Done: 42})
	push.End(errors.New("push: refused\nbecause of it"))
	cached := d.Step("linux/arm64", "compile")
	cached.Skip(build.Skipped{Reason: "nothing has changed", Saved: 20 * time.Second})
	cached.End(nil)
	d.Step("", "cancelled").End(context.Canceled)
	d.Step("", "open")
	d.Warn("slow")
	c.add(time.Second)
	require.NoError(t, d.Close())
	run.End()

	type span struct {
		parent      string
		began, took time.Duration
		status      sdk.Status
		attributes  map[string]any
	}
	names, spans := map[string]string{}, map[string]span{}
	for _, s := range recorded.Ended() {
		names[s.SpanContext().SpanID().String()] = s.Name()
	}
	for _, s := range recorded.Ended() {
		attributes := map[string]any{}
		for _, a := range s.Attributes() {
			attributes[string(a.Key)] = a.Value.AsInterface()
		}
		spans[s.Name()] = span{names[s.Parent().SpanID().String()], s.StartTime().Sub(began), s.EndTime().Sub(s.StartTime()), s.Status(), attributes}
	}
	const all = "slipway build"
	delete(spans, all)
	assert.Equal(t, map[string]span{
		"linux/amd64 compile": {all, 0, 2 * time.Second, sdk.Status{}, map[string]any{"slipway.step": "compile", "slipway.lane": "linux/amd64", "slipway.packages": int64(312)}},
		"net/http":            {"linux/amd64 compile", time.Second, time.Second, sdk.Status{}, map[string]any{}},
		"push":                {all, time.Second, time.Second, sdk.Status{Code: codes.Error, Description: "push: refused"}, map[string]any{"slipway.step": "push", "slipway.bytes": int64(42)}},
		"linux/arm64 compile": {all, 2 * time.Second, 0, sdk.Status{}, map[string]any{
			"slipway.step": "compile", "slipway.lane": "linux/arm64", "slipway.skipped": "nothing has changed", "slipway.saved_seconds": 20.0,
		}},
		"cancelled": {all, 2 * time.Second, 0, sdk.Status{Code: codes.Error, Description: "stopped"}, map[string]any{"slipway.step": "cancelled"}},
		"open":      {all, 2 * time.Second, time.Second, sdk.Status{Code: codes.Error, Description: "stopped"}, map[string]any{"slipway.step": "open"}},
	}, spans)
	require.Len(t, run.(sdk.ReadOnlySpan).Events(), 1)
	assert.Equal(t, "warning", run.(sdk.ReadOnlySpan).Events()[0].Name)
}
