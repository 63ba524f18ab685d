package main

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/slipway-ci/slipway/internal/test/collector"
)

// A build below a parent is a trace of its steps, with the packages that took a second or more below the step that compiled them.
func TestTrace(t *testing.T) {
	to := collector.HTTP(t)
	for name, value := range map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": to.URL, "OTEL_EXPORTER_OTLP_HEADERS": "api-key=hunter2hunter2",
		"TRACEPARENT": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
	} {
		t.Setenv(name, value)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":  "module example.com/app\n\ngo 1.26.8\n",
		"main.go": "package main\n\nfunc main() {}\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	command := func(args ...string) int {
		var out, said bytes.Buffer
		status := run(t.Context(), append(args, dir), os.Environ(), &out, &said)
		assert.NotContains(t, said.String(), "warning: ")
		return status
	}
	build := []string{"build", "--runtime", "scratch", "--platform", "linux/amd64", "--engine", "host", "--output", filepath.Join(dir, "image.tar")}
	require.Equal(t, exitDone, command(build...))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte("package main\n\nfunc main() { nosuch() }\n"), 0o644))
	require.Equal(t, exitFailed, command(build...))
	require.Equal(t, exitDone, command("plan"), "has nothing to trace")
	assert.Equal(t, "hunter2hunter2", to.Header().Get("api-key"))

	_, spans := to.Received()
	runs := map[string]*otlp.Span{}
	for _, s := range spans {
		assert.Equal(t, "0af7651916cd43dd8448eb211c80319c", hex.EncodeToString(s.TraceId))
		if hex.EncodeToString(s.ParentSpanId) == "b7ad6b7169203331" {
			assert.Equal(t, "slipway build", s.Name)
			runs[string(s.SpanId)] = s
		}
		assert.NotContains(t, s.String(), "hunter2")
	}
	require.Len(t, runs, 2)
	compiled := 0
	for _, s := range spans {
		above := runs[string(s.ParentSpanId)]
		if above == nil {
			continue
		}
		assert.LessOrEqual(t, above.StartTimeUnixNano, s.StartTimeUnixNano, s.Name)
		assert.LessOrEqual(t, s.EndTimeUnixNano, above.EndTimeUnixNano, s.Name)
		if s.Name == "linux/amd64 compile" {
			compiled++
			assert.Equal(t, above.Status.GetCode(), s.Status.GetCode())
			assert.NotContains(t, s.Status.GetMessage(), "\n")
		}
	}
	assert.Equal(t, 2, compiled)
	for _, s := range runs {
		assert.Less(t, time.Duration(s.EndTimeUnixNano-s.StartTimeUnixNano), time.Hour)
	}
}

// A collector that cannot be reached is one warning, and the exit status is what it is without.
func TestTraceWithoutACollector(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://me:hunter2hunter2@127.0.0.1:1")
	var out, said bytes.Buffer
	status := run(t.Context(), []string{"build", t.TempDir()}, os.Environ(), &out, &said)
	assert.Equal(t, exitRequest, status)
	assert.Equal(t, 1, bytes.Count(said.Bytes(), []byte("slipway: warning: sending the trace: ")), "%s", &said)
	assert.NotContains(t, said.String(), "hunter2")
}
