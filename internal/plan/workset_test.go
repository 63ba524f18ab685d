package plan_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/test/testtool"
)

// generatedSource is a module or a workspace of up to three, without anything to download, and the directory of a program in it. What
// can be wrong with replace lines, go.work and vendor directories is, now and then.
func generatedSource(r *rand.Rand) (files map[string]string, program string) {
	one := func(of ...string) string { return of[r.IntN(len(of))] }
	files = map[string]string{"dep/go.mod": "module example.com/dep\n\ngo 1.24\n", "dep/dep.go": "package dep\n"}
	module := func(dir, name string) {
		text := "module example.com/" + name + "\n\ngo 1.24\n"
		source := "package main\n"
		if r.IntN(2) == 0 {
			text += "\nrequire example.com/dep v1.0.0\n"
			if r.IntN(3) > 0 {
				source += "\nimport _ \"example.com/dep\"\n"
			}
		}
		up := strings.Repeat("../", strings.Count(dir, "/"))
		if target := one("", "dep", "dep", "gone", "inside"); target != "" {
			text += fmt.Sprintf("\nreplace example.com/dep%s => ./%s%s\n", one("", "", " v1.0.0", " v1.1.0"), up, target)
		}
		if target := one("", "", "gone", "../outside"); target != "" {
			text += fmt.Sprintf("\nreplace example.com/other => ./%s%s\n", up, target)
		}
		files[dir+"go.mod"], files[dir+"main.go"] = text, source+"\nfunc main() {}\n"
	}
	module("", "root")
	module("a/", "a")
	module("a/nested/", "nested")
	files["lib/go.mod"], files["lib/lib.go"] = "module example.com/lib\n\ngo 1.24\n", "package lib\n"
	if r.IntN(3) > 0 {
		work := "go 1.24\n\nuse ./" + one("", "a", "a", "lib") + "\n"
		if r.IntN(2) == 0 {
			work += "use " + one("a/nested", "./dep", "./a/nested", "./gone") + "\n"
		}
		if r.IntN(2) == 0 {
			work += fmt.Sprintf("replace example.com/dep%s => ./%s\n", one("", " v1.0.0"), one("dep", "gone"))
		}
		files["go.work"] = work
	}
	if r.IntN(3) == 0 {
		files["vendor/modules.txt"] = one("", "## workspace\n") + "# example.com/dep v1.0.0 => ./dep\n## explicit; go 1.24\nexample.com/dep\n" +
			one("", "# example.com/dep => ./dep\n")
		files["vendor/example.com/dep/dep.go"] = "package dep\n"
		if r.IntN(2) == 0 {
			delete(files, "dep/go.mod")
			delete(files, "dep/dep.go")
		}
	}
	return files, one(".", "./a", "./a/nested")
}

// What the Go command takes has a plan, with the flags and the import path that it takes it with; a package outside the workspace, a
// module of the workspace that is not there, and the like, has none.
func TestPlansWhatGoTakes(t *testing.T) {
	trials := testtool.Trials(20, 80)
	taken, refused := 0, 0
	for seed := range uint64(trials) {
		files, program := generatedSource(rand.New(rand.NewPCG(seed, 1)))
		dir := t.TempDir()
		archive := &txtar.Archive{}
		for name, text := range files {
			archive.Files = append(archive.Files, txtar.File{Name: name, Data: []byte(text)})
		}
		require.NoError(t, txtar.Write(archive, dir))

		plan, err := plan.Resolve(t.Context(), os.DirFS(dir), plan.Config{Packages: []string{program}, Runtime: "scratch"})
		said := map[string]string{}
		accepts := func(flag string) (out string, ok bool) {
			if out, known := said[flag]; known {
				return out, !strings.HasPrefix(out, "refused")
			}
			cmd := exec.Command("go", "list", "-f", "{{.ImportPath}}", "-deps", relativeTo(goDir(files, program), program))
			cmd.Dir = filepath.Join(dir, goDir(files, program))
			cmd.Env = append(os.Environ(), "GOFLAGS="+flag, "GOWORK=", "GOPROXY=off", "GOTOOLCHAIN=local", "PWD="+cmd.Dir)
			text, err := cmd.CombinedOutput()
			said[flag] = string(text)
			if err != nil {
				said[flag] = "refused: " + string(text)
			}
			return said[flag], err == nil
		}
		out, readonly := accepts("-mod=readonly")
		byDefault := readonly
		if _, vendored := files["vendor/modules.txt"]; vendored {
			_, byDefault = accepts("")
		}
		about := fmt.Sprintf("seed %d, %s of\n%s\ngo list says: %s", seed, program, txtar.Format(archive), out)
		if !readonly && !byDefault {
			if refused++; strings.Contains(out, "not one of the workspace modules") {
				assert.ErrorContains(t, err, "go work use", about)
			}
			continue
		}
		taken++
		if !assert.NoError(t, err, about) {
			return
		}
		flag := plan.Compile[0].Flags[0]
		if byDefault {
			out, ok := accepts(flag)
			assert.True(t, ok, "the plan's %s: %s\n%s", flag, out, about)
			assert.Contains(t, strings.Split(out, "\n"), plan.Programs[0].ImportPath, about)
		}
	}
	assert.Greater(t, taken, trials/4)
	assert.Greater(t, refused, trials/4)
}

// goDir is where commands run for the program: where go.work is, else its own go.mod.
func goDir(files map[string]string, program string) string {
	if _, ok := files["go.work"]; ok {
		return "."
	}
	return program
}

func relativeTo(dir, program string) string {
	if dir == program {
		return "."
	}
	return program
}
