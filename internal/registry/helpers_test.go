package registry_test

import (
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/slipway-ci/slipway/internal/registry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// quick are bounds for tests.
var quick = registry.Bounds{Tries: 3, Wait: 5 * time.Millisecond, Limit: 3 * time.Second, Silence: 2 * time.Second}

func newClient(t testing.TB, o registry.Options) *registry.Client {
	t.Helper()
	if o.Bounds == (registry.Bounds{}) {
		o.Bounds = quick
	}
	client, err := registry.New(o)
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return client
}

// put stores a random image under the reference.
func put(t testing.TB, reference string) v1.Image {
	t.Helper()
	image, err := random.Image(512, 2)
	require.NoError(t, err)
	ref := parse(t, reference)
	require.NoError(t, remote.Write(ref, image))
	remote.DefaultTransport.(interface{ CloseIdleConnections() }).CloseIdleConnections()
	return image
}

func parse(t testing.TB, reference string) name.Reference {
	t.Helper()
	ref, err := name.ParseReference(reference)
	require.NoError(t, err)
	return ref
}

func digestOf(t testing.TB, artifact interface{ Digest() (v1.Hash, error) }) string {
	t.Helper()
	digest, err := artifact.Digest()
	require.NoError(t, err)
	return digest.String()
}
