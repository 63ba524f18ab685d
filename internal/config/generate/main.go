// Command generate writes what follows from the table of settings: the JSON schema of slipway.yaml, the page of settings, and the
// constructor of the Dagger module. Call it by: go generate ./internal/config
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: generate ROOT")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// files are what is generated, by its path in the repository.
var files = map[string]func() ([]byte, error){
	"docs/slipway.schema.json": schema,
	"docs/settings.md":         page,
	"ci/settings.gen.go":       constructor,
}

// write writes the files of the repository at root.
func write(root string) error {
	for path, content := range files {
		text, err := content()
		if err != nil {
			return fmt.Errorf("generating %s: %w", path, err)
		}
		if err := os.WriteFile(filepath.Join(root, filepath.FromSlash(path)), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
