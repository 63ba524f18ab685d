package registry_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/registry"
	"github.com/slipway-ci/slipway/internal/test/registrytest"
)

// A push counts when the registry has what was pushed, and not when it answers so.
func TestPushIsReadBack(t *testing.T) {
	registrytest.NoLogin(t)
	other := "sha256:" + strings.Repeat("a", 64)
	onTag := registrytest.On("", "/manifests/v1")
	for name, test := range map[string]struct {
		faults []registrytest.Fault
		tags   []string
		says   string
	}{
		"a page for a manifest":              {[]registrytest.Fault{{When: registrytest.On(http.MethodPut, "/manifests/"), Do: registrytest.HTML}}, nil, "200 OK, and has nothing there"},
		"a page for a tag":                   {[]registrytest.Fault{{When: registrytest.On(http.MethodPut, "/manifests/v1"), Do: registrytest.HTML}}, []string{"v1"}, "200 OK, and has nothing there"},
		"a page for whatever is asked":       {[]registrytest.Fault{{When: registrytest.On("", "/manifests/"), Do: registrytest.HTML}}, nil, "200 OK, and has sha256:"},
		"a page for whatever a tag is asked": {[]registrytest.Fault{{When: onTag, Do: registrytest.HTML}}, []string{"v1"}, "200 OK, and has sha256:"},
		"another digest":                     {[]registrytest.Fault{{When: registrytest.On(http.MethodPut, "/manifests/"), Do: registrytest.Answer(http.StatusCreated, "", "", "Docker-Content-Digest: "+other)}}, nil, `it stored "` + other + `" in place of`},
		"nothing stored": {[]registrytest.Fault{{When: registrytest.On(http.MethodPut, "/manifests/v1"), Do: func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusCreated)
		}}}, []string{"v1"}, "201 Created, and has nothing there"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			image, err := random.Image(1000, 1)
			require.NoError(t, err)
			server := registrytest.Start(t, test.faults...)
			_, err = push(t.Context(), newPushClient(t), registry.Target{Repository: server.Host + "/app", Tags: test.tags}, image)
			require.ErrorContains(t, err, test.says)
			require.ErrorContains(t, err, server.Host+"/app")
		})
	}
}

// Registries that say less, or another thing, but do what they are asked.
func TestPushToOddRegistries(t *testing.T) {
	registrytest.NoLogin(t)
	for name, faults := range map[string][]registrytest.Fault{
		"no HEAD":                          {{When: registrytest.On(http.MethodHead, "/manifests/"), Do: registrytest.Answer(http.StatusMethodNotAllowed, "UNSUPPORTED", "HEAD")}},
		"HEAD says nothing of the content": {{When: registrytest.On(http.MethodHead, "/manifests/"), Do: func(http.ResponseWriter, *http.Request) {}}},
		"nothing to see before a push":     {{When: registrytest.On("", "/manifests/"), Times: 2, Do: registrytest.Answer(http.StatusForbidden, "DENIED", "")}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			image, err := random.Image(1000, 1)
			require.NoError(t, err)
			server, client := registrytest.Start(t, faults...), newPushClient(t)
			target := registry.Target{Repository: server.Host + "/app", Tags: []string{"v1"}}
			_, err = push(t.Context(), client, target, image)
			require.NoError(t, err)
			require.Equal(t, digestOf(t, image), at(t, client, target.Repository+":v1"))
		})
	}
}

func TestImmutableTag(t *testing.T) {
	registrytest.NoLogin(t)
	for _, status := range []int{400, 401, 403, 409, 412} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			t.Parallel()
			server, client := registrytest.Start(t, registrytest.ImmutableTags(status)), newPushClient(t)
			target := registry.Target{Repository: server.Host + "/app", Tags: []string{"v1"}}
			first, err := random.Image(1000, 1)
			require.NoError(t, err)
			for range 2 { // what a tag leads to already is not pushed there again
				_, err = push(t.Context(), newPushClient(t), target, first)
				require.NoError(t, err)
			}
			second, err := random.Image(1000, 1)
			require.NoError(t, err)
			_, err = push(t.Context(), newPushClient(t), target, second)
			require.ErrorContains(t, err, server.Host+" does not move the tag "+target.Repository+":v1")
			require.ErrorContains(t, err, "choose another tag")
			require.NotContains(t, err.Error(), "docker login")
			require.Equal(t, digestOf(t, first), at(t, client, target.Repository+":v1"))
		})
	}
}
