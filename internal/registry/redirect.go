package registry

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
)

// redirectLimit is how often one request is redirected at most.
const redirectLimit = 10

// redirectError is a redirect that is not followed. Trying again does not mend it.
type redirectError struct{ problem string }

func (e *redirectError) Error() string { return e.problem }

// redirects refuses redirects without end, from https to http, and of a POST's body to another host: that is how a token
// server is sent a login. go-containerregistry's clients follow any number of them, so the limit is here, below them all.
type redirects struct{ inner http.RoundTripper }

func (t *redirects) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := checkRedirect(req); err != nil {
		if req.Body != nil {
			err = errors.Join(err, req.Body.Close())
		}
		return nil, err
	}
	resp, err := t.inner.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	// The address of an upload session is none that net/http follows, yet the next request goes there. Registries behind a
	// proxy may call themselves http; the request for the registry itself is made https again.
	to, err := resp.Location()
	if err == nil && resp.StatusCode < 300 && downgrade(req.URL, to) && to.Hostname() != req.URL.Hostname() {
		return nil, errors.Join(&redirectError{fmt.Sprintf("%s sends the upload to %s without TLS", req.URL.Host, to.Host)}, resp.Body.Close())
	}
	return resp, nil
}

// checkRedirect judges a request by those that redirected to it.
func checkRedirect(req *http.Request) error {
	if req.Response == nil || req.Response.Request == nil {
		return nil
	}
	from := req.Response.Request
	if downgrade(from.URL, req.URL) {
		return &redirectError{fmt.Sprintf("%s redirects from https to http (%s)", from.URL.Host, req.URL.Host)}
	}
	if req.Method == http.MethodPost && req.Body != nil && req.Body != http.NoBody && from.URL.Host != req.URL.Host {
		return &redirectError{fmt.Sprintf("%s redirects a login to another host (%s)", from.URL.Host, req.URL.Host)}
	}
	count := 0
	for earlier := req; earlier.Response != nil && earlier.Response.Request != nil; earlier = earlier.Response.Request {
		count++
	}
	if count > redirectLimit {
		return &redirectError{fmt.Sprintf("%s redirects without end: stopped after %d redirects", from.URL.Host, redirectLimit)}
	}
	return nil
}

func downgrade(from, to *url.URL) bool { return from.Scheme == "https" && to.Scheme == "http" }
