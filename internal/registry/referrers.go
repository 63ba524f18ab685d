package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/slipway-ci/slipway/internal/oci/graph"
)

// referrersPages is how many pages of a subject's referrers are read. Beyond that, an attachment may be there twice.
const referrersPages = 50

// Referrers lists what is attached to an image or index, in its repository or in the first mirror of it that lists anything: what
// the registry itself lists, else what is under the fallback tag. Nobody vouches for what the entries say but for their digests.
func (c *Client) Referrers(ctx context.Context, subject name.Digest) ([]v1.Descriptor, error) {
	digest, err := v1.NewHash(subject.DigestStr())
	if err != nil {
		return nil, err
	}
	var failure error
	for _, candidate := range c.mirrors.candidates(subject) {
		s := c.reading(candidate.Context())
		listed, _ := s.referrers(ctx, digest)
		if len(listed) == 0 {
			var list *index
			if list, _, failure = s.fallbackIndex(ctx, digest); failure != nil {
				continue
			}
			listed = list.referrers()
		}
		if len(listed) > 0 {
			return listed, nil
		}
	}
	var foreign *notIndexError
	if errors.As(failure, &foreign) {
		failure = nil
	}
	return nil, failure
}

// reading is the session in which a repository is read.
func (c *Client) reading(repository name.Repository) *session {
	s, _ := c.sessions.LoadOrStore(repository.Name(), &session{client: c, repository: repository, scope: transport.PullScope})
	return s.(*session)
}

// referrers are what the registry itself lists for a subject, and whether it lists at all. Source:
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers
func (s *session) referrers(ctx context.Context, subject v1.Hash) (listed []v1.Descriptor, lists bool) {
	page := s.url("referrers", subject.String())
	read := map[string]bool{}
	for range referrersPages {
		if page == nil || read[page.String()] {
			break
		}
		read[page.String()] = true
		var more []v1.Descriptor
		var err error
		if more, page, err = s.referrersPage(ctx, page); err != nil {
			break // what is not known to be there is attached once more
		}
		lists = true
		listed = append(listed, more...)
	}
	return listed, lists
}

func (s *session) referrersPage(ctx context.Context, page *url.URL) (listed []v1.Descriptor, next *url.URL, err error) {
	resp, err := s.request(ctx, http.MethodGet, page, manifest{})
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	if err := transport.CheckError(resp, http.StatusOK); err != nil {
		return nil, nil, err
	}
	content, err := io.ReadAll(resp.Body) // the client bounds what it reads of a list
	if err != nil {
		return nil, nil, err
	}
	index, err := parseIndex(content)
	if err != nil {
		return nil, nil, err
	}
	return index.referrers(), nextPage(resp, page), nil
}

// linkNext is a Link header for the next page (RFC 8288).
var linkNext = regexp.MustCompile(`<([^<>]+)>\s*;[^,]*\brel="?next"?`)

// nextPage is the address of the page after this one, nil if there is none or it is at another registry.
func nextPage(resp *http.Response, page *url.URL) *url.URL {
	for _, link := range resp.Header.Values("Link") {
		found := linkNext.FindStringSubmatch(link)
		if found == nil {
			continue
		}
		if next, err := page.Parse(found[1]); err == nil && next.Host == page.Host {
			next.Scheme = page.Scheme
			return next
		}
	}
	return nil
}

// index is a list of referrers. What others wrote into it stays as it is, so only what is needed is parsed.
type index struct {
	fields  map[string]json.RawMessage
	entries []json.RawMessage
}

// notIndexError is something else in the place of a list of referrers.
type notIndexError struct{ problem string }

func (e *notIndexError) Error() string { return e.problem }

func parseIndex(content []byte) (*index, error) {
	i := &index{}
	var head struct {
		MediaType types.MediaType    `json:"mediaType"`
		Manifests *[]json.RawMessage `json:"manifests"`
		Config    *json.RawMessage   `json:"config"`
		Layers    *json.RawMessage   `json:"layers"`
	}
	err := errors.Join(json.Unmarshal(content, &i.fields), json.Unmarshal(content, &head))
	if err != nil || head.Manifests == nil || head.Config != nil || head.Layers != nil || head.MediaType != "" && head.MediaType != types.OCIImageIndex {
		return nil, &notIndexError{"it is no OCI index"}
	}
	i.entries = *head.Manifests
	return i, nil
}

// referrers are the entries that can be read.
func (i *index) referrers() (all []v1.Descriptor) {
	for _, entry := range i.entries {
		var d v1.Descriptor
		if err := json.Unmarshal(entry, &d); err == nil {
			all = append(all, d)
		}
	}
	return all
}

// with adds what is not there. It returns nil if all is.
func (i *index) with(add []v1.Descriptor) (*manifest, error) {
	there := map[v1.Hash]bool{}
	for _, d := range i.referrers() {
		there[d.Digest] = true
	}
	entries := append([]json.RawMessage{}, i.entries...)
	for _, d := range add {
		if there[d.Digest] {
			continue
		}
		there[d.Digest] = true
		entry, err := json.Marshal(d)
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry)
	}
	if len(entries) == len(i.entries) {
		return nil, nil
	}
	list, err := json.Marshal(entries)
	if err != nil {
		return nil, err
	}
	fields := map[string]json.RawMessage{"schemaVersion": json.RawMessage("2"), "mediaType": json.RawMessage(`"` + string(types.OCIImageIndex) + `"`)}
	for key, value := range i.fields {
		fields[key] = value
	}
	fields["manifests"] = list
	raw, err := json.Marshal(fields)
	if err != nil {
		return nil, err
	}
	m, err := newManifest(raw, types.OCIImageIndex)
	return &m, err
}

// fallbackIndex is the list under a subject's fallback tag, with its digest; empty if there is none.
func (s *session) fallbackIndex(ctx context.Context, subject v1.Hash) (*index, v1.Hash, error) {
	tag := s.repository.Tag(graph.TagFor(subject, ""))
	content, err := s.read(ctx, tag)
	switch {
	case err != nil:
		return nil, v1.Hash{}, s.client.Explain(tag, err)
	case content == nil:
		return &index{}, v1.Hash{}, nil
	}
	m, err := newManifest(content, "")
	if err != nil {
		return nil, v1.Hash{}, err
	}
	if m.digest == subject { // GitLab's takes the tag for the digest
		return nil, v1.Hash{}, &notIndexError{fmt.Sprintf("the tag %s leads to the image itself", tag.TagStr())}
	}
	list, err := parseIndex(content)
	if err != nil {
		return nil, v1.Hash{}, fmt.Errorf("the tag %s leads to something else: %w", tag.TagStr(), err)
	}
	return list, m.digest, nil
}

// list writes what is attached to a subject into the list under its fallback tag. Source:
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#referrers-tag-schema
func (p *Push) list(ctx context.Context, subject v1.Hash, attached []v1.Descriptor) error {
	return p.update(ctx, p.repository.Tag(graph.TagFor(subject, "")), func() (*manifest, v1.Hash, error) {
		list, was, err := p.fallbackIndex(ctx, subject)
		if err != nil {
			return nil, was, err
		}
		m, err := list.with(attached)
		return m, was, err
	})
}
