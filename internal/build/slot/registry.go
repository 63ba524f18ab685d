package slot

import (
	"bytes"
	"context"
	"errors"
	"net/http"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/slipway-ci/slipway/internal/registry"
)

// registryRepository is one of a registry. Its slots are tags.
type registryRepository struct {
	name   string
	client *registry.Client
}

func (r registryRepository) Get(ctx context.Context, tag string) (*Slot, error) {
	ref, err := name.NewTag(r.name + ":" + tag)
	if err != nil {
		return nil, err
	}
	// Not from a mirror, which may be late.
	found, err := r.client.GetUpstream(ctx, ref)
	if isAbsent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	index, err := v1.ParseIndexManifest(bytes.NewReader(found.Manifest))
	if err != nil {
		return nil, err
	}
	return &Slot{
		Ref: ref.Context().Digest(found.Digest.String()).String(), Digest: found.Digest, Index: index, Manifest: found.Manifest,
		open: func(ctx context.Context, artifact v1.Descriptor) (v1.Image, error) {
			found, err := r.client.GetUpstream(ctx, ref.Context().Digest(artifact.Digest.String()))
			if err != nil {
				return nil, err
			}
			return found.Image()
		},
		has: func(ctx context.Context, blob v1.Hash) (has bool, err error) {
			err = r.client.Retry(ctx, func() error {
				layer, err := remote.Layer(ref.Context().Digest(blob.String()), append(r.client.RemoteOptions(), remote.WithContext(ctx))...)
				if err == nil {
					has, err = partial.Exists(layer)
				}
				return err
			})
			return has, err
		},
		download: r.client.Download,
	}, nil
}

func isAbsent(err error) bool {
	var answered *transport.Error
	return errors.As(err, &answered) && answered.StatusCode == http.StatusNotFound
}

func (r registryRepository) Put(ctx context.Context, tag string, content v1.ImageIndex) error {
	push, err := r.client.Push(registry.Target{Repository: r.name, Tags: []string{tag}})
	if err != nil {
		return err
	}
	if _, err := push.Content(ctx, content); err != nil {
		return err
	}
	return push.Tag(ctx)
}

func (r registryRepository) Names(ctx context.Context) (tags []string, err error) {
	repository, err := name.NewRepository(r.name)
	if err != nil {
		return nil, err
	}
	err = r.client.Retry(ctx, func() error {
		tags, err = remote.List(repository, append(r.client.RemoteOptions(), remote.WithContext(ctx))...)
		return err
	})
	if isAbsent(err) {
		return nil, nil
	}
	return tags, r.client.Explain(repository.Tag("latest"), err)
}

// Delete deletes the manifest that the tag leads to: not every registry deletes tags.
func (r registryRepository) Delete(ctx context.Context, tag string) error {
	found, err := r.Get(ctx, tag)
	if err != nil || found == nil {
		return err
	}
	ref, err := name.NewDigest(found.Ref)
	if err != nil {
		return err
	}
	err = r.client.Retry(ctx, func() error {
		return remote.Delete(ref, append(r.client.RemoteOptions(), remote.WithContext(ctx))...)
	})
	return r.client.Explain(ref, err)
}
