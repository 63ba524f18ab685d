package moduletest

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// function is a function of the module as the dagger command has it: the type of each flag.
type function map[string]string

// functions are the module's, by their names there, and the values of its enumerations; "" is the constructor, and a result of "Slipway"
// says that a function of the module may follow.
func functions(t *testing.T) (all map[string]function, values map[string][]string) {
	t.Helper()
	all, values = map[string]function{}, map[string][]string{}
	for _, file := range sources(t) {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		require.NoError(t, err)
		for _, decl := range parsed.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				name := kebab(d.Name.Name)
				if d.Recv == nil && d.Name.Name == "New" {
					name = ""
				} else if receiver(d) != "Slipway" || !d.Name.IsExported() {
					continue
				}
				all[name] = function{}
				if pointer, ok := d.Type.Results.List[0].Type.(*ast.StarExpr); ok {
					if id, ok := pointer.X.(*ast.Ident); ok {
						all[name][result] = id.Name
					}
				}
				for _, p := range d.Type.Params.List {
					of := ""
					if id, ok := p.Type.(*ast.Ident); ok {
						of = id.Name
					}
					for _, n := range p.Names {
						all[name][kebab(n.Name)] = of
					}
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if v, ok := spec.(*ast.ValueSpec); ok && d.Tok == token.CONST && v.Type != nil {
						of := v.Type.(*ast.Ident).Name
						values[of] = append(values[of], strings.Trim(v.Values[0].(*ast.BasicLit).Value, `"`))
					}
				}
			}
		}
	}
	return all, values
}

// result is where a function has the name of the module's type that it returns.
const result = "(result)"

// receiver is the type that a function is a method of; empty for none.
func receiver(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return ""
	}
	of := d.Recv.List[0].Type
	if pointer, ok := of.(*ast.StarExpr); ok {
		of = pointer.X
	}
	return of.(*ast.Ident).Name
}

// kebab is how the dagger command spells a name.
func kebab(name string) string {
	var b strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('-')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// wrong says what is wrong with the words of a call: flags of the constructor, a function, its flags, and whatever may be
// called upon its result.
func wrong(words []string, all map[string]function, values map[string][]string) string {
	at, chained := "", false
	for i := 0; i < len(words); i++ {
		name, isFlag := strings.CutPrefix(words[i], "--")
		switch {
		case chained:
		case words[i] == "-o":
			i++
		case !isFlag && at != "" && all[at][result] != "Slipway":
			chained = true
		case !isFlag:
			if at = words[i]; all[at] == nil {
				return "no function " + at
			}
		default:
			of, known := all[at][name]
			if !known {
				return "no flag --" + name + " of " + at
			}
			if of == "bool" {
				continue
			}
			if i++; i == len(words) {
				return "no value of --" + name
			}
			if values[of] != nil && !slices.Contains(values[of], words[i]) {
				return "no " + of + " " + words[i]
			}
		}
	}
	if at == "" {
		return "no function"
	}
	return ""
}

var slipCall = regexp.MustCompile("(?m)^(?:slip|dagger -m github.com/slipway-ci/slipway) call ([^\x60#\n|&]+)")

// Every call in the documentation names functions, flags and values that the module has.
func TestDocumentedCalls(t *testing.T) {
	all, values := functions(t)
	calls := 0
	pages, err := filepath.Glob("../../../docs/*.md")
	require.NoError(t, err)
	for _, page := range append(pages, "../../../README.md") {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		for _, match := range slipCall.FindAllStringSubmatch(string(text), -1) {
			calls++
			assert.Empty(t, wrong(strings.Fields(match[1]), all, values), match[1])
		}
	}
	assert.Greater(t, calls, 15)
	for call, want := range map[string]string{
		"--nosuch x build": "no flag --nosuch of ", "--runtime alpine build": "no Runtime alpine", "--debugger bulid": "no function bulid",
		"publish --tag v1": "no flag --tag of publish", "--user": "no value of --user", "--debugger": "no function",
		"--debugger --ca-certs a.pem build terminal --any": "", "--git-host a publish --tags v1": "", "image-archive -o x": "",
		"with-login --username me --password env:TOKEN publish --tags v1 reference": "", "with-login --user me publish": "no flag --user of with-login",
		"with-login --username me reference": "no function reference",
	} {
		assert.Equal(t, want, wrong(strings.Fields(call), all, values), call)
	}
}

// toolchain is a dagger.json with this module as a toolchain whose arguments are set.
type toolchain struct {
	Name          string `json:"name"`
	EngineVersion string `json:"engineVersion"`
	Toolchains    []struct {
		Name           string          `json:"name"`
		Source         string          `json:"source"`
		Customizations []customization `json:"customizations"`
	} `json:"toolchains"`
}

type customization struct {
	Argument string `json:"argument"`
	Default  string `json:"default"`
}

// documentedToolchain is the one in the documentation.
func documentedToolchain(t *testing.T) (config toolchain) {
	t.Helper()
	page, err := os.ReadFile("../../../docs/dagger.md")
	require.NoError(t, err)
	block := regexp.MustCompile("(?s)```json\n(\\{.*?\n\\})\n```").FindSubmatch(page)
	require.NotNil(t, block)
	decoder := json.NewDecoder(bytes.NewReader(block[1]))
	decoder.DisallowUnknownFields()
	require.NoError(t, decoder.Decode(&config))
	require.Len(t, config.Toolchains, 1)
	return config
}

// The arguments that the documentation sets for a toolchain are the module's, and their values are of their types.
func TestDocumentedToolchain(t *testing.T) {
	all, values := functions(t)
	set := documentedToolchain(t).Toolchains[0].Customizations
	require.NotEmpty(t, set)
	enumerations := 0
	for _, c := range set {
		of, known := all[""][c.Argument]
		assert.True(t, known, c.Argument)
		if values[of] != nil {
			enumerations++
			var value string
			require.NoError(t, json.Unmarshal([]byte(c.Default), &value), c.Argument)
			assert.Contains(t, values[of], value, c.Argument)
		}
	}
	assert.Positive(t, enumerations)
}

// daggerFlags are the flags that the dagger command has for every module, in v0.21 and in v1.0. An argument of the same name would
// be set by both, or would keep the module from loading. Source: installGlobalFlags, moduleFlags and `dagger call` in
// github.com/dagger/dagger, at v0.21.8 below cmd/dagger and at v1.0.0-beta.10 below internal/cmd/dagger.
var daggerFlags = []string{
	"allow-llm", "auto-apply", "cloud", "debug", "dot-focus-field", "dot-output", "dot-show-internal", "eager-runtime", "env", "help",
	"interactive", "interactive-command", "json", "load-module", "lock", "mod", "no-exit", "no-load-module", "no-mod", "org", "output",
	"profile", "progress", "quiet", "scale-out", "silent", "verbose", "version", "web", "workdir", "workspace", "x-release",
}

// TestArgumentsAreNotDaggersFlags keeps `dagger -d call publish` from publishing an image with a debugger in it.
func TestArgumentsAreNotDaggersFlags(t *testing.T) {
	all, _ := functions(t)
	require.Contains(t, all[""], "debugger")
	for name, arguments := range all {
		for _, flag := range daggerFlags {
			assert.NotContains(t, arguments, flag, "function %q", name)
		}
	}
}
