package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// manifest is one of an image, an index or an attachment. go-containerregistry's pusher believes the status of an answer
// and changes the tags of attachments by itself, so manifests are pushed here.
type manifest struct {
	raw       []byte
	mediaType types.MediaType
	digest    v1.Hash
}

func newManifest(raw []byte, mediaType types.MediaType) (manifest, error) {
	digest, _, err := v1.SHA256(bytes.NewReader(raw))
	return manifest{raw, mediaType, digest}, err
}

// acceptManifests are the media types that may come for a manifest.
var acceptManifests = strings.Join([]string{
	string(types.OCIImageIndex), string(types.OCIManifestSchema1), string(types.DockerManifestList), string(types.DockerManifestSchema2),
}, ",")

// push puts m under its digest unless it is there.
func (p *Push) push(ctx context.Context, m manifest) error {
	return p.client.Retry(ctx, func() error {
		ref := p.repository.Digest(m.digest.String())
		if there, err := p.has(ctx, ref, m); err != nil || there {
			return err
		}
		_, err := p.put(ctx, ref, m)
		return err
	})
}

// move makes a tag lead to m, and reads it back. Unless from is nil, the tag has to lead there until then, the zero digest standing for
// nothing; the error is errOvertaken if it does not.
func (p *Push) move(ctx context.Context, tag name.Tag, m manifest, from *v1.Hash) error {
	return p.client.Retry(ctx, func() error {
		content, err := p.read(ctx, tag)
		if err != nil && !isForbidden(err) || err == nil && bytes.Equal(content, m.raw) {
			return err
		}
		if from != nil && err == nil {
			var is manifest
			if content != nil {
				if is, err = newManifest(content, ""); err != nil {
					return err
				}
			}
			if is.digest != *from {
				return errOvertaken
			}
		}
		_, err = p.put(ctx, tag, m)
		return err
	})
}

// has asks whether the registry has m, by the digest that it reports of it, else by its content.
func (p *Push) has(ctx context.Context, ref name.Digest, m manifest) (bool, error) {
	resp, err := p.request(ctx, http.MethodHead, p.url("manifests", ref.Identifier()), manifest{})
	if err != nil {
		return false, err
	}
	if err := resp.Body.Close(); err != nil {
		return false, err
	}
	switch {
	case resp.StatusCode == http.StatusNotFound:
		return false, nil
	case resp.StatusCode == http.StatusOK && resp.Header.Get(headerDigest) == m.digest.String():
		return true, nil
	}
	return p.leadsTo(ctx, ref, m)
}

// leadsTo reads what ref leads to and reports whether that is m.
func (p *Push) leadsTo(ctx context.Context, ref name.Reference, m manifest) (bool, error) {
	content, err := p.read(ctx, ref)
	if isForbidden(err) {
		return false, nil
	}
	return err == nil && bytes.Equal(content, m.raw), err
}

// isForbidden knows the answer of registries that show a login nothing before it has pushed; to them the push is what counts.
func isForbidden(err error) bool {
	var answered *transport.Error
	return errors.As(err, &answered) && answered.StatusCode == http.StatusForbidden
}

// The headers that answers to a push of a manifest have. Source:
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-manifests
const (
	headerDigest  = "Docker-Content-Digest"
	headerSubject = "OCI-Subject"
)

// put puts m under ref and makes sure that it is what is there now. It returns the header of the answer.
func (p *Push) put(ctx context.Context, ref name.Reference, m manifest) (http.Header, error) {
	resp, err := p.request(ctx, http.MethodPut, p.url("manifests", ref.Identifier()), m)
	if err != nil {
		return nil, err
	}
	err = transport.CheckError(resp, http.StatusOK, http.StatusCreated, http.StatusAccepted)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return nil, err
	}
	claimed := resp.Header.Get(headerDigest)
	if claimed != "" && claimed != m.digest.String() {
		return nil, &notStoredError{fmt.Sprintf("the registry answered that it stored %q in place of %s", claimed, m.digest)}
	}
	if _, byTag := ref.(name.Tag); !byTag && claimed != "" && resp.StatusCode == http.StatusCreated {
		return resp.Header, nil
	}
	content, err := p.read(ctx, ref)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(content, m.raw) {
		found := "nothing"
		if content != nil {
			other, err := newManifest(content, "")
			if err != nil {
				return nil, err
			}
			found = other.digest.String()
		}
		return nil, &notStoredError{fmt.Sprintf("the registry answered a push of %s with %d %s, and has %s there",
			m.digest, resp.StatusCode, http.StatusText(resp.StatusCode), found)}
	}
	return resp.Header, nil
}

// notStoredError is a push that the registry confirmed and did not carry out, or that another push overtook.
type notStoredError struct{ problem string }

func (e *notStoredError) Error() string {
	return e.problem + ": check that it is a registry, and that nothing else pushes there at the same time; then publish again"
}
