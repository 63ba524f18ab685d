package registry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/slipway-ci/slipway/internal/oci/graph"
)

// Source is a repository to copy from. Layers that it gives can be mounted by pushes to the same registry.
func (c *Client) Source(repository name.Repository) graph.Source {
	return &repositorySource{client: c, repository: repository, read: map[v1.Hash]*remote.Descriptor{}}
}

type repositorySource struct {
	client     *Client
	repository name.Repository

	mu   sync.Mutex
	read map[v1.Hash]*remote.Descriptor
}

func (s *repositorySource) get(ctx context.Context, ref name.Reference) (*remote.Descriptor, error) {
	desc, err := s.client.Get(ctx, ref)
	var answered *transport.Error
	if errors.As(err, &answered) && answered.StatusCode == http.StatusNotFound {
		return nil, &missingError{err}
	}
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.read[desc.Digest] = desc
	return desc, nil
}

// missingError is fs.ErrNotExist in the words of a registry.
type missingError struct{ error }

func (e *missingError) Unwrap() error     { return e.error }
func (e *missingError) Is(err error) bool { return err == fs.ErrNotExist }

func (s *repositorySource) known(digest v1.Hash) *remote.Descriptor {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.read[digest]
}

func (s *repositorySource) Manifest(ctx context.Context, digest v1.Hash) ([]byte, error) {
	desc := s.known(digest)
	if desc == nil {
		var err error
		if desc, err = s.get(ctx, s.repository.Digest(digest.String())); err != nil {
			return nil, err
		}
	}
	return desc.Manifest, nil
}

func (s *repositorySource) Blob(manifest v1.Hash, blob v1.Descriptor) (v1.Layer, error) {
	desc := s.known(manifest)
	if desc == nil || !desc.MediaType.IsImage() {
		return nil, fmt.Errorf("%s has the blob %s, and is no image", s.repository.Digest(manifest.String()), blob.Digest)
	}
	img, err := desc.Image()
	if err != nil {
		return nil, err
	}
	return img.LayerByDigest(blob.Digest)
}

func (s *repositorySource) Referrers(ctx context.Context, subject v1.Hash) ([]v1.Descriptor, error) {
	return s.client.Referrers(ctx, s.repository.Digest(subject.String()))
}

func (s *repositorySource) Tagged(ctx context.Context, tag string) (v1.Hash, error) {
	desc, err := s.get(ctx, s.repository.Tag(tag))
	if err != nil {
		return v1.Hash{}, err
	}
	return desc.Digest, nil
}
