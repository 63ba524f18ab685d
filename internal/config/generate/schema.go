package main

import (
	"encoding/json"
	"strings"

	"github.com/slipway-ci/slipway/internal/config"
	"github.com/slipway-ci/slipway/internal/plan"
)

type object map[string]any

// schema is the JSON schema of slipway.yaml, for editors.
func schema() ([]byte, error) {
	properties := object{}
	for _, s := range config.Settings() {
		p := shape(s)
		p["description"] = sentences(s, s.Help, s.More)
		properties[s.Key()] = p
	}
	properties["package"] = object{"description": "The main package to build, where there is one.", "type": "string"}
	defaults := object{}
	for key, p := range properties {
		if key != "name" {
			defaults[key] = p
		}
	}
	schema := object{
		"$schema":     "http://json-schema.org/draft-07/schema#",
		"title":       config.File,
		"description": "The images of a Go module or workspace, as Slipway builds them.",
		"type":        "object", "additionalProperties": false, "required": []string{"images"},
		"properties": object{
			"defaults": object{
				"description": "Settings of all images that do not have them themselves. Of settings that are mappings, such as labels, each pair counts alone.",
				"type":        "object", "additionalProperties": false, "properties": defaults,
			},
			"images": object{
				"description": "The images.", "type": "array", "minItems": 1,
				"items": object{"type": "object", "additionalProperties": false, "required": []string{"name"}, "properties": properties},
			},
		},
	}
	text, err := json.MarshalIndent(schema, "", "  ")
	return append(text, '\n'), err
}

// scalar is what YAML writes without quotes.
var scalar = []string{"string", "number", "boolean"}

// shape is the type of the setting's values.
func shape(s plan.Setting) object {
	switch s.In(&config.Image{}).Interface().(type) {
	case bool:
		return object{"type": "boolean"}
	case string:
		if !s.Enum {
			return object{"type": scalar}
		}
		values := []any{}
		for _, choice := range s.Choices {
			values = append(values, choice.Value)
		}
		if s.Alone != "" {
			values = append(values, "true", "false", true, false)
		}
		return object{"enum": values}
	case plan.Pairs:
		return object{"type": "object", "additionalProperties": object{"type": scalar}}
	}
	return object{"oneOf": []object{{"type": scalar}, {"type": "array", "items": object{"type": scalar}}}}
}

// sentences are a setting's help, in sentences.
func sentences(s plan.Setting, clauses ...string) string {
	var text strings.Builder
	sentence := func(clause string) {
		if clause != "" {
			text.WriteString(strings.ToUpper(clause[:1]) + clause[1:] + ". ")
		}
	}
	for _, clause := range clauses {
		sentence(clause)
	}
	if s.Template {
		sentence("a template")
	}
	if s.Default != "" {
		sentence("default: " + s.Default)
	}
	return strings.TrimSpace(text.String())
}
