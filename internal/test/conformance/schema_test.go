package conformance

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/slipway-ci/slipway/internal/config"
)

// What editors say of slipway.yaml by its schema is what Slipway says of its form.
func TestSchemaOfProjects(t *testing.T) {
	schema, err := jsonschema.Compile("../../../docs/slipway.schema.json")
	require.NoError(t, err)
	texts := map[string]bool{
		"images: [{name: a, package: ./a}]":                      true,
		"images: [{name: a, packages: ./a, go: 1.26, ports: 8}]": true,
		"images: [{name: a, env: {A: 1}, debug: true}]":          true,
		"defaults: {cgo: static}\nimages: [{name: a}]":           true,
		"images: []":                               false,
		"defaults: {}":                             false,
		"images: [{package: ./a}]":                 false,
		"images: [{name: a, port: 80}]":            false,
		"images: [{name: a, debug: 'yes'}]":        false,
		"images: [{name: a, labels: [a=b]}]":       false,
		"images: [{name: a, ports: {a: 1}}]":       false,
		"images: [{name: a, base: [b]}]":           false,
		"defaults: {name: a}\nimages: [{name: a}]": false,
		"images: [{name: a}]\nmore: 1":             false,
	}
	pages, err := filepath.Glob("../../../docs/*.md")
	require.NoError(t, err)
	documented := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		for _, block := range regexp.MustCompile("(?s)```yaml\n(# (?:yaml-language-server|slipway.yaml\n).*?)```").FindAllSubmatch(text, -1) {
			documented++
			texts[string(block[1])] = true
		}
	}
	assert.GreaterOrEqual(t, documented, 4, "files in the documentation")

	for text, want := range texts {
		_, err := config.Parse([]byte(text))
		assert.Equal(t, want, err == nil, "%s: %v", text, err)

		var parsed any
		require.NoError(t, yaml.Unmarshal([]byte(text), &parsed))
		data, err := json.Marshal(parsed)
		require.NoError(t, err)
		var value any
		require.NoError(t, json.Unmarshal(data, &value))
		err = schema.Validate(value)
		assert.Equal(t, want, err == nil, "%s: %v", text, err)
	}
}
