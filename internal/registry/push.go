package registry

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"golang.org/x/sync/errgroup"

	"github.com/slipway-ci/slipway/internal/oci/graph"
)

// parallel is how many blobs are pushed at a time. Most of them are there already and cost one small request each.
const parallel = 6

// Push is a push to one repository, step by step: [Push.Content], then whatever is attached to it, then [Push.Tag]. Tags move last:
// whoever pulls a tag gets either the whole old image or the whole new one, with everything that is attached to it, and a push that fails
// leaves every tag where it was.
type Push struct {
	session
	pusher *remote.Pusher
	target Target
	root   manifest
}

// Push begins a push. It asks the registry nothing yet.
func (c *Client) Push(target Target) (*Push, error) {
	if err := target.Validate().Err(); err != nil {
		return nil, err
	}
	repository, err := name.NewRepository(target.Repository)
	if err != nil {
		return nil, err
	}
	pusher, err := remote.NewPusher(append(c.RemoteOptions(), remote.WithJobs(parallel))...)
	if err != nil {
		return nil, err
	}
	return &Push{session: session{client: c, repository: repository, scope: transport.PushScope}, pusher: pusher, target: target}, nil
}

// Content puts artifact, a v1.Image or a v1.ImageIndex, into the repository and returns its reference by digest.
//
// Blobs go first, those that the repository lacks and each of them once; layers of a base image in the same registry
// are mounted. Then come the manifests of the platforms, then the index.
func (p *Push) Content(ctx context.Context, artifact remote.Taggable) (name.Digest, error) {
	nodes, err := graph.Nodes(artifact)
	if err != nil {
		return name.Digest{}, fmt.Errorf("reading the image for %s: %w", p.repository, err)
	}
	whole := nodes[len(nodes)-1]
	// Not made from repository, since that spells docker.io another way than the caller.
	root, err := name.NewDigest(p.target.Repository + "@" + whole.Digest.String())
	if err != nil {
		return name.Digest{}, err
	}
	if err := p.blobs(ctx, nodes); err != nil {
		return name.Digest{}, p.client.Explain(root, err)
	}
	for _, n := range nodes {
		if n.Blob != nil {
			continue
		}
		if err := p.push(ctx, manifest{n.Manifest, n.MediaType, n.Digest}); err != nil {
			return name.Digest{}, p.client.Explain(root, err)
		}
	}
	p.root = manifest{whole.Manifest, whole.MediaType, whole.Digest}
	return root, nil
}

// Tag moves the target's tags, in their order, to what [Push.Content] pushed, and reads each back.
func (p *Push) Tag(ctx context.Context) error {
	for i, tag := range p.target.Tags {
		if err := p.move(ctx, p.repository.Tag(tag), p.root, nil); err != nil {
			err = p.client.Explain(p.repository.Tag(tag), err)
			if i > 0 {
				err = fmt.Errorf("%w (already moved: %s)", err, strings.Join(p.target.Tags[:i], ", "))
			}
			return err
		}
	}
	return nil
}

// blobs pushes the blobs among nodes.
func (p *Push) blobs(ctx context.Context, nodes []graph.Node) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for _, n := range nodes {
		if n.Blob != nil {
			group.Go(func() error { return p.upload(ctx, n.Blob) })
		}
	}
	return group.Wait()
}
