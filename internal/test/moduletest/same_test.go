//go:build dagger_e2e

package moduletest

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/build/host"
	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/registry"
	"github.com/slipway-ci/slipway/internal/test/enginetest"
)

// The module's image is the host engine's but for times, on every runtime: the same configuration and annotations, and the
// same paths, modes, owners and content. The host engine looks for bases where SLIPWAY_MIRRORS says, the Dagger engine in
// its own mirrors: both must lead to the same images.
func TestSameImageAsOnTheHost(t *testing.T) {
	var mirrors []string
	if list := os.Getenv("SLIPWAY_MIRRORS"); list != "" {
		mirrors = strings.Split(list, ",")
	}
	client, err := registry.New(registry.Options{Mirrors: mirrors})
	require.NoError(t, err)
	defer client.Close()
	store, err := cache.Open(t.TempDir())
	require.NoError(t, err)
	hosts := host.New(&oci.Bases{Cache: store, Remote: client}, os.Environ())

	root := filepath.Join(t.TempDir(), "root.pem")
	certificate := rootCertificate(t)
	require.NoError(t, os.WriteFile(root, []byte(certificate), 0o644))

	for _, runtime := range plan.Runtimes() {
		t.Run(runtime, func(t *testing.T) {
			dir := user(t)
			archive := filepath.Join(t.TempDir(), "image.tar")
			enum := strings.ToUpper(strings.ReplaceAll(runtime, "-", "_"))
			_, said, err := call(t, dir, "call", "--runtime", enum, "--ports", "8080,53/udp", "--environment", "A=b", "--args", "x",
				"--labels", "a.label=1", "--annotations", "an.annotation=2", "--files", "README.md:/doc/:0600", "--user", "4000:5000",
				"--writable", "/data,/var/lib/app", "--source-date-epoch", "1700000000", "--ca-certs", root,
				"image-archive", "-o", archive)
			require.NoError(t, err, said)
			base, err := (&oci.Bases{}).Resolve(t.Context(), "oci-archive:"+archive)
			require.NoError(t, err)

			plan, err := plan.Resolve(t.Context(), os.DirFS(dir), plan.Config{
				Runtime: runtime, Ports: []string{"8080", "53/udp"}, Env: []string{"A=b"}, Args: []string{"x"}, User: "4000:5000",
				Labels: []string{"a.label=1"}, Annotations: []string{"an.annotation=2"}, Files: []string{"README.md:/doc/:0600"},
				Writable: []string{"/data", "/var/lib/app"}, SourceDateEpoch: "1700000000", CACerts: certificate,
			})
			require.NoError(t, err)
			built, err := build.BuildOne(t.Context(), hosts, dir, plan, build.Discard)
			require.NoError(t, err)
			defer func() { assert.NoError(t, built.Close()) }()
			for i, p := range plan.Platforms() {
				got, err := base.Image(v1.Platform{OS: p.OS, Architecture: p.Architecture})
				require.NoError(t, err)
				enginetest.AssertSame(t, built.Images[i], got)
				wantManifest, err := built.Images[i].Manifest()
				require.NoError(t, err)
				gotManifest, err := got.Manifest()
				require.NoError(t, err)
				assert.Equal(t, wantManifest.Annotations, gotManifest.Annotations)
			}
		})
	}
}

// rootCertificate is one that no authority knows of.
func rootCertificate(t *testing.T) string {
	t.Helper()
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
}
