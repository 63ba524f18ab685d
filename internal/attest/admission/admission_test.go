package admission

import (
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func policy(t *testing.T, repositories ...string) Policy {
	t.Helper()
	var p Policy
	for _, text := range repositories {
		repository, err := name.NewRepository(text)
		require.NoError(t, err)
		p.Repositories = append(p.Repositories, repository)
	}
	return p
}

// A policy has a name that a cluster accepts, whatever the repository is called.
func TestName(t *testing.T) {
	assert.Equal(t, "slipway-me-my-api-v2", policy(t, "ghcr.io/me/my__api.v2").metadata().Name)
	long := policy(t, "ghcr.io/"+strings.Repeat("x", 54)+"-/api", "ghcr.io/me/api").metadata().Name
	assert.Equal(t, "slipway-"+strings.Repeat("x", 54), long, "63 characters at most, and no dash in the end")
}

// The patterns match a repository by any tag or digest, and not one whose name only begins as its does.
func TestPatterns(t *testing.T) {
	p := policy(t, "ghcr.io/me/b", "ghcr.io/me/a", "ghcr.io/me/b", "docker.io/me/a")
	assert.Equal(t, []string{"docker.io/me/a:*", "docker.io/me/a@*", "ghcr.io/me/a:*", "ghcr.io/me/a@*", "ghcr.io/me/b:*", "ghcr.io/me/b@*"}, p.patterns("docker.io"))
}
