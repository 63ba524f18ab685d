package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const repository = "../../../.."

func TestIncludeIsCurrent(t *testing.T) {
	text, err := os.ReadFile(repository + "/dagger.json")
	require.NoError(t, err)
	want, err := generate(repository, text)
	require.NoError(t, err)
	assert.Equal(t, string(want), string(text), "run go generate ./internal/test/moduletest")
}

func TestModuleTOMLIsCurrent(t *testing.T) {
	text, err := os.ReadFile(repository + "/dagger.json")
	require.NoError(t, err)
	want, err := moduleTOML(text)
	require.NoError(t, err)
	got, err := os.ReadFile(repository + "/dagger-module.toml")
	require.NoError(t, err)
	assert.Equal(t, string(want), string(got), "run go generate ./internal/test/moduletest")
}

// What dagger-module.toml would not have is an error.
func TestModuleTOMLHasAll(t *testing.T) {
	_, err := moduleTOML([]byte(`{"name": "slipway", "dependencies": []}`))
	require.ErrorContains(t, err, "dependencies")
}

// Only the list changes.
func TestGenerate(t *testing.T) {
	patterns, err := patterns(repository)
	require.NoError(t, err)
	require.Contains(t, patterns, "internal/plan/*.go")
	text, err := generate(repository, []byte("{\n  \"name\": \"slipway\",\n  \"include\": [\n    \"old\"\n  ],\n  \"sdk\": {\"source\": \"go\"}\n}\n"))
	require.NoError(t, err)
	assert.Contains(t, string(text), "{\n  \"name\": \"slipway\",\n  \"include\": [\n    \"go.mod\",\n")
	assert.Contains(t, string(text), "    \"!**/*_test.go\"\n  ],\n  \"sdk\": {\"source\": \"go\"}\n}\n")
	assert.NotContains(t, string(text), "old")
	_, err = generate(repository, []byte("{}"))
	require.Error(t, err)
}
