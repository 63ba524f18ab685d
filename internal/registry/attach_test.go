package registry_test

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/oci/graph"
	"github.com/slipway-ci/slipway/internal/registry"
	"github.com/slipway-ci/slipway/internal/test/registrytest"
)

// referrers are the types and annotations of what is attached to a subject.
func referrers(t *testing.T, repository string, subject v1.Hash) []string {
	t.Helper()
	ref, err := name.NewDigest(repository + "@" + subject.String())
	require.NoError(t, err)
	index, err := remote.Referrers(ref)
	require.NoError(t, err)
	manifest, err := index.IndexManifest()
	require.NoError(t, err)
	var all []string
	for _, d := range manifest.Manifests {
		img, err := remote.Image(ref.Context().Digest(d.Digest.String()))
		require.NoError(t, err)
		m, err := img.Manifest()
		require.NoError(t, err)
		assert.Equal(t, subject, m.Subject.Digest)
		// Not the type in the list: go-containerregistry's registry takes it from the configuration alone.
		all = append(all, m.ArtifactType+" "+d.Annotations["note"])
	}
	slices.Sort(all)
	return all
}

func TestAttach(t *testing.T) {
	for kind, start := range map[string]func(*testing.T) (host string, fallback bool){
		"with referrers API":    func(t *testing.T) (string, bool) { return registrytest.StartReferrers(t).Host, false },
		"without referrers API": func(t *testing.T) (string, bool) { return registrytest.Start(t).Host, true },
		"docker-registry":       func(t *testing.T) (string, bool) { return registrytest.StartDistribution(t, false), true },
	} {
		t.Run(kind, func(t *testing.T) {
			registrytest.NoLogin(t)
			host, fallback := start(t)
			repository := host + "/owner/app"
			client, index := newPushClient(t), twoPlatforms(t)
			session, err := client.Push(registry.Target{Repository: repository, Tags: []string{"v1"}})
			require.NoError(t, err)
			root, err := session.Content(t.Context(), index)
			require.NoError(t, err)

			var attachments []registry.Attachment
			subject, err := partial.Descriptor(index)
			require.NoError(t, err)
			manifest, err := index.IndexManifest()
			require.NoError(t, err)
			for _, d := range append([]v1.Descriptor{*subject}, manifest.Manifests...) {
				for _, note := range []string{"one", "two"} {
					attachments = append(attachments, registry.Attachment{
						Subject: d, MediaType: "application/vnd.test+json", Content: []byte(note + d.Digest.String()), Annotations: map[string]string{"note": note},
					})
				}
			}
			require.NoError(t, session.Attach(t.Context(), attachments))
			require.NoError(t, session.Attach(t.Context(), attachments), "a second time changes nothing")
			assert.Empty(t, at(t, client, repository+":v1"), "no tag has moved yet")
			for _, d := range append([]v1.Descriptor{*subject}, manifest.Manifests...) {
				assert.Equal(t, []string{"application/vnd.test+json one", "application/vnd.test+json two"}, referrers(t, repository, d.Digest))
				assert.Equal(t, fallback, at(t, client, repository+":"+graph.TagFor(d.Digest, "")) != "", "the fallback tag")
			}
			require.NoError(t, session.Tag(t.Context()))
			assert.Equal(t, root.DigestStr(), at(t, client, repository+":v1"))
		})
	}
}

// What says the same as what is there is not attached again: only what is there is asked for.
func TestAttachAgain(t *testing.T) {
	for kind, start := range map[string]func(testing.TB, ...registrytest.Fault) *registrytest.Registry{
		"with referrers API": registrytest.StartReferrers, "without referrers API": registrytest.Start,
	} {
		t.Run(kind, func(t *testing.T) {
			registrytest.NoLogin(t)
			server, client, index := start(t), newPushClient(t), twoPlatforms(t)
			session, err := client.Push(registry.Target{Repository: server.Host + "/owner/app"})
			require.NoError(t, err)
			_, err = session.Content(t.Context(), index)
			require.NoError(t, err)
			subject, err := partial.Descriptor(index)
			require.NoError(t, err)
			document := func(mediaType, content, identity string) []registry.Attachment {
				return []registry.Attachment{{Subject: *subject, MediaType: mediaType, Content: []byte(content), Identity: identity}}
			}
			require.NoError(t, session.Attach(t.Context(), document("a/b", "made at one", "same")))
			require.NoError(t, session.Attach(t.Context(), document("a/b", "plain", "")))
			server.Break(registrytest.Fault{When: func(r *http.Request) bool { return r.Method != http.MethodGet && r.Method != http.MethodHead }, Do: registrytest.Answer(http.StatusForbidden, "DENIED", "no")})
			require.NoError(t, session.Attach(t.Context(), document("a/b", "made at two", "same")))
			require.NoError(t, session.Attach(t.Context(), document("a/b", "plain", "")))
			assert.Error(t, session.Attach(t.Context(), document("a/b", "made at two", "other")))
			assert.Error(t, session.Attach(t.Context(), document("c/d", "made at two", "same")))
			assert.Error(t, session.Attach(t.Context(), document("a/b", "plainer", "")))
			server.Break()
			require.NoError(t, session.Attach(t.Context(), document("c/d", "made at two", "same")))
			assert.Equal(t, []string{"a/b ", "a/b ", "c/d "}, referrers(t, server.Host+"/owner/app", subject.Digest))
		})
	}
}

// A registry that refuses attachments still has the image, and the error says which of the two it was.
func TestAttachRejected(t *testing.T) {
	registrytest.NoLogin(t)
	server, client, index := registrytest.Start(t), newPushClient(t), twoPlatforms(t)
	session, err := client.Push(registry.Target{Repository: server.Host + "/owner/app", Tags: []string{"v1"}})
	require.NoError(t, err)
	_, err = session.Content(t.Context(), index)
	require.NoError(t, err)
	subject, err := partial.Descriptor(index)
	require.NoError(t, err)
	attachments := []registry.Attachment{{Subject: *subject, MediaType: "a/b", Content: []byte("x")}}
	for status, rejected := range map[int]bool{http.StatusBadRequest: true, http.StatusUnsupportedMediaType: true, http.StatusForbidden: false, http.StatusInternalServerError: false} {
		server.Break(registrytest.Fault{When: registrytest.On(http.MethodPut, "/manifests/"), Do: registrytest.Answer(status, "MANIFEST_INVALID", "manifest invalid")})
		err := session.Attach(t.Context(), attachments)
		require.Error(t, err)
		var r *registry.RejectedError
		assert.Equal(t, rejected, assert.ErrorAs(new(testing.T), err, &r), "%d: %v", status, err)
	}
	server.Break()
	require.NoError(t, session.Tag(t.Context()))
}

func TestRewrite(t *testing.T) {
	registrytest.NoLogin(t)
	server, client := registrytest.Start(t), newPushClient(t)
	session, tag := signatures(t, client, server.Host)
	require.NoError(t, session.Rewrite(t.Context(), tag.TagStr(), nil, with("one")))
	require.NoError(t, session.Rewrite(t.Context(), tag.TagStr(), nil, with("two")))
	got, err := registry.Layers(t.Context(), client, tag)
	require.NoError(t, err)
	assert.Equal(t, []registry.Layer{document("one"), document("two")}, got)

	server.Forget()
	require.NoError(t, session.Rewrite(t.Context(), tag.TagStr(), nil, func(old []registry.Layer) ([]registry.Layer, error) { return old, nil }))
	for _, r := range server.Requests() {
		assert.Equal(t, http.MethodGet, r.Method, "nothing is pushed, nor searched, where nothing changes")
	}
	none, err := registry.Layers(t.Context(), client, tag.Context().Tag("none"))
	require.NoError(t, err)
	assert.Empty(t, none)
}

// signatures is a session with a repository and a tag that documents are kept under, as signatures are.
func signatures(t *testing.T, client *registry.Client, host string) (session *registry.Push, tag name.Tag) {
	t.Helper()
	session, err := client.Push(registry.Target{Repository: host + "/owner/app"})
	require.NoError(t, err)
	tag, err = name.NewTag(host + "/owner/app:" + graph.TagFor(v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("a", 64)}, ".sig"))
	require.NoError(t, err)
	return session, tag
}

func document(text string) registry.Layer {
	return registry.Layer{MediaType: "application/vnd.test", Annotations: map[string]string{"a": text}, Content: []byte(text)}
}

// with adds a document.
func with(text string) func([]registry.Layer) ([]registry.Layer, error) {
	return func(old []registry.Layer) ([]registry.Layer, error) {
		return append(slices.Clone(old), document(text)), nil
	}
}

// What another writes between reading and writing stays, even if the other was done long before.
func TestRewriteAfterOther(t *testing.T) {
	registrytest.NoLogin(t)
	server, client := registrytest.Start(t), newPushClient(t)
	session, tag := signatures(t, client, server.Host)
	others := []string{"one", "two", "three"}
	require.NoError(t, session.Rewrite(t.Context(), tag.TagStr(), nil, func(old []registry.Layer) ([]registry.Layer, error) {
		if len(others) > 0 {
			other, err := client.Push(registry.Target{Repository: server.Host + "/owner/app"})
			require.NoError(t, err)
			require.NoError(t, other.Rewrite(t.Context(), tag.TagStr(), nil, with(others[0])))
			others = others[1:]
		}
		return with("last")(old)
	}))
	got, err := registry.Layers(t.Context(), client, tag)
	require.NoError(t, err)
	assert.Equal(t, []registry.Layer{document("one"), document("two"), document("three"), document("last")}, got)
}

// Whoever is overtaken each time gives up, and takes nothing away.
func TestRewriteOvertaken(t *testing.T) {
	registrytest.NoLogin(t)
	server, client := registrytest.Start(t), newPushClient(t)
	session, tag := signatures(t, client, server.Host)
	count := 0
	err := session.Rewrite(t.Context(), tag.TagStr(), nil, func(old []registry.Layer) ([]registry.Layer, error) {
		count++
		require.NoError(t, session.Rewrite(t.Context(), tag.TagStr(), nil, with(strconv.Itoa(count))))
		return with("last")(old)
	})
	require.ErrorContains(t, err, tag.String()+": others keep changing it at the same time: publish again when they are done")
	got, err := registry.Layers(t.Context(), client, tag)
	require.NoError(t, err)
	assert.Len(t, got, count)
	assert.NotContains(t, got, document("last"))
}

// What is listed under a fallback tag while another writes there stays, too. The registry holds the second writer between reading
// the list and reading it again before it is written.
func TestAttachAfterOther(t *testing.T) {
	registrytest.NoLogin(t)
	server, client, index := registrytest.Start(t), newPushClient(t), twoPlatforms(t)
	target := registry.Target{Repository: server.Host + "/owner/app"}
	session, err := client.Push(target)
	require.NoError(t, err)
	_, err = session.Content(t.Context(), index)
	require.NoError(t, err)
	subject, err := partial.Descriptor(index)
	require.NoError(t, err)
	about := func(note string) []registry.Attachment {
		return []registry.Attachment{{Subject: *subject, MediaType: "a/b", Content: []byte(note), Annotations: map[string]string{"note": note}}}
	}
	reads := 0
	server.Break(registrytest.Fault{
		When: func(r *http.Request) bool {
			if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/manifests/"+graph.TagFor(subject.Digest, "")) {
				reads++ // what is there already; the list; the list just before it is written
				return reads == 3
			}
			return false
		},
		Before: func(http.ResponseWriter, *http.Request) {
			other, err := client.Push(target)
			if assert.NoError(t, err) {
				assert.NoError(t, other.Attach(t.Context(), about("first")))
			}
		},
	})
	require.NoError(t, session.Attach(t.Context(), about("second")))
	require.Greater(t, reads, 3)
	assert.Equal(t, []string{"a/b first", "a/b second"}, referrers(t, target.Repository, subject.Digest))
}

// A mirror that lags behind says nothing of what is in the registry.
func TestRewriteBesideMirror(t *testing.T) {
	registrytest.NoLogin(t)
	mirror, server := registrytest.Start(t), registrytest.Start(t)
	client, err := registry.New(registry.Options{Bounds: quick, Mirrors: []string{server.Host + "=http://" + mirror.Host}})
	require.NoError(t, err)
	t.Cleanup(client.Close)
	stale, tag := signatures(t, newPushClient(t), mirror.Host)
	require.NoError(t, stale.Rewrite(t.Context(), tag.TagStr(), nil, with("stale")))
	session, tag := signatures(t, client, server.Host)
	require.NoError(t, session.Rewrite(t.Context(), tag.TagStr(), nil, with("one")))
	require.NoError(t, session.Rewrite(t.Context(), tag.TagStr(), nil, with("two")))
	got, err := registry.Layers(t.Context(), newPushClient(t), tag)
	require.NoError(t, err)
	assert.Equal(t, []registry.Layer{document("one"), document("two")}, got)
}
