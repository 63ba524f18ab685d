// Command schema writes the JSON schema of slipway.yaml, for editors: go generate ./internal/config
package main

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/slipway-ci/slipway/internal/config"
	"github.com/slipway-ci/slipway/internal/plan"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: schema ROOT FILE")
		os.Exit(2)
	}
	text, err := write(os.Args[1])
	if err == nil {
		err = os.WriteFile(os.Args[2], text, 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type object map[string]any

// write makes the schema. Descriptions are the comments of the settings, in the repository at root.
func write(root string) ([]byte, error) {
	comments := map[string]string{}
	for _, file := range []string{"internal/plan/config.go", "internal/config/project.go"} {
		if err := readComments(filepath.Join(root, filepath.FromSlash(file)), comments); err != nil {
			return nil, err
		}
	}
	properties := object{}
	for key, field := range config.Fields() {
		p := shape(field, key)
		if comments[field.Name] == "" {
			return nil, fmt.Errorf("%s has no comment", field.Name)
		}
		p["description"] = key + strings.TrimPrefix(comments[field.Name], field.Name)
		properties[key] = p
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
				"description": "Settings of all images that do not have them themselves. Of environment, labels, annotations and stamps each pair counts alone.",
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

func shape(field reflect.StructField, key string) object {
	enums := map[string][]string{"runtime": plan.Runtimes(), "cgo": {"dynamic", "static", "true", "false"}}
	switch {
	case enums[key] != nil:
		var values []any
		for _, v := range enums[key] {
			values = append(values, v)
		}
		if key == "cgo" {
			values = append(values, true, false)
		}
		return object{"enum": values}
	case field.Type.Kind() == reflect.Bool:
		return object{"type": "boolean"}
	case field.Type.Kind() == reflect.String:
		return object{"type": scalar}
	case slices.Contains(config.Pairs, key):
		return object{"type": "object", "additionalProperties": object{"type": scalar}}
	}
	return object{"oneOf": []object{{"type": scalar}, {"type": "array", "items": object{"type": scalar}}}}
}

// readComments reads the comments of structs' fields.
func readComments(file string, comments map[string]string) error {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
	if err != nil {
		return err
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		if t, ok := n.(*ast.TypeSpec); ok && t.Name.Name != "Config" && t.Name.Name != "Image" {
			return false
		}
		if field, ok := n.(*ast.Field); ok {
			for _, name := range field.Names {
				text := field.Doc.Text()
				if text == "" { // the first of a group has the comment
					continue
				}
				comments[name.Name] = strings.Join(strings.Fields(strings.NewReplacer("[Facts]", "the README", "[plan.Facts]", "the README", "[Runtimes]", "the README").Replace(text)), " ")
			}
		}
		return true
	})
	return nil
}
