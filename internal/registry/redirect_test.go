package registry

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/test/registrytest"
)

func client(t *testing.T) *Client {
	t.Helper()
	c, err := New(Options{})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func TestRedirectsEnd(t *testing.T) {
	registrytest.NoLogin(t)
	toItself := func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, r.URL.String(), http.StatusTemporaryRedirect)
	}
	server := registrytest.Start(t, registrytest.Fault{When: registrytest.On("", "/app/"), Do: toItself})
	repository, err := name.NewRepository(server.Host + "/app")
	require.NoError(t, err)
	logged, err := client(t).HTTP(t.Context(), repository, transport.PushScope)
	require.NoError(t, err)
	logged.CheckRedirect = func(*http.Request, []*http.Request) error { return nil } // as go-containerregistry's have it
	for _, request := range []struct{ method, path, body string }{
		{http.MethodPut, "/v2/app/manifests/v1", "{}"},
		{http.MethodPatch, "/v2/app/blobs/uploads/1", "layer"},
		{http.MethodPost, "/v2/app/blobs/uploads/", ""},
		{http.MethodGet, "/v2/app/manifests/v1", ""},
		{http.MethodHead, "/v2/app/manifests/v1", ""},
	} {
		server.Forget()
		req, err := http.NewRequestWithContext(t.Context(), request.method, "http://"+server.Host+request.path, strings.NewReader(request.body))
		require.NoError(t, err)
		_, err = logged.Do(req)
		require.Error(t, err, request.method)
		require.LessOrEqual(t, len(server.Requests()), 1+redirectLimit, request.method)
	}
	server.Forget()
	_, err = client(t).Get(t.Context(), repository.Tag("v1"))
	require.Len(t, server.Requests(), 1+redirectLimit)
	require.ErrorContains(t, err, "redirects without end: stopped after 10 redirects")
}

func TestNoRedirectFromTLS(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("asked without TLS") }))
	t.Cleanup(plain.Close)
	secure := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/upload" {
			w.Header().Set("Location", plain.URL)
			w.WriteHeader(http.StatusAccepted)
			return
		}
		http.Redirect(w, r, strings.Replace(plain.URL, "127.0.0.1", "localhost", 1), http.StatusFound)
	}))
	t.Cleanup(secure.Close)
	c := &http.Client{Transport: &redirects{secure.Client().Transport}}
	_, err := c.Get(secure.URL)
	require.ErrorContains(t, err, "redirects from https to http")

	address := strings.Replace(secure.URL, "127.0.0.1", "localhost", 1)
	base := secure.Client().Transport.(*http.Transport)
	base.TLSClientConfig.ServerName = "example.com" // which the test's certificate is for
	_, err = c.Post(address+"/upload", "", nil)
	require.ErrorContains(t, err, "without TLS")
}

// A login goes to the host that it is for, wherever that sends the request.
func TestLoginStaysAtItsHost(t *testing.T) {
	var leaked atomic.Value
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		if sent := r.Header.Get("Authorization") + r.Form.Get("refresh_token"); sent != "" {
			leaked.Store(sent)
		}
		fmt.Fprint(w, `{"token":"x"}`)
	}))
	t.Cleanup(elsewhere.Close)
	send := func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL+r.URL.Path, http.StatusTemporaryRedirect)
	}
	for kind, scheme := range map[string]string{"Basic": `Basic realm="test"`, "Bearer": `Bearer realm="http://HOST/token",service="test"`} {
		t.Run(kind, func(t *testing.T) {
			server := registrytest.Start(t, registrytest.Fault{When: registrytest.Any, Do: func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/v2/" {
					w.Header().Set("WWW-Authenticate", strings.Replace(scheme, "HOST", r.Host, 1))
					w.WriteHeader(http.StatusUnauthorized)
					return
				}
				send(w, r)
			}})
			registrytest.Login(t, server.Host, "me", "s3cret")
			ref, err := name.ParseReference(server.Host + "/app:v1")
			require.NoError(t, err)
			_, err = client(t).Get(t.Context(), ref)
			require.Error(t, err)
			require.Nil(t, leaked.Load())
		})
	}
	t.Run("identity token", func(t *testing.T) {
		first := httptest.NewServer(http.HandlerFunc(send))
		t.Cleanup(first.Close)
		c := &http.Client{Transport: &redirects{http.DefaultTransport}}
		_, err := c.Post(first.URL, "application/x-www-form-urlencoded", strings.NewReader("grant_type=refresh_token&refresh_token=s3cret"))
		require.ErrorContains(t, err, "redirects a login to another host")
		require.Nil(t, leaked.Load())
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	})
}
