//go:build dagger_e2e

package moduletest

import (
	"bytes"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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
	"github.com/slipway-ci/slipway/internal/test/registrytest"
)

// The module's image is the host engine's to the byte, on every runtime. Both take bases from where SLIPWAY_MIRRORS says.
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
	hosts := host.New(&oci.Bases{Cache: store, Remote: client, Fetch: client.Fetch}, os.Environ())

	root := filepath.Join(t.TempDir(), "root.pem")
	certificate := rootCertificate(t)
	require.NoError(t, os.WriteFile(root, []byte(certificate), 0o644))

	for _, runtime := range plan.Runtimes() {
		t.Run(runtime, func(t *testing.T) {
			dir := user(t)
			require.NoError(t, os.Mkdir(filepath.Join(dir, "linked"), 0o755))
			require.NoError(t, os.Symlink("../README.md", filepath.Join(dir, "linked", "readme")))
			for _, arch := range []string{"amd64", "arm64"} {
				require.NoError(t, os.WriteFile(filepath.Join(dir, "note-"+arch), []byte(arch), 0o644))
			}
			archive := filepath.Join(t.TempDir(), "image.tar")
			enum := strings.ToUpper(strings.ReplaceAll(runtime, "-", "_"))
			_, said, err := call(t, dir, "call", "--runtime", enum, "--ports", "8080,53/udp", "--environment", "A=b", "--args", "x",
				"--labels", "a.label=1", "--annotations", "an.annotation=2", "--files", "main.go:/doc/:0600,linked:/linked,.:/all,*.go:/code/,note-{{.Arch}}:/note",
				"--links", "/var/run/now=/run/then,/new/link=../nowhere", "--user", "4000:5000", "--capabilities", "cap_net_bind_service",
				"--healthcheck", "/app/http-server,--check", "--healthcheck-options", "interval=1m30s,retries=4",
				"--writable", "/data:0:02775,/var/lib/app", "--source-date-epoch", "1700000000", "--ca-certs", root,
				"image-archive", "-o", archive)
			require.NoError(t, err, said)
			// Dagger 1.0 writes this file beside the source, and keeps it from modules.
			require.NoError(t, os.RemoveAll(filepath.Join(dir, "dagger.lock")))
			base, err := (&oci.Bases{}).Resolve(t.Context(), "oci-archive:"+archive)
			require.NoError(t, err)

			plan, err := plan.Resolve(t.Context(), os.DirFS(dir), plan.Config{
				Runtime: runtime, Ports: []string{"8080", "53/udp"}, Env: []string{"A=b"}, Args: []string{"x"}, User: "4000:5000",
				Labels: []string{"a.label=1"}, Annotations: []string{"an.annotation=2"}, Files: []string{"main.go:/doc/:0600", "linked:/linked", ".:/all", "*.go:/code/", "note-{{.Arch}}:/note"},
				Links: []string{"/var/run/now=/run/then", "/new/link=../nowhere"}, Capabilities: []string{"cap_net_bind_service"},
				Healthcheck: []string{"/app/http-server", "--check"}, HealthcheckOptions: []string{"interval=1m30s", "retries=4"},
				Writable: []string{"/data:0:02775", "/var/lib/app"}, SourceDateEpoch: "1700000000", CACerts: certificate,
			})
			require.NoError(t, err)
			built, err := build.BuildOne(t.Context(), hosts, dir, plan, build.Discard)
			require.NoError(t, err)
			defer func() { assert.NoError(t, built.Close()) }()
			digest, err := built.Artifact.Digest()
			require.NoError(t, err)
			assert.Equal(t, digest, base.Digest)
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

// Of one source and one base there is one index, whether the module archives or publishes it, or the command on either engine.
// SLIPWAY_E2E_ADDRESS is this machine's IP address as the engine's containers reach it.
func TestOneDigest(t *testing.T) {
	address := os.Getenv("SLIPWAY_E2E_ADDRESS")
	if address == "" {
		t.Skip("SKIPPED: set SLIPWAY_E2E_ADDRESS to this machine's IP address as the engine's containers reach it")
	}
	host := registrytest.StartDistributionAt(t, address, true)
	t.Setenv("E2E_PASSWORD", registrytest.Password)
	slipway := filepath.Join(t.TempDir(), "slipway")
	out, err := exec.Command("go", "build", "-o", slipway, "../../../cmd/slipway").CombinedOutput()
	require.NoError(t, err, string(out))
	dir := user(t)
	settings := map[string]string{"runtime": "distroless", "compression": "zstd", "revision": strings.Repeat("1", 40)}

	digests := map[string]string{}
	module := []string{"call"}
	command := []string{"--progress", "plain", "--repository", host + "/team/app", "--tag", "command"}
	for name, value := range settings {
		command = append(command, "--"+name, value)
		if name != "revision" {
			value = strings.ToUpper(value)
		}
		module = append(module, "--"+name, value)
	}
	archive := filepath.Join(t.TempDir(), "image.tar")
	_, said, err := call(t, dir, append(slices.Clone(module), "image-archive", "-o", archive)...)
	require.NoError(t, err, said)
	base, err := (&oci.Bases{}).Resolve(t.Context(), "oci-archive:"+archive)
	require.NoError(t, err)
	digests["dagger call image-archive"] = base.Digest.String()
	ref, said, err := call(t, dir, append(slices.Clone(module), "with-login", "--username", registrytest.User, "--password", "env:E2E_PASSWORD",
		"publish", "--repository", host+"/team/app", "--tags", "module", "reference")...)
	require.NoError(t, err, said)
	_, digests["dagger call publish"], _ = strings.Cut(strings.TrimSpace(ref), "@")
	registrytest.Login(t, host, registrytest.User, registrytest.Password)
	for _, engine := range []string{"host", "dagger"} {
		publish := exec.Command(slipway, append(append([]string{"publish", "--engine", engine}, command...), dir)...)
		publish.Env = withoutOurs(os.Environ())
		var said bytes.Buffer
		publish.Stderr = &said
		ref, err := publish.Output()
		require.NoError(t, err, said.String())
		_, digests["slipway publish --engine "+engine], _ = strings.Cut(strings.TrimSpace(string(ref)), "@")
	}
	for how, digest := range digests {
		t.Logf("%s: %s", how, digest)
		assert.Equal(t, base.Digest.String(), digest, how)
	}
}
