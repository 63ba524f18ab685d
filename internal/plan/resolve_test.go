package plan_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/config/environ"
	"github.com/slipway-ci/slipway/internal/plan"
)

var update = flag.Bool("update", false, "write the golden files anew")

// Each file of testdata/plans is a source tree, the settings as variables in the file "settings", and at the end the plan
// as the command prints it: "plan.txt" for people and "plan.json" for programs, or "faults".
func TestPlans(t *testing.T) {
	files, err := filepath.Glob("testdata/plans/*.txtar")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			require.NoError(t, err)
			source, settings, golden := split(archive)

			var config plan.Config
			require.NoError(t, environ.Read(t.Context(), settings, &config))
			p, err := plan.Resolve(t.Context(), source, config)

			got := map[string]string{}
			if faults := plan.AsFaults(err); faults != nil {
				got["faults"] = faults.Error() + "\n"
			} else {
				require.NoError(t, err)
				var text, data bytes.Buffer
				require.NoError(t, p.WriteText(&text))
				encoder := json.NewEncoder(&data)
				encoder.SetIndent("", "  ")
				encoder.SetEscapeHTML(false)
				require.NoError(t, encoder.Encode(p))
				got["plan.txt"], got["plan.json"] = text.String(), data.String()

				var back plan.Plan
				require.NoError(t, json.Unmarshal(data.Bytes(), &back))
				assert.Equal(t, p, &back, "a plan survives JSON")

				read, err := plan.Resolve(t.Context(), onlyRead(source, config), config)
				require.NoError(t, err)
				assert.Equal(t, p, read, "plan.Reads has all that is read")
			}
			if *update {
				writeGolden(t, file, archive, got)
				return
			}
			assert.Equal(t, golden, got)
		})
	}
}

// onlyRead is the part of source that plan.Reads and the settings name.
func onlyRead(source fstest.MapFS, config plan.Config) fstest.MapFS {
	part := fstest.MapFS{}
	for name, file := range source {
		elements := strings.Split(name, "/")
		for _, pattern := range plan.Reads {
			pattern = strings.TrimPrefix(pattern, "**/")
			if n := strings.Count(pattern, "/") + 1; n <= len(elements) {
				if ok, _ := path.Match(pattern, strings.Join(elements[len(elements)-n:], "/")); ok {
					part[name] = file
				}
			}
		}
		for _, f := range config.Files {
			from, _, _ := strings.Cut(f, ":")
			if from = path.Clean(from); name == from || strings.HasPrefix(name, from+"/") {
				part[name] = file
			}
		}
	}
	return part
}

var goldenNames = []string{"faults", "plan.txt", "plan.json"}

func split(archive *txtar.Archive) (source fstest.MapFS, settings []string, golden map[string]string) {
	source, golden = fstest.MapFS{}, map[string]string{}
	for _, f := range archive.Files {
		switch f.Name {
		case "settings":
			for _, line := range strings.Split(strings.TrimSpace(string(f.Data)), "\n") {
				settings = append(settings, strings.ReplaceAll(line, `\n`, "\n"))
			}
		case goldenNames[0], goldenNames[1], goldenNames[2]:
			golden[f.Name] = string(f.Data)
		default:
			mode := fs.FileMode(0o644)
			if strings.HasSuffix(f.Name, ".sh") {
				mode = 0o755
			}
			source[f.Name] = &fstest.MapFile{Data: f.Data, Mode: mode}
		}
	}
	return source, settings, golden
}

func writeGolden(t *testing.T, file string, archive *txtar.Archive, got map[string]string) {
	kept := archive.Files[:0]
	for _, f := range archive.Files {
		if f.Name != goldenNames[0] && f.Name != goldenNames[1] && f.Name != goldenNames[2] {
			kept = append(kept, f)
		}
	}
	for _, name := range goldenNames {
		if text, ok := got[name]; ok {
			kept = append(kept, txtar.File{Name: name, Data: []byte(text)})
		}
	}
	archive.Files = kept
	require.NoError(t, os.WriteFile(file, txtar.Format(archive), 0o644))
}
