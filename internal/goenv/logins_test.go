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
	"github.com/slipway-ci/slipway/internal/test/testtool"
)

// Git itself answers who it would log in as.
func TestWithLogins(t *testing.T) {
	git := testtool.Need(t, "git", "git")
	home, dir := t.TempDir(), filepath.Join(t.TempDir(), "it's here")
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(home, ".gitconfig"), []byte("[credential]\n\thelper = \"!printf 'username=theirs\\\\npassword=old\\\\n' #\"\n"), 0o644))
	caller := []string{
		"HOME=" + home, "PATH=" + os.Getenv("PATH"), "GOENV=off", "GIT_CONFIG_NOSYSTEM=1", "GOAUTH=git /somewhere",
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=test.kept", "GIT_CONFIG_VALUE_0=yes",
	}
	netrc := "# mine\nmachine b.example\n  login bob password p:b@/%\nmachine c.example:8443 login carl password pc\n" +
		"macdef x\nmachine no.example login no password no\n\nmachine a.example login late password late\ndefault login any password any\n"
	environ, err := goenv.WithLogins(caller, dir, netrc, []goenv.Login{{Host: "a.example", User: "alice", Password: "pa"}})
	require.NoError(t, err)

	env := goenv.Caller(environ)
	assert.Equal(t, "netrc; git /somewhere", env["GOAUTH"])
	got, err := goenv.Netrc(environ)
	require.NoError(t, err)
	assert.Equal(t, "machine a.example login alice password pa\n"+netrc, got)
	for _, kv := range environ {
		assert.NotContains(t, kv, "p:b@", "a password stands in files alone")
	}
	for _, name := range []string{"netrc", "git-credentials"} {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode())
	}

	ask := func(host string) string {
		cmd := exec.Command(git, "credential", "fill")
		cmd.Stdin = strings.NewReader("protocol=https\nhost=" + host + "\n\n")
		for k, v := range env {
			cmd.Env = append(cmd.Env, k+"="+v)
		}
		cmd.Env = append(cmd.Env, "GIT_TERMINAL_PROMPT=0")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
		_, account, _ := strings.Cut(string(out), "username=")
		return strings.ReplaceAll(account, "\n", " ")
	}
	assert.Equal(t, "alice password=pa ", ask("a.example"))
	assert.Equal(t, "bob password=p:b@/% ", ask("b.example"))
	assert.Equal(t, "carl password=pc ", ask("c.example:8443"))
	assert.Equal(t, "theirs password=old ", ask("no.example"), "others are the caller's own")
	assert.Equal(t, "theirs password=old ", ask("c.example"))
	out, err := exec.Command("env", append(environ[:len(environ):len(environ)], git, "config", "test.kept")...).Output()
	require.NoError(t, err)
	assert.Equal(t, "yes\n", string(out))
}

func TestWithLoginsKeepsTheCallersNetrc(t *testing.T) {
	home := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(home, ".netrc"), []byte("machine b.example login bob password pb\n"), 0o600))
	environ, err := goenv.WithLogins([]string{"HOME=" + home, "GOENV=off"}, t.TempDir(), "", []goenv.Login{{Host: "a.example", User: "alice", Password: "pa"}})
	require.NoError(t, err)
	got, err := goenv.Netrc(environ)
	require.NoError(t, err)
	assert.Equal(t, "machine a.example login alice password pa\nmachine b.example login bob password pb\n", got)
	assert.NotContains(t, strings.Join(environ, "\n"), "GOAUTH")
}
