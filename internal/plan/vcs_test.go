package plan_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/plan"
)

// Programs are stamped where that is asked for and possible.
func TestBuildVCS(t *testing.T) {
	_, tree := module(t)
	git := plan.Git{Commit: "0123456789abcdef0123456789abcdef01234567", Date: "2026-01-31T12:00:00Z", Dirty: true}
	config := plan.Config{BuildVCS: true, Surroundings: plan.Surroundings{Facts: plan.Facts{Git: git}}}
	p, err := plan.Resolve(t.Context(), tree, config)
	require.NoError(t, err)
	assert.Equal(t, &plan.VCS{Revision: git.Commit, Time: git.Date, Modified: true}, p.Source.VCS)
	assert.Contains(t, p.Compile[0].Flags, "-buildvcs=true")
	assert.Contains(t, p.Compile[0].ListFlags(), "-buildvcs=false", "a list has no stamps")
	assert.True(t, plan.NeedsGit(config.Templates()...))

	for want, change := range map[string]func(*plan.Config){
		"buildvcs: nothing is known of a commit": func(c *plan.Config) { c.Facts = plan.Facts{} },
		"buildvcs: what --generate writes":       func(c *plan.Config) { c.Generate = plan.List{"true"} },
		"buildvcs: the copy of the source": func(c *plan.Config) {
			c.Prebuild, c.PrebuildImage, c.PrebuildOutputs, c.RunPrebuild = plan.Lines{"make"}, "node:24.4.1", plan.List{"web"}, true
		},
		"buildvcs: the engine gets the files":          func(c *plan.Config) { c.Engine.NoVCS = true },
		"leave it out, use --engine host, or set vari": func(c *plan.Config) { c.Engine.NoVCS = true },
	} {
		with := config
		change(&with)
		_, err := plan.Resolve(t.Context(), tree, with)
		assert.ErrorContains(t, err, want)
	}

	p, err = plan.Resolve(t.Context(), tree, plan.Config{Surroundings: config.Surroundings})
	require.NoError(t, err)
	assert.Nil(t, p.Source.VCS)
	assert.Contains(t, p.Compile[0].Flags, "-buildvcs=false")
}
