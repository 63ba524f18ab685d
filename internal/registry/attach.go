package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
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
	// Make makes Content where it is nil, once it is known that no document of the same Identity is there.
	Make func(context.Context) ([]byte, error)
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

// RejectedError says which attachments a registry does not take, or takes and does not list. What they are attached to is
// in the repository nevertheless.
type RejectedError struct {
	// attached is how many of all attachments are in the repository, and listed.
	attached, all int
	reasons       []error
}

func (e *RejectedError) Error() string {
	reasons := strings.ReplaceAll(errors.Join(e.reasons...).Error(), "\n", "; ")
	if e.attached == 0 {
		return reasons + "; the image is published without them"
	}
	return fmt.Sprintf("%s; of its attachments %d of %d are listed", reasons, e.attached, e.all)
}

func (e *RejectedError) Unwrap() []error { return e.reasons }

// EmptyType is that of the empty JSON object that stands where an image has its configuration. Source:
// https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md#guidance-for-an-empty-descriptor
const EmptyType = "application/vnd.oci.empty.v1+json"

var emptyConfig = static.NewLayer([]byte("{}"), EmptyType)

// Attach puts the documents into the repository as OCI 1.1 referrers of their subjects. Where the registry does not list
// them by itself, each subject's are listed in an index under the fallback tag that the specification gives it, which is
// written once; what others listed there stays. A document that is there already stays as it is, and so does one of the same
// identity. The error is a [RejectedError] if the registry refuses such manifests, or does not list them. Source:
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-manifests-with-subject
func (p *Push) Attach(ctx context.Context, attachments []Attachment) error {
	config := sync.OnceValue(func() error { return p.upload(ctx, emptyConfig) })
	bySubject := map[v1.Hash][]referrer{}
	for _, a := range attachments {
		bySubject[a.Subject.Digest] = append(bySubject[a.Subject.Digest], referrer{
			is:  func(d v1.Descriptor) bool { return d.Annotations[annotationIdentity] == a.identity() },
			put: func(ctx context.Context) (v1.Descriptor, bool, error) { return p.attach(ctx, a, config) },
		})
	}
	return p.attachAll(ctx, bySubject)
}

// referrer is a manifest that is to refer to a subject.
type referrer struct {
	// is reports whether an entry of a list is this manifest, or says the same.
	is func(v1.Descriptor) bool
	// put puts the manifest into the repository. It returns how it is listed, and whether the registry does that.
	put func(context.Context) (d v1.Descriptor, listed bool, err error)
}

// attachAll puts what is missing beside each subject. The error is a [RejectedError] if the registry does not take or list it.
func (p *Push) attachAll(ctx context.Context, bySubject map[v1.Hash][]referrer) error {
	rejected := &RejectedError{}
	for _, list := range bySubject {
		rejected.all += len(list)
	}
	rejected.attached = rejected.all
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for subject, list := range bySubject {
		group.Go(func() error {
			without, err := p.attachTo(ctx, subject, list)
			if without == 0 {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			rejected.attached -= without
			rejected.reasons = append(rejected.reasons, err)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if rejected.reasons == nil {
		return nil
	}
	slices.SortFunc(rejected.reasons, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return rejected
}

// makeError is one of making a document, which the registry has nothing to do with.
type makeError struct{ error }

func (e *makeError) Unwrap() error { return e.error }

func isRejected(err error) bool {
	var rejected *RejectedError
	return errors.As(err, &rejected)
}

// attachTo attaches documents to one subject. It returns how many the registry does not take or list, and why; or no
// number, and an error that ends the push.
func (p *Push) attachTo(ctx context.Context, subject v1.Hash, list []referrer) (without int, err error) {
	listed, byRegistry := p.referrers(ctx, subject)
	missing := slices.DeleteFunc(slices.Clone(list), func(r referrer) bool { return slices.ContainsFunc(listed, r.is) })
	if len(missing) > 0 && len(listed) == 0 {
		if index, _, err := p.fallbackIndex(ctx, subject); err == nil {
			missing = slices.DeleteFunc(missing, func(r referrer) bool { return slices.ContainsFunc(index.referrers(), r.is) })
		}
	}
	var unlisted []v1.Descriptor
	for i, r := range missing {
		descriptor, listed, err := r.put(ctx)
		var made *makeError
		switch {
		case errors.As(err, &made):
			return 0, made.error
		case err != nil:
			explained := p.client.Explain(p.repository.Digest(subject.String()), err)
			if !isRejection(err) {
				return 0, explained
			}
			return len(missing) - i + len(unlisted), fmt.Errorf("the registry does not take attachments: %w: it has to know manifests with a subject, as OCI 1.1 describes them", explained)
		}
		if !listed {
			unlisted = append(unlisted, descriptor)
		}
	}
	if len(unlisted) > 0 && byRegistry { // there are registries that list them and do not say so
		listed, _ := p.referrers(ctx, subject)
		unlisted = slices.DeleteFunc(unlisted, func(d v1.Descriptor) bool {
			return slices.ContainsFunc(listed, func(other v1.Descriptor) bool { return other.Digest == d.Digest })
		})
	}
	if len(unlisted) == 0 {
		return 0, nil
	}
	err = p.list(ctx, subject, unlisted)
	var foreign *notIndexError
	if err == nil || !errors.As(err, &foreign) && !isRefusal(err) {
		return 0, err
	}
	var stored []string
	for _, d := range unlisted {
		stored = append(stored, d.Digest.String())
	}
	return len(unlisted), fmt.Errorf("what is attached to %s is in %s as %s, but listed nowhere: %w",
		subject, p.repository, strings.Join(stored, ", "), err)
}

// attach puts an attachment into the repository. It returns how it is listed, and whether the registry does that.
func (p *Push) attach(ctx context.Context, a Attachment, config func() error) (descriptor v1.Descriptor, listed bool, err error) {
	if err := config(); err != nil {
		return descriptor, false, err
	}
	if a.Content == nil && a.Make != nil {
		if a.Content, err = a.Make(ctx); err != nil {
			return descriptor, false, &makeError{err}
		}
	}
	layer := static.NewLayer(a.Content, types.MediaType(a.MediaType))
	if err := p.upload(ctx, layer); err != nil {
		return descriptor, false, err
	}
	digest, err := layer.Digest()
	if err != nil {
		return descriptor, false, err
	}
	configDigest, err := emptyConfig.Digest()
	if err != nil {
		return descriptor, false, err
	}
	annotations := map[string]string{annotationIdentity: a.identity()}
	maps.Copy(annotations, a.Annotations)
	raw, err := json.Marshal(v1.Manifest{
		SchemaVersion: 2,
		MediaType:     types.OCIManifestSchema1,
		ArtifactType:  a.MediaType,
		Config:        v1.Descriptor{MediaType: EmptyType, Digest: configDigest, Size: 2, Data: []byte("{}")},
		Layers:        []v1.Descriptor{{MediaType: types.MediaType(a.MediaType), Digest: digest, Size: int64(len(a.Content))}},
		Subject:       &v1.Descriptor{MediaType: a.Subject.MediaType, Digest: a.Subject.Digest, Size: a.Subject.Size},
		Annotations:   annotations,
	})
	if err != nil {
		return descriptor, false, err
	}
	m, err := newManifest(raw, types.OCIManifestSchema1)
	if err != nil {
		return descriptor, false, err
	}
	listed, err = p.refer(ctx, m, a.Subject.Digest)
	return v1.Descriptor{
		MediaType: m.mediaType, Digest: m.digest, Size: int64(len(raw)), ArtifactType: a.MediaType, Annotations: annotations,
	}, listed, err
}

// refer puts a manifest that refers to subject into the repository, even if it is there: only the answer says whether the registry lists it.
func (p *Push) refer(ctx context.Context, m manifest, subject v1.Hash) (listed bool, err error) {
	err = p.client.Retry(ctx, func() error {
		header, err := p.put(ctx, p.repository.Digest(m.digest.String()), m)
		listed = err == nil && header.Get(headerSubject) == subject.String()
		return err
	})
	return listed, err
}

func (p *Push) upload(ctx context.Context, layer v1.Layer) error {
	return p.client.Retry(ctx, func() error { return p.pusher.Upload(ctx, p.repository, layer) })
}

// rejections are what registries answer that do not know such manifests, or media types.
var rejections = []int{http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity}

func isRejection(err error) bool {
	var answered *transport.Error
	return errors.As(err, &answered) && slices.Contains(rejections, answered.StatusCode)
}
