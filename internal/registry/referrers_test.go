package registry_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/oci/graph"
	"github.com/slipway-ci/slipway/internal/registry"
	"github.com/slipway-ci/slipway/internal/test/registrytest"
)

// attaching is an image in a registry, to attach to.
type attaching struct {
	*registrytest.Registry
	session *registry.Push
	subject v1.Descriptor
}

func beginAttaching(t *testing.T, server *registrytest.Registry) *attaching {
	t.Helper()
	registrytest.NoLogin(t)
	image, err := random.Image(1000, 1)
	require.NoError(t, err)
	session, err := newPushClient(t).Push(registry.Target{Repository: server.Host + "/app", Tags: []string{"v1"}})
	require.NoError(t, err)
	_, err = session.Content(t.Context(), image)
	require.NoError(t, err)
	subject, err := partial.Descriptor(image)
	require.NoError(t, err)
	server.Forget()
	return &attaching{server, session, *subject}
}

func (a *attaching) attach(t *testing.T, texts ...string) error {
	t.Helper()
	var all []registry.Attachment
	for _, text := range texts {
		all = append(all, registry.Attachment{Subject: a.subject, MediaType: "application/vnd.test", Content: []byte(text), Annotations: map[string]string{"note": text}})
	}
	return a.session.Attach(t.Context(), all)
}

func (a *attaching) tag() string { return graph.TagFor(a.subject.Digest, "") }

// listed are the notes under the fallback tag.
func (a *attaching) listed(t *testing.T) (notes []string) {
	t.Helper()
	ref, err := name.ParseReference(a.Host + "/app:" + a.tag())
	require.NoError(t, err)
	desc, err := newPushClient(t).Get(t.Context(), ref)
	require.NoError(t, err)
	var index v1.IndexManifest
	require.NoError(t, json.Unmarshal(desc.Manifest, &index))
	for _, d := range index.Manifests {
		notes = append(notes, d.Annotations["note"])
	}
	return notes
}

func (a *attaching) count(method, part string) (n int) {
	for _, r := range a.Requests() {
		if r.Method == method && strings.Contains(r.Path, part) {
			n++
		}
	}
	return n
}

// The fallback tag is written once, with everything that belongs to it.
func TestFallbackTagIsWrittenOnce(t *testing.T) {
	for kind, faults := range map[string][]registrytest.Fault{
		"no referrers API":                     nil,
		"a referrers API that lists nothing":   {registrytest.NoReferrers()},
		"a page in place of the referrers API": {{When: registrytest.On(http.MethodGet, "/referrers/"), Do: registrytest.HTML}},
		"immutable tags":                       {registrytest.ImmutableTags(http.StatusForbidden)},
	} {
		t.Run(kind, func(t *testing.T) {
			a := beginAttaching(t, registrytest.Start(t, faults...))
			require.NoError(t, a.attach(t, "one", "two", "three"))
			assert.Equal(t, []string{"one", "two", "three"}, a.listed(t))
			assert.Equal(t, 1, a.count(http.MethodPut, "/manifests/"+a.tag()))
			a.Forget()
			require.NoError(t, a.attach(t, "one", "two", "three"))
			assert.Zero(t, a.count(http.MethodPut, ""), "what is listed is there")
		})
	}
}

// A registry that reports the subject lists attachments itself.
func TestRegistryLists(t *testing.T) {
	a := beginAttaching(t, registrytest.Start(t))
	a.Break(registrytest.Reports("OCI-Subject", a.subject.Digest.String()))
	require.NoError(t, a.attach(t, "one", "two"))
	assert.Zero(t, a.count(http.MethodPut, "/manifests/sha256-"))
	assert.Equal(t, 1, a.count(http.MethodGet, "/referrers/"))
}

// What cannot be listed is in the repository: the error says where, and why nobody will find it.
func TestNotListed(t *testing.T) {
	foreign := func(content string) registrytest.Fault {
		return registrytest.Fault{When: registrytest.On(http.MethodGet, "/manifests/sha256-"), Do: func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, content) }}
	}
	for kind, test := range map[string]struct {
		fault registrytest.Fault
		says  string
	}{
		"GitLab":          {registrytest.TagsAsDigests(), "leads to the image itself"},
		"another image":   {foreign(`{"schemaVersion":2,"config":{},"layers":[]}`), "leads to something else"},
		"a page":          {foreign(`<html>`), "leads to something else"},
		"refused (400)":   {registrytest.Fault{When: registrytest.On(http.MethodPut, "/manifests/sha256-"), Do: registrytest.Answer(400, "TAG_INVALID", "no such tags")}, "no such tags"},
		"immutable (401)": {registrytest.Fault{When: registrytest.On(http.MethodPut, "/manifests/sha256-"), Do: registrytest.Answer(401, "TAG_INVALID", "immutable")}, "(401 Unauthorized; TAG_INVALID: immutable): allow tags of that repository to be overwritten"},
	} {
		t.Run(kind, func(t *testing.T) {
			a := beginAttaching(t, registrytest.Start(t, test.fault))
			err := a.attach(t, "one", "two")
			var rejected *registry.RejectedError
			require.ErrorAs(t, err, &rejected)
			require.ErrorContains(t, err, test.says)
			require.ErrorContains(t, err, "listed nowhere")
			require.LessOrEqual(t, a.count(http.MethodPut, "/manifests/sha256-"), 1)
			_, after, _ := strings.Cut(err.Error(), " as ")
			stored, _, _ := strings.Cut(after, ", but")
			for _, digest := range strings.Split(stored, ", ") {
				require.NotEmpty(t, at(t, newPushClient(t), a.Host+"/app@"+digest))
			}
			require.NoError(t, a.session.Tag(t.Context()))
		})
	}
}

// Some are attached and some are not: the error says how many.
func TestAttachPartly(t *testing.T) {
	a := beginAttaching(t, registrytest.Start(t))
	require.NoError(t, a.attach(t, "one"))
	a.Break(registrytest.Fault{When: registrytest.On(http.MethodPut, "/manifests/sha256:"), Do: registrytest.Answer(400, "MANIFEST_INVALID", "no")})
	require.ErrorContains(t, a.attach(t, "one", "two"), "of its attachments 1 of 2 are listed")
	require.ErrorContains(t, a.attach(t, "two", "three"), "the image is published without them")
}

// Entries of others stay as they are, with what this program does not know of them.
func TestForeignEntriesStay(t *testing.T) {
	a := beginAttaching(t, registrytest.Start(t))
	require.NoError(t, a.attach(t, "theirs"))
	ref, err := name.ParseReference(a.Host + "/app:" + a.tag())
	require.NoError(t, err)
	desc, err := newPushClient(t).Get(t.Context(), ref)
	require.NoError(t, err)
	var list map[string]any
	require.NoError(t, json.Unmarshal(desc.Manifest, &list))
	entry := list["manifests"].([]any)[0].(map[string]any)
	entry["theirField"], list["theirs"] = "kept", 1.5
	raw, err := json.Marshal(list)
	require.NoError(t, err)
	require.NoError(t, remote.Put(ref, foreignIndex{raw}))

	require.NoError(t, a.attach(t, "ours"))
	desc, err = newPushClient(t).Get(t.Context(), ref)
	require.NoError(t, err)
	var after map[string]any
	require.NoError(t, json.Unmarshal(desc.Manifest, &after))
	require.Equal(t, 1.5, after["theirs"])
	require.Equal(t, entry, after["manifests"].([]any)[0])
	require.Len(t, after["manifests"], 2)
}

type foreignIndex struct{ raw []byte }

func (f foreignIndex) RawManifest() ([]byte, error) { return f.raw, nil }

// Pages are followed to their end, and no further.
func TestPagesOfReferrers(t *testing.T) {
	a := beginAttaching(t, registrytest.StartReferrers(t))
	require.NoError(t, a.attach(t, "one"))
	resp, err := http.Get("http://" + a.Host + "/v2/app/referrers/" + a.subject.Digest.String())
	require.NoError(t, err)
	defer resp.Body.Close()
	var index struct{ Manifests []json.RawMessage }
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&index))
	require.Len(t, index.Manifests, 1)
	http.DefaultClient.CloseIdleConnections()

	path := "/v2/app/referrers/" + a.subject.Digest.String()
	page := func(query, entries, next string) registrytest.Fault {
		return registrytest.Fault{
			When: func(r *http.Request) bool { return r.URL.Path == path && r.URL.RawQuery == query }, Do: registrytest.Page(entries, next),
		}
	}
	a.Break(page("", "", path+"?last=1"), page("last=1", string(index.Manifests[0]), ""))
	a.Forget()
	require.NoError(t, a.attach(t, "one"))
	require.Zero(t, a.count(http.MethodPut, ""), "it is on the second page")

	for name, next := range map[string]func(r *http.Request) string{
		"the same page": func(*http.Request) string { return path },
		"new ones":      func(r *http.Request) string { return path + "?last=" + r.URL.RawQuery + "x" },
		"elsewhere":     func(*http.Request) string { return "http://elsewhere.invalid/" },
	} {
		t.Run(name, func(t *testing.T) {
			a.Break(registrytest.Fault{When: registrytest.On(http.MethodGet, "/referrers/"), Do: func(w http.ResponseWriter, r *http.Request) {
				registrytest.Page("", next(r))(w, r)
			}})
			a.Forget()
			require.NoError(t, a.attach(t, "more of "+name))
			require.LessOrEqual(t, a.count(http.MethodGet, "/referrers/"), 100)
		})
	}
}

// Nothing is lost when several write the same tags at once.
func TestWritersAtOnce(t *testing.T) {
	const writers = 4
	a := beginAttaching(t, registrytest.Start(t))
	var read sync.WaitGroup
	read.Add(writers)
	isList := registrytest.On(http.MethodPut, "/manifests/sha256-")
	// All have read what is there before the first of them writes.
	a.Break(registrytest.Fault{When: isList, Times: writers, Before: func(http.ResponseWriter, *http.Request) {
		read.Done()
		read.Wait()
	}})
	errs := make([]error, writers)
	var group sync.WaitGroup
	for i := range writers {
		session, err := newPushClient(t).Push(registry.Target{Repository: a.Host + "/app"})
		require.NoError(t, err)
		group.Go(func() {
			errs[i] = session.Attach(t.Context(), []registry.Attachment{{
				Subject: a.subject, MediaType: "a/b", Content: fmt.Append(nil, i), Annotations: map[string]string{"note": fmt.Sprint(i)},
			}})
		})
	}
	group.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	assert.ElementsMatch(t, []string{"0", "1", "2", "3"}, a.listed(t))
}
