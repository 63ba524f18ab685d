package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/slipway-ci/slipway/internal/oci/graph"
)

// Collection puts an image or index with everything that is attached to it into the repository, byte for byte: first what it
// consists of, then what refers to it, then the tags of cosign for it. What is there stays, and what others attached there, too. The
// error is a [RejectedError] if all is there but for manifests that the registry does not take, or does not list.
func (p *Push) Collection(ctx context.Context, c *graph.Collection) (name.Digest, error) {
	root, err := name.NewDigest(p.target.Repository + "@" + c.Root.Digest.String())
	if err != nil {
		return name.Digest{}, err
	}
	manifests := map[v1.Hash]manifest{}
	for _, n := range c.Nodes {
		if n.Blob == nil {
			manifests[n.Digest] = manifest{n.Manifest, n.MediaType, n.Digest}
		}
	}
	p.root = manifests[c.Root.Digest]
	if err := p.blobs(ctx, c.Nodes); err != nil {
		return root, p.client.Explain(root, err)
	}
	for _, n := range c.Nodes {
		attached := slices.ContainsFunc(c.Attached, func(a graph.Attached) bool { return a.Digest == n.Digest })
		if n.Blob != nil || attached {
			continue
		}
		if err := p.push(ctx, manifests[n.Digest]); err != nil {
			return root, p.client.Explain(root, err)
		}
	}
	bySubject := map[v1.Hash][]referrer{}
	for _, a := range c.Attached {
		bySubject[a.Subject] = append(bySubject[a.Subject], referrer{
			is: func(d v1.Descriptor) bool { return d.Digest == a.Digest },
			put: func(ctx context.Context) (v1.Descriptor, bool, error) {
				listed, err := p.refer(ctx, manifests[a.Digest], a.Subject)
				return a.Descriptor, listed, err
			},
		})
	}
	rejected := p.attachAll(ctx, bySubject)
	if rejected != nil && !isRejected(rejected) {
		return root, rejected
	}
	for _, t := range c.Tags {
		if err := p.merge(ctx, t, manifests[t.Digest], c.Nodes); err != nil {
			return root, err
		}
	}
	return root, rejected
}

// merge makes a tag of cosign lead to m. If it leads to something else, what that lacks is added to it.
func (p *Push) merge(ctx context.Context, t graph.Tagged, m manifest, nodes []graph.Node) error {
	ref := p.repository.Tag(t.Tag)
	var other bool
	err := p.update(ctx, ref, func() (*manifest, v1.Hash, error) {
		content, err := p.read(ctx, ref)
		if err != nil {
			return nil, v1.Hash{}, p.client.Explain(ref, err)
		}
		if other = content != nil && string(content) != string(m.raw); content != nil {
			return nil, v1.Hash{}, nil
		}
		return &m, v1.Hash{}, nil
	})
	if err != nil || !other {
		return err
	}
	add, err := layersOf(m, nodes)
	if err != nil {
		return fmt.Errorf("reading what is under %s: %w", t.Tag, err)
	}
	return p.Rewrite(ctx, t.Tag, nil, func(old []Layer) ([]Layer, error) {
		layers := slices.Clone(old)
		for _, l := range add {
			if !slices.ContainsFunc(layers, l.Same) {
				layers = append(layers, l)
			}
		}
		return layers, nil
	})
}

// layersOf reads the documents in m, whose blobs are among nodes.
func layersOf(m manifest, nodes []graph.Node) ([]Layer, error) {
	var parsed v1.Manifest
	if err := json.Unmarshal(m.raw, &parsed); err != nil {
		return nil, err
	}
	return readEach(parsed.Layers, newBudget(), func(digest v1.Hash) (v1.Layer, error) {
		i := slices.IndexFunc(nodes, func(n graph.Node) bool { return n.Digest == digest && n.Blob != nil })
		if i < 0 {
			return nil, fmt.Errorf("the blob %s is missing", digest)
		}
		return nodes[i].Blob, nil
	})
}
