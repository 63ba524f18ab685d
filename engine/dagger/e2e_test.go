//go:build dagger_e2e

package dagger_test

import (
	"io"
	"os"
	"testing"

	sdk "dagger.io/dagger"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/engine"
	"github.com/slipway-ci/slipway/engine/dagger/session"
	"github.com/slipway-ci/slipway/engine/enginetest"
	"github.com/slipway-ci/slipway/image"
)

// The suite of every engine, on any Dagger engine that the session or the dagger command at hand leads to:
// dagger run go test -tags dagger_e2e ./engine/dagger
func TestEngine(t *testing.T) {
	client, err := sdk.Connect(t.Context(), sdk.WithLogOutput(io.Discard))
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	newEngine := func(t *testing.T) engine.Engine {
		store, err := image.OpenStore(t.TempDir())
		require.NoError(t, err)
		return session.New(client, &image.Bases{Store: store}, os.Environ())
	}
	enginetest.Run(t, newEngine)
	enginetest.RunCgo(t, newEngine)
}
