package registry_test

import (
	"context"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/registry"
	"github.com/slipway-ci/slipway/internal/test/registrytest"
)

// The bytes of a push, a download and a file are those that are moved.
func TestMeter(t *testing.T) {
	registrytest.NoLogin(t)
	server, client := registrytest.Start(t), newPushClient(t)
	const size = 1 << 20
	layer, err := random.Layer(size, types.OCILayer)
	require.NoError(t, err)
	image, err := mutate.AppendLayers(empty.Image, layer)
	require.NoError(t, err)
	compressed, err := layer.Size()
	require.NoError(t, err)

	metered := func() (context.Context, *atomic.Int64) {
		var moved atomic.Int64
		return registry.WithMeter(t.Context(), func(n int) { moved.Add(int64(n)) }), &moved
	}
	const small = 8 << 10 // manifests, configurations and answers are less
	ctx, moved := metered()
	pushed, err := push(ctx, client, registry.Target{Repository: server.Host + "/app"}, image)
	require.NoError(t, err)
	assert.InDelta(t, compressed+small/2, moved.Load(), small/2, "a push")
	ctx, moved = metered()
	_, err = push(ctx, newPushClient(t), registry.Target{Repository: server.Host + "/app"}, image)
	require.NoError(t, err)
	assert.Less(t, moved.Load(), int64(small), "of what is there already")

	desc, err := client.Get(t.Context(), pushed)
	require.NoError(t, err)
	found, err := desc.Image()
	require.NoError(t, err)
	layers, err := found.Layers()
	require.NoError(t, err)
	ctx, moved = metered()
	read := func(r io.Reader) error { _, err := io.Copy(io.Discard, r); return err }
	require.NoError(t, client.Download(ctx, layers[0], read))
	assert.Equal(t, compressed, moved.Load(), "a layer")

	digest, err := layer.Digest()
	require.NoError(t, err)
	ctx, moved = metered()
	require.NoError(t, client.Fetch(ctx, "http://"+strings.Join([]string{server.Host, "v2/app/blobs", digest.String()}, "/"), read))
	assert.Equal(t, compressed, moved.Load(), "a file")
}
