package dagger_test

import (
	"errors"
	"fmt"
	"os"
	"testing"

	sdk "dagger.io/dagger"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/build/dagger"
	"github.com/slipway-ci/slipway/internal/check"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/test/daggertest"
)

// The database of vulnerabilities on a server changes from day to day, so each run asks it.
func TestOnlineChecksAreNotCached(t *testing.T) {
	dir := program(t)
	recorded := daggertest.Start(t, func(c daggertest.Chain) (any, error) {
		switch c[len(c)-1].Name {
		case "exitCode":
			return 1, nil
		case "entries":
			return []string{}, nil
		}
		return c[len(c)-1].Name, nil
	})
	client := connect(t)
	for _, db := range []string{"", "https://vuln.example.com", "http://vuln.example.com"} {
		plan := resolve(t, dir, plan.Config{VulnDB: db})
		build := dagger.New(client, client.Host().Directory(dir), plan, dagger.Private{})
		seen := map[any]bool{}
		for range 2 {
			c, _ := plan.Check("vulncheck")
			_, err := build.Run(t.Context(), c)
			require.NoError(t, err)
			asked := recorded.Asked()
			seen[variable(asked[len(asked)-1], "STARTED_AT")] = true
		}
		assert.Len(t, seen, 2, db)
		assert.NotContains(t, seen, nil, db)
	}
	plan := resolve(t, dir, plan.Config{})
	build := dagger.New(client, client.Host().Directory(dir), plan, dagger.Private{})
	c, _ := plan.Check("vet")
	_, err := build.Run(t.Context(), c)
	require.NoError(t, err)
	asked := recorded.Asked()
	assert.Nil(t, variable(asked[len(asked)-1], "STARTED_AT"))
}

// A check has the verified modules, the source, and what else it reads; that its command fails is part of its output.
func TestRun(t *testing.T) {
	dir := program(t)
	plan := resolve(t, dir, plan.Config{VulnDB: "file:///srv/db"})
	recorded := daggertest.Start(t, func(c daggertest.Chain) (any, error) {
		switch c[len(c)-1].Name {
		case "exitCode":
			return 1, nil
		case "entries":
			return []string{"coverage.out"}, nil
		default:
			return c[len(c)-1].Name, nil
		}
	})
	client := connect(t)
	build := dagger.New(client, client.Host().Directory(dir), plan, dagger.Private{}).
		WithDirectory(func(path string) *sdk.Directory { return client.Host().Directory(path) })
	for name, command := range map[string][]string{
		"verify": {"go", "mod", "tidy", "-diff"},
		"vet":    {"go", "vet", "./..."},
		"test":   {"go", "test", "-json", "-coverprofile=/out/coverage.out", "./..."},
	} {
		c, _ := plan.Check(name)
		out, err := build.Run(t.Context(), c)
		require.NoError(t, err)
		assert.Equal(t, check.Output{
			Stdout: "stdout", Stderr: "stderr", Err: errors.New("exit status 1"), Files: map[string]string{"coverage.out": "contents"},
		}, out)
		asked := recorded.Asked()
		assert.Equal(t, [][]string{download(plan), verify(plan), command}, execs(asked[len(asked)-1]))
	}
	c, _ := plan.Check("vulncheck")
	_, err := build.Run(t.Context(), c)
	require.NoError(t, err)
	asked := recorded.Asked()
	mounted := asked[len(asked)-1].Named("withMountedDirectory")
	require.Len(t, mounted, 1)
	assert.Equal(t, "/srv/db", mounted[0].Args["path"])
	assert.Nil(t, variable(asked[len(asked)-1], "STARTED_AT"), "a directory is content: its results may be cached")
	// It fails: what follows is for who has scanned.
	assert.Equal(t, c.Tool.In("/tool/govulncheck", c.Command), execs(asked[len(asked)-1])[2])
	assert.Len(t, execs(asked[len(asked)-1]), 3)
}

// A check may have several commands, each with its environment, whose output goes into files.
func TestCheckThen(t *testing.T) {
	dir := program(t)
	plan := resolve(t, dir, plan.Config{Platforms: []string{"linux/arm64"}})
	recorded := daggertest.Start(t, func(c daggertest.Chain) (any, error) {
		switch c[len(c)-1].Name {
		case "exitCode":
			return 0, nil
		case "entries":
			return []string{"a.json"}, nil
		default:
			return "x", nil
		}
	})
	client := connect(t)
	c, _ := plan.Check("vulncheck")
	require.Len(t, c.Then, 2)
	out, err := dagger.New(client, client.Host().Directory(dir), plan, dagger.Private{}).Run(t.Context(), c)
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"a.json": "x"}, out.Files)
	asked := recorded.Asked()
	last := asked[len(asked)-1]
	all := last.Named("withExec")
	require.GreaterOrEqual(t, len(all), 3)
	build, scan := all[len(all)-2], all[len(all)-1]
	assert.Contains(t, fmt.Sprint(build.Args["args"]), "/tmp/slipway/linux-arm64-")
	assert.Equal(t, "/out/"+c.Then[1].Out, scan.Args["redirectStdout"])
	// Where the scan runs, the platform is the machine's own again.
	at := map[string]string{}
	for _, call := range last {
		switch name, _ := call.Args["name"].(string); {
		case call.Name == "withEnvVariable":
			at[name], _ = call.Args["value"].(string)
		case call.Name == "withoutEnvVariable":
			delete(at, name)
		case call.Name == "withExec" && fmt.Sprint(call.Args["args"]) == fmt.Sprint(build.Args["args"]):
			assert.Equal(t, []string{"linux", "arm64", "go" + plan.Go.Version}, []string{at["GOOS"], at["GOARCH"], at["GOTOOLCHAIN"]})
		case call.Name == "withExec" && fmt.Sprint(call.Args["args"]) == fmt.Sprint(scan.Args["args"]):
			assert.NotContains(t, at, "GOARCH")
			assert.Equal(t, "0", at["CGO_ENABLED"])
			assert.Equal(t, "go"+plan.Go.Version+"+auto", at["GOTOOLCHAIN"])
		}
	}
}

// With cgo the builder has a C compiler, and tests are run under the race detector.
func TestRaceDetector(t *testing.T) {
	dir := program(t)
	plan, err := plan.ResolveChecks(t.Context(), os.DirFS(dir), plan.Config{CGO: "dynamic", Runtime: "distroless-base", Surroundings: plan.Surroundings{Engine: dagger.Capabilities(nil)}})
	require.NoError(t, err)
	recorded := daggertest.Start(t, func(c daggertest.Chain) (any, error) {
		switch c[len(c)-1].Name {
		case "exitCode":
			return 0, nil
		case "entries":
			return []string{}, nil
		default:
			return "x", nil
		}
	})
	client := connect(t)
	c, _ := plan.Check("test")
	_, err = dagger.New(client, client.Host().Directory(dir), plan, dagger.Private{}).Run(t.Context(), c)
	require.NoError(t, err)
	asked := recorded.Asked()
	all := execs(asked[len(asked)-1])
	assert.Equal(t, []string{"go", "test", "-race"}, all[len(all)-1][:3])
}

// variable is the value that a container's variable is given last; nil for none.
func variable(c daggertest.Chain, name string) (value any) {
	for _, call := range c.Named("withEnvVariable") {
		if call.Args["name"] == name {
			value = call.Args["value"]
		}
	}
	return value
}
