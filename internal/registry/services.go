package registry

import "net/http"

// services sends the requests for some hosts to other addresses, without TLS: registries that run beside this program, whose names mean
// nothing to the network.
type services struct {
	inner *http.Transport
	// direct is for services, which no proxy reaches.
	direct *http.Transport
	// at are the addresses by the hosts that they are called.
	at map[string]string
}

func newServices(base *http.Transport, at map[string]string) *services {
	direct := base.Clone()
	direct.Proxy = nil
	return &services{base, direct, at}
}

func (t *services) RoundTrip(req *http.Request) (*http.Response, error) {
	address, ok := t.at[req.URL.Host]
	if !ok {
		return t.inner.RoundTrip(req)
	}
	sent := req.Clone(req.Context())
	sent.URL.Scheme, sent.URL.Host = "http", address
	if sent.Host == "" {
		sent.Host = req.URL.Host // registries make the addresses of uploads of it
	}
	resp, err := t.direct.RoundTrip(sent)
	if resp != nil {
		resp.Request = req
	}
	return resp, err
}

func (t *services) closeIdleConnections() {
	t.inner.CloseIdleConnections()
	t.direct.CloseIdleConnections()
}
