package dockerfile_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/dockerfile"
	"github.com/slipway-ci/slipway/pipeline"
)

var update = flag.Bool("update", false, "write the golden files anew")

// The plans are the golden ones of package pipeline. BuildKit's own linter reads the results in the module conformance.
func TestRender(t *testing.T) {
	files, err := filepath.Glob("../pipeline/testdata/plans/*.txtar")
	require.NoError(t, err)
	rendered := 0
	for _, file := range files {
		plan, ok := readPlan(t, file)
		if !ok {
			continue
		}
		rendered++
		name := strings.TrimSuffix(filepath.Base(file), ".txtar")
		t.Run(name, func(t *testing.T) {
			got, err := dockerfile.Render(plan)
			require.NoError(t, err)
			golden := filepath.Join("testdata", name+".Dockerfile")
			if *update {
				require.NoError(t, os.WriteFile(golden, []byte(got), 0o644))
				return
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			assert.Equal(t, string(want), got)
		})
	}
	assert.Positive(t, rendered)
}

func readPlan(t *testing.T, file string) (*pipeline.Plan, bool) {
	archive, err := txtar.ParseFile(file)
	require.NoError(t, err)
	for _, f := range archive.Files {
		if f.Name == "plan.json" {
			var plan pipeline.Plan
			require.NoError(t, json.Unmarshal(f.Data, &plan))
			return &plan, true
		}
	}
	return nil, false
}

func TestRenderRefusesWhatADockerfileCannotSay(t *testing.T) {
	plan, ok := readPlan(t, "../pipeline/testdata/plans/default.txtar")
	require.True(t, ok)
	plan.Image.Env = []string{"A=1\n2"}
	_, err := dockerfile.Render(plan)
	assert.ErrorIs(t, err, dockerfile.ErrLineBreak)
	plan.Image.Env, plan.Image.Base = nil, "oci-archive:base.tar"
	_, err = dockerfile.Render(plan)
	assert.ErrorIs(t, err, dockerfile.ErrArchiveBase)
}
