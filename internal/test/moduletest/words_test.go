package moduletest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/build/dagger"
	"github.com/slipway-ci/slipway/internal/config"
	"github.com/slipway-ci/slipway/internal/config/options"
	"github.com/slipway-ci/slipway/internal/plan"
)

// sentences are the packages whose errors reach the user of the command and of the module.
var sentences = []string{
	".", "internal/plan", "internal/config", "internal/dockerfile", "internal/check", "internal/build/dagger", "internal/gocommand",
	"internal/build/guard", "internal/oci", "internal/registry",
}

// literals are the texts in a package's files, with where they are.
func literals(t *testing.T, dir string, visit func(text, at string)) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("../../..", filepath.FromSlash(dir), "*.go"))
	require.NoError(t, err)
	require.NotEmpty(t, files, dir)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, file, nil, 0)
		require.NoError(t, err)
		ast.Inspect(parsed, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				text, err := strconv.Unquote(lit.Value)
				require.NoError(t, err)
				visit(text, set.Position(lit.Pos()).String())
			}
			return true
		})
	}
}

// commandFlags are the flags of the command slipway.
func commandFlags(t *testing.T) map[string]bool {
	t.Helper()
	flags := map[string]bool{}
	for _, s := range slices.Concat(plan.Settings(), config.Target(), options.Settings()) {
		flags[s.Flag] = true
	}
	require.Greater(t, len(flags), 30)
	return flags
}

var flagInText = regexp.MustCompile(`(?:^|[\s(=,])--([a-z][a-z-]*)`)

// Each flag that an error names is one of the command, and each argument that the module's words make of it is one of the module.
func TestErrorsNameFlagsOfTheirFace(t *testing.T) {
	flags := commandFlags(t)
	functions, _ := functions(t)
	arguments := map[string]bool{}
	for _, f := range functions {
		for name := range f {
			arguments[name] = true
		}
	}
	// What belongs to other commands.
	others := []string{
		"no-cache", "headless", "accept-multiclient", "continue", "api-version", "listen", "show-stats", "mount", "platform", "from", "chmod", "chown", "checksum",
		"build-context", "secret", "build-arg", "format", "no-install-recommends", "progress", "virtual", "output", "fix",
		"end-of-options", "timestamp", "max-count", "points-at", "sort", "tags", "always", // of git
	}
	seen := 0
	for _, dir := range sentences {
		literals(t, dir, func(text, at string) {
			if strings.HasSuffix(strings.Split(at, ":")[0], "words.go") {
				return
			}
			for _, m := range flagInText.FindAllStringSubmatch(text, -1) {
				if dir == "internal/build/dagger" && arguments[m[1]] && !flags[m[1]] {
					continue // it speaks for the module alone
				}
				if !flags[m[1]] {
					assert.Contains(t, others, m[1], "%s: %q", at, text)
					continue
				}
				if !strings.Contains(text, " ") && dir != "pipeline" {
					continue // an argument of a command that is run
				}
				seen++
				reworded := dagger.Words(text)
				for _, m := range flagInText.FindAllStringSubmatch(reworded, -1) {
					// What the host engine, files, archives and git alone say, none of which the module has.
					if !slices.Contains([]string{"engine", "output", "load", "predicate", "provenance", "buildvcs", "signature-format"}, m[1]) {
						assert.True(t, arguments[m[1]] || slices.Contains(others, m[1]), "%s: %q becomes %q", at, text, reworded)
					}
				}
			}
		})
	}
	assert.Greater(t, seen, 20)
}

// What the module says in another way is what the command does say.
func TestPhrasesAreCurrent(t *testing.T) {
	var all strings.Builder
	for _, dir := range sentences {
		if dir == "internal/build/dagger" {
			continue
		}
		literals(t, dir, func(text, _ string) { all.WriteString(text + "\n") })
	}
	require.NotEmpty(t, dagger.Phrases)
	for i := 0; i < len(dagger.Phrases); i += 2 {
		assert.Contains(t, all.String(), dagger.Phrases[i])
	}
}

// Every function of the module gives its errors the module's words.
func TestFunctionsWordTheirErrors(t *testing.T) {
	checked := 0
	for _, file := range sources(t) {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		require.NoError(t, err)
		for _, decl := range parsed.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || !f.Name.IsExported() || f.Type.Results == nil {
				continue
			}
			results := f.Type.Results.List
			last := results[len(results)-1]
			if id, ok := last.Type.(*ast.Ident); !ok || id.Name != "error" {
				continue
			}
			checked++
			first, ok := f.Body.List[0].(*ast.DeferStmt)
			if assert.True(t, ok, f.Name.Name) {
				assert.Equal(t, "worded", first.Call.Fun.(*ast.Ident).Name, f.Name.Name)
			}
		}
	}
	assert.Greater(t, checked, 15)
}

// Every enumeration's value that sentences name is one of the module.
func TestWordsOfValues(t *testing.T) {
	_, values := functions(t)
	var all []string
	for _, of := range slices.Collect(maps.Values(values)) {
		all = append(all, of...)
	}
	for _, flag := range []string{"--runtime distroless-base", "--runtime alpine", "--cgo=static", "--cgo=dynamic", "--sbom none"} {
		_, value, found := strings.Cut(dagger.Words(flag), " ")
		require.True(t, found, flag)
		assert.Contains(t, all, value)
	}
}
