package dagger_test

import (
	"errors"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/build/dagger"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/test/daggertest"
)

// A check's tool is that of its released image. It is compiled where there is none, where the image cannot be had, and where it was compiled
// by a Go that is older than the source; apart from the source, so that no edit of that compiles it again.
func TestTools(t *testing.T) {
	dir := program(t)
	plan := resolve(t, dir, plan.Config{})
	lint, _ := plan.Check("lint")
	image := lint.Tool.Image
	fromImage := func(c daggertest.Chain) bool {
		return slices.ContainsFunc(c.Named("from"), func(call daggertest.Call) bool { return call.Args["address"] == image })
	}
	for about, test := range map[string]struct {
		check    string
		refused  error
		stderr   string
		reports  []string
		compiled bool
	}{
		"image":    {check: "lint", reports: []string{"lint: golangci-lint is that of " + image}},
		"refused":  {check: "lint", refused: errors.New("no such host"), reports: []string{"lint: golangci-lint is compiled, since its image cannot be had: "}, compiled: true},
		"no image": {check: "vulncheck", compiled: true},
		"old Go": {
			check: "lint", stderr: "the Go language version (go1.24) used to build golangci-lint is lower than the targeted Go version (1.26)",
			reports: []string{"lint: golangci-lint is that of " + image, "lint: golangci-lint is compiled, since that of the image is of an older Go than the source"}, compiled: true,
		},
	} {
		t.Run(about, func(t *testing.T) {
			recorded := daggertest.Start(t, func(c daggertest.Chain) (any, error) {
				switch last := c[len(c)-1].Name; last {
				case "exitCode":
					return 1, nil
				case "entries":
					return []string{}, nil
				case "stderr":
					return test.stderr, nil
				default:
					if test.refused != nil && fromImage(c) {
						return nil, test.refused
					}
					return last, nil
				}
			})
			client := connect(t)
			var reports []string
			c, _ := plan.Check(test.check)
			_, err := dagger.New(client, client.Host().Directory(dir), plan, dagger.Private{}).
				WithReport(func(text string) { reports = append(reports, text) }).Run(t.Context(), c)
			require.NoError(t, err)
			require.Len(t, reports, len(test.reports), reports)
			for i, want := range test.reports {
				assert.Contains(t, reports[i], want)
			}
			asked := recorded.Asked()
			ran := execs(asked[len(asked)-1])
			file := "/tool/" + c.Tool.Name()
			assert.Contains(t, ran[len(ran)-1], file)
			assert.NotContains(t, ran[len(ran)-1], c.Tool.Package)
			mounted := asked[len(asked)-1].Named("withMountedFile")
			require.Len(t, mounted, 1)
			assert.Equal(t, file, mounted[0].Args["path"])
			queries := recorded.Queries()
			compiles := slices.ContainsFunc(queries, func(query string) bool {
				return containsAll(query, `"go","install","`+c.Tool.Package+`"`, path.Join("/out", c.Tool.Name())) && !containsAll(query, `path:"/src"`)
			})
			assert.Equal(t, test.compiled, compiles, queries)
		})
	}
}

func containsAll(text string, all ...string) bool {
	return !slices.ContainsFunc(all, func(one string) bool { return !strings.Contains(text, one) })
}
