package plan_test

import (
	"errors"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/plan"
)

func TestShare(t *testing.T) {
	source := fstest.MapFS{"go.mod": {Data: []byte("module example.com/shop\n\ngo 1.26.8\n")}}
	for _, dir := range []string{"cmd/api", "cmd/web", "cmd/job", "old/api"} {
		source[dir+"/main.go"] = &fstest.MapFile{Data: []byte("package main\n\nfunc main() {}\n")}
	}
	amd64, both := []string{"linux/amd64"}, []string{"linux/amd64", "linux/arm64"}
	configs := []plan.Config{
		{Packages: []string{"cmd/web"}, Platforms: both},
		{Packages: []string{"cmd/api"}, Platforms: amd64, Runtime: "scratch", Ports: []string{"80"}},        // only the image differs
		{Packages: []string{"old/api"}, Platforms: both},                                                    // a second program called api
		{Packages: []string{"cmd/api", "cmd/job"}, Platforms: both},                                         // one that is there already
		{Packages: []string{"cmd/job"}, Platforms: both, Stamps: []string{"main.version=v1"}},               // another linker line
		{Packages: []string{"cmd/job"}, Platforms: amd64, Stamps: []string{"main.version=v1"}, Debug: true}, // other flags
		{Packages: []string{"cmd/nothing"}},                                                                 // a fault
	}
	plans, errs := plan.ResolveAll(t.Context(), source, configs)
	assert.ErrorContains(t, errs[6], "./cmd/nothing")
	assert.Nil(t, plans[6])
	for _, err := range errs[:6] {
		require.NoError(t, err)
	}
	one, err := plan.Resolve(t.Context(), source, configs[3])
	require.NoError(t, err)
	assert.Equal(t, one, plans[3])

	groups := plan.Share(plans[:6])
	require.Len(t, groups, 4)
	assert.Equal(t, []int{0, 1, 3}, groups[0].Members)
	assert.Equal(t, []string{"web", "api", "api"}, groups[0].Images)
	assert.Equal(t, []int{2}, groups[1].Members)
	assert.Equal(t, []int{4}, groups[2].Members)
	assert.Equal(t, []int{5}, groups[3].Members)

	g := groups[0]
	require.Len(t, g.Plan.Compile, 2)
	assert.Equal(t, []string{"./cmd/api", "./cmd/job", "./cmd/web"}, g.Plan.Compile[0].Packages)
	assert.Equal(t, "linux/amd64", g.Plan.Compile[0].Platform.String())
	assert.Equal(t, plans[0].Compile[0].Flags, g.Plan.Compile[0].Flags)
	assert.Equal(t, plans[0].Env, g.Plan.Env)
	assert.Len(t, g.Plan.Programs, 3)
	assert.Len(t, g.Compiled(g.Plan.Compile[1]), 3)
	assert.Empty(t, g.Plan.Image)
	assert.Equal(t, []string{"./cmd/web"}, plans[0].Compile[0].Packages, "the plans stay as they are")
}

// A package is compiled for the platforms that an image of it has, and for no other.
// Programs of one name are compiled apart, and are not mixed up with those of another image.
func TestShareSameName(t *testing.T) {
	source := fstest.MapFS{"go.mod": {Data: []byte("module example.com/app\n\ngo 1.26.8\n")}}
	for _, dir := range []string{"a/server", "b/server", "tool"} {
		source[dir+"/main.go"] = &fstest.MapFile{Data: []byte("package main\n")}
	}
	both := plan.Config{Packages: []string{"./a/server", "./b/server=/usr/bin/server"}}
	plans, errs := plan.ResolveAll(t.Context(), source, []plan.Config{both, {Packages: []string{"./b/server"}}, {Packages: []string{"./tool"}}, both})
	require.NoError(t, errors.Join(errs...))
	groups := plan.Share(plans)
	require.Len(t, groups, 2)
	assert.Equal(t, []int{0, 2, 3}, groups[0].Members)
	compile := groups[0].Plan.Compile[0]
	assert.Equal(t, []string{"./a/server", "./tool"}, compile.Packages)
	assert.Equal(t, []plan.Renamed{{Package: "./b/server", Name: "server-2"}}, compile.Renamed)
	assert.Len(t, groups[0].Compiled(compile), 3)
	assert.Len(t, compile.Commands("out"), 2)
	assert.Nil(t, groups[1].Plan.Compile[0].Renamed)
}

func TestShareOfUnlikePlatforms(t *testing.T) {
	source := fstest.MapFS{
		"go.mod": {Data: []byte("module example.com/shop\n\ngo 1.26.8\n")},
		"a/a.go": {Data: []byte("package main\n\nfunc main() {}\n")}, "b/b.go": {Data: []byte("package main\n\nfunc main() {}\n")},
	}
	plans, errs := plan.ResolveAll(t.Context(), source, []plan.Config{
		{Packages: []string{"a"}, Platforms: []string{"linux/amd64"}}, {Packages: []string{"b"}, Platforms: []string{"linux/arm64"}},
	})
	require.Equal(t, []error{nil, nil}, errs)
	groups := plan.Share(plans)
	require.Len(t, groups, 1)
	for i, c := range groups[0].Plan.Compile {
		assert.Equal(t, plans[i].Compile, []plan.Compile{c})
		assert.Equal(t, plans[i].Programs, groups[0].Compiled(c))
	}
}
