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

	"github.com/slipway-ci/slipway/internal/console"
	"github.com/slipway-ci/slipway/internal/dockerfile"
	"github.com/slipway-ci/slipway/internal/plan"
)

var update = flag.Bool("update", false, "write the golden files anew")

// The plans are the golden ones of package plan. BuildKit's own linter reads the results in the module conformance.
func TestRender(t *testing.T) {
	files, err := filepath.Glob("../plan/testdata/plans/*.txtar")
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

func readPlan(t *testing.T, file string) (*plan.Plan, bool) {
	archive, err := txtar.ParseFile(file)
	require.NoError(t, err)
	for _, f := range archive.Files {
		if f.Name == "plan.json" {
			var plan plan.Plan
			require.NoError(t, json.Unmarshal(f.Data, &plan))
			return &plan, true
		}
	}
	return nil, false
}

func TestRenderRefusesWhatADockerfileCannotSay(t *testing.T) {
	plan, ok := readPlan(t, "../plan/testdata/plans/default.txtar")
	require.True(t, ok)
	plan.Image.Env = []string{"A=1\n2"}
	_, err := dockerfile.Render(plan)
	assert.ErrorIs(t, err, dockerfile.ErrLineBreak)
	plan.Image.Env, plan.Image.Base = nil, "oci-archive:base.tar"
	_, err = dockerfile.Render(plan)
	assert.ErrorIs(t, err, dockerfile.ErrArchiveBase)
}

// Values and names from outside are in a Dockerfile what they are, and in the log that it is printed to nothing but text.
func TestRenderHostileTexts(t *testing.T) {
	render := func(change func(*plan.Plan)) (string, error) {
		plan, ok := readPlan(t, "../plan/testdata/plans/default.txtar")
		require.True(t, ok)
		change(plan)
		return dockerfile.Render(plan)
	}
	placed := func(name string) func(*plan.Plan) {
		return func(p *plan.Plan) {
			file := plan.File{Path: "/" + name, Mode: 0o755, Source: name}
			p.Image.Layers = append(p.Image.Layers, plan.Layer{Name: "files", Files: []plan.File{file}})
		}
	}
	for text, want := range map[string]string{
		"x ##[add-mask]y":    `LABEL a="x #""#[add-mask]y"`,
		"##vso[task.x]":      `LABEL a="#""#vso[task.x]"`,
		"##TeamCity[x]":      `LABEL a="#""#TeamCity[x]"`,
		"::error::x ## y é✔": `LABEL a="::error::x ## y é✔"`,
	} {
		got, err := render(func(p *plan.Plan) { p.Image.Labels = map[string]string{"a": text} })
		require.NoError(t, err)
		assert.Contains(t, got, want+"\n")
	}
	for name, want := range map[string]string{
		"a\u202eb":         `COPY --chmod=0755 ["a\u202eb","/a\u202eb"]`,
		"a\nRUN evil":      `COPY --chmod=0755 ["a\nRUN evil","/a\nRUN evil"]`,
		"a\x1b[2J":         `COPY --chmod=0755 ["a\u001b[[]2J","/a\u001b[2J"]`,
		"##vso[task.x]":    `COPY --chmod=0755 ["\u0023#vso[[]task.x]","/\u0023#vso[task.x]"]`,
		"plain/name-1.txt": `COPY --chmod=0755 plain/name-1.txt /plain/name-1.txt`,
	} {
		got, err := render(placed(name))
		require.NoError(t, err, name)
		assert.Contains(t, got, want+"\n")
	}
	for _, text := range []string{"a\x1b[2J", "right\u202eto left", "\u009b2J", "broken \xff", "zero\u200bwidth"} {
		_, err := render(func(p *plan.Plan) { p.Image.Labels = map[string]string{"a": text} })
		require.ErrorIs(t, err, dockerfile.ErrInvisible, "%q", text)
		assert.Equal(t, console.Line(err.Error()), err.Error())
		_, err = render(func(p *plan.Plan) { p.Image.Env = []string{"A=" + text} })
		require.ErrorIs(t, err, dockerfile.ErrInvisible, "%q", text)
	}
	_, err := render(placed("broken \xff"))
	require.ErrorIs(t, err, dockerfile.ErrInvisible)
	_, err = render(func(p *plan.Plan) { p.Image.Base = "oci:x\nRUN evil" })
	require.ErrorIs(t, err, dockerfile.ErrLineBreak)
}
