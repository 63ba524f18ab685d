package plan_test

import (
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/fault"
	"github.com/slipway-ci/slipway/internal/plan"
)

// What an engine cannot do, the plan refuses, together with all else that is wrong; and it has the commands that an engine needs.
func TestCapabilities(t *testing.T) {
	source := fstest.MapFS{
		"go.mod":  {Data: []byte("module example.com/app\n\ngo 1.26.8\n")},
		"main.go": {Data: []byte("package main\n\nfunc main() {}\n")},
	}
	everything := plan.Capabilities{}
	packages := plan.Config{Runtime: "alpine", RuntimePackages: []string{"curl", "jq"}}
	layout := plan.Config{Base: "oci:base"}
	for _, test := range []struct {
		config plan.Config
		engine plan.Capabilities
		want   string
	}{
		{packages, everything, ""},
		{packages, plan.Capabilities{NoDebian: true}, ""},
		{plan.Config{Base: "alpine:3.24", RuntimePackages: []string{"curl"}}, everything, ""},
		{plan.Config{Runtime: "debian"}, plan.Capabilities{NoDebian: true}, `runtime "debian": the engine alone puts no packages of Debian into a container: make an image or an archive instead`},
		{plan.Config{RuntimePackages: []string{"curl"}}, plan.Capabilities{NoDebian: true}, `runtime-package "curl": the engine alone puts no packages of Debian into a container`},
		{plan.Config{Capabilities: []string{"NET_RAW"}}, everything, ""},
		{plan.Config{Capabilities: []string{"NET_RAW"}}, plan.Capabilities{NoFileCapabilities: true}, `capability "NET_RAW": the engine alone gives no capabilities to files: make an image or an archive instead`},
		{plan.Config{BuildVCS: true}, plan.Capabilities{NoVCS: true}, "buildvcs: the engine gets the files of the source, and no repository"},
		{layout, everything, ""},
		{layout, plan.Capabilities{NoLayouts: true}, `base "oci:base": a Dagger engine reads no OCI layout directory: put it into an archive with tar`},
		{plan.Config{Base: "oci:base", Runtime: "alpine", RuntimePackages: []string{"curl"}}, plan.Capabilities{NoLayouts: true}, "a Dagger engine reads no OCI layout directory"},
		{plan.Config{Base: "oci:base", Runtime: "alpine", RuntimePackages: []string{"curl"}}, everything, ""},
		{plan.Config{Compression: "zstd:19"}, everything, ""},
		{plan.Config{Compression: "zstd:19"}, plan.Capabilities{NoLevels: true}, `compression "zstd:19": the engine pushes, and chooses its own level: leave the level out: zstd`},
		{plan.Config{Compression: "zstd"}, plan.Capabilities{NoLevels: true}, ""},
		{plan.Config{Base: "oci-archive:base.tar"}, plan.Capabilities{NoLayouts: true}, ""},
	} {
		test.config.Engine = test.engine
		_, err := plan.Resolve(t.Context(), source, test.config)
		if test.want == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, test.want)
		assert.NotNil(t, fault.As(err))
	}

	// Git is installed with what else is, where a builder lacks it.
	prepare := func(config plan.Config) []string {
		p, err := plan.Resolve(t.Context(), source, config)
		require.NoError(t, err)
		return p.Prepare
	}
	git := plan.Capabilities{Git: true}
	assert.Nil(t, prepare(plan.Config{Surroundings: plan.Surroundings{Engine: everything}}))
	assert.Equal(t, []string{"apk", "add", "--no-cache", "git", "openssh-client"}, prepare(plan.Config{Surroundings: plan.Surroundings{Engine: git}}))
	assert.Equal(t, []string{"apk", "add", "--no-cache", "git", "make", "openssh-client"}, prepare(plan.Config{Surroundings: plan.Surroundings{Engine: git}, BuilderPackages: []string{"make", "git"}}))
	assert.Nil(t, prepare(plan.Config{Surroundings: plan.Surroundings{Engine: git}, CGO: "dynamic", Runtime: "distroless-base"}), "Debian's has it")

	// Checks say whether tests detect data races; plans of images do not, so that they are the same wherever they are made.
	for race, want := range map[plan.Race][2]bool{plan.RaceWithCGO: {false, true}, plan.RaceNever: {false, false}, plan.RaceAlways: {true, true}} {
		for i, config := range []plan.Config{{}, {CGO: "dynamic", Runtime: "distroless-base"}} {
			config.Engine = plan.Capabilities{Race: race}
			p, err := plan.ResolveChecks(t.Context(), source, config)
			require.NoError(t, err)
			test, _ := p.Check("test")
			assert.Equal(t, want[i], test.Command[2] == "-race", race)
			assert.Equal(t, want[i], test.Env["CGO_ENABLED"] == "1", race)
			p, err = plan.Resolve(t.Context(), source, config)
			require.NoError(t, err)
			test, _ = p.Check("test")
			assert.NotContains(t, test.Command, "-race")
		}
	}
}
