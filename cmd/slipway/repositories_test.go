package main

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// published is a repository that a script publishes to, as far as that is not refused.
var published = regexp.MustCompile(`(?m)^(?:exec|exits 1) slipway publish .*--repository \$REGISTRY/(\S+)`)

// No script moves the tags of another one.
func TestScriptsHaveRepositoriesOfTheirOwn(t *testing.T) {
	scripts, err := filepath.Glob("testdata/script/*.txtar")
	require.NoError(t, err)
	of := map[string]string{}
	for _, script := range scripts {
		text, err := os.ReadFile(script)
		require.NoError(t, err)
		for _, match := range published.FindAllStringSubmatch(string(text), -1) {
			if other, ok := of[match[1]]; ok {
				assert.Equal(t, other, script, match[1])
			}
			of[match[1]] = script
			assert.NotRegexp(t, "^(distroless|library)/", match[1], "%s: others build on it", script)
		}
	}
	assert.Greater(t, len(of), 10)
}
