package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRender(t *testing.T) {
	got, err := render([]string{"1.5.3", "1.20.14", "1.21rc2", "1.21.0", "1.21.13", "1.21.2", "1.30.0", "1.9.7", "1.21"})
	require.NoError(t, err)
	assert.Contains(t, string(got), "map[string]int{\n\t\"1.21\": 13,\n\t\"1.30\": 0,\n}\n")
	_, err = render([]string{"1.26rc1"})
	assert.ErrorContains(t, err, "no release of Go")
}
