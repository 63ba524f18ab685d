package oci

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/slipway-ci/slipway/internal/cache"
)

// registrySource takes from a registry what the cache lacks.
type registrySource struct {
	// ctx ends everything that is fetched.
	ctx    context.Context
	cache  *cache.Cache
	remote Remote
	ref    name.Reference
	// pulling is [Bases.Pulling].
	pulling func(context.Context, v1.Descriptor, func(context.Context) error) error

	mu sync.Mutex
	// fetched are the manifests that came from the registry, with the means to get their blobs.
	fetched map[v1.Hash]*remote.Descriptor
}

func (b *Bases) resolveRegistry(ctx context.Context, given string) (*Base, error) {
	ref, err := name.ParseReference(given)
	if err != nil {
		return nil, fmt.Errorf("it is no image reference: %w", err)
	}
	s := &registrySource{ctx: cmp.Or(b.Context, context.Background()), cache: b.Cache, remote: b.Remote, ref: ref, pulling: b.Pulling, fetched: map[v1.Hash]*remote.Descriptor{}}
	var digest v1.Hash
	var raw []byte
	if _, ok := ref.(name.Digest); ok {
		if digest, err = v1.NewHash(ref.Identifier()); err != nil {
			return nil, err
		}
		raw, err = s.manifest(ctx, digest)
	} else {
		var got *remote.Descriptor
		if got, err = s.fetch(ctx, ref); err == nil {
			digest, raw = got.Digest, got.Manifest
		}
	}
	if err != nil {
		return nil, err
	}
	base, err := newBase(s, digest, raw)
	if err != nil {
		return nil, err
	}
	base.Name = familiar(ref)
	if before, _, pinned := strings.Cut(given, "@"); pinned {
		// The digest has its own field, and the tag says what it is of.
		if tag, err := name.NewTag(before, name.WithDefaultTag("")); err == nil && tag.TagStr() != "" {
			base.Name = familiar(tag)
		}
	}
	return base, nil
}

// familiar is the full name of a reference, with the name of Docker Hub that everything but go-containerregistry uses.
func familiar(ref name.Reference) string {
	if rest, ok := strings.CutPrefix(ref.Name(), name.DefaultRegistry+"/"); ok {
		return "docker.io/" + rest
	}
	return ref.Name()
}

func (s *registrySource) place(l *layer) v1.Layer {
	// A registry can then take the layer from the base's repository instead of having it uploaded.
	return &remote.MountableLayer{Layer: l, Reference: s.ref}
}

func (s *registrySource) manifest(ctx context.Context, digest v1.Hash) ([]byte, error) {
	content, err := getBlob(s.cache, digest)
	if err == nil {
		return readDocument(content)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	got, err := s.fetch(ctx, s.ref.Context().Digest(digest.String()))
	if err != nil {
		return nil, err
	}
	return got.Manifest, nil
}

// fetch gets a manifest from the registry and caches it.
func (s *registrySource) fetch(ctx context.Context, ref name.Reference) (*remote.Descriptor, error) {
	// The descriptor fetches blobs in the context that it was made in, which must outlive ctx, and yet end with it now.
	lasting, cancel := context.WithCancel(s.ctx)
	stop := context.AfterFunc(ctx, cancel)
	got, err := s.remote.Get(lasting, ref)
	if !stop() {
		cancel()
		return nil, ctx.Err()
	}
	if s.ctx.Err() != nil {
		return nil, s.ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	want := got.Digest
	if digest, ok := ref.(name.Digest); ok {
		if want, err = v1.NewHash(digest.DigestStr()); err != nil {
			return nil, err
		}
	}
	// Manifests of Docker's schema 1 are signed within, and so have no digest.
	if !got.MediaType.IsSchema1() {
		if err := putBlob(s.cache, want, func(w io.Writer) error { _, err := w.Write(got.Manifest); return err }); err != nil {
			return nil, fmt.Errorf("caching the manifest of %s: %w", ref, err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fetched[want] = got
	return got, nil
}

func (s *registrySource) blob(ctx context.Context, manifest v1.Hash, blob v1.Descriptor) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	unlock, err := s.cache.Lock(ctx, blob.Digest.String())
	if err != nil {
		return nil, err
	}
	defer unlock()
	content, err := getBlob(s.cache, blob.Digest)
	if errors.Is(err, fs.ErrNotExist) {
		if err := s.pull(ctx, manifest, blob); err != nil {
			return nil, fmt.Errorf("pulling %s from %s: %w", blob.Digest, s.ref.Context(), err)
		}
		content, err = getBlob(s.cache, blob.Digest)
	}
	if err != nil {
		return nil, err
	}
	size, err := content.Size()
	if err == nil && size != blob.Size {
		err = sizeError(blob.Digest, size, blob.Size)
	}
	if err != nil {
		return nil, errors.Join(err, content.Close())
	}
	return content, nil
}

// pull caches a blob of the registry.
func (s *registrySource) pull(ctx context.Context, manifest v1.Hash, blob v1.Descriptor) error {
	s.mu.Lock()
	from := s.fetched[manifest]
	s.mu.Unlock()
	if from == nil {
		var err error
		if from, err = s.fetch(ctx, s.ref.Context().Digest(manifest.String())); err != nil {
			return err
		}
	}
	img, err := from.Image()
	if err != nil {
		return err
	}
	l, err := img.LayerByDigest(blob.Digest)
	if err != nil {
		return err
	}
	pull := func(ctx context.Context) error {
		return s.remote.Download(ctx, l, func(content io.Reader) error {
			return putBlob(s.cache, blob.Digest, func(w io.Writer) error {
				// A byte more than there should be is enough to see that it is something else.
				_, err := copyAll(ctx, w, io.LimitReader(content, blob.Size+1))
				return err
			})
		})
	}
	if s.pulling == nil {
		return pull(ctx)
	}
	return s.pulling(ctx, blob, pull)
}
