//go:build dagger_e2e

package dagger_test

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	sdk "dagger.io/dagger"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/build/dagger"
	"github.com/slipway-ci/slipway/internal/build/dagger/session"
	"github.com/slipway-ci/slipway/internal/build/host"
	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/test/enginetest"
)

// The suite of every engine, on any Dagger engine that the session or the dagger command at hand leads to:
// dagger run go test -tags dagger_e2e ./internal/build/dagger
func TestEngine(t *testing.T) {
	client, err := sdk.Connect(t.Context(), sdk.WithLogOutput(io.Discard))
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	newEngine := func(t *testing.T) build.Engine {
		store, err := cache.Open(t.TempDir())
		require.NoError(t, err)
		return session.New(client, &oci.Bases{Cache: store}, os.Environ())
	}
	enginetest.Run(t, newEngine)
	enginetest.RunCgo(t, newEngine)
}

// The engine's container has its files where the host engine's image has them, whatever the base has there.
func TestContainerPlacesTheSame(t *testing.T) {
	client, err := sdk.Connect(t.Context(), sdk.WithLogOutput(io.Discard))
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	store, err := cache.Open(t.TempDir())
	require.NoError(t, err)
	bases := &oci.Bases{Cache: store}
	layout, err := bases.Resolve(t.Context(), "oci:"+enginetest.PlacementBase(t))
	require.NoError(t, err)
	base, err := layout.Image(v1.Platform{OS: "linux", Architecture: "amd64"})
	require.NoError(t, err)
	dir := program(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "seed.txt"), []byte("seed\n"), 0o644))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "web"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "web", "a"), []byte("a\n"), 0o644))
	require.NoError(t, os.Symlink("a", filepath.Join(dir, "web", "same")))
	require.NoError(t, oci.WriteArchive(t.Context(), filepath.Join(dir, "base.tar"), base, ""))
	t.Chdir(dir)
	for name, config := range map[string]plan.Config{
		"files":    {Files: enginetest.PlacementFiles},
		"links":    {Files: []string{"web:/up/share", `web/{{if eq .Arch "amd64"}}a{{end}}:/tmp/a`}, Links: enginetest.PlacementLinks},
		"writable": {Writable: []string{"/var/run/state", "/home/nonroot/cache", "/owned", "/chain/state"}},
		"seeded": {
			Files: []string{"web:/var/run/state/web", "web/a:/owned/x/y:0600"}, Links: []string{"/owned/link=/tmp"},
			Writable: []string{"/var/run/state:0:02775", "/owned", "/home/nonroot:0:0775"},
		},
		"alpine": {Runtime: "alpine"},
		"healthcheck": {
			Healthcheck: []string{"/app/app", "--check"}, HealthcheckOptions: []string{"interval=1m30s", "timeout=2s", "start-period=3s", "retries=4"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			config.Base, config.Platforms = "oci-archive:base.tar", []string{"linux/amd64"}
			plan, err := plan.Resolve(t.Context(), os.DirFS(dir), config)
			require.NoError(t, err)
			ctr, err := dagger.New(client, client.Host().Directory(dir), plan, dagger.Private{}).Container(t.Context(), plan.Compile[0])
			require.NoError(t, err)
			out := filepath.Join(t.TempDir(), "out.tar")
			_, err = ctr.Export(t.Context(), out, sdk.ContainerExportOpts{MediaTypes: sdk.ImageMediaTypesOci})
			require.NoError(t, err)
			theirs, err := bases.Resolve(t.Context(), "oci-archive:"+out)
			require.NoError(t, err)
			got, err := theirs.Image(v1.Platform{OS: "linux", Architecture: "amd64"})
			require.NoError(t, err)
			built, err := build.BuildOne(t.Context(), host.New(bases, os.Environ()), dir, plan, build.Discard)
			require.NoError(t, err)
			defer func() { require.NoError(t, built.Close()) }()
			wantConfig, err := built.Images[0].ConfigFile()
			require.NoError(t, err)
			gotConfig, err := got.ConfigFile()
			require.NoError(t, err)
			assert.Equal(t, wantConfig.Config, gotConfig.Config)
			want, have := enginetest.Files(t, built.Images[0]), enginetest.Files(t, got)
			for name, f := range want {
				if name != "/" {
					assert.Equal(t, f.Owned()+" "+f.Link+" "+f.Content, have[name].Owned()+" "+have[name].Link+" "+have[name].Content, name)
				}
				delete(have, name)
			}
			delete(have, "/")
			assert.Empty(t, have)
		})
	}
}

// Packages are beside what a real engine compiled as they are on the host engine.
func TestEngineInstallsTheSame(t *testing.T) {
	client := connect(t)
	for name, of := range map[string]func(*testing.T) installed{"alpine": withAlpine, "debian": withDebian} {
		t.Run(name, func(t *testing.T) {
			image := of(t)
			assert.Equal(t, digest(t, image.with(onHost)), digest(t, image.with(onDagger(client, image.dir))))
		})
	}
}
