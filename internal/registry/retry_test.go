package registry

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func answer(status int, header http.Header) *http.Response {
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(""))}
}

// In a bubble of synctest time passes by itself, so the default bounds can be tested as they are.
func TestWaitsGrowAndEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		began := time.Now()
		rt := &retrying{bounds: Bounds{}.orDefaults(), inner: roundTrip(func(*http.Request) (*http.Response, error) {
			at = append(at, time.Since(began))
			return nil, errors.New("network is down")
		})}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://registry.example/v2/", nil)
		require.NoError(t, err)
		_, err = rt.RoundTrip(req)
		require.ErrorContains(t, err, "network is down (given up after 5 tries in ")
		require.Len(t, at, 5)
		for i, mean := 1, 500*time.Millisecond; i < len(at); i, mean = i+1, 2*mean {
			wait := at[i] - at[i-1]
			require.GreaterOrEqual(t, wait, mean/2)
			require.Less(t, wait, mean*3/2)
		}
	})
}

func TestTimeIsBounded(t *testing.T) {
	for name, header := range map[string]http.Header{
		"by slow answers":     {},
		"by waits in seconds": {"Retry-After": {"50"}},
		"by waits until then": {"Retry-After": {"Sat, 01 Jan 2000 00:00:50 GMT"}}, // a bubble begins in 2000
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				bounds := Bounds{Tries: 1000, Limit: 2 * time.Minute}.orDefaults()
				rt := &retrying{bounds: bounds, inner: roundTrip(func(*http.Request) (*http.Response, error) {
					time.Sleep(25 * time.Second)
					return answer(503, header), nil
				})}
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://registry.example/v2/", nil)
				require.NoError(t, err)
				_, err = rt.RoundTrip(req)
				var final *gaveUp
				require.ErrorAs(t, err, &final)
				require.LessOrEqual(t, time.Since(began), bounds.Limit+25*time.Second)
			})
		})
	}
}

func TestWhatIsSentAgain(t *testing.T) {
	body := func() io.Reader { return strings.NewReader("content") }
	for name, test := range map[string]struct {
		method string
		body   io.Reader
		tries  int
	}{
		"GET":                          {http.MethodGet, nil, 3},
		"HEAD":                         {http.MethodHead, nil, 3},
		"POST, begins an upload":       {http.MethodPost, nil, 3},
		"POST, asks for a token":       {http.MethodPost, body(), 3},
		"PUT of a manifest":            {http.MethodPut, body(), 3},
		"PUT, ends an upload":          {http.MethodPut, nil, 1},
		"PATCH, sends a blob":          {http.MethodPatch, body(), 1},
		"PUT of what cannot be reread": {http.MethodPut, io.MultiReader(body()), 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tries := 0
				rt := &retrying{bounds: Bounds{Tries: 3}.orDefaults(), inner: roundTrip(func(r *http.Request) (*http.Response, error) {
					tries++
					if r.Body != nil {
						sent, err := io.ReadAll(r.Body)
						require.NoError(t, err)
						require.Equal(t, "content", string(sent))
					}
					return answer(500, nil), nil
				})}
				req, err := http.NewRequestWithContext(t.Context(), test.method, "https://registry.example/v2/x", test.body)
				require.NoError(t, err)
				_, err = rt.RoundTrip(req)
				require.Error(t, err)
				require.Equal(t, test.tries, tries)
				var broken *interrupted
				require.Equal(t, test.tries == 1, errors.As(err, &broken), "the whole transfer may begin again")
			})
		})
	}
}
