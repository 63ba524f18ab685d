// Package collector receives traces, as OpenTelemetry's collector does.
package collector

import (
	"compress/gzip"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	collect "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// Collector keeps what it receives.
type Collector struct {
	URL string

	mu       sync.Mutex
	received []*trace.ResourceSpans
	header   http.Header // of the last request
	collect.UnimplementedTraceServiceServer
}

// HTTP starts one for OTLP over HTTP.
func HTTP(t *testing.T) *Collector {
	c := &Collector{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := io.Reader(r.Body)
		if r.Header.Get("Content-Encoding") == "gzip" {
			var err error
			if body, err = gzip.NewReader(r.Body); !assert.NoError(t, err) {
				return
			}
		}
		text, err := io.ReadAll(body)
		assert.NoError(t, err)
		var request collect.ExportTraceServiceRequest
		assert.Equal(t, "POST /v1/traces application/x-protobuf", r.Method+" "+r.URL.Path+" "+r.Header.Get("Content-Type"))
		assert.NoError(t, proto.Unmarshal(text, &request))
		c.mu.Lock()
		c.header = r.Header
		c.mu.Unlock()
		_, err = c.Export(r.Context(), &request)
		assert.NoError(t, err)
	}))
	t.Cleanup(server.Close)
	c.URL = server.URL
	return c
}

// GRPC starts one for OTLP over gRPC.
func GRPC(t *testing.T) *Collector {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	c := &Collector{URL: "http://" + listener.Addr().String()}
	server := grpc.NewServer()
	collect.RegisterTraceServiceServer(server, c)
	go server.Serve(listener) //nolint:errcheck // ends with Stop
	t.Cleanup(server.Stop)
	return c
}

// Export is that of the gRPC service.
func (c *Collector) Export(_ context.Context, request *collect.ExportTraceServiceRequest) (*collect.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.received = append(c.received, request.ResourceSpans...)
	return &collect.ExportTraceServiceResponse{}, nil
}

// Header is that of the last request over HTTP.
func (c *Collector) Header() http.Header {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.header
}

// Received is everything that came, with the spans in the order of their beginnings.
func (c *Collector) Received() (about map[string]string, spans []*trace.Span) {
	c.mu.Lock()
	defer c.mu.Unlock()
	about = map[string]string{}
	for _, r := range c.received {
		for _, attribute := range r.Resource.Attributes {
			about[attribute.Key] = attribute.Value.GetStringValue()
		}
		for _, s := range r.ScopeSpans {
			spans = append(spans, s.Spans...)
		}
	}
	slices.SortStableFunc(spans, func(x, y *trace.Span) int { return int(int64(x.StartTimeUnixNano) - int64(y.StartTimeUnixNano)) })
	return about, spans
}
