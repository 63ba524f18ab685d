//go:build unix

package registry_test

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/registry"
	"github.com/slipway-ci/slipway/internal/test/registrytest"
)

// A helper that waits, perhaps for a password that nobody enters, ends with the request that needs it.
func TestHelperEndsWithTheContext(t *testing.T) {
	home := filepath.Dir(filepath.Dir(registrytest.NoLogin(t)))
	require.NoError(t, os.MkdirAll(filepath.Join(home, ".docker"), 0o700))
	ready := filepath.Join(home, "ready")
	require.NoError(t, syscall.Mkfifo(ready, 0o600))
	script := "#!/bin/sh\n(sleep 600) &\necho ready > " + ready + "\nwait\n"
	require.NoError(t, os.WriteFile(filepath.Join(home, "docker-credential-slipway"), []byte(script), 0o700))
	t.Setenv("PATH", home+":"+os.Getenv("PATH"))
	require.NoError(t, os.WriteFile(filepath.Join(home, ".docker", "config.json"), []byte(`{"credsStore":"slipway"}`), 0o600))
	server := registrytest.Start(t)
	client := newClient(t, registry.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := client.Get(ctx, parse(t, server.Host+"/app:v1"))
		ended <- err
	}()
	_, err := os.ReadFile(ready)
	require.NoError(t, err)
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
}
