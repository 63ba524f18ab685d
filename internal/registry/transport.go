package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"time"
)

// transportOver is what every request of a client goes through before it reaches base, outermost first.
func transportOver(base http.RoundTripper, bounds Bounds, known *secrets) http.RoundTripper {
	var t http.RoundTripper = &redirects{base}
	t = &limited{&metering{&pacing{t, bounds.Window}}}
	return &retrying{inner: &redacting{inner: t, secrets: known}, bounds: bounds}
}

// newTransport returns a transport like http.DefaultTransport, with more connections per host, since a client talks to
// one or two hosts in parallel, and with connections that give up on a peer that has gone silent.
func newTransport(silence time.Duration) *http.Transport {
	dialer := &net.Dialer{Timeout: min(30*time.Second, silence), KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &impatientConn{Conn: conn, silence: silence}, nil
		},
		ForceAttemptHTTP2:     true,
		MaxIdleConns:          100,
		MaxIdleConnsPerHost:   50,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   min(10*time.Second, silence),
		ResponseHeaderTimeout: silence, // a header of one byte a second keeps a connection alive, too
		ExpectContinueTimeout: time.Second,
	}
}

// trusting is a configuration that trusts the roots, in PEM, besides the system's.
func trusting(roots string) (*tls.Config, error) {
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM([]byte(roots)) {
		return nil, errors.New("reading root certificates: there is none in PEM")
	}
	return &tls.Config{RootCAs: pool}, nil
}

// impatientConn fails when no byte has moved in either direction for a time. A limit for whole requests would not do:
// an upload may rightly take an hour, and a dead one may have hours to go.
type impatientConn struct {
	net.Conn
	silence time.Duration
}

func (c *impatientConn) Read(p []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(c.silence)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

// Write puts the deadline of a waiting Read off too: no answer is due while the request is being sent.
func (c *impatientConn) Write(p []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(c.silence)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
