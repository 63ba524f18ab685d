package publish

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"
)

// Attachment is a document about an image or index in the same repository.
type Attachment struct {
	// Subject is what the document is about.
	Subject v1.Descriptor
	// MediaType is that of the document, and the type that attachments are listed by.
	MediaType string
	Content   []byte
	// Annotations are listed too.
	Annotations map[string]string
	// Identity is the same for documents that say the same of a subject, whenever they were made: of those one is enough. Empty:
	// that of the content.
	Identity string
}

// annotationIdentity has an attachment's identity where attachments are listed.
const annotationIdentity = "io.github.slipway-ci.identity"

// identity is what an attachment is listed by.
func (a Attachment) identity() string {
	same := []byte(a.Identity)
	if a.Identity == "" {
		same = a.Content
	}
	sum := sha256.Sum256(append([]byte(a.MediaType+"\n"), same...))
	return hex.EncodeToString(sum[:])
}

// RejectedError says that a registry does not take attachments. What they are attached to is in the repository
// nevertheless.
type RejectedError struct{ err error }

func (e *RejectedError) Error() string {
	return fmt.Sprintf("the registry does not take attachments: %v: it has to know manifests with a subject, as OCI 1.1 describes them", e.err)
}

func (e *RejectedError) Unwrap() error { return e.err }

// The empty JSON object that stands where an image has its configuration. Source:
// https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md#guidance-for-an-empty-descriptor
const emptyType = "application/vnd.oci.empty.v1+json"

var emptyConfig = static.NewLayer([]byte("{}"), emptyType)

// Attach puts the documents into the repository as OCI 1.1 referrers of their subjects. For registries without the
// referrers API, each subject's are listed in an index under the fallback tag that the specification gives it, where those of
// others are kept. A document that is there already stays as it is, and so does one of the same identity. The error is a [RejectedError] if the registry refuses
// such manifests. Source: https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-manifests-with-subject
func (s *Session) Attach(ctx context.Context, attachments []Attachment) error {
	if len(attachments) == 0 {
		return nil
	}
	puller, err := remote.NewPuller(s.client.RemoteOptions()...)
	if err != nil {
		return err
	}
	bySubject := map[v1.Hash][]Attachment{}
	for _, a := range attachments {
		bySubject[a.Subject.Digest] = append(bySubject[a.Subject.Digest], a)
	}
	config := sync.OnceValue(func() error { return s.upload(ctx, emptyConfig) })
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for _, list := range bySubject {
		// One after the other: all of a subject's change the same fallback tag.
		group.Go(func() error {
			there := s.attached(ctx, puller, list[0].Subject.Digest)
			for _, a := range list {
				if there[a.identity()] {
					continue
				}
				if err := config(); err != nil {
					return s.rejected(a, err)
				}
				if err := s.attach(ctx, a); err != nil {
					return s.rejected(a, err)
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// attached are the attachments of a subject that Slipway made, by their identities. Where they cannot be listed, there are none: what is there already
// is only put there again.
func (s *Session) attached(ctx context.Context, puller *remote.Puller, subject v1.Hash) map[string]bool {
	there := map[string]bool{}
	index, err := remote.Referrers(s.repository.Digest(subject.String()), append(s.client.RemoteOptions(), remote.WithContext(ctx), remote.Reuse(puller))...)
	if err != nil {
		return there
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return there
	}
	for _, m := range manifest.Manifests {
		there[m.Annotations[annotationIdentity]] = true
	}
	return there
}

func (s *Session) attach(ctx context.Context, a Attachment) error {
	layer := static.NewLayer(a.Content, types.MediaType(a.MediaType))
	if err := s.upload(ctx, layer); err != nil {
		return err
	}
	digest, err := layer.Digest()
	if err != nil {
		return err
	}
	config, err := emptyConfig.Digest()
	if err != nil {
		return err
	}
	annotations := map[string]string{annotationIdentity: a.identity()}
	maps.Copy(annotations, a.Annotations)
	raw, err := json.Marshal(v1.Manifest{
		SchemaVersion: 2,
		MediaType:     types.OCIManifestSchema1,
		ArtifactType:  a.MediaType,
		Config:        v1.Descriptor{MediaType: emptyType, Digest: config, Size: 2, Data: []byte("{}")},
		Layers:        []v1.Descriptor{{MediaType: types.MediaType(a.MediaType), Digest: digest, Size: int64(len(a.Content))}},
		Subject:       &v1.Descriptor{MediaType: a.Subject.MediaType, Digest: a.Subject.Digest, Size: a.Subject.Size},
		Annotations:   annotations,
	})
	if err != nil {
		return err
	}
	own, _, err := v1.SHA256(bytes.NewReader(raw))
	if err != nil {
		return err
	}
	// Put and not Push, which would not look at the fallback tag again if an earlier run was stopped before it was written.
	return s.client.Retry(ctx, func() error {
		return s.pusher.Put(ctx, s.repository.Digest(own.String()), document{raw})
	})
}

// document is a manifest whose blobs have been pushed.
type document struct{ raw []byte }

func (d document) RawManifest() ([]byte, error)        { return d.raw, nil }
func (d document) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }

func (s *Session) upload(ctx context.Context, layer v1.Layer) error {
	return s.client.Retry(ctx, func() error { return s.pusher.Upload(ctx, s.repository, layer) })
}

// rejections are what registries answer that do not know such manifests, or media types.
var rejections = []int{http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity}

func (s *Session) rejected(a Attachment, err error) error {
	explained := s.client.Explain(s.repository.Digest(a.Subject.Digest.String()), err)
	var answered *transport.Error
	if errors.As(err, &answered) && slices.Contains(rejections, answered.StatusCode) {
		return &RejectedError{explained}
	}
	return explained
}

// Layer is a part of an image that holds documents in place of files, as cosign keeps signatures.
type Layer struct {
	MediaType   string
	Annotations map[string]string
	Content     []byte
}

// Same reports whether two layers are alike.
func (l Layer) Same(other Layer) bool {
	return l.MediaType == other.MediaType && maps.Equal(l.Annotations, other.Annotations) && bytes.Equal(l.Content, other.Content)
}

// layerLimit is the size in bytes of the biggest document that is read.
const layerLimit = 128 << 20

// Layers reads the image of documents under ref. The error is one of [registry.Client.Explain]; where there is no such
// image, there are no layers and no error.
func Layers(ctx context.Context, client Getter, ref name.Reference) ([]Layer, error) {
	desc, err := client.Get(ctx, ref)
	if err != nil {
		var answered *transport.Error
		if errors.As(err, &answered) && answered.StatusCode == http.StatusNotFound {
			return nil, nil
		}
		return nil, err
	}
	layers, err := readLayers(desc)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", ref, err)
	}
	return layers, nil
}

// Getter is the part of a registry client that reads.
type Getter interface {
	Get(ctx context.Context, ref name.Reference) (*remote.Descriptor, error)
}

func readLayers(desc *remote.Descriptor) ([]Layer, error) {
	img, err := desc.Image()
	if err != nil {
		return nil, err
	}
	manifest, err := img.Manifest()
	if err != nil {
		return nil, err
	}
	var all []Layer
	for _, d := range manifest.Layers {
		if d.Size > layerLimit {
			return nil, fmt.Errorf("a layer has %d bytes, more than the %d that are read", d.Size, layerLimit)
		}
		layer, err := img.LayerByDigest(d.Digest)
		if err != nil {
			return nil, err
		}
		content, err := readLayer(layer)
		if err != nil {
			return nil, err
		}
		all = append(all, Layer{MediaType: string(d.MediaType), Annotations: d.Annotations, Content: content})
	}
	return all, nil
}

// readLayer reads the bytes as they are in the registry, which the library calls compressed whatever they are.
func readLayer(layer v1.Layer) (content []byte, err error) {
	r, err := layer.Compressed()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	return io.ReadAll(r)
}

// Rewrite puts the layers that change makes of those there are under a tag of the repository. Where nothing changes,
// nothing is pushed.
func (s *Session) Rewrite(ctx context.Context, tag string, change func(old []Layer) ([]Layer, error)) error {
	ref := s.repository.Tag(tag)
	old, err := Layers(ctx, s.client, ref)
	if err != nil {
		return err
	}
	layers, err := change(old)
	if err != nil || slices.EqualFunc(old, layers, Layer.Same) {
		return err
	}
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	for _, l := range layers {
		if img, err = mutate.Append(img, mutate.Addendum{
			Layer: static.NewLayer(l.Content, types.MediaType(l.MediaType)), MediaType: types.MediaType(l.MediaType), Annotations: l.Annotations,
		}); err != nil {
			return err
		}
	}
	content, err := collect(img)
	if err != nil {
		return err
	}
	if err := s.blobs(ctx, content.blobs, nil); err != nil {
		return s.client.Explain(ref, err)
	}
	if err := s.manifest(ctx, ref, content.manifest); err != nil {
		return s.client.Explain(ref, err)
	}
	return nil
}

// TagFor is a tag that stands for a digest, as "sha256-abc…" with the suffix.
func TagFor(digest v1.Hash, suffix string) string {
	return strings.Replace(digest.String(), ":", "-", 1) + suffix
}
