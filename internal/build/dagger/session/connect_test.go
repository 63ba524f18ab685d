package session_test

import (
	"errors"
	"testing"

	sdk "dagger.io/dagger"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/build/dagger"
	"github.com/slipway-ci/slipway/internal/build/dagger/session"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/test/daggertest"
)

func TestConnect(t *testing.T) {
	for name, want := range map[string]string{
		"v0.20.8":                    "the engine is Dagger v0.20.8, whose API does not fit: ",
		"v0.21.1-rc.1":               "the engine is Dagger v0.21.1-rc.1, whose API does not fit: ",
		"v0.21.1":                    "",
		"v0.21.8":                    "",
		"v1.0.0-beta.10":             "",
		"20261128-dev":               "",
		"incompatible client v0.1.2": "incompatible client v0.1.2",
	} {
		t.Run(name, func(t *testing.T) {
			recorded := daggertest.Start(t, func(daggertest.Chain) (any, error) {
				if want == name {
					return nil, errors.New(name) // as an engine that is too new answers
				}
				return name, nil
			})
			client, err := session.Connect(t.Context())
			require.Len(t, recorded.Asked(), 1)
			assert.Equal(t, "version", recorded.Asked()[0][0].Name)
			if want == "" {
				require.NoError(t, err)
				assert.NoError(t, client.Close())
				return
			}
			require.ErrorContains(t, err, "connecting to a Dagger engine: ")
			require.ErrorContains(t, err, want)
			assert.ErrorContains(t, err, ": run slipway by dagger run, check that an engine of Dagger v0.21.1 or newer can be reached, or use --engine host")
		})
	}
}

// An engine that is lost is a sentence, wherever that happens.
func TestLostEngine(t *testing.T) {
	recorded := daggertest.Start(t, func(asked daggertest.Chain) (any, error) {
		return nil, daggertest.LostEngine("read tcp 10.0.0.2:38696->10.0.0.1:1234: read: connection reset by peer")
	})
	_, err := session.Connect(t.Context())
	require.EqualError(t, err, "connecting to a Dagger engine: the connection to the engine was lost: read tcp 10.0.0.2:38696->10.0.0.1:1234: read: connection reset by peer: "+
		"run slipway by dagger run, check that an engine of Dagger v0.21.1 or newer can be reached, or use --engine host")

	client, err := sdk.Connect(t.Context())
	require.NoError(t, err)
	_, err = session.New(client, nil, nil).Checks(t.Context(), t.TempDir(), &plan.Plan{}, nil)
	require.EqualError(t, err, "sending the source to the engine: the connection to the engine was lost: read tcp 10.0.0.2:38696->10.0.0.1:1234: read: connection reset by peer: "+
		"try again: the engine has what it finished in its caches")
	assert.Len(t, recorded.Asked(), 2)

	err = dagger.New(client, client.Directory(), &plan.Plan{}, dagger.Private{}).Export(t.Context(), plan.Compile{}, t.TempDir())
	assert.ErrorContains(t, err, "compiling for ")
	assert.ErrorContains(t, err, ": the connection to the engine was lost: read tcp")
}
