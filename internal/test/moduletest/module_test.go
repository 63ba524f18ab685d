// Package moduletest tests the Dagger module in ci, which the SDK completes with code that it generates: what can be
// said of it without an engine is said here.
package moduletest

//go:generate go run ./include ../../..

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"go/version"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const module = "../../../ci"

func sources(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(module + "/*.go")
	require.NoError(t, err)
	files = slices.DeleteFunc(files, func(f string) bool { return strings.HasSuffix(f, "dagger.gen.go") })
	require.NotEmpty(t, files)
	return files
}

// binding is a name of the SDK that the module uses.
var binding = regexp.MustCompile(`\bdagger\.([A-Z][A-Za-z]*)`)

// Comments are all the help that a user of the module gets.
func TestModuleIsDocumented(t *testing.T) {
	documented := 0
	for _, file := range sources(t) {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		require.NoError(t, err)
		for _, decl := range parsed.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if !d.Name.IsExported() {
					continue
				}
				documented++
				assert.Regexp(t, `^[A-Z][^\n]*[^,:;\n](\n$|\n(\n|\+))`, d.Doc.Text(), "lists show only the first line of the function %s", d.Name)
				text, err := os.ReadFile(file)
				require.NoError(t, err)
				for _, p := range d.Type.Params.List {
					if name := p.Names[0].Name; name != "ctx" && name != "ws" {
						assert.Regexp(t, `^\t// [A-Z].*(\.\n(\t// [^+].*\n)+|\n)(\t// \+.*\n)*\t$`, before(text, int(p.Pos())-1), "lists show only the first line of the argument %s of %s", name, d.Name)
						documented++
					}
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if of, ok := spec.(*ast.TypeSpec); ok && of.Name.IsExported() {
						if object, ok := of.Type.(*ast.StructType); ok {
							for _, field := range object.Fields.List {
								assert.Regexp(t, `^[A-Z][^\n]*[^,:\n]\n$|\+private`, field.Doc.Text(), "the field %s of %s", field.Names[0], of.Name)
							}
						}
					}
					if v, ok := spec.(*ast.ValueSpec); ok && v.Names[0].IsExported() {
						documented++
						assert.NotEmpty(t, v.Doc.Text(), "the value %s", v.Names[0])
					}
				}
			}
		}
	}
	assert.Greater(t, documented, 40)
}

// No session gets the result of a push from the cache of another.
func TestPushesAreNotCached(t *testing.T) {
	pushes := 0
	for _, file := range sources(t) {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		require.NoError(t, err)
		for _, decl := range parsed.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || !f.Name.IsExported() || f.Type.Results == nil {
				continue
			}
			of, ok := f.Type.Results.List[0].Type.(*ast.StarExpr)
			if !ok {
				continue
			}
			if id, ok := of.X.(*ast.Ident); ok && strings.HasPrefix(id.Name, "Published") {
				pushes++
				assert.Contains(t, f.Doc.Text(), `+cache="session"`, f.Name.Name)
			}
		}
	}
	assert.Equal(t, 3, pushes)
}

// before is the comment and the indentation that stand directly before offset.
func before(text []byte, offset int) string {
	lines := strings.Split(string(text[:offset]), "\n")
	first := len(lines) - 1
	for first > 0 && strings.HasPrefix(lines[first-1], "\t//") {
		first--
	}
	return strings.Join(lines[first:], "\n")
}

// The engine that the module is made for is one, wherever it is named: the SDK that the command has, the configurations of Dagger
// modules, workflows and documentation.
func TestOneEngineVersion(t *testing.T) {
	mod, err := os.ReadFile("../../../go.mod")
	require.NoError(t, err)
	sdk := regexp.MustCompile(`(?m)^\tdagger\.io/dagger (v\S+)$`).FindSubmatch(mod)
	require.NotNil(t, sdk)
	places := map[string]string{
		"ci/go.mod":                    `(?m)^\tdagger\.io/dagger (v\S+)$`,
		"dagger.json":                  `"engineVersion": "([^"]+)"`,
		"examples/*/dagger.json":       `"engineVersion": "([^"]+)"`,
		"docs/dagger.md":               `\b(v0\.\d+(?:\.\d+)?)\b`,
		".github/workflows/*.yml":      `dagger-for-github@[^\n]*\n\s+with:\n\s+version: "([^"]+)"`,
		"internal/test/*/docs_test.go": `github\.com/dagger/dagger, at (v\S+) `,
	}
	for pattern, version := range places {
		files, err := filepath.Glob("../../../" + pattern)
		require.NoError(t, err)
		require.NotEmpty(t, files, pattern)
		seen := 0
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			for _, match := range regexp.MustCompile(version).FindAllSubmatch(text, -1) {
				seen++
				assert.Equal(t, string(sdk[1]), "v"+strings.TrimPrefix(string(match[1]), "v"), file)
			}
		}
		assert.Positive(t, seen, pattern)
	}
}

// A fresh engine compiles the module with the Go of its SDK, whose image has the standard library compiled. A module that asks for
// a newer Go, by its own go line, its toolchain line or the go line of what it requires, makes the Go command fetch that one, and compile
// the standard library, too.
func TestModulesCompileWithTheGoOfTheSDK(t *testing.T) {
	sdk, err := exec.Command("go", "list", "-C", "../../..", "-m", "-f", "{{.GoVersion}}", "dagger.io/dagger").Output()
	require.NoError(t, err)
	for _, file := range []string{"go.mod", "ci/go.mod", "examples/go/go.mod"} {
		out, err := exec.Command("go", "mod", "edit", "-json", "../../../"+file).Output()
		require.NoError(t, err)
		var mod struct{ Go, Toolchain string }
		require.NoError(t, json.Unmarshal(out, &mod))
		assert.LessOrEqual(t, version.Compare("go"+mod.Go, "go"+strings.TrimSpace(string(sdk))), 0, "%s: go %s", file, mod.Go)
		if file != "go.mod" {
			assert.Empty(t, mod.Toolchain, file)
		}
	}
}

// What the module needs of the root module is sent along, and what it does not is not.
func TestIncludesWhatIsImported(t *testing.T) {
	var config struct{ Include []string }
	text, err := os.ReadFile("../../../dagger.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &config))
	want := map[string]bool{"go.mod": true, "go.sum": true, "*.go": true, "!**/*_test.go": true}
	const root = "github.com/slipway-ci/slipway"
	imported := map[string]bool{}
	for _, file := range sources(t) {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		require.NoError(t, err)
		for _, spec := range parsed.Imports {
			if path := strings.Trim(spec.Path.Value, `"`); strings.HasPrefix(path, root) && !strings.HasPrefix(path, root+"/ci/") {
				imported[path] = true
			}
		}
	}
	listed, err := exec.Command("go", append([]string{"list", "-deps"}, slices.Sorted(maps.Keys(imported))...)...).Output()
	require.NoError(t, err)
	out := string(listed)
	for _, path := range strings.Fields(out) {
		if dir, ok := strings.CutPrefix(path, root+"/"); ok {
			want[dir+"/*.go"] = true
		}
	}
	// A fresh engine compiles all of it before it can list the module's functions: what assembles and pushes images is there, the
	// command's own is not.
	for _, heavy := range []string{
		"github.com/spf13/cobra", "charm.land/", "github.com/sethvargo/go-envconfig", "github.com/slipway-ci/slipway/cmd/",
		"golang.org/x/tools/go/packages",
	} {
		assert.False(t, strings.Contains(out, heavy), heavy)
	}
	assert.Equal(t, slices.Sorted(maps.Keys(want)), slices.Sorted(slices.Values(config.Include)))
}
