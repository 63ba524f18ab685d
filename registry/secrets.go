package registry

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// secrets are the passwords and tokens that this process has used, so that they can be kept out of what it prints.
type secrets struct {
	mu    sync.Mutex
	known []string
}

func (s *secrets) add(values ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, value := range values {
		if value == "" {
			continue
		}
		for _, form := range []string{value, url.QueryEscape(value), inJSON(value, true), inJSON(value, false)} {
			if !slices.Contains(s.known, form) {
				s.known = append(s.known, form)
			}
		}
	}
}

// inJSON is value as it stands between the quotes of a JSON text.
func inJSON(value string, escapeHTML bool) string {
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(escapeHTML)
	_ = encoder.Encode(value) // a string always encodes
	return strings.TrimSuffix(strings.TrimPrefix(text.String(), `"`), "\"\n")
}

// redact returns text without the secrets.
func (s *secrets) redact(text string) string {
	s.mu.Lock()
	known := slices.Clone(s.known)
	s.mu.Unlock()
	// The longest first: one may be part of another.
	slices.SortFunc(known, func(a, b string) int { return len(b) - len(a) })
	for _, secret := range known {
		text = strings.ReplaceAll(text, secret, "REDACTED")
	}
	return text
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
	answer = []byte(t.secrets.redact(string(answer)))
	resp.Body = io.NopCloser(bytes.NewReader(answer[:min(len(answer), answerLimit)]))
	resp.ContentLength = -1
	return resp, nil
}
