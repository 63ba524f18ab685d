package registry

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// session asks one repository, with one login.
type session struct {
	client     *Client
	repository name.Repository
	scope      string // transport.PullScope or transport.PushScope

	mu   sync.Mutex
	http *http.Client // nil until the first login
}

// read returns the manifest under ref, nil if there is none.
func (s *session) read(ctx context.Context, ref name.Reference) ([]byte, error) {
	resp, err := s.request(ctx, http.MethodGet, s.url("manifests", ref.Identifier()), manifest{})
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotFound {
		return nil, nil
	}
	if err := transport.CheckError(resp, http.StatusOK); err != nil {
		return nil, err
	}
	return io.ReadAll(resp.Body) // the client bounds what it reads of a manifest
}

// url is an address of the registry's API about the repository.
func (s *session) url(kind, identifier string) *url.URL {
	return &url.URL{
		Scheme: s.repository.Scheme(), Host: s.repository.RegistryStr(),
		Path: fmt.Sprintf("/v2/%s/%s/%s", s.repository.RepositoryStr(), kind, identifier),
	}
}

// request asks the registry. It sends m if that is not empty.
func (s *session) request(ctx context.Context, method string, to *url.URL, m manifest) (*http.Response, error) {
	client, err := s.login(ctx)
	if err != nil {
		return nil, err
	}
	var body io.Reader
	if m.raw != nil {
		body = bytes.NewReader(m.raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, to.String(), body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", acceptManifests)
	if m.raw != nil {
		req.Header.Set("Content-Type", string(m.mediaType))
	}
	return client.Do(req)
}

// login returns the client that is logged in. A login that failed is tried again by the next request.
func (s *session) login(ctx context.Context) (*http.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.http == nil {
		client, err := s.client.HTTP(ctx, s.repository, s.scope)
		if err != nil {
			return nil, err
		}
		s.http = client
	}
	return s.http, nil
}
