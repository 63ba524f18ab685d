package registry

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/test/registrytest"
)

// slowBody gives n bytes a second until it has given all, or its context ends.
type slowBody struct {
	ctx       context.Context
	n, left   int
	firstWait time.Duration
}

func (b *slowBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, io.EOF
	}
	select {
	case <-time.After(time.Second + b.firstWait):
	case <-b.ctx.Done():
		return 0, context.Cause(b.ctx)
	}
	b.firstWait = 0
	n := min(len(p), b.n, b.left)
	b.left -= n
	return n, nil
}

func (b *slowBody) Close() error { return nil }

func TestPaceOfDownloads(t *testing.T) {
	for name, test := range map[string]struct {
		body slowBody
		ends bool
	}{
		"one byte a second":       {slowBody{n: 1, left: 1 << 30}, true},
		"just too slow":           {slowBody{n: slowest - 10, left: 1 << 30}, true},
		"a slow line":             {slowBody{n: 2 * slowest, left: 200_000}, false},
		"a short answer, slow":    {slowBody{n: 1, left: 30}, false},
		"a wait, then a good one": {slowBody{n: 100_000, left: 1 << 20, firstWait: 50 * time.Second}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rt := &pacing{window: time.Minute, inner: roundTrip(func(r *http.Request) (*http.Response, error) {
					body := test.body
					body.ctx = r.Context()
					return &http.Response{StatusCode: 200, Body: &body}, nil
				})}
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://registry.example/v2/x", nil)
				require.NoError(t, err)
				resp, err := rt.RoundTrip(req)
				require.NoError(t, err)
				began := time.Now()
				_, err = io.Copy(io.Discard, resp.Body)
				require.NoError(t, resp.Body.Close())
				var slow *slowError
				require.Equal(t, test.ends, errors.As(err, &slow), "%v", err)
				if test.ends {
					require.LessOrEqual(t, time.Since(began), time.Minute)
				}
			})
		})
	}
}

func TestPaceOfUploads(t *testing.T) {
	for name, test := range map[string]struct {
		piece int // what the other side takes a second
		ends  bool
	}{"one byte a second": {1, true}, "nothing": {0, true}, "a slow line": {2 * slowest, false}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rt := &pacing{window: time.Minute, inner: roundTrip(func(r *http.Request) (*http.Response, error) {
					piece := make([]byte, max(test.piece, 1))
					for {
						_, err := r.Body.Read(piece)
						if err == io.EOF {
							return answer(201, nil), r.Body.Close()
						}
						wait := time.Second
						if test.piece == 0 {
							wait = time.Hour
						}
						select {
						case <-time.After(wait):
						case <-r.Context().Done():
							return nil, context.Cause(r.Context())
						}
					}
				})}
				body := bytes.NewReader(make([]byte, 50_000))
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, "https://registry.example/v2/x", body)
				require.NoError(t, err)
				resp, err := rt.RoundTrip(req)
				var slow *slowError
				require.Equal(t, test.ends, errors.As(err, &slow), "%v", err)
				if err == nil {
					require.NoError(t, resp.Body.Close())
				}
			})
		})
	}
}

func TestSlowAnswersEnd(t *testing.T) {
	registrytest.NoLogin(t)
	bounds := Bounds{Tries: 2, Wait: time.Millisecond, Window: 400 * time.Millisecond}
	for _, path := range []string{"/manifests/", "/v2/"} {
		server := registrytest.Start(t, registrytest.Fault{When: registrytest.On("GET", path), Do: registrytest.Trickle})
		c, err := New(Options{Bounds: bounds})
		require.NoError(t, err)
		ref, err := name.ParseReference(server.Host + "/app:v1")
		require.NoError(t, err)
		_, err = c.Get(t.Context(), ref)
		c.Close()
		require.Error(t, err, path)
		if path == "/manifests/" {
			require.ErrorContains(t, err, "the transfer is too slow: less than 100 bytes a second over 400ms")
			require.ErrorContains(t, err, "given up after 2 tries")
		}
	}
}

func TestEndlessAnswersEnd(t *testing.T) {
	registrytest.NoLogin(t)
	for path, says := range map[string]string{"/manifests/": "more than the 8 MiB", "/v2/": ""} {
		server := registrytest.Start(t, registrytest.Fault{When: registrytest.On("GET", path), Do: registrytest.Endless})
		ref, err := name.ParseReference(server.Host + "/app:v1")
		require.NoError(t, err)
		_, err = client(t).Get(t.Context(), ref)
		require.ErrorContains(t, err, says)
		require.Less(t, len(server.Requests()), 3, "it is not asked again")
	}
}

// The time that is reported is the time that passed, and a transfer that stood still is not begun again for ever.
func TestRetryCountsWhatPassed(t *testing.T) {
	for name, test := range map[string]struct {
		cause error
		says  string
	}{
		"stands still": {&slowError{3 * time.Minute}, "given up after 1 try in 3m0s"},
		"stays silent": {&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, "given up after 1 try in 3m0s"},
		"breaks":       {io.ErrUnexpectedEOF, "given up after 5 tries in 15m"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &Client{bounds: Bounds{}.orDefaults()}
				err := c.Retry(t.Context(), func() error {
					time.Sleep(3 * time.Minute)
					return &url.Error{Op: "Patch", URL: "https://registry.example/", Err: &interrupted{cause: test.cause}} // as net/http returns it
				})
				require.ErrorContains(t, err, test.says)
			})
		})
	}
}

func TestLimitedBodyIsWhole(t *testing.T) {
	for size, err := range map[int]error{9: nil, 10: nil, 11: errTooLong} {
		body := &limitedBody{ReadCloser: io.NopCloser(strings.NewReader(strings.Repeat("x", size))), left: 10, after: errTooLong}
		content, got := io.ReadAll(body)
		require.Equal(t, err, got)
		require.Len(t, content, min(size, 10))
	}
}
