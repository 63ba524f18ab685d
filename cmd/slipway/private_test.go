package main

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/test/testtool"
)

// gitServer serves testdata/greeting in a git repository as https://git.example.com/team/greeting to those who know the token,
// as a forge does. proxy is what leads to it: nothing but loopback is asked.
func gitServer(t *testing.T, user, token string) (proxy, root string) {
	t.Helper()
	git := testtool.Need(t, "git", "git")
	dir := t.TempDir()
	repository := filepath.Join(dir, "team", "greeting")
	require.NoError(t, os.CopyFS(repository, os.DirFS("testdata/greeting")))
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
			fmt.Fprint(w, `<meta name="go-import" content="git.example.com/team/greeting git https://git.example.com/team/greeting">`)
			return
		}
		backend.ServeHTTP(w, r)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS() // its certificate names *.example.com
	t.Cleanup(server.Close)
	root = filepath.Join(dir, "root.pem")
	require.NoError(t, os.WriteFile(root, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o644))

	tunnel := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect || r.Host != "git.example.com:443" {
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

// spies are programs that note their arguments in the file log, before they do what
// those of these names do.
func spies(t *testing.T, log string, names ...string) (path string) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		script := fmt.Sprintf("#!/bin/sh\nprintf '%%s\\n' %s \"$@\" >>'%s'\nexec '%s' \"$@\"\n", name, log, testtool.Need(t, name, name))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755))
	}
	return dir + ":" + os.Getenv("PATH")
}

// everythingIn is everything that an OCI layout holds, with every layer unpacked.
func everythingIn(t *testing.T, directory string) string {
	t.Helper()
	var all strings.Builder
	require.NoError(t, filepath.WalkDir(directory, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		all.Write(content)
		if unzipped, err := gzip.NewReader(bytes.NewReader(content)); err == nil {
			_, err = io.Copy(&all, unzipped)
			return err
		}
		return nil
	}))
	return all.String()
}

// withoutToolchain lets a module be compiled with the Go of its go line, which this machine has.
func withoutToolchain(t *testing.T, dir string) {
	t.Helper()
	name := filepath.Join(dir, "go.mod")
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	text = regexp.MustCompile(`(?m)^toolchain .*\n`).ReplaceAll(text, nil)
	require.NoError(t, os.WriteFile(name, text, 0o644))
}

// A dependency in a private repository, over HTTPS, with a token. The example's own tests and checks run here, too: nothing
// else has its dependency.
func TestPrivateModule(t *testing.T) {
	if runtime.GOOS != "linux" {
		testtool.Skip(t, "a system where the Go command trusts the certificates that --ca-cert names")
	}
	const token = "t0p-s3cret/%+token"
	secrets := []string{token, url.QueryEscape(token), url.PathEscape(token), base64.StdEncoding.EncodeToString([]byte("x-access-token:" + token))}
	proxy, root := gitServer(t, "x-access-token", token)
	source := copyExample(t, "private-module")
	withoutToolchain(t, source) // nothing but the private module can be had here
	files := t.TempDir()
	tokenFile, netrc := filepath.Join(files, "token"), filepath.Join(files, "logins")
	require.NoError(t, os.WriteFile(tokenFile, []byte(token+"\n"), 0o600))
	require.NoError(t, os.WriteFile(netrc, []byte("machine git.example.com\nlogin x-access-token\npassword "+token+"\n"), 0o600))

	// build returns what the command said, and everything that is in the image.
	build := func(t *testing.T, env []string, flags ...string) (said, image string, environ []string, err error) {
		tmp, modules := t.TempDir(), t.TempDir()
		output, arguments := filepath.Join(t.TempDir(), "image"), filepath.Join(t.TempDir(), "arguments")
		cmd := slipwayCommand(t, append([]string{
			"HOME=" + t.TempDir(), "TMPDIR=" + tmp, "GOMODCACHE=" + modules, "GOPROXY=direct", "GOPRIVATE=git.example.com",
			"HTTPS_PROXY=" + proxy, "https_proxy=" + proxy, "NO_PROXY=", "no_proxy=", "GIT_CONFIG_NOSYSTEM=1",
			"PATH=" + spies(t, arguments, "go", "git"),
		}, env...), append([]string{"build", "--runtime", "scratch", "--platform", "linux/amd64", "--ca-cert", root, "--output", output}, append(flags, source)...)...)
		t.Cleanup(func() { // its directories are read-only
			clean := exec.Command("go", "clean", "-modcache")
			clean.Env = cmd.Env
			assert.NoError(t, clean.Run())
		})
		out, err := cmd.CombinedOutput()
		left, readErr := os.ReadDir(tmp)
		require.NoError(t, readErr)
		assert.Empty(t, left, "no login stays behind")
		ran, readErr := os.ReadFile(arguments)
		require.NoError(t, readErr)
		if err == nil {
			assert.Contains(t, string(ran), "git\nls-remote\n", "processes are seen")
			image = everythingIn(t, output)
			assert.Contains(t, image, "A good day to ", "the layers are read")
		}
		for _, secret := range secrets {
			assert.False(t, strings.Contains(string(out), secret), "in the output")
			assert.False(t, strings.Contains(string(ran), secret), "in the arguments of a process")
			assert.False(t, strings.Contains(image, secret), "in the image")
		}
		return string(out), image, cmd.Env, err
	}
	for name, test := range map[string]struct{ env, flags []string }{
		"token in a variable": {env: []string{"MY_TOKEN=" + token}, flags: []string{"--git-token", "git.example.com=env:MY_TOKEN"}},
		"token in a file":     {env: []string{"SLIPWAY_GIT_TOKENS=x-access-token@git.example.com=file:" + tokenFile}},
		"netrc":               {flags: []string{"--netrc", netrc}},
	} {
		t.Run(name, func(t *testing.T) {
			said, _, environ, err := build(t, test.env, test.flags...)
			require.NoError(t, err, said)
			assert.Contains(t, said, "download done")
			if name != "netrc" {
				return
			}
			for _, args := range [][]string{{"mod", "tidy", "-diff"}, {"vet", "./..."}, {"test", "./..."}} {
				cmd := exec.Command("go", args...)
				cmd.Dir, cmd.Env = source, append(environ, "GOPROXY=off", "PWD="+source)
				out, err := cmd.CombinedOutput()
				assert.NoError(t, err, string(out))
			}
		})
	}
	for name, flags := range map[string][]string{
		"no token":      nil,
		"another token": {"--git-token", "git.example.com=env:USER_TOKEN"},
		"another user":  {"--git-token", "somebody@git.example.com=file:" + tokenFile},
	} {
		t.Run(name, func(t *testing.T) {
			said, _, _, err := build(t, []string{"USER_TOKEN=wrong-horse"}, flags...)
			require.Error(t, err)
			assert.Contains(t, said, "downloading modules: the Go command failed")
			assert.Contains(t, said, "git.example.com/team/greeting")
			assert.Contains(t, said, "--git-token")
			assert.NotContains(t, said, "wrong-horse")
		})
	}
}
