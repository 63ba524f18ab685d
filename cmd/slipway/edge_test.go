package main

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/console"
	"github.com/slipway-ci/slipway/internal/secret"
)

// quietRoot is the command for tests that inspect it without running it.
func quietRoot() *cobra.Command {
	nowhere := console.NewWriter(io.Discard, &secret.Set{})
	return newRoot(nil, nowhere, nowhere, &secret.Set{})
}

// Nothing that is part of the command or of the module prints but through package console.
func TestNothingPrintsPastTheEdge(t *testing.T) {
	allowed := map[string]int{
		"../../cmd/slipway/main.go":              3, // where the edge begins
		"../../cmd/slipway/signals.go":           1, // one sentence, as the process ends
		"../../ci/edge.go":                       2,
		"../../internal/build/gocache/helper.go": 2, // a process of its own, which the Go command talks to
	}
	files := 0
	err := filepath.WalkDir("../..", func(name string, e fs.DirEntry, err error) error {
		rel := strings.TrimPrefix(filepath.ToSlash(name), "../../")
		switch {
		case err != nil:
			return err
		case e.IsDir() && (strings.HasPrefix(e.Name(), ".") && e.Name() != ".." || slices.Contains([]string{"testdata", "vendor"}, e.Name()) || slices.Contains([]string{"ci/internal", "internal/registrytest", "internal/daggertest", "internal/test"}, rel)):
			return fs.SkipDir
		case e.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || rel == "ci/dagger.gen.go":
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			return err
		}
		if parsed.Name.Name == "main" && !strings.HasPrefix(rel, "cmd/slipway/") && !strings.HasPrefix(rel, "ci/") {
			return nil // an example, or a tool for who works on Slipway
		}
		files++
		found := 0
		ast.Inspect(parsed, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				of, ok := n.X.(*ast.Ident)
				if !ok || of.Obj != nil {
					break
				}
				whole := of.Name + "." + n.Sel.Name
				if slices.Contains([]string{"os.Stdout", "os.Stderr", "syscall.Stdout", "syscall.Stderr", "fmt.Print", "fmt.Println", "fmt.Printf"}, whole) ||
					of.Name == "log" || of.Name == "slog" && n.Sel.Name != "New" {
					found++
				}
			case *ast.CallExpr:
				if of, ok := n.Fun.(*ast.Ident); ok && (of.Name == "print" || of.Name == "println") && of.Obj == nil {
					found++
				}
			}
			return true
		})
		assert.Equal(t, allowed[filepath.ToSlash(name)], found, name)
		return nil
	})
	require.NoError(t, err)
	assert.Greater(t, files, 100)
}

// The scripts that shells read for completion come through unchanged.
func TestCompletionScripts(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		var out bytes.Buffer
		require.Zero(t, run(t.Context(), []string{"completion", shell}, nil, &out, io.Discard), shell)
		var want bytes.Buffer
		root := quietRoot()
		var err error
		switch shell {
		case "bash":
			err = root.GenBashCompletionV2(&want, true)
		case "zsh":
			err = root.GenZshCompletion(&want)
		case "fish":
			err = root.GenFishCompletion(&want, true)
		case "powershell":
			err = root.GenPowerShellCompletionWithDesc(&want)
		}
		require.NoError(t, err)
		assert.Equal(t, want.String(), out.String(), shell)
	}
}
