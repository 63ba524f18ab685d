package registry_test

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/registry"
	"github.com/slipway-ci/slipway/internal/test/registrytest"
)

// auths is a credential file with a login for each key: the user is the key's number.
func auths(keys ...string) string {
	var entries []string
	for i, key := range keys {
		login := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "user%d:pw", i))
		entries = append(entries, fmt.Sprintf(`%q:{"auth":%q}`, key, login))
	}
	return `{"auths":{` + strings.Join(entries, ",") + `}}`
}

// userFor is the user whose login is found for a repository.
func userFor(t *testing.T, repository string) string {
	t.Helper()
	authenticator, err := registry.NewKeychain().Resolve(repositoryOf(t, repository))
	require.NoError(t, err)
	login, err := authenticator.Authorization()
	require.NoError(t, err)
	if login.IdentityToken != "" {
		return "token " + login.IdentityToken
	}
	return login.Username
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(t, os.WriteFile(path, []byte(content), 0o700))
}

func TestKeys(t *testing.T) {
	for name, test := range map[string]struct {
		keys       []string
		repository string
		user       string
	}{
		"the more specific":         {[]string{"r.example", "r.example/me"}, "r.example/me/app", "user1"},
		"the most specific":         {[]string{"r.example/me", "r.example/me/app", "r.example"}, "r.example/me/app", "user1"},
		"the host, for others":      {[]string{"r.example/me", "r.example"}, "r.example/you/app", "user1"},
		"a name is no prefix":       {[]string{"r.example/me", "r.example/m"}, "r.example/meme/app", ""},
		"another host":              {[]string{"r.example"}, "r.example:5000/app", ""},
		"a scheme":                  {[]string{"https://r.example"}, "r.example/app", "user0"},
		"a slash at the end":        {[]string{"https://r.example/"}, "r.example/app", "user0"},
		"the API's address":         {[]string{"https://r.example/v2/"}, "r.example/app", "user0"},
		"plain before address":      {[]string{"https://r.example/v1/", "r.example"}, "r.example/app", "user1"},
		"upper case":                {[]string{"R.example"}, "r.example/app", "user0"},
		"docker login":              {[]string{"https://index.docker.io/v1/"}, "docker.io/me/app", "user0"},
		"podman login":              {[]string{"docker.io"}, "me/app", "user0"},
		"podman login, one account": {[]string{"docker.io/me", "docker.io"}, "index.docker.io/me/app", "user0"},
		"index.docker.io":           {[]string{"index.docker.io"}, "docker.io/me/app", "user0"},
		"registry-1.docker.io":      {[]string{"registry-1.docker.io"}, "docker.io/library/alpine", "user0"},
	} {
		t.Run(name, func(t *testing.T) {
			file := registrytest.NoLogin(t)
			writeFile(t, file, auths(test.keys...))
			for range 8 { // maps have another order each time
				require.Equal(t, test.user, userFor(t, test.repository))
			}
		})
	}
}

func TestFilesInPodmansOrder(t *testing.T) {
	docker := registrytest.NoLogin(t)
	home := filepath.Dir(filepath.Dir(docker))
	t.Setenv("REGISTRY_AUTH_FILE", home+"/auth-file.json")
	t.Setenv("XDG_RUNTIME_DIR", home+"/run")
	t.Setenv("XDG_CONFIG_HOME", home+"/config")
	files := []string{
		home + "/auth-file.json", home + "/run/containers/auth.json", home + "/config/containers/auth.json",
		home + "/.config/containers/auth.json", docker,
	}
	for i, file := range files {
		writeFile(t, file, fmt.Sprintf(`{"auths":{"docker.io":{"username":"user%d","password":"pw"},"r.example":{}}}`, i))
	}
	for i, file := range files {
		require.Equal(t, fmt.Sprintf("user%d", i), userFor(t, "docker.io/me/app"))
		if i%2 == 0 {
			require.NoError(t, os.Remove(file))
			continue
		}
		writeFile(t, file, auths("elsewhere.example")) // one without an entry does not hide the next
	}
	require.Empty(t, userFor(t, "docker.io/me/app"))

	keychain, repository := registry.NewKeychain(), repositoryOf(t, "docker.io/me/app")
	_, err := keychain.Resolve(repository)
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf("no credential (no entry for docker.io in %s, nor in %s)", filepath.Clean(files[1]), filepath.Clean(files[3])), keychain.Source(repository))

	t.Setenv("DOCKER_AUTH_CONFIG", auths("https://index.docker.io/v1/"))
	writeFile(t, files[0], `{"auths":{"docker.io":{"username":"other","password":"pw"}}}`)
	require.Equal(t, "user0", userFor(t, "docker.io/me/app"), "the variable has the login itself")
}

func TestHelpers(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the helpers of this test are shell scripts")
	}
	file := registrytest.NoLogin(t)
	home := filepath.Dir(filepath.Dir(file))
	// It knows the addresses that docker login and podman login give it, and reports the one that it was asked for.
	const script = `#!/bin/sh
read -r address
case $address in
https://index.docker.io/v1/|r.example|r.example/me) echo "{\"Username\":\"$0 $address\",\"Secret\":\"pw\"}" ;;
token.example) echo '{"Username":"<token>","Secret":"identity"}' ;;
*) echo 'credentials not found in native keychain'; exit 1 ;;
esac
`
	for _, helper := range []string{"one", "two"} {
		writeFile(t, home+"/bin/docker-credential-"+helper, script)
	}
	t.Setenv("PATH", home+"/bin:"+os.Getenv("PATH"))
	one, two := home+"/bin/docker-credential-one ", home+"/bin/docker-credential-two "
	for _, test := range []struct{ file, repository, user string }{
		{`{"credsStore":"one"}`, "r.example/app", one + "r.example"},
		{`{"credsStore":"one"}`, "r.example/me/app", one + "r.example/me"},
		{`{"credsStore":"one"}`, "docker.io/me/app", one + "https://index.docker.io/v1/"},
		{`{"credsStore":"one"}`, "token.example/app", "token identity"},
		{`{"credsStore":"one"}`, "unknown.example/app", ""},
		{`{"credsStore":"one","credHelpers":{"r.example":"two"}}`, "r.example/app", two + "r.example"},
		{`{"credHelpers":{"docker.io":"two"}}`, "docker.io/me/app", two + "https://index.docker.io/v1/"},
		{`{"credHelpers":{"https://r.example/":"two"}}`, "r.example/app", two + "r.example"},
		{`{"credsStore":"one","auths":{"r.example":{}}}`, "r.example/app", one + "r.example"}, // as docker login leaves it
	} {
		writeFile(t, file, test.file)
		require.Equal(t, test.user, userFor(t, test.repository), "%s %s", test.file, test.repository)
	}
}

func TestUnreadableCredentials(t *testing.T) {
	const secret = "s3cret"
	for _, content := range []string{
		secret, `{"auths":` + secret, `{"auths":"` + secret + `"}`, `{"auths":{"r.example":{"auth":"` + secret + `!"}}}`,
		`{"auths":{"r.example":{"auth":"` + base64.StdEncoding.EncodeToString([]byte(secret)) + `"}}}`, `{"auths":{"r.example":{"auth":57637}}}`,
	} {
		file := registrytest.NoLogin(t)
		writeFile(t, file, content)
		_, err := registry.NewKeychain().Resolve(repositoryOf(t, "r.example/app"))
		require.ErrorContains(t, err, "the credentials in "+file+" cannot be read", content)
		require.NotContains(t, err.Error(), secret)
		require.NotContains(t, err.Error(), "57637")
	}
}
