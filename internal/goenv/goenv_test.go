package goenv_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/goenv"
)

func TestCaller(t *testing.T) {
	file := filepath.Join(t.TempDir(), "env")
	require.NoError(t, os.WriteFile(file, []byte("GOPRIVATE=from.file\nGOPROXY=https://file.example\nGOFLAGS=-tags=x\nGOMODCACHE=/mod\n"), 0o644))
	got := goenv.Caller([]string{
		"GOENV=" + file, "GOPROXY=https://caller.example", "HTTPS_PROXY=http://proxy", "GIT_SSH_COMMAND=ssh -v", "SSL_CERT_FILE=/ca.pem",
		"GOFLAGS=-race", "GOOS=plan9", "CC=clang", "SECRET=x", "NETRC=/netrc",
	})
	assert.Equal(t, map[string]string{
		"GOPRIVATE": "from.file", "GOPROXY": "https://caller.example", "HTTPS_PROXY": "http://proxy", "GIT_SSH_COMMAND": "ssh -v",
		"SSL_CERT_FILE": "/ca.pem", "NETRC": "/netrc", "GOMODCACHE": "/mod",
	}, got)
	assert.Empty(t, goenv.Caller([]string{"GOENV=off"}))
}

func TestTool(t *testing.T) {
	got := goenv.Tool([]string{"PATH=/bin", "HTTPS_PROXY=http://proxy", "NPM_TOKEN=x", "SSH_AUTH_SOCK=/agent", "GIT_ASKPASS=/ask", "GOPROXY=https://u:p@proxy", "NETRC=/netrc"})
	assert.Equal(t, []string{"PATH=/bin", "HTTPS_PROXY=http://proxy"}, got)
}

func TestModules(t *testing.T) {
	got := goenv.Modules([]string{"GOENV=off", "GOPROXY=https://proxy.example", "GOPRIVATE=git.example", "GOMODCACHE=/mod", "PATH=/bin", "NETRC=/netrc"})
	assert.Equal(t, map[string]string{"GOPROXY": "https://proxy.example", "GOPRIVATE": "git.example"}, got)
}

func TestNetrc(t *testing.T) {
	home := t.TempDir()
	got, err := goenv.Netrc([]string{"HOME=" + home})
	require.NoError(t, err)
	assert.Empty(t, got)
	require.NoError(t, os.WriteFile(filepath.Join(home, ".netrc"), []byte("machine a"), 0o600))
	got, err = goenv.Netrc([]string{"HOME=" + home})
	require.NoError(t, err)
	assert.Equal(t, "machine a", got)
	other := filepath.Join(home, "other")
	require.NoError(t, os.WriteFile(other, []byte("machine b"), 0o600))
	got, err = goenv.Netrc([]string{"HOME=" + home, "NETRC=" + other})
	require.NoError(t, err)
	assert.Equal(t, "machine b", got)
}

func TestModuleCache(t *testing.T) {
	for name, test := range map[string]struct {
		environ []string
		want    string
	}{
		"named":        {[]string{"GOMODCACHE=/cache", "GOPATH=/go"}, "/cache"},
		"in GOPATH":    {[]string{"GOPATH=/go" + string(filepath.ListSeparator) + "/more"}, "/go/pkg/mod"},
		"in HOME":      {[]string{"HOME=/home/me", "USERPROFILE=/home/me"}, "/home/me/go/pkg/mod"},
		"nowhere":      {nil, ""},
		"empty GOPATH": {[]string{"GOPATH=", "HOME=/h", "USERPROFILE=/h"}, "/h/go/pkg/mod"},
	} {
		t.Run(name, func(t *testing.T) {
			got := goenv.ModuleCache(append(test.environ, "GOENV=off"))
			assert.Equal(t, filepath.FromSlash(test.want), got)
		})
	}
}

// The Go command itself says where its cache is.
func TestBuildCache(t *testing.T) {
	for name, environ := range map[string][]string{
		"named":    {"GOCACHE=" + t.TempDir()},
		"in HOME":  {"HOME=" + os.DevNull + "/home"}, // where nothing can be written
		"in XDG's": {"HOME=" + os.DevNull + "/home", "XDG_CACHE_HOME=" + os.DevNull + "/cache", "LOCALAPPDATA=" + os.DevNull},
	} {
		t.Run(name, func(t *testing.T) {
			environ = append(environ, "GOENV=off", "PATH="+os.Getenv("PATH"))
			cmd := exec.Command("go", "env", "GOCACHE")
			cmd.Env = environ
			out, err := cmd.Output()
			require.NoError(t, err)
			assert.Equal(t, strings.TrimSpace(string(out)), goenv.BuildCache(environ))
		})
	}
	assert.Empty(t, goenv.BuildCache([]string{"GOENV=off"}))
}

// What the caller set in vain is named, and nothing else.
func TestIgnored(t *testing.T) {
	file := filepath.Join(t.TempDir(), "env")
	require.NoError(t, os.WriteFile(file, []byte("GOFLAGS=-race\nGOPROXY=off\nGOARCH=arm64\n"), 0o644))
	environ := []string{"GOENV=" + file, "CGO_ENABLED=0", "GODEBUG=x=1", "GOEXPERIMENT=", "GOFIPS140=latest", "GOTOOLCHAIN=local", "GOAMD64=v3", "HOME=/h"}
	env := map[string]string{"CGO_ENABLED": "0", "GOFIPS140": "v1.0.0"}
	assert.Equal(t, []string{"GOAMD64", "GOARCH", "GODEBUG", "GOFIPS140", "GOFLAGS"}, goenv.Ignored(environ, env))
	assert.Empty(t, goenv.Ignored([]string{"GOENV=off", "CGO_ENABLED=0"}, env))
}
