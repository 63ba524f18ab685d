package registry_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/registry"
	"github.com/slipway-ci/slipway/internal/test/registrytest"
)

// Its characters are ones that JSON and URLs write another way.
const password = `s3cr3t"<&/+`

// locked is a fault of a registry that wants a login by the Basic scheme, and whose answer repeats what was sent.
func locked(status int) registrytest.Fault {
	return registrytest.Fault{When: registrytest.Any, Do: func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v2/" {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, sent, _ := r.BasicAuth()
		registrytest.Answer(status, "DENIED", fmt.Sprintf("got %s and %s", r.Header.Get("Authorization"), sent))(w, r)
	}}
}

func TestRefusedLogin(t *testing.T) {
	for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			server := registrytest.Start(t, locked(status))
			file := registrytest.Login(t, server.Host, "me", password)
			_, err := newClient(t, registry.Options{}).Get(t.Context(), parse(t, server.Host+"/app:v1"))
			for _, text := range []string{
				server.Host + "/app:v1",
				"the credential from the file " + file,
				`the user is "me"`,
				fmt.Sprintf("%d %s; DENIED: got Basic REDACTED and REDACTED", status, http.StatusText(status)),
				"`docker login " + server.Host + "`",
				"DOCKER_CONFIG",
			} {
				require.ErrorContains(t, err, text)
			}
			var answered *transport.Error
			require.ErrorAs(t, err, &answered)
			require.Equal(t, status, answered.StatusCode)
			require.NotContains(t, err.Error()+answered.Error(), password)
			require.NotContains(t, err.Error()+answered.Error(), base64.StdEncoding.EncodeToString([]byte("me:"+password)))
			require.Len(t, server.Requests(), 1, "a refused login is not tried again")
		})
	}
}

func TestNoLogin(t *testing.T) {
	server := registrytest.Start(t, locked(http.StatusUnauthorized))
	registrytest.NoLogin(t)
	_, err := newClient(t, registry.Options{}).Get(t.Context(), parse(t, server.Host+"/app:v1"))
	require.ErrorContains(t, err, "no credential (neither docker nor podman has a file with a login for "+server.Host+")")

	file := registrytest.Login(t, "elsewhere.example", "me", password)
	_, err = newClient(t, registry.Options{}).Get(t.Context(), parse(t, server.Host+"/app:v1"))
	require.ErrorContains(t, err, "no credential (no entry for "+server.Host+" in "+file+")")
}

// A token server is given the password in one request, and a session's URL carries a token.
func TestTokensStayHidden(t *testing.T) {
	const token = "tkn-0123456789"
	var server *registrytest.Registry
	server = registrytest.Start(t, registrytest.Fault{When: registrytest.Any, Do: func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/token" && r.URL.Query().Get("service") == "broken":
			fmt.Fprintf(w, `{"refresh_token":%q}`, token)
		case r.URL.Path == "/token":
			fmt.Fprintf(w, `{"token":%q}`, token)
		case r.Header.Get("Authorization") == "":
			service := "good"
			if strings.HasPrefix(r.Host, "localhost") {
				service = "broken"
			}
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token",service="%s"`, r.Host, service))
			w.WriteHeader(http.StatusUnauthorized)
		case strings.Contains(r.URL.Path, "/manifests/moved"):
			http.Redirect(w, r, "http://me:hunter2@"+server.Host+"/gone?signature="+token, http.StatusFound)
		case r.URL.Path == "/gone":
			registrytest.HangUp(0)(w, r)
		default:
			registrytest.Answer(http.StatusForbidden, "DENIED", "got "+r.Header.Get("Authorization"))(w, r)
		}
	}})
	registrytest.NoLogin(t)
	client := newClient(t, registry.Options{})
	for reference, says := range map[string]string{
		server.Host + "/app:v1":    "DENIED: got Bearer REDACTED",
		server.Host + "/app:moved": "broke",
		strings.Replace(server.Host, "127.0.0.1", "localhost", 1) + "/app": "answered without a token",
	} {
		_, err := client.Get(t.Context(), parse(t, reference))
		for cause := err; cause != nil; {
			require.NotContains(t, cause.Error(), token)
			require.NotContains(t, cause.Error(), "hunter2")
			unwrapper, ok := cause.(interface{ Unwrap() error })
			if !ok {
				break
			}
			cause = unwrapper.Unwrap()
		}
		require.ErrorContains(t, err, says)
	}
}

func TestCredentialSources(t *testing.T) {
	const host = "registry.example"
	entry := fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, host, base64.StdEncoding.EncodeToString([]byte("me:"+password)))
	write := func(t *testing.T, path, content string) {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o700))
	}
	for name, test := range map[string]struct {
		prepare func(t *testing.T, home string)
		says    string
		user    string
	}{
		"DOCKER_CONFIG": {
			func(t *testing.T, home string) { write(t, home+"/.docker/config.json", entry) },
			"the credential from the file HOME/.docker/config.json", "me",
		},
		"home": {func(t *testing.T, home string) {
			t.Setenv("DOCKER_CONFIG", "")
			write(t, home+"/.docker/config.json", entry)
		}, "the credential from the file HOME/.docker/config.json", "me"},
		"one repository": {func(t *testing.T, home string) {
			write(t, home+"/.docker/config.json", strings.Replace(entry, host, host+"/app", 1))
		}, "the credential from the file HOME/.docker/config.json", "me"},
		"REGISTRY_AUTH_FILE": {func(t *testing.T, home string) {
			t.Setenv("REGISTRY_AUTH_FILE", home+"/ci.json")
			write(t, home+"/ci.json", entry)
		}, "the credential from the file HOME/ci.json", "me"},
		"podman's runtime directory": {func(t *testing.T, home string) {
			t.Setenv("XDG_RUNTIME_DIR", home+"/run")
			write(t, home+"/run/containers/auth.json", entry)
		}, "the credential from the file HOME/run/containers/auth.json", "me"},
		"podman's configuration": {
			func(t *testing.T, home string) { write(t, home+"/.config/containers/auth.json", entry) },
			"the credential from the file HOME/.config/containers/auth.json", "me",
		},
		"environment": {
			func(t *testing.T, home string) { t.Setenv("DOCKER_AUTH_CONFIG", entry) },
			"the credential from the environment variable DOCKER_AUTH_CONFIG", "me",
		},
		"helper of the registry": {func(t *testing.T, home string) {
			write(t, home+"/bin/docker-credential-slipway", "#!/bin/sh\necho '{\"Username\":\"robot\",\"Secret\":\"pw\"}'\n")
			t.Setenv("PATH", home+"/bin:"+os.Getenv("PATH"))
			write(t, home+"/.docker/config.json", fmt.Sprintf(`{"credHelpers":{%q:"slipway"}}`, host))
		}, "the credential from the helper docker-credential-slipway", "robot"},
		"helper without it": {func(t *testing.T, home string) {
			write(t, home+"/bin/docker-credential-slipway", "#!/bin/sh\necho 'credentials not found in native keychain'\nexit 1\n")
			t.Setenv("PATH", home+"/bin:"+os.Getenv("PATH"))
			write(t, home+"/.docker/config.json", `{"credsStore":"slipway"}`)
		}, "no credential (no entry for registry.example in the helper docker-credential-slipway, which HOME/.docker/config.json names)", ""},
		"helper that is missing": {func(t *testing.T, home string) {
			write(t, home+"/.docker/config.json", `{"credsStore":"missing"}`)
		}, "the login for registry.example cannot be read from the helper docker-credential-missing", ""},
		"helper that fails": {func(t *testing.T, home string) {
			write(t, home+"/bin/docker-credential-slipway", "#!/bin/sh\necho '{\"Username\":\"robot\",\"Secret\":\"pw\"}'\necho the vault is locked >&2\nexit 1\n")
			t.Setenv("PATH", home+"/bin:"+os.Getenv("PATH"))
			write(t, home+"/.docker/config.json", `{"credsStore":"slipway"}`)
		}, "helper docker-credential-slipway: error getting credentials - err: exit status 1: the vault is locked, out: ``: install or repair", ""},
		"helper with a token": {func(t *testing.T, home string) {
			write(t, home+"/bin/docker-credential-slipway", "#!/bin/sh\n[ \"$1\" = get ] && [ \"$(cat)\" = registry.example/app ] && echo '{\"Username\":\"<token>\",\"Secret\":\"pw\"}'\n")
			t.Setenv("PATH", home+"/bin:"+os.Getenv("PATH"))
			write(t, home+"/.docker/config.json", `{"credsStore":"slipway"}`)
		}, "the credential from the helper docker-credential-slipway", ""},
		"broken file": {
			func(t *testing.T, home string) { write(t, home+"/.docker/config.json", `{"auths":`) },
			"the credentials in HOME/.docker/config.json cannot be read: unexpected EOF: mend or delete that file", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if runtime.GOOS == "windows" && strings.Contains(name, "helper") {
				t.Skip("the helpers of this test are shell scripts")
			}
			home := filepath.Dir(filepath.Dir(registrytest.NoLogin(t)))
			test.prepare(t, home)
			keychain := registry.NewKeychain()
			repository := repositoryOf(t, host+"/app")
			authenticator, err := keychain.Resolve(repository)
			says := filepath.FromSlash(strings.ReplaceAll(test.says, "HOME", filepath.ToSlash(home)))
			if err != nil {
				require.ErrorContains(t, err, says)
				return
			}
			require.Equal(t, says, keychain.Source(repository))
			login, err := authenticator.Authorization()
			require.NoError(t, err)
			require.Equal(t, test.user, login.Username)
		})
	}
}

func repositoryOf(t *testing.T, repository string) name.Repository {
	t.Helper()
	parsed, err := name.NewRepository(repository)
	require.NoError(t, err)
	return parsed
}

func TestRealRegistryWithLogin(t *testing.T) {
	host := registrytest.StartDistribution(t, true)
	registrytest.Login(t, host, registrytest.User, registrytest.Password)
	_, err := newClient(t, registry.Options{}).Get(t.Context(), parse(t, host+"/app:v1"))
	require.ErrorContains(t, err, "404 Not Found; MANIFEST_UNKNOWN: manifest unknown")

	registrytest.Login(t, host, registrytest.User, "wrong-"+registrytest.Password)
	_, err = newClient(t, registry.Options{}).Get(t.Context(), parse(t, host+"/app:v1"))
	require.ErrorContains(t, err, "401 Unauthorized; UNAUTHORIZED: authentication required")
	require.ErrorContains(t, err, "the credential from the file ")
	require.NotContains(t, err.Error(), registrytest.Password)
}
