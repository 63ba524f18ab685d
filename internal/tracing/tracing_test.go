package tracing_test

import (
	"context"
	"encoding/hex"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/slipway-ci/slipway/internal/test/collector"
	"github.com/slipway-ci/slipway/internal/tracing"
)

// clear hides what this process's environment has of OpenTelemetry.
func clear(t *testing.T) {
	for _, name := range []string{
		"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
		"OTEL_EXPORTER_OTLP_HEADERS", "OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_SERVICE_NAME", "TRACEPARENT", "TRACESTATE",
	} {
		t.Setenv(name, "")
	}
}

func TestSendsTheRun(t *testing.T) {
	for _, test := range []struct {
		protocol string
		start    func(*testing.T) *collector.Collector
	}{{"", collector.HTTP}, {"http/protobuf", collector.HTTP}, {"grpc", collector.GRPC}} {
		t.Run(test.protocol, func(t *testing.T) {
			clear(t)
			to := test.start(t)
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", to.URL)
			t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", test.protocol)
			t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "team=ships")
			t.Setenv("TRACEPARENT", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
			ctx := tracing.Start(t.Context(), os.Environ(), "slipway build", "v1.2.3")
			_, child := trace.SpanFromContext(ctx).TracerProvider().Tracer("").Start(ctx, "compile")
			child.End()
			require.NoError(t, tracing.End(ctx, "compiling: exit status 1"))

			about, spans := to.Received()
			assert.Equal(t, "slipway", about["service.name"])
			assert.Equal(t, "v1.2.3", about["service.version"])
			assert.Equal(t, "ships", about["team"])
			require.Len(t, spans, 2)
			run, step := spans[0], spans[1]
			assert.Equal(t, "slipway build", run.Name)
			assert.Equal(t, "0af7651916cd43dd8448eb211c80319c", hex.EncodeToString(run.TraceId))
			assert.Equal(t, "b7ad6b7169203331", hex.EncodeToString(run.ParentSpanId))
			assert.Equal(t, otlp.Status_STATUS_CODE_ERROR, run.Status.Code)
			assert.Equal(t, "compiling: exit status 1", run.Status.Message)
			assert.Equal(t, run.SpanId, step.ParentSpanId)
			for name := range about {
				assert.NotContains(t, name, "process", "command lines have secrets")
			}
		})
	}
}

func TestOffIsNothing(t *testing.T) {
	const endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1"
	for _, environ := range [][]string{
		nil,
		{"TRACEPARENT=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
		{endpoint, "OTEL_SDK_DISABLED=true"},
		{endpoint, "OTEL_TRACES_EXPORTER=none"},
		{endpoint, "OTEL_EXPORTER_OTLP_ENDPOINT="},
		{"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=http://127.0.0.1:1"},
	} {
		before := runtime.NumGoroutine()
		ctx := tracing.Start(t.Context(), environ, "slipway build", "v1")
		assert.Equal(t, t.Context(), ctx, "%q", environ)
		assert.Equal(t, before, runtime.NumGoroutine(), "%q", environ)
		assert.False(t, trace.SpanFromContext(ctx).IsRecording())
		assert.NoError(t, tracing.End(ctx, ""))
	}
}

// Who did not ask for the trace that TRACEPARENT names gets nothing of it.
func TestUnsampledParent(t *testing.T) {
	clear(t)
	to := collector.HTTP(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", to.URL)
	t.Setenv("TRACEPARENT", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")
	ctx := tracing.Start(t.Context(), os.Environ(), "slipway build", "v1")
	assert.False(t, trace.SpanFromContext(ctx).IsRecording())
	require.NoError(t, tracing.End(ctx, ""))
	_, spans := to.Received()
	assert.Empty(t, spans)
}

// A run does not wait for a collector that accepts connections and never answers, or for one that is not there.
func TestDeafCollector(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	for _, protocol := range []string{"http/protobuf", "grpc"} {
		clear(t)
		t.Setenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", protocol)
		t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+listener.Addr().String())
		t.Setenv("OTEL_BSP_EXPORT_TIMEOUT", "60000")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		ended := make(chan error, 1)
		go func() { ended <- tracing.End(tracing.Start(ctx, os.Environ(), "slipway build", "v1"), "") }()
		select {
		case err := <-ended:
			assert.ErrorContains(t, err, "sending the trace: ")
			assert.ErrorContains(t, err, "OTEL_TRACES_EXPORTER=none")
		case <-ctx.Done():
			t.Fatal("waits")
		}
	}
}

// Wrong variables are a warning, without their values.
func TestWrongVariables(t *testing.T) {
	for name, value := range map[string]string{
		"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json", "OTEL_EXPORTER_OTLP_HEADERS": "hunter2", "OTEL_EXPORTER_OTLP_CERTIFICATE": "nosuch.pem",
	} {
		clear(t)
		t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.HTTP(t).URL)
		t.Setenv(name, value)
		err := tracing.End(tracing.Start(t.Context(), os.Environ(), "slipway build", "v1"), "")
		require.Error(t, err, name)
		assert.NotContains(t, err.Error(), "hunter2")
	}
}
