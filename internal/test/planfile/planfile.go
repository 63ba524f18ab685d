// Package planfile has the fixtures of testdata/plans, which several packages share. Each file is a source tree, the settings as
// variables in the file "settings", and at the end what follows from them: "plan.txt", the plan for people, "plan.json", for
// programs, and "plan.Dockerfile"; or "faults".
package planfile

import (
	"encoding/json"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/plan"
)

var update = flag.Bool("update", false, "write what is expected anew")

// expected are the names of what follows, in their order.
var expected = []string{"faults", "plan.txt", "plan.json", "plan.Dockerfile"}

// File is a fixture.
type File struct {
	// Name is that of the file, without its ending.
	Name string
	// Source is the source tree. Files whose name ends in .sh can be executed.
	Source fstest.MapFS
	// Settings are a list of KEY=VALUE.
	Settings []string
	path     string
	archive  *txtar.Archive
}

// All are all fixtures.
func All(t *testing.T) []*File {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(directory(t), "*.txtar"))
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	var files []*File
	for _, path := range paths {
		files = append(files, read(t, path))
	}
	return files
}

// Named is the fixture of that name.
func Named(t *testing.T, name string) *File {
	t.Helper()
	return read(t, filepath.Join(directory(t), name+".txtar"))
}

// directory finds the fixtures above the package that is tested.
func directory(t *testing.T) string {
	t.Helper()
	for dir := "."; len(dir) < 30; dir = filepath.Join("..", dir) {
		plans := filepath.Join(dir, "testdata", "plans")
		if _, err := os.Stat(plans); err == nil {
			return plans
		}
	}
	t.Fatal("no directory above has testdata/plans")
	return ""
}

func read(t *testing.T, path string) *File {
	t.Helper()
	archive, err := txtar.ParseFile(path)
	require.NoError(t, err)
	f := &File{Name: strings.TrimSuffix(filepath.Base(path), ".txtar"), Source: fstest.MapFS{}, path: path, archive: archive}
	for _, part := range archive.Files {
		switch {
		case part.Name == "settings":
			for line := range strings.SplitSeq(strings.TrimSpace(string(part.Data)), "\n") {
				f.Settings = append(f.Settings, strings.ReplaceAll(line, `\n`, "\n"))
			}
		case slices.Contains(expected, part.Name):
		default:
			mode := fs.FileMode(0o644)
			if strings.HasSuffix(part.Name, ".sh") {
				mode = 0o755
			}
			f.Source[part.Name] = &fstest.MapFile{Data: part.Data, Mode: mode}
		}
	}
	return f
}

// Expected is what should follow, by its name; ok is false where nothing of that name should.
func (f *File) Expected(name string) (text string, ok bool) {
	i := slices.IndexFunc(f.archive.Files, func(part txtar.File) bool { return part.Name == name })
	if i < 0 {
		return "", false
	}
	return string(f.archive.Files[i].Data), true
}

// Plan is the plan that should follow; nil where faults should.
func (f *File) Plan(t *testing.T) *plan.Plan {
	t.Helper()
	text, ok := f.Expected("plan.json")
	if !ok {
		return nil
	}
	p := &plan.Plan{}
	require.NoError(t, json.Unmarshal([]byte(text), p))
	return p
}

// Check compares what followed with what should, for each of the names; a name that got lacks should not be in the file. With the
// flag -update it writes the file anew instead.
func (f *File) Check(t *testing.T, got map[string]string, names ...string) {
	t.Helper()
	if !*update {
		want := map[string]string{}
		for _, name := range names {
			if text, ok := f.Expected(name); ok {
				want[name] = text
			}
		}
		assert.Equal(t, want, got)
		return
	}
	kept := slices.DeleteFunc(f.archive.Files, func(part txtar.File) bool { return slices.Contains(names, part.Name) })
	for _, name := range names {
		if text, ok := got[name]; ok {
			kept = append(kept, txtar.File{Name: name, Data: []byte(text)})
		}
	}
	slices.SortStableFunc(kept, func(a, b txtar.File) int { return slices.Index(expected, a.Name) - slices.Index(expected, b.Name) })
	f.archive.Files = kept
	require.NoError(t, os.WriteFile(f.path, txtar.Format(f.archive), 0o644))
}
