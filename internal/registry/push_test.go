package registry_test

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/fault"
	"github.com/slipway-ci/slipway/internal/registry"
	"github.com/slipway-ci/slipway/internal/test/registrytest"
)

// newPushClient is a client that waits long enough for registries that store what they get.
func newPushClient(t testing.TB) *registry.Client {
	t.Helper()
	bounds := quick
	bounds.Silence = 5 * time.Second
	return newClient(t, registry.Options{Bounds: bounds})
}

// push puts an image or index into a repository and moves its tags.
func push(ctx context.Context, client *registry.Client, target registry.Target, artifact remote.Taggable) (name.Digest, error) {
	session, err := client.Push(target)
	if err != nil {
		return name.Digest{}, err
	}
	root, err := session.Content(ctx, artifact)
	if err != nil {
		return name.Digest{}, err
	}
	return root, session.Tag(ctx)
}

// twoPlatforms is an index of two images, which have one layer in common.
func twoPlatforms(t testing.TB) v1.ImageIndex {
	t.Helper()
	shared, err := random.Layer(30_000, types.OCILayer)
	require.NoError(t, err)
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, architecture := range []string{"amd64", "arm64"} {
		own, err := random.Layer(200_000, types.OCILayer)
		require.NoError(t, err)
		image, err := mutate.AppendLayers(mutate.MediaType(empty.Image, types.OCIManifestSchema1), shared, own)
		require.NoError(t, err)
		image, err = mutate.ConfigFile(image, &v1.ConfigFile{OS: "linux", Architecture: architecture, RootFS: rootFS(t, shared, own)})
		require.NoError(t, err)
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image})
	}
	return index
}

func rootFS(t testing.TB, layers ...v1.Layer) v1.RootFS {
	t.Helper()
	fs := v1.RootFS{Type: "layers"}
	for _, layer := range layers {
		id, err := layer.DiffID()
		require.NoError(t, err)
		fs.DiffIDs = append(fs.DiffIDs, id)
	}
	return fs
}

// at returns the digest that a reference points to, "" if it does not exist.
func at(t testing.TB, client *registry.Client, reference string) string {
	t.Helper()
	ref, err := name.ParseReference(reference)
	require.NoError(t, err)
	desc, err := client.Get(t.Context(), ref)
	if err != nil {
		require.ErrorContains(t, err, "404")
		return ""
	}
	return desc.Digest.String()
}

// kind says which part of a push a request is, "" if it changes nothing.
func kind(r registrytest.Request) string {
	switch {
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		return ""
	case strings.Contains(r.Path, "/blobs/"):
		return "blob"
	case strings.Contains(r.Path, "/manifests/sha256:"):
		return "manifest"
	default:
		return "tag " + r.Path[strings.LastIndex(r.Path, "/")+1:]
	}
}

func TestPush(t *testing.T) {
	registrytest.NoLogin(t)
	server, client, index := registrytest.Start(t), newPushClient(t), twoPlatforms(t)
	target := registry.Target{Repository: server.Host + "/owner/app", Tags: []string{"v1", "latest"}}
	pushed, err := push(t.Context(), client, target, index)
	require.NoError(t, err)
	require.Equal(t, server.Host+"/owner/app@"+digestOf(t, index), pushed.String())

	var order []string
	uploads := 0
	for _, request := range server.Requests() {
		if k := kind(request); k != "" && !slices.Contains(order, k) {
			order = append(order, k)
		}
		if request.Method == http.MethodPatch {
			uploads++
		}
	}
	require.Equal(t, []string{"blob", "manifest", "tag v1", "tag latest"}, order)
	require.Equal(t, 5, uploads, "three layers, one of which both platforms have, and two configs")
	var manifests []string
	for _, request := range server.Requests() {
		if kind(request) == "manifest" {
			manifests = append(manifests, request.Path)
		}
	}
	require.Len(t, manifests, 3)
	require.Contains(t, manifests[2], digestOf(t, index), "the index comes after the images")

	desc, err := client.Get(t.Context(), pushed)
	require.NoError(t, err)
	stored, err := desc.ImageIndex()
	require.NoError(t, err)
	require.NoError(t, validate.Index(stored))
	require.Equal(t, digestOf(t, index), at(t, client, target.Repository+":latest"))

	server.Forget()
	_, err = push(t.Context(), newPushClient(t), target, index)
	require.NoError(t, err)
	for _, request := range server.Requests() {
		require.Contains(t, []string{http.MethodHead, http.MethodGet}, request.Method, "a second push only reads")
	}
}

func TestPushOneImage(t *testing.T) {
	registrytest.NoLogin(t)
	server, client := registrytest.Start(t), newPushClient(t)
	image, err := random.Image(1000, 2)
	require.NoError(t, err)
	pushed, err := push(t.Context(), client, registry.Target{Repository: server.Host + "/app"}, image)
	require.NoError(t, err)
	require.Equal(t, digestOf(t, image), at(t, client, pushed.String()))
	for _, request := range server.Requests() {
		require.NotContains(t, kind(request), "tag", "without tags, none is set")
	}
}

func TestPushTriesAgain(t *testing.T) {
	registrytest.NoLogin(t)
	for name, fault := range map[string]registrytest.Fault{
		"500 twice on everything":    {When: registrytest.Any, Times: 2, Do: registrytest.Answer(500, "UNKNOWN", "")},
		"dropped while sending":      {When: registrytest.On("PATCH", ""), Times: 2, Do: registrytest.HangUp(10_000)},
		"dropped while finishing":    {When: registrytest.On("PUT", "/blobs/"), Times: 1, Do: registrytest.HangUp(0)},
		"503 while sending":          {When: registrytest.On("PATCH", ""), Times: 2, Do: registrytest.Answer(503, "UNAVAILABLE", "")},
		"429 with Retry-After":       {When: registrytest.On("PUT", "/manifests/"), Times: 1, Do: registrytest.Answer(429, "TOOMANYREQUESTS", "", "Retry-After: 1")},
		"429 while sending":          {When: registrytest.On("PATCH", ""), Times: 1, Do: registrytest.Answer(429, "TOOMANYREQUESTS", "", "Retry-After: 1")},
		"dropped while it is tagged": {When: registrytest.On("PUT", "/manifests/v1"), Times: 2, Do: registrytest.HangUp(0)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, client, index := registrytest.Start(t, fault), newPushClient(t), twoPlatforms(t)
			target := registry.Target{Repository: server.Host + "/app", Tags: []string{"v1"}}
			_, err := push(t.Context(), client, target, index)
			require.NoError(t, err)
			require.Equal(t, digestOf(t, index), at(t, client, target.Repository+":v1"))
		})
	}
}

func TestFailedPushMovesNoTag(t *testing.T) {
	registrytest.NoLogin(t)
	old, index := twoPlatforms(t), twoPlatforms(t)
	isIndex := registrytest.On("PUT", "/manifests/"+digestOf(t, index))
	for name, test := range map[string]struct {
		fault registrytest.Fault
		says  string
	}{
		"blobs":    {registrytest.Fault{When: registrytest.On("PATCH", ""), Do: registrytest.Answer(500, "UNKNOWN", "no space left")}, "no space left"},
		"uploads":  {registrytest.Fault{When: registrytest.On("PATCH", ""), Do: registrytest.HangUp(5000)}, "broke"},
		"manifest": {registrytest.Fault{When: registrytest.On("PUT", "/manifests/sha256:"), Do: registrytest.Answer(503, "UNAVAILABLE", "read-only")}, "503 Service Unavailable; UNAVAILABLE: read-only), given up after 3 tries"},
		"index":    {registrytest.Fault{When: isIndex, Do: registrytest.Answer(400, "MANIFEST_INVALID", "no index here")}, "MANIFEST_INVALID: no index here"},
		"forbidden": {
			registrytest.Fault{When: registrytest.On("POST", "/uploads/"), Do: registrytest.Answer(403, "DENIED", "read only account")},
			"does not allow this with no credential",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, client := registrytest.Start(t), newPushClient(t)
			target := registry.Target{Repository: server.Host + "/app", Tags: []string{"v1"}}
			_, err := push(t.Context(), client, target, old)
			require.NoError(t, err)
			server.Break(test.fault)
			target.Tags = []string{"v1", "v2"}
			began := time.Now()
			_, err = push(t.Context(), client, target, index)
			require.ErrorContains(t, err, test.says)
			require.ErrorContains(t, err, server.Host)
			require.Less(t, time.Since(began), 3*time.Second)
			server.Break()
			require.Equal(t, digestOf(t, old), at(t, client, target.Repository+":v1"))
			require.Empty(t, at(t, client, target.Repository+":v2"))
		})
	}
}

func TestFailedTagSaysWhatMoved(t *testing.T) {
	registrytest.NoLogin(t)
	server := registrytest.Start(t, registrytest.Fault{When: registrytest.On("PUT", "/manifests/v2"), Do: registrytest.Answer(403, "DENIED", "tags are immutable")})
	target := registry.Target{Repository: server.Host + "/app", Tags: []string{"v1", "v2", "v3"}}
	_, err := push(t.Context(), newPushClient(t), target, twoPlatforms(t))
	require.ErrorContains(t, err, server.Host+"/app:v2")
	require.ErrorContains(t, err, "already moved: v1")
}

func TestBaseLayersAreMounted(t *testing.T) {
	registrytest.NoLogin(t)
	for name, start := range map[string]func(t *testing.T) (host string, requests func() []registrytest.Request){
		"in process": func(t *testing.T) (string, func() []registrytest.Request) {
			// That registry has one store for all repositories, and would find the base's blobs in any.
			server := registrytest.Start(t, registrytest.Fault{
				When: registrytest.On("HEAD", "/v2/app/blobs/"), Do: registrytest.Answer(404, "BLOB_UNKNOWN", ""),
			})
			return server.Host, server.Requests
		},
		"distribution": func(t *testing.T) (string, func() []registrytest.Request) {
			return registrytest.StartDistribution(t, false), nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			host, requests := start(t)
			client := newPushClient(t)
			base, err := random.Image(1000, 1)
			require.NoError(t, err)
			pushedBase, err := push(t.Context(), client, registry.Target{Repository: host + "/bases/static"}, base)
			require.NoError(t, err)

			desc, err := client.Get(t.Context(), pushedBase)
			require.NoError(t, err)
			pulled, err := desc.Image()
			require.NoError(t, err)
			own, err := random.Layer(1000, types.DockerLayer)
			require.NoError(t, err)
			image, err := mutate.AppendLayers(pulled, own)
			require.NoError(t, err)
			pushed, err := push(t.Context(), client, registry.Target{Repository: host + "/app"}, image)
			require.NoError(t, err)
			desc, err = client.Get(t.Context(), pushed)
			require.NoError(t, err)
			stored, err := desc.Image()
			require.NoError(t, err)
			require.NoError(t, validate.Image(stored))
			if requests != nil {
				layers, err := base.Layers()
				require.NoError(t, err)
				require.True(t, slices.ContainsFunc(requests(), func(r registrytest.Request) bool {
					return r.Method == http.MethodPost && strings.Contains(r.Query, "from=bases%2Fstatic") &&
						strings.Contains(r.Query, "mount="+strings.ReplaceAll(digestOf(t, layers[0]), ":", "%3A"))
				}), "%v", requests())
			}
		})
	}
}

func TestFaultOfTheBaseIsNamed(t *testing.T) {
	registrytest.NoLogin(t)
	bases, server, client := registrytest.Start(t), registrytest.Start(t), newPushClient(t)
	base, err := random.Image(1000, 1)
	require.NoError(t, err)
	pushedBase, err := push(t.Context(), client, registry.Target{Repository: bases.Host + "/static"}, base)
	require.NoError(t, err)
	desc, err := client.Get(t.Context(), pushedBase)
	require.NoError(t, err)
	pulled, err := desc.Image()
	require.NoError(t, err)
	target := registry.Target{Repository: server.Host + "/app"}

	bases.Break(registrytest.Fault{When: registrytest.On("GET", "/blobs/"), Do: registrytest.Answer(403, "DENIED", "not yours")})
	_, err = push(t.Context(), client, target, pulled)
	require.ErrorContains(t, err, bases.Host+" does not allow this with no credential")
	require.ErrorContains(t, err, bases.Host+"/static (403 Forbidden; DENIED: not yours)")

	layers, err := base.Layers()
	require.NoError(t, err)
	size, err := layers[0].Size()
	require.NoError(t, err)
	bases.Break(registrytest.Fault{When: registrytest.On("GET", "/blobs/"+digestOf(t, layers[0])), Times: 1, Do: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.FormatInt(size, 10)) // and then it breaks off
	}})
	_, err = push(t.Context(), client, target, pulled)
	require.NoError(t, err)
}

func TestCancelledPushReturnsAtOnce(t *testing.T) {
	registrytest.NoLogin(t)
	for name, do := range map[string]http.HandlerFunc{
		"while it sends": registrytest.Stall,
		"while it waits": registrytest.Answer(503, "UNAVAILABLE", "", "Retry-After: 2"),
	} {
		t.Run(name, func(t *testing.T) {
			server := registrytest.Start(t, registrytest.Fault{When: registrytest.On("PATCH", ""), Do: do})
			ctx, cancel := context.WithCancel(t.Context())
			stop := time.AfterFunc(100*time.Millisecond, cancel)
			defer stop.Stop()
			began := time.Now()
			_, err := push(ctx, newPushClient(t), registry.Target{Repository: server.Host + "/app", Tags: []string{"v1"}}, twoPlatforms(t))
			require.ErrorIs(t, err, context.Canceled)
			require.Less(t, time.Since(began), time.Second)
		})
	}
}

func TestRealRegistry(t *testing.T) {
	host := registrytest.StartDistribution(t, true)
	registrytest.Login(t, host, registrytest.User, registrytest.Password)
	client, index := newPushClient(t), twoPlatforms(t)
	target := registry.Target{Repository: host + "/owner/app", Tags: []string{"v1", "latest"}}
	for range 2 {
		pushed, err := push(t.Context(), client, target, index)
		require.NoError(t, err)
		desc, err := client.Get(t.Context(), pushed)
		require.NoError(t, err)
		stored, err := desc.ImageIndex()
		require.NoError(t, err)
		require.NoError(t, validate.Index(stored))
		require.Equal(t, digestOf(t, index), at(t, client, target.Repository+":latest"))
	}

	file := registrytest.Login(t, host, registrytest.User, "wrong-"+registrytest.Password)
	_, err := push(t.Context(), newPushClient(t), target, twoPlatforms(t))
	require.ErrorContains(t, err, host+" refuses access to "+host+"/owner/app@sha256:")
	require.ErrorContains(t, err, "the credential from the file "+file+" (401 Unauthorized")
	require.NotContains(t, err.Error(), registrytest.Password)
}

func TestPushRefusesWhatIsNoImage(t *testing.T) {
	_, err := push(t.Context(), newPushClient(t), registry.Target{Repository: "ghcr.io/owner/app"}, struct{ remote.Taggable }{})
	require.ErrorContains(t, err, "neither an image nor an index")
	_, err = push(t.Context(), newPushClient(t), registry.Target{Repository: "ghcr.io/Owner/app", Tags: []string{"+"}}, empty.Image)
	var faults fault.Faults
	require.ErrorAs(t, err, &faults)
}
