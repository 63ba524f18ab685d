package moduletest

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestExamplesCompile compiles the modules that depend on Slipway's against bindings like those that the SDK generates for it:
// required arguments are parameters, optional ones are fields of an Opts struct, and objects are returned without an error.
func TestExamplesCompile(t *testing.T) {
	mains, err := filepath.Glob("../../../examples/*/dagger.json")
	require.NoError(t, err)
	require.Contains(t, mains, filepath.FromSlash("../../../examples/go/dagger.json"))
	for _, config := range mains {
		text, err := os.ReadFile(config)
		require.NoError(t, err)
		if !strings.Contains(string(text), `"source": "go"`) {
			continue
		}
		dir, err := filepath.Abs(filepath.Dir(config))
		require.NoError(t, err)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join(dir, "main.go"))
			require.NoError(t, err)
			compile(t, dir, bindings(t), string(text))
		})
	}
}

// A call with an argument that the module does not have, or in the wrong place, does not compile.
func TestExamplesCompileAgainstTheModule(t *testing.T) {
	dir, err := filepath.Abs("../../../examples/go")
	require.NoError(t, err)
	text, err := os.ReadFile(filepath.Join(dir, "main.go"))
	require.NoError(t, err)
	for was, is := range map[string]string{
		`Publish(dagger.SlipwayPublishOpts{Repository: "ghcr.io/me/api"})`: `Publish("ghcr.io/me/api")`,
		`Ports: []string{"8080"}`:                        `Ports: "8080"`,
		"SlipwayRuntimeScratch":                          "SlipwayRuntimeNone",
		"Platforms: []dagger.Platform{\"linux/arm/v7\"}": "Platform: \"linux/arm/v7\"",
	} {
		changed := regexp.MustCompile(strings.ReplaceAll(regexp.QuoteMeta(was), `: `, `: +`)).ReplaceAllLiteralString(string(text), is)
		require.NotEqual(t, string(text), changed, was)
		_, err := tryCompile(t, dir, bindings(t), changed)
		require.Error(t, err, is)
	}
}

func compile(t *testing.T, dir, bindings, main string) {
	t.Helper()
	out, err := tryCompile(t, dir, bindings, main)
	require.NoError(t, err, out)
}

// tryCompile compiles the Dagger module in dir with this main.go and these bindings.
func tryCompile(t *testing.T, dir, bindings, main string) (string, error) {
	t.Helper()
	module, err := exec.Command("go", "list", "-C", dir, "-m").Output()
	require.NoError(t, err)
	path := strings.TrimSpace(string(module))
	temp := t.TempDir()
	replace := map[string]string{}
	for at, text := range map[string]string{
		"main.go":                       main,
		"internal/dagger/dagger.gen.go": bindings,
		"dagger.gen.go":                 fmt.Sprintf("package main\n\nimport %q\n\nvar dag *dagger.Client\n\nfunc main() {}\n", path+"/internal/dagger"),
		// Only the module of the repository's root requires the SDK that stands in for what is generated.
		"go.mod": "",
		"go.sum": "",
	} {
		name := filepath.Join(temp, strings.ReplaceAll(at, "/", "-"))
		if filepath.Base(at) == at && strings.HasPrefix(at, "go.") {
			content, err := os.ReadFile("../../../" + at)
			require.NoError(t, err)
			text = regexp.MustCompile(`(?m)^module .*$`).ReplaceAllString(string(content), "module "+path)
		}
		require.NoError(t, os.WriteFile(name, []byte(text), 0o644))
		replace[filepath.Join(dir, at)] = name
	}
	overlay := filepath.Join(temp, "overlay.json")
	text, err := json.Marshal(map[string]any{"Replace": replace})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(overlay, text, 0o644))
	cmd := exec.Command("go", "build", "-mod=readonly", "-modfile", replace[filepath.Join(dir, "go.mod")], "-o", os.DevNull, "-overlay", overlay, ".")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// bindings are what the Go SDK generates for modules that depend on this one, made from its functions.
func bindings(t *testing.T) string {
	t.Helper()
	var types, opts strings.Builder
	used := map[string]bool{}
	enums := map[string]bool{}
	objects := map[string]*ast.StructType{}
	var functions []*ast.FuncDecl
	source := map[*ast.FuncDecl][]byte{}
	for _, file := range sources(t) {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		parsed, err := parser.ParseFile(token.NewFileSet(), file, text, parser.ParseComments)
		require.NoError(t, err)
		for _, match := range binding.FindAllStringSubmatch(string(text), -1) {
			used[match[1]] = true
		}
		for _, decl := range parsed.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() {
					functions, source[d] = append(functions, d), text
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if of, ok := spec.(*ast.TypeSpec); ok && of.Name.IsExported() {
						if object, ok := of.Type.(*ast.StructType); ok {
							objects[of.Name.Name] = object
						}
					}
					if v, ok := spec.(*ast.ValueSpec); ok && d.Tok == token.CONST && v.Type != nil && v.Names[0].IsExported() {
						enum := v.Type.(*ast.Ident).Name
						enums[enum] = true
						fmt.Fprintf(&types, "const Slipway%s%s Slipway%s = %s\n", enum, v.Names[0], enum, v.Values[0].(*ast.BasicLit).Value)
					}
				}
			}
		}
	}
	for enum := range enums {
		fmt.Fprintf(&types, "type Slipway%s string\n", enum)
	}
	var name func(ast.Expr) string
	name = func(e ast.Expr) string {
		switch e := e.(type) {
		case *ast.StarExpr:
			return "*" + name(e.X)
		case *ast.ArrayType:
			return "[]" + name(e.Elt)
		case *ast.SelectorExpr:
			return e.Sel.Name
		case *ast.Ident:
			if enums[e.Name] || objects[e.Name] != nil && e.Name != "Slipway" {
				return "Slipway" + e.Name
			}
			return e.Name
		}
		t.Fatalf("no binding for %T", e)
		return ""
	}
	// A value is returned with an error, and the elements of a list of objects are no pointers.
	value := func(of string) string { return "(" + strings.Replace(of, "[]*", "[]", 1) + ", error)" }
	for _, object := range slices.Sorted(maps.Keys(objects)) {
		of := name(&ast.Ident{Name: object})
		fmt.Fprintf(&types, "type %s struct{}\n", of)
		for _, field := range objects[object].Fields.List {
			if strings.Contains(field.Doc.Text(), "+private") {
				continue
			}
			parameters, result := "", name(field.Type)
			if !strings.HasPrefix(result, "*") {
				parameters, result = "ctx context.Context", value(result)
			}
			fmt.Fprintf(&types, "func (r *%s) %s(%s) %s { panic(0) }\n", of, field.Names[0].Name, parameters, result)
		}
	}
	for _, f := range functions {
		of := "Slipway"
		if f.Recv != nil {
			of = name(&ast.Ident{Name: receiver(f)})
		}
		options, receiver, method := of+f.Name.Name+"Opts", "r *"+of, f.Name.Name
		var parameters []string
		result := name(f.Type.Results.List[0].Type)
		switch {
		case f.Recv == nil:
			options, receiver, method = "SlipwayOpts", "c *Client", "Slipway"
		case result == "error":
			parameters = append(parameters, "ctx context.Context")
		case !strings.HasPrefix(result, "*"):
			parameters, result = append(parameters, "ctx context.Context"), value(result)
		}
		var optional strings.Builder
		for _, p := range f.Type.Params.List {
			argument := p.Names[0].Name
			if argument == "ctx" || argument == "ws" {
				continue
			}
			if comment := before(source[f], int(p.Pos())-1); strings.Contains(comment, "+optional") || strings.Contains(comment, "+default") {
				fmt.Fprintf(&optional, "\t%s %s\n", strings.ToUpper(argument[:1])+argument[1:], name(p.Type))
			} else {
				parameters = append(parameters, argument+" "+name(p.Type))
			}
		}
		if optional.Len() > 0 {
			fmt.Fprintf(&opts, "type %s struct {\n%s}\n", options, optional.String())
			parameters = append(parameters, "opts ..."+options)
		}
		fmt.Fprintf(&types, "func (%s) %s(%s) %s { panic(0) }\n", receiver, method, strings.Join(parameters, ", "), result)
	}
	all := "package dagger\n\nimport (\n\t\"context\"\n\n\tsdk \"dagger.io/dagger\"\n)\n\n" +
		"var _ context.Context\n\ntype Client struct{ *sdk.Client }\n\n"
	for used := range used {
		if used != "Client" && used != "Loadable" && used != "Ref" {
			all += fmt.Sprintf("type %s = sdk.%[1]s\n", used)
		}
	}
	return all + opts.String() + types.String()
}
