package main

import (
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/testtool"
)

// gitServer serves a module in a git repository as https://example.com/private/lib to those who know the token, as a forge
// does. proxy is what leads to it: nothing but loopback is asked.
func gitServer(t *testing.T, user, token string) (proxy, root string) {
	t.Helper()
	git := testtool.Need(t, "git", "git")
	dir := t.TempDir()
	repository := filepath.Join(dir, "private", "lib")
	require.NoError(t, os.MkdirAll(repository, 0o755))
	for name, content := range map[string]string{"go.mod": "module example.com/private/lib\n\ngo 1.26.8\n", "lib.go": "package lib\n\nconst Secret = \"of the house\"\n"} {
		require.NoError(t, os.WriteFile(filepath.Join(repository, name), []byte(content), 0o644))
	}
	for _, args := range [][]string{{"init", "-q"}, {"add", "."}, {"commit", "-qm", "first"}, {"tag", "v1.0.0"}} {
		cmd := exec.Command(git, append([]string{"-C", repository, "-c", "user.name=t", "-c", "user.email=t@example.com"}, args...)...)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
	}

	backend := &cgi.Handler{
		Path: git, Args: []string{"http-backend"}, Stderr: io.Discard,
		Env: []string{"GIT_PROJECT_ROOT=" + dir, "GIT_HTTP_EXPORT_ALL=1", "HOME=" + dir, "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"},
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if u, p, _ := r.BasicAuth(); u != user || p != token {
			w.Header().Set("Www-Authenticate", `Basic realm="forge"`)
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		if r.URL.Query().Get("go-get") == "1" {
			fmt.Fprint(w, `<meta name="go-import" content="example.com/private/lib git https://example.com/private/lib">`)
			return
		}
		backend.ServeHTTP(w, r)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS() // its certificate names example.com
	t.Cleanup(server.Close)
	root = filepath.Join(dir, "root.pem")
	require.NoError(t, os.WriteFile(root, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o644))

	tunnel := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect || r.Host != "example.com:443" {
			http.Error(w, "no way to "+r.Host, http.StatusForbidden)
			return
		}
		up, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer up.Close()
		w.WriteHeader(http.StatusOK)
		down, rest, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer down.Close()
		go func() {
			_, _ = io.Copy(up, rest)
			_ = up.(*net.TCPConn).CloseWrite()
		}()
		_, _ = io.Copy(down, up)
	}))
	t.Cleanup(tunnel.Close)
	return tunnel.URL, root
}

// A dependency in a private repository, over HTTPS, with a token.
func TestPrivateModule(t *testing.T) {
	if runtime.GOOS != "linux" {
		testtool.Skip(t, "a system where the Go command trusts the certificates that --ca-cert names")
	}
	const token = "t0p-s3cret/%+token"
	proxy, root := gitServer(t, "x-access-token", token)
	source := t.TempDir()
	for name, content := range map[string]string{
		"go.mod":  "module example.com/app\n\ngo 1.26.8\n\nrequire example.com/private/lib v1.0.0\n",
		"go.sum":  "example.com/private/lib v1.0.0 h1:I1J6dFfZYkMd5KEi0cD7qPuAVWmNjuVtDRq0FRWJfDg=\nexample.com/private/lib v1.0.0/go.mod h1:yAv6dFmLdhGFI6AzqBq8e1YDiwQNu2GXu14dTERiI0g=\n",
		"main.go": "package main\n\nimport \"example.com/private/lib\"\n\nfunc main() { println(lib.Secret) }\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(source, name), []byte(content), 0o644))
	}
	files := t.TempDir()
	tokenFile, netrc := filepath.Join(files, "token"), filepath.Join(files, "logins")
	require.NoError(t, os.WriteFile(tokenFile, []byte(token+"\n"), 0o600))
	require.NoError(t, os.WriteFile(netrc, []byte("machine example.com\nlogin x-access-token\npassword "+token+"\n"), 0o600))

	// build returns what the command said, and the archive.
	build := func(t *testing.T, env []string, flags ...string) (said string, archive []byte, err error) {
		tmp, modules := t.TempDir(), t.TempDir()
		output := filepath.Join(t.TempDir(), "image.tar")
		cmd := slipway(t, append([]string{
			"HOME=" + t.TempDir(), "TMPDIR=" + tmp, "GOMODCACHE=" + modules, "GOPROXY=direct", "GOPRIVATE=example.com/private",
			"HTTPS_PROXY=" + proxy, "https_proxy=" + proxy, "NO_PROXY=", "no_proxy=", "GIT_CONFIG_NOSYSTEM=1",
		}, env...), append([]string{"build", "--runtime", "scratch", "--platform", "linux/amd64", "--ca-cert", root, "--output", output}, append(flags, source)...)...)
		t.Cleanup(func() { // its folders are read-only
			clean := exec.Command("go", "clean", "-modcache")
			clean.Env = cmd.Env
			assert.NoError(t, clean.Run())
		})
		out, err := cmd.CombinedOutput()
		assert.NotContains(t, string(out), token)
		left, readErr := os.ReadDir(tmp)
		require.NoError(t, readErr)
		assert.Empty(t, left, "no login stays behind")
		if err == nil {
			archive, readErr = os.ReadFile(output)
			require.NoError(t, readErr)
		}
		return string(out), archive, err
	}
	for name, test := range map[string]struct{ env, flags []string }{
		"token in a variable": {env: []string{"MY_TOKEN=" + token}, flags: []string{"--git-token", "example.com=env:MY_TOKEN"}},
		"token in a file":     {env: []string{"SLIPWAY_GIT_TOKENS=x-access-token@example.com=file:" + tokenFile}},
		"netrc":               {flags: []string{"--netrc", netrc}},
	} {
		t.Run(name, func(t *testing.T) {
			said, archive, err := build(t, test.env, test.flags...)
			require.NoError(t, err, said)
			assert.NotContains(t, string(archive), token)
			assert.Contains(t, said, "download done")
		})
	}
	for name, flags := range map[string][]string{
		"no token":      nil,
		"another token": {"--git-token", "example.com=env:USER_TOKEN"},
		"another user":  {"--git-token", "somebody@example.com=file:" + tokenFile},
	} {
		t.Run(name, func(t *testing.T) {
			said, _, err := build(t, []string{"USER_TOKEN=wrong-horse"}, flags...)
			require.Error(t, err)
			assert.Contains(t, said, "downloading modules: the Go command failed")
			assert.Contains(t, said, "example.com/private/lib")
			assert.Contains(t, said, "--git-token")
			assert.NotContains(t, said, "wrong-horse")
		})
	}
}
