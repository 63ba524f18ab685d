package registry

import (
	"bytes"
	"encoding/base64"
	"io"
	"net/http"
	"strings"

	"github.com/slipway-ci/slipway/internal/secret"
)

// secrets are the passwords and tokens that a client has used, so that they can be kept out of what it says.
type secrets struct {
	secret.Set
	// used is called with each; nil for nobody.
	used func(string)
}

func (s *secrets) add(values ...string) {
	s.Add(values...)
	for _, value := range values {
		if s.used != nil && value != "" {
			s.used(value)
		}
	}
}

// answerLimit is how much of a registry's error is read, in bytes. go-containerregistry refuses to read more.
const answerLimit = 64 << 10

// redacting takes the secrets that a request carried out of a registry's error answers, before anything can print them.
type redacting struct {
	inner   http.RoundTripper
	secrets *secrets
}

func (t *redacting) RoundTrip(req *http.Request) (*http.Response, error) {
	scheme, value, _ := strings.Cut(req.Header.Get("Authorization"), " ")
	t.secrets.add(value)
	if strings.EqualFold(scheme, "Basic") {
		if login, err := base64.StdEncoding.DecodeString(value); err == nil {
			_, password, _ := strings.Cut(string(login), ":")
			t.secrets.add(password)
		}
	}
	resp, err := t.inner.RoundTrip(req)
	if err != nil || resp.StatusCode < 400 || req.Method == http.MethodHead {
		return resp, err
	}
	// An answer that breaks off still has a status, and that says enough.
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, answerLimit))
	if err := resp.Body.Close(); err != nil {
		return nil, err
	}
	answer = []byte(t.secrets.Known(string(answer)))
	resp.Body = io.NopCloser(bytes.NewReader(answer[:min(len(answer), answerLimit)]))
	resp.ContentLength = -1
	return resp, nil
}
