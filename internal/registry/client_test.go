package registry_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/registry"
	"github.com/slipway-ci/slipway/internal/test/registrytest"
)

func TestGetTriesAgain(t *testing.T) {
	registrytest.NoLogin(t)
	for name, fault := range map[string]registrytest.Fault{
		"500 twice":          {When: registrytest.Any, Times: 2, Do: registrytest.Answer(500, "UNKNOWN", "not now")},
		"503 on a manifest":  {When: registrytest.On("GET", "/manifests/"), Times: 2, Do: registrytest.Answer(503, "UNAVAILABLE", "not now")},
		"408":                {When: registrytest.On("GET", "/manifests/"), Times: 1, Do: registrytest.Answer(408, "UNKNOWN", "too slow")},
		"dropped connection": {When: registrytest.On("GET", "/manifests/"), Times: 2, Do: registrytest.HangUp(0)},
		"answer cut off": {When: registrytest.On("GET", "/manifests/"), Times: 1, Do: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, "{")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			server := registrytest.Start(t)
			image := put(t, server.Host+"/app:v1")
			server.Break(fault)
			desc, err := newClient(t, registry.Options{}).Get(t.Context(), parse(t, server.Host+"/app:v1"))
			require.NoError(t, err)
			require.Equal(t, digestOf(t, image), desc.Digest.String())
		})
	}
}

func TestGetHonoursRetryAfter(t *testing.T) {
	registrytest.NoLogin(t)
	server := registrytest.Start(t)
	put(t, server.Host+"/app:v1")
	server.Break(registrytest.Fault{
		When: registrytest.On("GET", "/manifests/"), Times: 1,
		Do: registrytest.Answer(429, "TOOMANYREQUESTS", "slow down", "Retry-After: 1"),
	})
	began := time.Now()
	_, err := newClient(t, registry.Options{}).Get(t.Context(), parse(t, server.Host+"/app:v1"))
	require.NoError(t, err)
	require.GreaterOrEqual(t, time.Since(began), time.Second)
}

func TestGetGivesUp(t *testing.T) {
	registrytest.NoLogin(t)
	const anyNumber = 0 // net/http itself sends a request once more when a connection that it reused turns out dead
	tests := map[string]struct {
		do    http.HandlerFunc
		tries int
		says  []string
	}{
		"never recovers": {
			registrytest.Answer(503, "UNAVAILABLE", "the disk is full"), 3,
			[]string{"503 Service Unavailable; UNAVAILABLE: the disk is full", "given up after 3 tries", "try again later"},
		},
		"no form that registries use": {
			func(w http.ResponseWriter, _ *http.Request) {
				http.Error(w, "upstream is\n gone", http.StatusBadGateway)
			}, 3,
			[]string{"502 Bad Gateway: upstream is gone"},
		},
		"a proxy's page": {
			func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "<html>Bad", http.StatusBadGateway) }, 3,
			[]string{"(502 Bad Gateway)"},
		},
		"drops every connection": {registrytest.HangUp(0), anyNumber, []string{"broke: EOF", "given up after 3 tries"}},
		"never answers":          {registrytest.Stall, anyNumber, []string{"does not answer"}},
		"asks for too long a wait": {
			registrytest.Answer(429, "TOOMANYREQUESTS", "too many pulls", "Retry-After: 3600"), 1,
			[]string{"429 Too Many Requests; TOOMANYREQUESTS: too many pulls", "asks to wait 1h0m0s, longer than the limit of 3s", "docker login"},
		},
		"no registry": {registrytest.HTML, 1, []string{"the content is no manifest: it is not JSON"}},
		"404": {
			registrytest.Answer(404, "MANIFEST_UNKNOWN", "manifest unknown"), 1,
			[]string{"has no ", "/app:v1, or does not show it with no credential", "404 Not Found; MANIFEST_UNKNOWN: manifest unknown", "correct the name or tag"},
		},
		"413": {registrytest.Answer(413, "SIZE_INVALID", "big"), 1, []string{"client_max_body_size"}},
		"400": {registrytest.Answer(400, "TAG_INVALID", ""), 1, []string{"refuses", "(400 Bad Request; TAG_INVALID)"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := registrytest.Start(t, registrytest.Fault{When: registrytest.On("GET", "/manifests/"), Do: test.do})
			bounds := quick
			if name == "never answers" {
				bounds.Silence = 100 * time.Millisecond
			}
			began := time.Now()
			_, err := newClient(t, registry.Options{Bounds: bounds}).Get(t.Context(), parse(t, server.Host+"/app:v1"))
			require.Less(t, time.Since(began), 2*time.Second)
			for _, text := range test.says {
				require.ErrorContains(t, err, text)
			}
			require.ErrorContains(t, err, server.Host)
			if test.tries != anyNumber {
				require.Len(t, server.Requests(), test.tries)
			}
			var explained *registry.Error
			require.ErrorAs(t, err, &explained)
		})
	}
}

func TestGetWithoutConnection(t *testing.T) {
	registrytest.NoLogin(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer silent.Close() // it never accepts, so the system takes the connection and nobody answers
	private := httptest.NewUnstartedServer(http.NotFoundHandler())
	private.Config.ErrorLog = log.New(io.Discard, "", 0)
	private.StartTLS()
	defer private.Close()
	bounds := quick
	bounds.Silence = 150 * time.Millisecond
	for name, test := range map[string]struct {
		host string
		says []string
	}{
		"closed port":     {registrytest.FreeAddress(t), []string{"no connection to", "connection refused", "check that the registry is running", "given up after 3 tries"}},
		"silent port":     {silent.Addr().String(), []string{"does not answer"}},
		"own certificate": {strings.TrimPrefix(private.URL, "https://"), []string{"signed by an authority that this machine does not know", "SSL_CERT_FILE"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := newClient(t, registry.Options{Bounds: bounds}).Get(t.Context(), parse(t, test.host+"/app:v1"))
			for _, text := range append(test.says, test.host) {
				require.ErrorContains(t, err, text)
			}
		})
	}
}

// What a test cannot cause everywhere.
func TestExplain(t *testing.T) {
	client, ref := newClient(t, registry.Options{}), parse(t, "registry.example/app:v1")
	require.NoError(t, client.Explain(ref, nil))
	for name, test := range map[string]struct {
		err  error
		says string
	}{
		"no such host": {
			&net.OpError{Op: "dial", Err: &net.DNSError{Name: "registry.example", IsNotFound: true}},
			"there is no host registry.example: correct the name; where a proxy is needed, set HTTPS_PROXY",
		},
		"DNS fails": {
			&net.OpError{Op: "dial", Err: &net.DNSError{Err: "server misbehaving", Name: "registry.example", IsTemporary: true}},
			"no connection to registry.example: lookup registry.example: server misbehaving: check that",
		},
		"plain http": {http.ErrSchemeMismatch, "registry.example speaks plain http, and https was expected"},
		"plain http, as TLS has it": {
			tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake", RecordHeader: [5]byte([]byte("HTTP/"))},
			"registry.example speaks plain http, and https was expected",
		},
		"neither TLS nor http": {
			tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake", RecordHeader: [5]byte([]byte("SSH-2"))},
			"first record does not look like a TLS handshake",
		},
		"proxy": {&net.OpError{Op: "proxyconnect", Err: errors.New("refused")}, "the proxy before registry.example cannot be reached: refused: check HTTPS_PROXY"},
		"expired": {
			&tls.CertificateVerificationError{Err: x509.CertificateInvalidError{Reason: x509.Expired}},
			"the certificate of registry.example is not valid: x509: certificate has expired",
		},
		"anything else": {errors.New("odd"), `registry.example/app:v1: Get "https://registry.example/v2/": odd`},
	} {
		t.Run(name, func(t *testing.T) {
			err := client.Explain(ref, &url.Error{Op: "Get", URL: "https://registry.example/v2/?state=tkn", Err: test.err})
			require.ErrorIs(t, err, test.err)
			require.NotContains(t, errors.Unwrap(err).Error(), "tkn")
			require.ErrorContains(t, err, test.says)
			require.Equal(t, err, client.Explain(ref, err), "explained once")
		})
	}
}

// A registry on this machine is tried by https, too; what is reported is what http failed by.
func TestBrokenConnectionIsNoPlainHTTP(t *testing.T) {
	registrytest.NoLogin(t)
	for name, do := range map[string]http.HandlerFunc{"drops": registrytest.HangUp(0), "stalls": registrytest.Stall} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := registrytest.Start(t, registrytest.Fault{When: registrytest.Any, Do: do})
			bounds := quick
			bounds.Silence = 200 * time.Millisecond
			_, err := newClient(t, registry.Options{Bounds: bounds}).Get(t.Context(), parse(t, server.Host+"/app:v1"))
			require.Error(t, err)
			require.NotContains(t, err.Error(), "plain http")
			require.NotContains(t, err.Error(), "HTTP response to HTTPS client")
		})
	}
}

// What a manifest is, its content says.
func TestGetDecidesByContent(t *testing.T) {
	registrytest.NoLogin(t)
	server := registrytest.Start(t)
	for name, test := range map[string]struct {
		content, claimed, is, says string
	}{
		"a manifest served as an index": {`{"schemaVersion":2,"config":{},"layers":[]}`, "application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.manifest.v1+json", ""},
		"an index served as a manifest": {`{"schemaVersion":2,"manifests":[]}`, "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json", ""},
		"docker's":                      {`{"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":{}}`, "text/plain", "application/vnd.docker.distribution.manifest.v2+json", ""},
		"with a parameter":              {`{"manifests":[]}`, "application/vnd.oci.image.index.v1+json; charset=utf-8", "application/vnd.oci.image.index.v1+json", ""},
		"both":                          {`{"manifests":[],"layers":[]}`, "application/vnd.oci.image.index.v1+json", "", "neither"},
		"its own type lies":             {`{"mediaType":"application/vnd.oci.image.index.v1+json","layers":[]}`, "application/vnd.oci.image.index.v1+json", "", "neither"},
		"signed schema 1":               {`{"schemaVersion":1,"fsLayers":[]}`, "application/vnd.docker.distribution.manifest.v1+prettyjws", "", "neither"},
	} {
		t.Run(name, func(t *testing.T) {
			server.Break(registrytest.Fault{When: registrytest.On("GET", "/manifests/"), Do: func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", test.claimed)
				w.Header().Set("Docker-Content-Digest", "sha256:"+strings.Repeat("a", 64))
				fmt.Fprint(w, test.content)
			}})
			desc, err := newClient(t, registry.Options{}).Get(t.Context(), parse(t, server.Host+"/app:v1"))
			if test.says != "" {
				require.ErrorContains(t, err, test.says)
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.is, string(desc.MediaType))
			require.Equal(t, fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(test.content))), desc.Digest.String())
		})
	}
}

func TestCancelEndsWaits(t *testing.T) {
	registrytest.NoLogin(t)
	server := registrytest.Start(t, registrytest.Fault{When: registrytest.Any, Do: registrytest.Answer(500, "UNKNOWN", "")})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	bounds := registry.Bounds{Wait: time.Minute, Limit: time.Hour}
	began := time.Now()
	_, err := newClient(t, registry.Options{Bounds: bounds}).Get(ctx, parse(t, server.Host+"/app:v1"))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Less(t, time.Since(began), time.Second)
}

func TestGetVerifiesDigests(t *testing.T) {
	registrytest.NoLogin(t)
	server := registrytest.Start(t)
	digest := digestOf(t, put(t, server.Host+"/app:v1"))
	for name, contentType := range map[string]string{
		"other content":             "application/vnd.oci.image.manifest.v1+json",
		"the header only claims it": "application/vnd.docker.distribution.manifest.v1+prettyjws",
	} {
		t.Run(name, func(t *testing.T) {
			server.Break(registrytest.Fault{When: registrytest.On("GET", "/manifests/"), Do: func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", contentType)
				w.Header().Set("Docker-Content-Digest", digest)
				fmt.Fprint(w, `{"schemaVersion":2}`)
			}})
			_, err := newClient(t, registry.Options{}).Get(t.Context(), parse(t, server.Host+"/app@"+digest))
			require.ErrorContains(t, err, "digest")
		})
	}
}

func TestRetry(t *testing.T) {
	client := newClient(t, registry.Options{})
	local := errors.New("no such file")
	calls := 0
	require.ErrorIs(t, client.Retry(t.Context(), func() error { calls++; return local }), local)
	require.Equal(t, 1, calls, "an error that no registry caused is final")
}

func TestUserAgent(t *testing.T) {
	registrytest.NoLogin(t)
	agents := map[string]bool{}
	server := registrytest.Start(t, registrytest.Fault{When: func(r *http.Request) bool {
		agents[strings.Fields(r.UserAgent())[0]] = true
		return false
	}})
	_, err := newClient(t, registry.Options{}).Get(t.Context(), parse(t, server.Host+"/app:v1"))
	require.Error(t, err)
	require.Equal(t, map[string]bool{"slipway": true}, agents)
}
