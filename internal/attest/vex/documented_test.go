package vex_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/attest/vex"
	"github.com/slipway-ci/slipway/internal/test/documented"
)

// The document in docs/checks.md is one that suppresses something.
func TestDocumentedSuppression(t *testing.T) {
	text, err := os.ReadFile("../../../docs/checks.md")
	require.NoError(t, err)
	found := 0
	for _, block := range documented.Blocks(string(text)) {
		if block.Language == "json" {
			found++
			statements, err := vex.ParseSuppressions("docs/checks.md", strings.Join(block.Lines, "\n"))
			require.NoError(t, err)
			assert.Len(t, statements, 1)
		}
	}
	assert.Equal(t, 1, found)
}
