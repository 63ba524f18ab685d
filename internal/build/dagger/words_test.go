package dagger_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/build/dagger"
	"github.com/slipway-ci/slipway/internal/fault"
	"github.com/slipway-ci/slipway/internal/gocommand"
	"github.com/slipway-ci/slipway/internal/registry"
	"github.com/slipway-ci/slipway/internal/test/registrytest"
)

func TestWords(t *testing.T) {
	for in, want := range map[string]string{
		"choose with --package, like --package ./cmd/api": "choose with --packages, like --packages ./cmd/api",
		"set --go 1.26.8": "set --go-version 1.26.8",
		"leave out --cgo, link it with --cgo=static":             "leave out --cgo, link it with --cgo STATIC",
		"add --runtime alpine, also to an image in --base":       "add --runtime ALPINE, also to an image in --base",
		"or choose --runtime distroless-base":                    "or choose --runtime DISTROLESS_BASE",
		"leave out --debug, or --platform linux/amd64":           "leave out --debugger, or --platforms linux/amd64",
		"give it by --tag: --repository r/a --tag v1":            "give it by --tags: --repository r/a --tags v1",
		"no flag, and a - b":                                     "no flag, and a - b",
		"leave the line break out of --env, --label and --stamp": "leave the line break out of --environment, --labels and --stamps",
	} {
		assert.Equal(t, want, dagger.Words(in))
	}
}

// Only what Slipway itself says is reworded, wherever it stands in an error.
func TestReword(t *testing.T) {
	faults := fault.Faults{
		{Field: "go", Value: "--go", Problem: "unknown", Hint: "choose another with --go"},
		{Field: "slipway.yaml:3: tag", Value: "x", Problem: "not a tag"},
	}
	failed := gocommand.NewError("compiling", "main.go:1: no --package: certificate signed by unknown authority", "", errors.New("exit status 1"))
	err := errors.Join(fmt.Errorf("all of --go: %w", faults), failed, fault.Sentence("leave out --port"), errors.New("--port"))
	assert.Equal(t, `all of --go: go-version "--go": unknown: choose another with --go-version
slipway.yaml:3: tag "x": not a tag
compiling: the Go command failed (exit status 1):
main.go:1: no --package: certificate signed by unknown authority
A server's certificate is not of a public authority: add the root that it is of with --ca-certs FILE.
leave out --ports
--port`, fault.Reword(err, dagger.Words))
}

// What is said of a registry that refuses a login, in terms of the module's arguments.
func TestWordsOfRefusedLogins(t *testing.T) {
	given := func(host string) []registry.Credentials {
		text, err := registry.LoginConfig(host+"/team/app", "me", "wrong-horse")
		require.NoError(t, err)
		return []registry.Credentials{{Config: text, From: "with-login"}}
	}
	config := func(text string) func(string) []registry.Credentials {
		return func(host string) []registry.Credentials {
			return []registry.Credentials{{Config: strings.ReplaceAll(text, "HOST", host), From: "--registry-config"}}
		}
	}
	for about, test := range map[string]struct {
		status int
		given  func(host string) []registry.Credentials
		want   string
	}{
		"wrong":     {401, given, `^publishing: 127\.0\.0\.1:\d+ refuses access to \S+ with the credential from with-login \(401 Unauthorized.*\): give a login that it accepts, by with-login or --registry-config$`},
		"none":      {401, config("{}"), `^publishing: 127\.0\.0\.1:\d+ refuses access to \S+ with no credential \(.*\): give a login that it accepts, by with-login or --registry-config$`},
		"nothing":   {401, func(string) []registry.Credentials { return nil }, `^publishing: 127\.0\.0\.1:\d+ refuses access to \S+ with no credential \(.*\): give a login that it accepts, by with-login or --registry-config$`},
		"no right":  {403, given, `with the credential from with-login: \S+ \(403 Forbidden.*\): give that account the right to the repository, or use another: give a login that it accepts, by with-login or --registry-config$`},
		"not there": {404, given, `create the repository if \S+ wants that first, or give a login that it accepts, by with-login or --registry-config$`},
		"too many":  {429, given, `raise the limit with a login, or pull through a mirror$`},
		"helper":    {401, config(`{"credsStore":"missing"}`), `^publishing: the login for 127\.0\.0\.1:\d+ cannot be read from the helper docker-credential-missing: .*: give a config\.json that has the login itself, or call with-login$`},
	} {
		t.Run(about, func(t *testing.T) {
			err := fmt.Errorf("publishing: %w", refusal(t, test.status, test.given))
			text := fault.Reword(err, dagger.Words)
			assert.Regexp(t, test.want, text)
			for _, not := range []string{"Go command", "GOPRIVATE", "DOCKER_", "docker login", "\n", "wrong-horse"} {
				assert.NotContains(t, text, not)
			}
		})
	}
}

// refusal is the error where a registry answers with a status.
func refusal(t *testing.T, status int, given func(host string) []registry.Credentials) error {
	t.Helper()
	host := registrytest.Start(t, registrytest.Fault{
		When: registrytest.On("", "/team/"), Do: registrytest.Answer(status, "UNAUTHORIZED", "authentication required", `Www-Authenticate: Basic realm="test"`),
	}).Host
	registrytest.NoLogin(t)
	client, err := registry.New(registry.Options{Credentials: given(host), Bounds: registry.Bounds{Tries: 1}})
	require.NoError(t, err)
	defer client.Close()
	ref, err := name.ParseReference(host + "/team/app:v1")
	require.NoError(t, err)
	_, err = client.Get(t.Context(), ref)
	require.Error(t, err)
	return err
}
