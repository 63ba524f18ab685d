package publish_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/publish"
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
			client, index := newClient(t), twoPlatforms(t)
			session, err := publish.Begin(client, publish.Target{Repository: repository, Tags: []string{"v1"}})
			require.NoError(t, err)
			root, err := session.Content(t.Context(), index, nil)
			require.NoError(t, err)

			var attachments []publish.Attachment
			subject, err := partial.Descriptor(index)
			require.NoError(t, err)
			manifest, err := index.IndexManifest()
			require.NoError(t, err)
			for _, d := range append([]v1.Descriptor{*subject}, manifest.Manifests...) {
				for _, note := range []string{"one", "two"} {
					attachments = append(attachments, publish.Attachment{
						Subject: d, MediaType: "application/vnd.test+json", Content: []byte(note + d.Digest.String()), Annotations: map[string]string{"note": note},
					})
				}
			}
			require.NoError(t, session.Attach(t.Context(), attachments))
			require.NoError(t, session.Attach(t.Context(), attachments), "a second time changes nothing")
			assert.Empty(t, at(t, client, repository+":v1"), "no tag has moved yet")
			for _, d := range append([]v1.Descriptor{*subject}, manifest.Manifests...) {
				assert.Equal(t, []string{"application/vnd.test+json one", "application/vnd.test+json two"}, referrers(t, repository, d.Digest))
				assert.Equal(t, fallback, at(t, client, repository+":"+publish.TagFor(d.Digest, "")) != "", "the fallback tag")
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
			server, client, index := start(t), newClient(t), twoPlatforms(t)
			session, err := publish.Begin(client, publish.Target{Repository: server.Host + "/owner/app"})
			require.NoError(t, err)
			_, err = session.Content(t.Context(), index, nil)
			require.NoError(t, err)
			subject, err := partial.Descriptor(index)
			require.NoError(t, err)
			document := func(mediaType, content, identity string) []publish.Attachment {
				return []publish.Attachment{{Subject: *subject, MediaType: mediaType, Content: []byte(content), Identity: identity}}
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
	server, client, index := registrytest.Start(t), newClient(t), twoPlatforms(t)
	session, err := publish.Begin(client, publish.Target{Repository: server.Host + "/owner/app", Tags: []string{"v1"}})
	require.NoError(t, err)
	_, err = session.Content(t.Context(), index, nil)
	require.NoError(t, err)
	subject, err := partial.Descriptor(index)
	require.NoError(t, err)
	attachments := []publish.Attachment{{Subject: *subject, MediaType: "a/b", Content: []byte("x")}}
	for status, rejected := range map[int]bool{http.StatusBadRequest: true, http.StatusUnsupportedMediaType: true, http.StatusForbidden: false, http.StatusInternalServerError: false} {
		server.Break(registrytest.Fault{When: registrytest.On(http.MethodPut, "/manifests/"), Do: registrytest.Answer(status, "MANIFEST_INVALID", "manifest invalid")})
		err := session.Attach(t.Context(), attachments)
		require.Error(t, err)
		var r *publish.RejectedError
		assert.Equal(t, rejected, assert.ErrorAs(new(testing.T), err, &r), "%d: %v", status, err)
	}
	server.Break()
	require.NoError(t, session.Tag(t.Context()))
}

func TestRewrite(t *testing.T) {
	registrytest.NoLogin(t)
	server, client := registrytest.Start(t), newClient(t)
	session, err := publish.Begin(client, publish.Target{Repository: server.Host + "/owner/app"})
	require.NoError(t, err)
	layer := func(text string) publish.Layer {
		return publish.Layer{MediaType: "application/vnd.test", Annotations: map[string]string{"a": text}, Content: []byte(text)}
	}
	add := func(text string) func([]publish.Layer) ([]publish.Layer, error) {
		return func(old []publish.Layer) ([]publish.Layer, error) { return append(slices.Clone(old), layer(text)), nil }
	}
	tag := publish.TagFor(v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("a", 64)}, ".sig")
	require.NoError(t, session.Rewrite(t.Context(), tag, add("one")))
	require.NoError(t, session.Rewrite(t.Context(), tag, add("two")))
	ref, err := name.NewTag(server.Host + "/owner/app:" + tag)
	require.NoError(t, err)
	got, err := publish.Layers(t.Context(), client, ref)
	require.NoError(t, err)
	assert.Equal(t, []publish.Layer{layer("one"), layer("two")}, got)

	server.Forget()
	require.NoError(t, session.Rewrite(t.Context(), tag, func(old []publish.Layer) ([]publish.Layer, error) { return old, nil }))
	for _, r := range server.Requests() {
		assert.Equal(t, http.MethodGet, r.Method, "nothing is pushed, nor looked for, where nothing changes")
	}
	none, err := publish.Layers(t.Context(), client, ref.Context().Tag("none"))
	require.NoError(t, err)
	assert.Empty(t, none)
}
