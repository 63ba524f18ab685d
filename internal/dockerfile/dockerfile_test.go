package dockerfile_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/console"
	"github.com/slipway-ci/slipway/internal/dockerfile"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/test/planfile"
)

// BuildKit's own linter reads what is expected here, too: in the module conformance.
func TestRender(t *testing.T) {
	rendered := 0
	for _, file := range planfile.All(t) {
		p := file.Plan(t)
		if p == nil {
			continue
		}
		rendered++
		t.Run(file.Name, func(t *testing.T) {
			got, err := dockerfile.Render(p)
			if p.Image.Distribution != nil && p.Image.Install == nil {
				require.ErrorIs(t, err, dockerfile.ErrDebian)
				return
			}
			if file.Name == "capabilities" {
				require.ErrorIs(t, err, dockerfile.ErrCapabilities)
				return
			}
			if p.OtherModules != nil {
				require.ErrorIs(t, err, dockerfile.ErrModules)
				return
			}
			require.NoError(t, err)
			file.Check(t, map[string]string{"plan.Dockerfile": got}, "plan.Dockerfile")
		})
	}
	assert.Positive(t, rendered)
}

func TestRenderRefusesWhatADockerfileCannotSay(t *testing.T) {
	plan := planfile.Named(t, "default").Plan(t)
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
		plan := planfile.Named(t, "default").Plan(t)
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
