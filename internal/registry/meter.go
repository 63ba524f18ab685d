package registry

import (
	"context"
	"io"
	"net/http"
)

type meterKey struct{}

// WithMeter has moved called with the number of bytes that bodies of requests in ctx, and of their responses, have moved: each time that some
// have, from many goroutines. What [Client.Download] reads counts as well; so the manifest that names the layer was got in another context.
func WithMeter(ctx context.Context, moved func(n int)) context.Context {
	return context.WithValue(ctx, meterKey{}, moved)
}

// meterOf is what the meter of ctx calls; nil for none.
func meterOf(ctx context.Context) func(int) {
	moved, _ := ctx.Value(meterKey{}).(func(int))
	return moved
}

// metering reports the bytes of requests. Those of responses are reported by [download].
type metering struct{ inner http.RoundTripper }

func (t *metering) RoundTrip(req *http.Request) (*http.Response, error) {
	moved := meterOf(req.Context())
	if moved == nil {
		return t.inner.RoundTrip(req)
	}
	if in := req; in.Body != nil && in.Body != http.NoBody {
		req = in.Clone(in.Context())
		req.Body = &metered{in.Body, moved}
		if in.GetBody != nil {
			req.GetBody = func() (io.ReadCloser, error) {
				body, err := in.GetBody()
				return &metered{body, moved}, err
			}
		}
	}
	return t.inner.RoundTrip(req)
}

type metered struct {
	io.ReadCloser
	moved func(int)
}

func (m *metered) Read(p []byte) (int, error) {
	n, err := m.ReadCloser.Read(p)
	if n > 0 {
		m.moved(n)
	}
	return n, err
}
