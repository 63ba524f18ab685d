package moduletest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const regenerate = "regenerate it, as CONTRIBUTING.md says"

// Dagger 1.0 loads the generated code as it is in the repository.
func TestGeneratedCodeCompiles(t *testing.T) {
	cmd := exec.Command("go", "build", "-mod=readonly", "-o", filepath.Join(t.TempDir(), "module"), ".")
	cmd.Dir = module
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s: %s", regenerate, out)
}

// The generated code describes the module of these sources: it has the position of each function, argument, type and value, what the
// comments say, and the enumerations in the order of the sources. That it is what the SDK generates is a test on an engine.
func TestGeneratedCodeIsCurrent(t *testing.T) {
	want, texts := map[string]bool{}, map[string]bool{}
	var enums, generated []string // in their order
	set := token.NewFileSet()
	at := func(pos token.Pos) {
		p := set.Position(pos)
		want[filepath.Base(p.Filename)+":"+strconv.Itoa(p.Line)+":"+strconv.Itoa(p.Column)] = true
	}
	for _, file := range sources(t) {
		source, err := os.ReadFile(file)
		require.NoError(t, err)
		parsed, err := parser.ParseFile(set, file, source, parser.ParseComments)
		require.NoError(t, err)
		for _, decl := range parsed.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if !d.Name.IsExported() || d.Recv != nil && !exportedReceiver(d) {
					continue
				}
				at(d.Pos())
				if d.Recv != nil {
					texts[described(d.Doc.Text())] = true
				}
				for _, p := range d.Type.Params.List {
					for _, name := range p.Names {
						if name.Name != "ctx" {
							at(name.Pos())
							comment := before(source, set.Position(p.Pos()).Offset)
							texts[described(strings.ReplaceAll(comment, "\t// ", ""))] = true
						}
					}
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					switch s := spec.(type) {
					case *ast.TypeSpec:
						if !s.Name.IsExported() {
							continue
						}
						at(s.Name.Pos())
						if kind, ok := s.Type.(*ast.Ident); ok && kind.Name == "string" {
							enums = append(enums, s.Name.Name)
						}
						if object, ok := s.Type.(*ast.StructType); ok {
							for _, field := range object.Fields.List {
								if !strings.Contains(field.Doc.Text(), "+private") {
									for _, name := range field.Names {
										at(name.Pos())
									}
								}
							}
						}
					case *ast.ValueSpec:
						if s.Names[0].IsExported() {
							at(s.Names[0].Pos())
						}
					}
				}
			}
		}
	}
	got := map[string]bool{}
	parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(module, "dagger.gen.go"), nil, 0)
	require.NoError(t, err)
	said := map[string]bool{"": true}
	ast.Inspect(parsed, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			text, err := strconv.Unquote(lit.Value)
			require.NoError(t, err)
			said[strings.TrimSpace(text)] = true
		}
		if f, ok := n.(*ast.FuncDecl); ok && f.Name.Name == "IsEnum" {
			generated = append(generated, f.Recv.List[0].Type.(*ast.Ident).Name)
		}
		if call, ok := n.(*ast.CallExpr); ok {
			if f, ok := call.Fun.(*ast.SelectorExpr); ok && f.Sel.Name == "SourceMap" && len(call.Args) == 3 {
				var parts []string
				for _, arg := range call.Args {
					parts = append(parts, strings.Trim(arg.(*ast.BasicLit).Value, `"`))
				}
				got[strings.Join(parts, ":")] = true
			}
		}
		return true
	})
	assert.Equal(t, slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got)), regenerate)
	assert.Equal(t, enums, generated, regenerate)
	for text := range texts {
		assert.True(t, said[text], "%q: %s", text, regenerate)
	}
}

// described is the help that a comment is, without the lines that mean something to Dagger.
func described(comment string) string {
	lines := slices.DeleteFunc(strings.Split(comment, "\n"), func(line string) bool { return strings.HasPrefix(line, "+") })
	return strings.TrimSpace(strings.Join(lines, "\n"))
}

// exportedReceiver reports whether d is a method of an exported type.
func exportedReceiver(d *ast.FuncDecl) bool {
	of := d.Recv.List[0].Type
	if pointer, ok := of.(*ast.StarExpr); ok {
		of = pointer.X
	}
	return of.(*ast.Ident).IsExported()
}
