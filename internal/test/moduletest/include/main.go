// Command include writes the list include of dagger.json: the directories of the repository that the module's imports lead to. Dagger 1.0 reads
// dagger-module.toml instead, which it writes with the same content. Call it by: go generate ./internal/test/moduletest
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const root = "github.com/slipway-ci/slipway"

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: include ROOT")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// write writes the list into the dagger.json of the repository at dir, and its dagger-module.toml.
func write(dir string) error {
	file := filepath.Join(dir, "dagger.json")
	was, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	text, err := generate(dir, was)
	if err != nil {
		return fmt.Errorf("generating the include of %s: %w", file, err)
	}
	module, err := moduleTOML(text)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return errors.Join(os.WriteFile(file, text, 0o644), os.WriteFile(filepath.Join(dir, "dagger-module.toml"), module, 0o644))
}

// moduleTOML is the text of a dagger.json as dagger-module.toml, to the byte as Dagger 1.0 writes it.
func moduleTOML(text []byte) ([]byte, error) {
	var config struct {
		Name          string
		EngineVersion string
		SDK           struct{ Source string }
		Source        string
		Include       []string
		Codegen       struct{ AutomaticGitignore bool }
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields() // what is not written below would be lost
	if err := decoder.Decode(&config); err != nil {
		return nil, err
	}
	var include []string
	for _, pattern := range config.Include {
		include = append(include, strconv.Quote(pattern))
	}
	return fmt.Appendf(nil, "name = %q\nengineVersion = %q\ninclude = [%s]\nsource = %q\n\n[runtime]\n  source = %q\n\n[codegen]\n  automaticGitignore = %t\n",
		config.Name, config.EngineVersion, strings.Join(include, ", "), config.Source, config.SDK.Source, config.Codegen.AutomaticGitignore), nil
}

// include is the list in the text of a dagger.json.
var include = regexp.MustCompile(`"include": \[[^\]]*\]`)

// generate puts the list of the repository at dir into the text of its dagger.json.
func generate(dir string, config []byte) ([]byte, error) {
	patterns, err := patterns(dir)
	if err != nil {
		return nil, err
	}
	list, err := json.MarshalIndent(patterns, "  ", "  ")
	if err != nil {
		return nil, err
	}
	if !include.Match(config) {
		return nil, errors.New("it has none")
	}
	return include.ReplaceAllLiteral(config, append([]byte(`"include": `), list...)), nil
}

// patterns are those of the Go files that the module is compiled from, besides its own.
func patterns(dir string) ([]string, error) {
	// The bindings that the SDK generates are absent, which -e permits, and lead nowhere else.
	imports, err := list(filepath.Join(dir, "ci"), "-e", "-f", `{{join .Imports "\n"}}`, ".")
	if err != nil {
		return nil, err
	}
	var ours []string
	for _, path := range imports {
		if path == root || strings.HasPrefix(path, root+"/internal/") {
			ours = append(ours, path)
		}
	}
	dependencies, err := list(dir, append([]string{"-deps"}, ours...)...)
	if err != nil {
		return nil, err
	}
	slices.Sort(dependencies)
	all := []string{"go.mod", "go.sum", "*.go"}
	for _, path := range dependencies {
		if below, ok := strings.CutPrefix(path, root+"/"); ok {
			all = append(all, below+"/*.go")
		}
	}
	return append(all, "!**/*_test.go"), nil
}

// list is the output of go list in dir, as words.
func list(dir string, args ...string) ([]string, error) {
	cmd := exec.Command("go", append([]string{"list"}, args...)...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		err = fmt.Errorf("%w: %s", err, exit.Stderr)
	}
	if err != nil {
		return nil, err
	}
	return strings.Fields(string(out)), nil
}
