package graph

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Source is where an image or index is with what is attached to it.
type Source interface {
	// Manifest reads a manifest, and checks it against its digest. The error is fs.ErrNotExist if there is none.
	Manifest(ctx context.Context, digest v1.Hash) ([]byte, error)
	// Blob is what a manifest of that digest names. It is read when it is opened.
	Blob(manifest v1.Hash, blob v1.Descriptor) (v1.Layer, error)
	// Referrers lists manifests that may refer to a subject.
	Referrers(ctx context.Context, subject v1.Hash) ([]v1.Descriptor, error)
	// Tagged is the digest of the manifest under a tag. The error is fs.ErrNotExist if there is none.
	Tagged(ctx context.Context, tag string) (v1.Hash, error)
}

// Collection is an image or index with everything that is attached to it.
type Collection struct {
	Root v1.Descriptor
	// Nodes are everything once, and what is referred to before what refers to it, be it as a part or as a subject.
	Nodes []Node
	// Attached are the manifests that refer to a subject among the nodes, as they are listed.
	Attached []Attached
	// Tags lead to manifests that belong to others by their name alone, as cosign keeps signatures.
	Tags []Tagged
}

// Attached is a manifest that refers to a subject.
type Attached struct {
	v1.Descriptor
	Subject v1.Hash
}

// Tagged is a manifest under a tag.
type Tagged struct {
	v1.Descriptor
	Tag string
}

// Tags that cosign makes of a digest: signatures, attestations, bills of materials.
var suffixes = []string{".sig", ".att", ".sbom"}

// TagFor is a tag that stands for a digest, as "sha256-abc…" with the suffix.
func TagFor(digest v1.Hash, suffix string) string {
	return strings.Replace(digest.String(), ":", "-", 1) + suffix
}

// IsTagFor reports whether a tag is one that stands for a digest.
func IsTagFor(tag string) bool {
	algorithm, rest, found := strings.Cut(tag, "-")
	digest, _, _ := strings.Cut(rest, ".")
	_, err := v1.NewHash(algorithm + ":" + digest)
	return found && err == nil
}

// How much is collected at most.
const (
	nodesLimit    = 20_000
	attachedLimit = 1000
)

// Collect finds everything that belongs to root: its parts, what refers to any of them, directly or not, and what is under the tags of
// cosign for them.
func Collect(ctx context.Context, source Source, root v1.Hash) (*Collection, error) {
	c := &collector{source: source, seen: map[v1.Hash]v1.Descriptor{}, Collection: &Collection{}}
	var err error
	if c.Root, err = c.manifest(ctx, root); err != nil {
		return nil, err
	}
	for _, n := range c.Nodes[:len(c.Nodes):len(c.Nodes)] {
		if n.Blob != nil {
			continue
		}
		err := c.attached(ctx, n.Digest)
		if err == nil {
			err = c.tagged(ctx, n.Digest)
		}
		if err != nil {
			return nil, fmt.Errorf("reading what is attached to %s: %w", n.Digest, err)
		}
	}
	for i := 0; i < len(c.Attached); i++ { // it grows
		if err := c.attached(ctx, c.Attached[i].Digest); err != nil {
			return nil, fmt.Errorf("reading what is attached to %s: %w", c.Attached[i].Digest, err)
		}
	}
	return c.Collection, nil
}

type collector struct {
	*Collection
	source Source
	seen   map[v1.Hash]v1.Descriptor
}

// document is a manifest or index.
type document struct {
	MediaType    types.MediaType   `json:"mediaType"`
	ArtifactType string            `json:"artifactType"`
	Config       *v1.Descriptor    `json:"config"`
	Layers       []v1.Descriptor   `json:"layers"`
	Manifests    []v1.Descriptor   `json:"manifests"`
	Subject      *v1.Descriptor    `json:"subject"`
	Annotations  map[string]string `json:"annotations"`
}

// manifest adds a manifest, after its parts. It returns how the manifest is listed.
func (c *collector) manifest(ctx context.Context, digest v1.Hash) (v1.Descriptor, error) {
	d, _, err := c.referring(ctx, digest, nil)
	return d, err
}

// referring is manifest for one that refers to subject, unless that is nil: any other is left out, and reported as false.
func (c *collector) referring(ctx context.Context, digest v1.Hash, subject *v1.Hash) (v1.Descriptor, bool, error) {
	if d, seen := c.seen[digest]; seen {
		return d, false, nil
	}
	raw, err := c.source.Manifest(ctx, digest)
	if err != nil {
		return v1.Descriptor{}, false, err
	}
	var m document
	if err := json.NewDecoder(bytes.NewReader(raw)).Decode(&m); err != nil {
		return v1.Descriptor{}, false, fmt.Errorf("the manifest %s: %w", digest, err)
	}
	isIndex, isImage := m.Manifests != nil, m.Config != nil || m.Layers != nil
	if isIndex == isImage {
		return v1.Descriptor{}, false, fmt.Errorf("the manifest %s is neither an image nor an index (media type %q)", digest, m.MediaType)
	}
	if subject != nil && (m.Subject == nil || m.Subject.Digest != *subject) {
		return v1.Descriptor{}, false, nil
	}
	d := v1.Descriptor{MediaType: m.MediaType, Digest: digest, Size: int64(len(raw)), ArtifactType: m.ArtifactType, Annotations: m.Annotations}
	switch {
	case d.MediaType == "" && isIndex:
		d.MediaType = types.OCIImageIndex
	case d.MediaType == "":
		d.MediaType = types.OCIManifestSchema1
	}
	if d.ArtifactType == "" && m.Config != nil {
		d.ArtifactType = string(m.Config.MediaType)
	}
	c.seen[digest] = d
	for _, part := range append(m.Manifests, m.Layers...) {
		if err := c.part(ctx, digest, part, isIndex); err != nil {
			return d, false, err
		}
	}
	if m.Config != nil {
		if err := c.part(ctx, digest, *m.Config, false); err != nil {
			return d, false, err
		}
	}
	return d, true, c.add(Node{Digest: digest, MediaType: d.MediaType, Size: d.Size, Manifest: raw})
}

func (c *collector) part(ctx context.Context, of v1.Hash, part v1.Descriptor, ofIndex bool) error {
	if ofIndex && (part.MediaType.IsImage() || part.MediaType.IsIndex() || part.MediaType == "") {
		_, err := c.manifest(ctx, part.Digest)
		return err
	}
	if _, seen := c.seen[part.Digest]; seen || !part.MediaType.IsDistributable() {
		return nil
	}
	c.seen[part.Digest] = part
	blob, err := c.source.Blob(of, part)
	if err != nil {
		return err
	}
	return c.add(Node{Digest: part.Digest, MediaType: part.MediaType, Size: part.Size, Blob: blob})
}

func (c *collector) add(n Node) error {
	if len(c.Nodes) == nodesLimit {
		return fmt.Errorf("it consists of more than %d parts", nodesLimit)
	}
	c.Nodes = append(c.Nodes, n)
	return nil
}

// attached adds what refers to subject.
func (c *collector) attached(ctx context.Context, subject v1.Hash) error {
	listed, err := c.source.Referrers(ctx, subject)
	if err != nil {
		return err
	}
	for _, entry := range listed {
		d, is, err := c.referring(ctx, entry.Digest, &subject)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it was deleted, and the list was not
		}
		if err != nil {
			return err
		}
		if !is {
			continue
		}
		if len(c.Attached) == attachedLimit {
			return fmt.Errorf("there are more than %d attachments", attachedLimit)
		}
		c.Attached = append(c.Attached, Attached{d, subject})
	}
	return nil
}

// tagged adds what is under the tags for a digest.
func (c *collector) tagged(ctx context.Context, subject v1.Hash) error {
	for _, suffix := range suffixes {
		tag := TagFor(subject, suffix)
		digest, err := c.source.Tagged(ctx, tag)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		d, err := c.manifest(ctx, digest)
		if err != nil {
			return err
		}
		c.Tags = append(c.Tags, Tagged{d, tag})
	}
	return nil
}
