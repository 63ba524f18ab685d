package registry_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/oci/graph"
	"github.com/slipway-ci/slipway/internal/registry"
	"github.com/slipway-ci/slipway/internal/test/registrytest"
)

// copied is an index with two documents for each of its parts, a document about a document, and a signature under a tag.
type copied struct {
	*registrytest.Registry
	client  *registry.Client
	digests []v1.Hash // of the index and its images
}

func beginCopy(t *testing.T, server *registrytest.Registry) *copied {
	t.Helper()
	registrytest.NoLogin(t)
	c := &copied{Registry: server, client: newPushClient(t)}
	index := twoPlatforms(t)
	push, err := c.client.Push(registry.Target{Repository: server.Host + "/from/app", Tags: []string{"v1"}})
	require.NoError(t, err)
	_, err = push.Content(t.Context(), index)
	require.NoError(t, err)
	root, err := partial.Descriptor(index)
	require.NoError(t, err)
	manifest, err := index.IndexManifest()
	require.NoError(t, err)
	var attachments []registry.Attachment
	for _, d := range append([]v1.Descriptor{*root}, manifest.Manifests...) {
		c.digests = append(c.digests, d.Digest)
		for _, note := range []string{"one", "two"} {
			attachments = append(attachments, registry.Attachment{
				Subject: d, MediaType: "application/vnd.test+json", Content: []byte(note + d.Digest.String()), Annotations: map[string]string{"note": note},
			})
		}
	}
	require.NoError(t, push.Attach(t.Context(), attachments))
	listed, err := c.client.Referrers(t.Context(), c.ref(t, "/from/app", c.digests[0]))
	require.NoError(t, err)
	require.NoError(t, push.Attach(t.Context(), []registry.Attachment{{
		Subject: v1.Descriptor{MediaType: types.OCIManifestSchema1, Digest: listed[0].Digest, Size: listed[0].Size}, MediaType: "application/vnd.test+json",
		Content: []byte("about a document"), Annotations: map[string]string{"note": "deep"},
	}}))
	require.NoError(t, push.Rewrite(t.Context(), graph.TagFor(c.digests[1], ".sig"), nil, with("theirs")))
	require.NoError(t, push.Tag(t.Context()))
	server.Forget()
	return c
}

func (c *copied) ref(t *testing.T, repository string, digest v1.Hash) name.Digest {
	t.Helper()
	ref, err := name.NewDigest(c.Host + repository + "@" + digest.String())
	require.NoError(t, err)
	return ref
}

// collect reads what is in a repository.
func (c *copied) collect(t *testing.T, host, repository string) *graph.Collection {
	t.Helper()
	from, err := name.NewRepository(host + repository)
	require.NoError(t, err)
	collection, err := graph.Collect(t.Context(), c.client.Source(from), c.digests[0])
	require.NoError(t, err)
	return collection
}

// put copies what is in /from/app to a repository with the tag v2.
func (c *copied) put(t *testing.T, host, repository string) error {
	t.Helper()
	collection := c.collect(t, c.Host, "/from/app")
	push, err := c.client.Push(registry.Target{Repository: host + repository, Tags: []string{"v2"}})
	require.NoError(t, err)
	if _, err := push.Collection(t.Context(), collection); err != nil {
		return err
	}
	return push.Tag(t.Context())
}

// parts are the digests of everything, and where it is listed.
func parts(c *graph.Collection) (all []string) {
	for _, n := range c.Nodes {
		all = append(all, n.Digest.String())
	}
	for _, a := range c.Attached {
		all = append(all, a.Subject.String()+" <- "+a.Digest.String())
	}
	for _, t := range c.Tags {
		all = append(all, t.Tag+" -> "+t.Digest.String())
	}
	slices.Sort(all)
	return all
}

func writes(server *registrytest.Registry) (all []string) {
	for _, r := range server.Requests() {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			all = append(all, r.String())
		}
	}
	return all
}

// A copy has all that the source has, under the same digests, and tags move last. What is there is not written again.
func TestCollection(t *testing.T) {
	starts := map[string]func(testing.TB, ...registrytest.Fault) *registrytest.Registry{
		"with referrers API": registrytest.StartReferrers, "without referrers API": registrytest.Start,
	}
	for from, startFrom := range starts {
		for to, startTo := range starts {
			t.Run(from+" to one "+to, func(t *testing.T) {
				c, server := beginCopy(t, startFrom(t)), startTo(t)
				require.NoError(t, c.put(t, server.Host, "/to/app"))
				all := writes(server)
				assert.Equal(t, "PUT /v2/to/app/manifests/v2", all[len(all)-1])
				assert.Equal(t, c.digests[0].String(), at(t, c.client, server.Host+"/to/app:v2"))
				want := c.collect(t, c.Host, "/from/app")
				require.Len(t, want.Attached, 7)
				require.Len(t, want.Tags, 1)
				assert.Equal(t, parts(want), parts(c.collect(t, server.Host, "/to/app")))
				if to == "without referrers API" {
					lists := slices.DeleteFunc(slices.Clone(all), func(r string) bool {
						return !strings.Contains(r, "/manifests/sha256-") || strings.Contains(r, ".sig")
					})
					assert.Len(t, lists, 4, "the fallback tag of each subject is written once")
				}
				server.Forget()
				require.NoError(t, c.put(t, server.Host, "/to/app"))
				assert.Empty(t, writes(server))
			})
		}
	}
}

// Within a registry nothing is uploaded: blobs are mounted. The registry in process has one heap of blobs and knows no mounts: its
// answers are replaced by those of one that does.
func TestCollectionMounts(t *testing.T) {
	c := beginCopy(t, registrytest.Start(t))
	c.Break(
		registrytest.Fault{When: registrytest.On(http.MethodHead, "/v2/to/app/blobs/"), Do: registrytest.Answer(http.StatusNotFound, "BLOB_UNKNOWN", "not in this repository")},
		registrytest.Fault{When: func(r *http.Request) bool { return r.Method == http.MethodPost && r.URL.Query().Get("mount") != "" }, Do: registrytest.Answer(http.StatusCreated, "", "")},
	)
	require.NoError(t, c.put(t, c.Host, "/to/app"))
	mounted := 0
	for _, r := range writes(c.Registry) {
		if strings.Contains(r, "/blobs/") {
			mounted++
			assert.Contains(t, r, "mount=sha256")
			assert.Contains(t, r, "from=from%2Fapp")
		}
	}
	assert.Greater(t, mounted, 10)
}

// A copy that broke goes on where it was: what is there is not uploaded again, and no tag led to half of it.
func TestCollectionGoesOn(t *testing.T) {
	c, server := beginCopy(t, registrytest.Start(t)), registrytest.Start(t)
	server.Break(registrytest.Fault{When: registrytest.On(http.MethodPut, "/manifests/sha256:"), Do: registrytest.Answer(http.StatusForbidden, "DENIED", "no")})
	require.Error(t, c.put(t, server.Host, "/to/app"))
	assert.Empty(t, at(t, c.client, server.Host+"/to/app:v2"))
	server.Break()
	server.Forget()
	require.NoError(t, c.put(t, server.Host, "/to/app"))
	for _, r := range writes(server) {
		assert.NotContains(t, r, "/blobs/")
	}
	assert.Equal(t, parts(c.collect(t, c.Host, "/from/app")), parts(c.collect(t, server.Host, "/to/app")))
}

// Signatures that others put under the tag at the destination stay, and so do their attachments.
func TestCollectionKeepsOthers(t *testing.T) {
	c, server := beginCopy(t, registrytest.Start(t)), registrytest.Start(t)
	require.NoError(t, c.put(t, server.Host, "/to/app"))
	push, err := c.client.Push(registry.Target{Repository: server.Host + "/to/app"})
	require.NoError(t, err)
	tag := graph.TagFor(c.digests[1], ".sig")
	require.NoError(t, push.Rewrite(t.Context(), tag, nil, func([]registry.Layer) ([]registry.Layer, error) { return []registry.Layer{document("ours")}, nil }))
	subject := v1.Descriptor{MediaType: types.OCIManifestSchema1, Digest: c.digests[1], Size: 1}
	require.NoError(t, push.Attach(t.Context(), []registry.Attachment{{Subject: subject, MediaType: "a/b", Content: []byte("ours")}}))

	require.NoError(t, c.put(t, server.Host, "/to/app"))
	repository, err := name.NewRepository(server.Host + "/to/app")
	require.NoError(t, err)
	layers, err := registry.Layers(t.Context(), c.client, repository.Tag(tag))
	require.NoError(t, err)
	assert.Equal(t, []registry.Layer{document("ours"), document("theirs")}, layers)
	assert.Len(t, c.collect(t, server.Host, "/to/app").Attached, 8)
}

// What a registry does not take is reported, and the rest is there.
func TestCollectionRejected(t *testing.T) {
	c := beginCopy(t, registrytest.StartReferrers(t))
	collection := c.collect(t, c.Host, "/from/app")
	attached := map[string]bool{}
	for _, a := range collection.Attached {
		attached[a.Digest.String()] = true
	}
	server := registrytest.Start(t, registrytest.Fault{
		When: func(r *http.Request) bool {
			return r.Method == http.MethodPut && attached[r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]]
		},
		Do: registrytest.Answer(http.StatusBadRequest, "MANIFEST_INVALID", "no subjects"),
	})
	push, err := c.client.Push(registry.Target{Repository: server.Host + "/to/app", Tags: []string{"v2"}})
	require.NoError(t, err)
	_, err = push.Collection(t.Context(), collection)
	var rejected *registry.RejectedError
	require.ErrorAs(t, err, &rejected)
	require.NoError(t, push.Tag(t.Context()))
	assert.Len(t, c.collect(t, server.Host, "/to/app").Tags, 1)
}

// An entry whose manifest was deleted is left out.
func TestCollectionOfStaleList(t *testing.T) {
	c := beginCopy(t, registrytest.StartReferrers(t))
	stale := `{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":2,"digest":"sha256:` + strings.Repeat("0", 64) + `"}`
	c.Break(registrytest.Fault{When: registrytest.On(http.MethodGet, "/referrers/"), Do: registrytest.Page(stale, "")})
	assert.Empty(t, c.collect(t, c.Host, "/from/app").Attached)
}
