// Package tracing sends a trace of a run to where the OTEL_* variables say, by the OpenTelemetry protocol (OTLP).
//
// [Start] puts the run's span into a context. Whoever has something to add makes spans below it with OpenTelemetry's API, which makes none
// where nobody asked for a trace.
package tracing

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// patience is how long a collector has to take a batch of spans.
const patience = 2 * time.Second

// run is the trace of a run.
type run struct {
	provider *sdk.TracerProvider
	exporter *exporter
	span     trace.Span
}

// runKey is that of the run in a context.
type runKey struct{}

// Start begins the trace of a run with a span of that name, if environ asks for one; else it does nothing. The span is below the one that
// TRACEPARENT names. environ is this process's environment in the form of [os.Environ]: the SDK reads it, too.
func Start(ctx context.Context, environ []string, name, version string) context.Context {
	get := func(name string) string {
		for _, variable := range slices.Backward(environ) {
			if value, ok := strings.CutPrefix(variable, name+"="); ok {
				return value
			}
		}
		return ""
	}
	if !enabled(get) {
		return ctx
	}
	e := &exporter{}
	r := &run{exporter: e}
	ctx = context.WithValue(ctx, runKey{}, r)
	// What the SDK would print on standard error.
	otel.SetLogger(logr.New(logs{e}))
	otel.SetErrorHandler(otel.ErrorHandlerFunc(e.keep))
	e.next = sync.OnceValue(func() sdk.SpanExporter {
		next, err := newExporter(ctx, get)
		e.keep(err)
		return next
	})
	go e.next()
	// Not resource.Default, which has the command line.
	about, err := resource.New(ctx,
		resource.WithTelemetrySDK(),
		resource.WithAttributes(attribute.String("service.name", "slipway"), attribute.String("service.version", version)),
		resource.WithFromEnv())
	e.keep(err)
	r.provider = sdk.NewTracerProvider(sdk.WithResource(about), sdk.WithBatcher(e, sdk.WithExportTimeout(patience)))
	under := propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": get("TRACEPARENT"), "tracestate": get("TRACESTATE")})
	under, r.span = r.provider.Tracer("github.com/slipway-ci/slipway").Start(under, name)
	return under
}

// End ends the trace of a run that failed with problem, or went well if that is empty, and waits a moment for the collector. It returns why the
// trace, or a part of it, was not sent.
func End(ctx context.Context, problem string) error {
	r, ok := ctx.Value(runKey{}).(*run)
	if !ok {
		return nil
	}
	if problem != "" {
		r.span.SetStatus(codes.Error, problem)
	}
	r.span.End()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	r.exporter.keep(r.provider.Shutdown(ctx))
	if err := r.exporter.failed(); err != nil {
		return fmt.Errorf("sending the trace: %w (the OTEL_EXPORTER_OTLP_* variables say where; OTEL_TRACES_EXPORTER=none turns it off)", err)
	}
	return nil
}

// enabled reports whether variables ask for a trace.
func enabled(get func(string) string) bool {
	exporters := get("OTEL_TRACES_EXPORTER")
	switch {
	case strings.EqualFold(get("OTEL_SDK_DISABLED"), "true"):
		return false
	case exporters != "":
		return slices.Contains(strings.Split(exporters, ","), "otlp")
	default:
		return get("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != ""
	}
}

// newExporter makes the exporter of the protocol that variables ask for. It reads where to send, and how, itself. What a collector does not take
// at once is not sent again: nothing waits for a trace.
func newExporter(ctx context.Context, get func(string) string) (sdk.SpanExporter, error) {
	name := "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"
	if get(name) == "" {
		name = "OTEL_EXPORTER_OTLP_PROTOCOL"
	}
	switch protocol := cmp.Or(get(name), "http/protobuf"); protocol {
	case "http/protobuf":
		return otlptracehttp.New(ctx, otlptracehttp.WithRetry(otlptracehttp.RetryConfig{}))
	case "grpc":
		return otlptracegrpc.New(ctx, otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{}))
	default:
		return nil, fmt.Errorf("%s %q: no such protocol: choose http/protobuf or grpc", name, protocol)
	}
}
