package publish

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"golang.org/x/sync/errgroup"

	"github.com/slipway-ci/slipway/internal/oci/graph"
	"github.com/slipway-ci/slipway/internal/publish/target"
	"github.com/slipway-ci/slipway/internal/registry"
)

// parallel is how many blobs are pushed at a time. Most of them are there already and cost one small request each.
const parallel = 6

// Target is where an image goes.
type Target = target.Target

// Session is a push to one repository, step by step: [Session.Content], then whatever is attached to it, then
// [Session.Tag]. If a step fails before the last, no tag has moved.
type Session struct {
	client     *registry.Client
	pusher     *remote.Pusher
	target     Target
	repository name.Repository
	root       manifest

	mu   sync.Mutex
	http *http.Client // nil until the first login
}

// Begin begins a push. It asks the registry nothing yet.
func Begin(client *registry.Client, target Target) (*Session, error) {
	repository, err := parse(target)
	if err != nil {
		return nil, err
	}
	pusher, err := remote.NewPusher(append(client.RemoteOptions(), remote.WithJobs(parallel))...)
	if err != nil {
		return nil, err
	}
	return &Session{client: client, pusher: pusher, target: target, repository: repository}, nil
}

// Content puts artifact, a v1.Image or a v1.ImageIndex, into the repository and returns its reference by digest.
//
// Blobs go first, those that the repository lacks and each of them once; layers of a base image in the same registry
// are mounted. Then come the manifests of the platforms, then the index.
func (s *Session) Content(ctx context.Context, artifact remote.Taggable) (name.Digest, error) {
	nodes, err := graph.Nodes(artifact)
	if err != nil {
		return name.Digest{}, fmt.Errorf("reading the image for %s: %w", s.repository, err)
	}
	whole := nodes[len(nodes)-1]
	// Not made from repository, since that spells docker.io another way than the caller.
	root, err := name.NewDigest(s.target.Repository + "@" + whole.Digest.String())
	if err != nil {
		return name.Digest{}, err
	}
	if err := s.blobs(ctx, nodes); err != nil {
		return name.Digest{}, s.client.Explain(root, err)
	}
	for _, n := range nodes {
		if n.Blob != nil {
			continue
		}
		if err := s.push(ctx, manifest{n.Manifest, n.MediaType, n.Digest}); err != nil {
			return name.Digest{}, s.client.Explain(root, err)
		}
	}
	s.root = manifest{whole.Manifest, whole.MediaType, whole.Digest}
	return root, nil
}

// Tag moves the target's tags, in their order, to what [Session.Content] pushed, and reads each back.
func (s *Session) Tag(ctx context.Context) error {
	for i, tag := range s.target.Tags {
		if err := s.move(ctx, s.repository.Tag(tag), s.root, nil); err != nil {
			err = s.client.Explain(s.repository.Tag(tag), err)
			if i > 0 {
				err = fmt.Errorf("%w (already moved: %s)", err, strings.Join(s.target.Tags[:i], ", "))
			}
			return err
		}
	}
	return nil
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

// blobs pushes the blobs among nodes.
func (s *Session) blobs(ctx context.Context, nodes []graph.Node) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for _, n := range nodes {
		if n.Blob != nil {
			group.Go(func() error { return s.upload(ctx, n.Blob) })
		}
	}
	return group.Wait()
}
