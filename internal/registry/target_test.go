package registry_test

import (
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/slipway-ci/slipway/internal/registry"
)

func TestValidTargets(t *testing.T) {
	for _, repository := range []string{
		"ghcr.io/owner/app", "localhost/app", "localhost:5000/app", "127.0.0.1:5000/a/b/c", "docker.io/owner/app", "owner/app",
		"registry.example:443/a__b/c-d.e", "[::1]:5000/app",
	} {
		require.Empty(t, registry.Target{Repository: repository, Tags: []string{"v1", "latest", "_x", "A.b-c_1"}}.Validate(), repository)
	}
}

func TestRepositoryFaults(t *testing.T) {
	for repository, says := range map[string][]string{
		"":                                    {`repository: there is none: write HOST/OWNER/NAME`},
		"app":                                 {"names no registry and repository: write HOST/OWNER/NAME"},
		"app:v1":                              {"names no registry and repository"},
		"https://ghcr.io/owner/app":           {"it is a URL: write it without the scheme: ghcr.io/owner/app"},
		"ghcr.io/Owner/App":                   {"repository names are lower case: use ghcr.io/owner/app"},
		"Owner/App":                           {"repository names are lower case: use owner/app"},
		"ghcr.io/owner/app:v1":                {"it has a tag: give it by --tag: --repository ghcr.io/owner/app --tag v1"},
		"ghcr.io/owner/app@sha256:" + zeroes:  {"it has a digest, which only the finished image decides: leave it out: ghcr.io/owner/app"},
		"ghcr.io/owner/my app":                {"it has characters that no repository name has"},
		"ghcr.io/owner//app":                  {"it has characters that no repository name has"},
		"ghcr.io/owner/app/":                  {"it has characters that no repository name has"},
		"ghcr.io/-app":                        {"it has characters that no repository name has"},
		"ghcr.io/" + strings.Repeat("a", 256): {"its path has 256 characters: use 255 at most"},
		"ghcr .io/app":                        {"its host is not valid"},
		"ghcr.io/Owner/App:v1@sha256:" + zeroes: {
			"it has a digest", "it has a tag: give it by --tag: --repository ghcr.io/Owner/App --tag v1",
			"repository names are lower case: use ghcr.io/owner/app",
		},
	} {
		faults := registry.Target{Repository: repository}.Validate()
		require.Len(t, faults, len(says), "%s: %v", repository, faults)
		for i, f := range faults {
			require.ErrorContains(t, f, says[i])
			require.Equal(t, "repository", f.Field)
			require.Equal(t, repository, f.Value)
		}
	}
}

func TestTagFaults(t *testing.T) {
	for tag, hint := range map[string]string{
		"":                       "use one such as v1.2.3",
		"+":                      "use one such as v1.2.3",
		"v1.2.3+build.5":         `use "v1.2.3-build.5"`,
		"feature/x":              `use "feature-x"`,
		"-v1":                    `use "v1"`,
		strings.Repeat("a", 129): `use "` + strings.Repeat("a", 128) + `"`,
	} {
		faults := registry.Target{Repository: "ghcr.io/owner/app", Tags: []string{"ok", tag}}.Validate()
		require.Len(t, faults, 1, tag)
		require.Equal(t, "tag", faults[0].Field)
		require.Equal(t, hint, faults[0].Hint)
	}
	require.Len(t, registry.Target{Repository: "App", Tags: []string{"a b", "c d"}}.Validate(), 3, "all at once")
}

// What is valid here, go-containerregistry takes; what is suggested instead of a tag is one.
func TestValidTargetsParse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		destination := registry.Target{
			Repository: rapid.StringMatching(`(ghcr\.io/|localhost:5000/|)[a-z0-9A-Z._/:@-]{0,20}`).Draw(t, "repository"),
			Tags:       []string{rapid.String().Draw(t, "tag")},
		}
		faulty := map[string]bool{}
		for _, f := range destination.Validate() {
			faulty[f.Field] = true
			if suggested, ok := strings.CutPrefix(f.Hint, `use "`); ok && f.Field == "tag" {
				require.Empty(t, registry.Target{Repository: "a/b", Tags: []string{strings.TrimSuffix(suggested, `"`)}}.Validate())
			}
		}
		if !faulty["repository"] {
			_, err := name.NewRepository(destination.Repository)
			require.NoError(t, err)
		}
		if !faulty["tag"] {
			_, err := name.NewTag("ghcr.io/owner/app:" + destination.Tags[0])
			require.NoError(t, err)
		}
	})
}

const zeroes = "0000000000000000000000000000000000000000000000000000000000000000"

// A login in the wrong place is not printed.
func TestValidateHidesALogin(t *testing.T) {
	for _, value := range []string{"https://me:hunter2@registry.example/app", "me:hunter2@registry.example/app", "me:hunter2@registry.example"} {
		faults := registry.Target{Repository: value}.Validate()
		require.Len(t, faults, 1, value)
		require.NotContains(t, faults[0].Error(), "hunter2")
		require.Contains(t, faults[0].Error(), "docker login")
	}
	require.Contains(t, registry.Target{Repository: "app@sha256:aaaa"}.Validate()[0].Error(), "digest")
}
