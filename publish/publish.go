package publish

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"golang.org/x/sync/errgroup"

	"github.com/slipway-ci/slipway/publish/target"
	"github.com/slipway-ci/slipway/registry"
)

// parallel is how many blobs are pushed at a time. Most of them are there already and cost one small request each.
const parallel = 6

// Progress is told how many bytes of all blobs are in the repository. complete grows up to total, and falls when an
// upload broke and begins again. It is called from many goroutines, one at a time, and must return soon.
type Progress func(complete, total int64)

// Target is where an image goes.
type Target = target.Target

// Push puts artifact, a v1.Image or a v1.ImageIndex, into the target's repository and returns its reference by digest.
//
// Blobs go first, those that the repository lacks and each of them once; layers of a base image in the same registry
// are mounted. Then come the manifests of the platforms, then the index, and the tags last, in the target's order: if
// Push fails before those, no tag has moved. progress may be nil.
func Push(
	ctx context.Context, client *registry.Client, target Target, artifact remote.Taggable, progress Progress,
) (name.Digest, error) {
	repository, err := parse(target)
	if err != nil {
		return name.Digest{}, err
	}
	content, err := collect(artifact)
	if err != nil {
		return name.Digest{}, fmt.Errorf("reading the image for %s: %w", repository, err)
	}
	// Not made from repository, since that spells docker.io another way than the caller.
	root, err := name.NewDigest(target.Repository + "@" + content.digest.String())
	if err != nil {
		return name.Digest{}, err
	}
	pusher, err := remote.NewPusher(append(client.RemoteOptions(), remote.WithJobs(parallel))...)
	if err != nil {
		return name.Digest{}, err
	}
	p := push{client: client, pusher: pusher, repository: repository}
	if err := p.blobs(ctx, content.blobs, progress); err != nil {
		return name.Digest{}, client.Explain(root, err)
	}
	for _, m := range content.manifests {
		if err := p.manifest(ctx, repository.Digest(m.digest.String()), m); err != nil {
			return name.Digest{}, client.Explain(root, err)
		}
	}
	for i, tag := range target.Tags {
		if err := p.manifest(ctx, repository.Tag(tag), content.manifest); err != nil {
			err = client.Explain(repository.Tag(tag), err)
			if i > 0 {
				err = fmt.Errorf("%w (already moved: %s)", err, strings.Join(target.Tags[:i], ", "))
			}
			return name.Digest{}, err
		}
	}
	return root, nil
}

// parse is for callers that have not asked Target.Validate.
func parse(t Target) (name.Repository, error) {
	var faults []error
	for _, fault := range t.Validate() {
		faults = append(faults, fault)
	}
	if faults != nil {
		return name.Repository{}, errors.Join(faults...)
	}
	return name.NewRepository(t.Repository)
}

type push struct {
	client     *registry.Client
	pusher     *remote.Pusher
	repository name.Repository
}

func (p *push) blobs(ctx context.Context, blobs []blob, progress Progress) error {
	meter := newMeter(blobs, progress)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for _, b := range blobs {
		layer, done := meter.measure(b)
		group.Go(func() error {
			err := p.client.Retry(ctx, func() error { return p.pusher.Upload(ctx, p.repository, layer) })
			if err == nil {
				done()
			}
			return err
		})
	}
	return group.Wait()
}

// manifest puts m under ref unless it is there. The pusher has seen all that m refers to, so it sends nothing else.
func (p *push) manifest(ctx context.Context, ref name.Reference, m manifest) error {
	return p.client.Retry(ctx, func() error { return p.pusher.Push(ctx, ref, m.Taggable) })
}

// manifest is an image or an index.
type manifest struct {
	remote.Taggable
	digest v1.Hash
}
