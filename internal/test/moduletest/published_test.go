//go:build dagger_e2e

package moduletest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What publish returns is the image: its tags, its platforms, and a container. In one session the same call pushes once.
func TestPublished(t *testing.T) {
	repository := os.Getenv("SLIPWAY_E2E_REPOSITORY")
	if repository == "" {
		t.Skip("SKIPPED: set SLIPWAY_E2E_REPOSITORY to a repository to publish to")
	}
	dir := user(t)
	publish := []string{"publish", "--repository", repository, "--tags", "v1,v2"}
	for _, test := range []struct {
		ask  []string
		want string
	}{
		{[]string{"digest"}, "sha256:"},
		{[]string{"tags"}, "v1\nv2"},
		{[]string{"platforms"}, "linux/amd64\nlinux/arm64"},
		{[]string{"container", "entrypoint"}, "/app/http-server"},
		{[]string{"container", "--platform", "linux/arm64", "platform"}, "linux/arm64"},
		{[]string{"sboms", "entries"}, ""},
	} {
		out, said, err := call(t, dir, slices.Concat([]string{"call", "--runtime", "SCRATCH"}, publish, test.ask)...)
		require.NoError(t, err, "%v: %s", test.ask, said)
		assert.Contains(t, out, test.want, test.ask)
	}
	words := "with-runtime SCRATCH | " + strings.Join(publish, " ")
	out, said, err := call(t, dir, "-c", words+" | digest; "+words+" | reference")
	require.NoError(t, err, said)
	_, digest, _ := strings.Cut(out, "@")
	require.NotEmpty(t, digest, out)
	assert.Equal(t, 2, strings.Count(out, strings.TrimSpace(digest)), out)
	assert.Equal(t, 1, strings.Count(said, "published "+repository), said)
	// Nothing is pushed without a repository.
	vulndb := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(vulndb, "index"), 0o755))
	for name, text := range map[string]string{"db.json": `{"modified": "2026-01-01T00:00:00Z"}`, "modules.json": "[]", "vulns.json": "[]"} {
		require.NoError(t, os.WriteFile(filepath.Join(vulndb, "index", name), []byte(text), 0o644))
	}
	out, said, err = call(t, dir, "call", "--runtime", "SCRATCH", "--vulndb-files", vulndb, "with-platforms", "--platforms", "linux/arm64", "ci", "platforms")
	require.NoError(t, err, said)
	assert.Equal(t, "linux/arm64", strings.TrimSpace(out))
}
