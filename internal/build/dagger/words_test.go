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
	"github.com/slipway-ci/slipway/internal/gocommand"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/publish/target"
	"github.com/slipway-ci/slipway/internal/registry"
	"github.com/slipway-ci/slipway/internal/test/daggertest"
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
	faults := plan.Faults{
		{Field: "go", Value: "--go", Problem: "unknown", Hint: "choose another with --go"},
		{Field: "slipway.yaml:3: tag", Value: "x", Problem: "not a tag"},
	}
	failed := gocommand.NewError("compiling", "main.go:1: no --package: certificate signed by unknown authority", "", errors.New("exit status 1"))
	err := errors.Join(fmt.Errorf("all of --go: %w", faults), failed, plan.Sentence("leave out --port"), errors.New("--port"))
	assert.Equal(t, `all of --go: go-version "--go": unknown: choose another with --go-version
slipway.yaml:3: tag "x": not a tag
compiling: the Go command failed (exit status 1):
main.go:1: no --package: certificate signed by unknown authority
A server's certificate is not of a public authority: add the root that it is of with --ca-certs FILE.
leave out --ports
--port`, plan.Reword(err, dagger.Words))
}

// What the command says of a registry that refuses a login, in terms of the module's arguments, and once.
func TestPublishWithWrongPassword(t *testing.T) {
	for about, test := range map[string]struct {
		status int
		login  string
		want   string
	}{
		"wrong":    {401, `{"auths": {"HOST": {"auth": "bWU6d3JvbmctaG9yc2U="}}}`, `^publishing: 127\.0\.0\.1:\d+ refuses access to \S+ with --username and --password \(401 Unauthorized.*\): give --username and --password that it accepts$`},
		"none":     {401, `{}`, `^publishing: 127\.0\.0\.1:\d+ refuses access to \S+ with no credential \(.*\): give --username and --password that it accepts$`},
		"no right": {403, `{"auths": {"HOST": {"auth": "bWU6d3JvbmctaG9yc2U="}}}`, `with --username and --password: \S+ \(403 Forbidden.*\): give that account the right to the repository, or use another: give --username and --password that it accepts$`},
	} {
		t.Run(about, func(t *testing.T) {
			printed := "  0.1s push …\n  0.2s push failed after 0.1s: 401 Unauthorized\nslipway: " + refusal(t, test.status, test.login) + "\n"
			dir := program(t)
			p := resolve(t, dir, plan.Config{Runtime: "scratch"})
			compiled := compiles(dir, p)
			daggertest.Start(t, func(c daggertest.Chain) (any, error) {
				switch last := c[len(c)-1]; last.Name {
				case "plaintext":
					return "wrong-horse", nil
				case "exitCode":
					return 1, nil
				case "contents":
					if len(c.Named("file")) > 0 && c.Named("file")[0].Args["path"] == "/tmp/printed" {
						return printed, nil
					}
				}
				return compiled(c)
			})
			client := connect(t)
			build := dagger.New(client, client.Host().Directory(dir), p, dagger.Private{})
			login := &dagger.Login{User: "u", Password: client.SetSecret("password", "wrong-horse")}
			_, err := build.PublishWithProof(t.Context(), target.Target{Repository: "registry.example/team/app"}, login, dagger.Proof{
				Slipway: client.Directory(), SBOM: "none",
			})
			require.Error(t, err)
			text := plan.Reword(err, dagger.Words)
			assert.Regexp(t, test.want, text)
			for _, not := range []string{"Go command", "GOPRIVATE", "DOCKER_", "docker login", "\n"} {
				assert.NotContains(t, text, not)
			}
		})
	}
}

// What the engine's errors are for a registry that refuses a login, in terms of the module's arguments: with a status, and as
// containerd words it where the registry asks for a login by a challenge.
func TestPushRefused(t *testing.T) {
	const ref = "registry.example/team/app"
	for said, refused := range map[string]bool{
		"push access denied, repository does not exist or may require authorization: authorization failed: no basic auth credentials": true,
		"server message: insufficient_scope: authorization failed":                                                                    true,
		"unexpected status from HEAD request to https://registry.example/v2/team/app: 403 Forbidden":                                  true,
		"failed to fetch anonymous token: unexpected status from GET request: 401 Unauthorized":                                       true,
		"connection refused": false,
	} {
		t.Run(said, func(t *testing.T) {
			dir := program(t)
			p := resolve(t, dir, plan.Config{Runtime: "scratch"})
			compiled := compiles(dir, p)
			daggertest.Start(t, func(c daggertest.Chain) (any, error) {
				if c[len(c)-1].Name == "publish" {
					return nil, errors.New(said)
				}
				return compiled(c)
			})
			client := connect(t)
			build := dagger.New(client, client.Host().Directory(dir), p, dagger.Private{})
			to := target.Target{Repository: ref, Tags: []string{"v1"}}
			_, err := build.Publish(t.Context(), to, nil)
			require.ErrorContains(t, err, "pushing to "+ref+":v1: ")
			require.ErrorContains(t, err, said)
			advised := strings.HasSuffix(err.Error(), ": give --username and --password, or log in with docker login where the dagger command runs")
			assert.Equal(t, refused, advised, err)
			_, err = build.Publish(t.Context(), to, &dagger.Login{User: "u", Password: client.SetSecret("password", "wrong-horse")})
			require.ErrorContains(t, err, said)
			assert.Equal(t, refused, strings.Contains(err.Error(), ":v1: the registry refuses --username and --password: "), err)
			assert.NotContains(t, err.Error(), "docker login")
		})
	}
}

// refusal is the command's error where a registry answers with a status.
func refusal(t *testing.T, status int, login string) string {
	t.Helper()
	host := registrytest.Start(t, registrytest.Fault{
		When: registrytest.On("", "/team/"), Do: registrytest.Answer(status, "UNAUTHORIZED", "authentication required", `Www-Authenticate: Basic realm="test"`),
	}).Host
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	t.Setenv("REGISTRY_AUTH_FILE", "")
	t.Setenv("DOCKER_AUTH_CONFIG", strings.ReplaceAll(login, "HOST", host))
	client, err := registry.New(registry.Options{})
	require.NoError(t, err)
	defer client.Close()
	ref, err := name.ParseReference(host + "/team/app:v1")
	require.NoError(t, err)
	_, err = client.Get(t.Context(), ref)
	require.Error(t, err)
	return err.Error()
}
