//go:build dagger_e2e

package moduletest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/test/enginetest"
)

const gitToken = "glpat-e2e-0123456789abcdef"

// A program with a private module is built with its token, and without it not; and the token is nowhere in what comes of it.
// SLIPWAY_E2E_ADDRESS is the IP address of this machine as the engine's containers reach it; the test serves there on port
// 443, since a module's path has no port.
func TestPrivateModule(t *testing.T) {
	address := os.Getenv("SLIPWAY_E2E_ADDRESS")
	if address == "" {
		t.Skip("SKIPPED: set SLIPWAY_E2E_ADDRESS to this machine's IP address as the engine's containers reach it")
	}
	// Another module in each run: the engine keeps those that it has seen.
	name := "team/private-" + strings.ToLower(rand.Text()) + ".git"
	module := address + "/" + name
	repositories := t.TempDir()
	git := func(dir string, args ...string) {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-c", "user.name=t", "-c", "user.email=t@example.com", "-C", dir}, args...)...)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
	}
	work := t.TempDir()
	write(t, work, "go.mod", "module "+module+"\n\ngo 1.26.8\n")
	write(t, work, "private.go", "package private\n\n// Text is known to few.\nconst Text = \"of a private module\"\n")
	git(work, "init", "-q")
	git(work, "add", ".")
	git(work, "commit", "-qm", "first")
	git(work, "tag", "v1.0.0")
	require.NoError(t, os.MkdirAll(filepath.Join(repositories, "team"), 0o755))
	git(repositories, "clone", "-q", "--bare", work, name)
	root := serveGit(t, address, repositories)

	dir := t.TempDir()
	write(t, dir, "go.mod", "module example.com/user\n\ngo 1.26.8\n\nrequire "+module+" v1.0.0\n")
	write(t, dir, "main.go", "package main\n\nimport private \""+module+"\"\n\nfunc main() { println(private.Text) }\n")
	git(dir, "init", "-q")
	tidy := exec.Command("go", "mod", "tidy")
	tidy.Dir = dir
	tidy.Env = append(os.Environ(), "GOPRIVATE="+address, "GOMODCACHE="+filepath.Join(t.TempDir(), "mod"), "GOFLAGS=-modcacherw",
		"GIT_SSL_CAINFO="+root, "SSL_CERT_FILE="+root, "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=http.extraHeader",
		"GIT_CONFIG_VALUE_0=Authorization: Basic "+basic())
	out, err := tidy.CombinedOutput()
	require.NoError(t, err, string(out))

	args := []string{"-vvvv", "--debug", "call", "--runtime", "SCRATCH", "--goprivate", address, "--ca-certs", root}
	_, said, err := call(t, dir, append(args, "binary", "size")...)
	require.Error(t, err)
	assert.Contains(t, said, "A private module needs a login", said[max(0, len(said)-2000):])

	t.Setenv("E2E_TOKEN", gitToken)
	archive := filepath.Join(t.TempDir(), "image.tar")
	stdout, said, err := call(t, dir, append(args, "--git-host", address, "--git-token", "env:E2E_TOKEN", "image-archive", "-o", archive)...)
	require.NoError(t, err, said)
	base, err := (&oci.Bases{}).Resolve(t.Context(), "oci-archive:"+archive)
	require.NoError(t, err)
	for _, secret := range []string{gitToken, basic()} {
		assert.NotContains(t, stdout+said, secret, "the output, with every trace")
		raw, err := os.ReadFile(archive)
		require.NoError(t, err)
		assert.False(t, bytes.Contains(raw, []byte(secret)), "manifests, configuration and history")
		for _, arch := range []string{"amd64", "arm64"} {
			img, err := base.Image(v1.Platform{OS: "linux", Architecture: arch})
			require.NoError(t, err)
			config, err := img.RawConfigFile()
			require.NoError(t, err)
			assert.NotContains(t, string(config), secret)
			files := enginetest.Files(t, img)
			assert.Contains(t, files["/app/user"].Content, "of a private module")
			for name, f := range files {
				assert.False(t, strings.Contains(name+f.Link+f.Content, secret), name)
			}
		}
	}
}

func write(t *testing.T, dir, name, content string) {
	t.Helper()
	file := filepath.Join(dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(t, os.WriteFile(file, []byte(content), 0o644))
}

// basic is the token as HTTP sends it.
func basic() string { return base64.StdEncoding.EncodeToString([]byte("x-access-token:" + gitToken)) }

// serveGit serves repositories over HTTPS to who has the token. It returns the file of the root that its certificate is of.
func serveGit(t *testing.T, address, repositories string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test root"}, IPAddresses: []net.IP{net.ParseIP(address)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	execPath, err := exec.Command("git", "--exec-path").Output()
	require.NoError(t, err)
	backend := &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(execPath)), "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + repositories, "GIT_HTTP_EXPORT_ALL=1"},
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(address, "443"))
	require.NoError(t, err)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); password != gitToken {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		backend.ServeHTTP(w, r)
	}))
	server.Listener = listener
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{certificate}, PrivateKey: key}}}
	server.StartTLS()
	t.Cleanup(server.Close)
	root := filepath.Join(t.TempDir(), "root.pem")
	require.NoError(t, os.WriteFile(root, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}), 0o644))
	return root
}
