package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheSchemaInTheRepositoryIsCurrent(t *testing.T) {
	want, err := write("../../..")
	require.NoError(t, err)
	got, err := os.ReadFile("../../../docs/slipway.schema.json")
	require.NoError(t, err)
	assert.Equal(t, string(want), string(got), "run go generate ./internal/config")
}
