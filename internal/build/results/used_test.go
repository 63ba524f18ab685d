package results

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"golang.org/x/mod/module"

	"github.com/slipway-ci/slipway/internal/plan"
)

// What the Go command used must be what the key names: no more of the source, by way of other modules, and of those only what a go.sum has.
func TestCheckUsed(t *testing.T) {
	const known = `
{"ImportPath": "fmt", "Dir": "/go/src/fmt", "Standard": true, "GoFiles": ["print.go"]}
{"ImportPath": "example.com/m/a", "Dir": "/src/a", "Module": {"Path": "example.com/m"}, "GoFiles": ["a.go"], "EmbedFiles": ["web/x"]}
{"ImportPath": "example.com/x", "Dir": "/mod/x", "Module": {"Path": "example.com/x", "Version": "v1.0.0"}, "GoFiles": ["x.go"]}
`
	files := map[string]string{"a/a.go": "1", "a/web/x": "2"}
	sums := map[module.Version]bool{{Path: "example.com/x", Version: "v1.0.0"}: true, {Path: "example.com/fork", Version: "v2.0.0"}: true}
	assert.NoError(t, checkUsed([]byte(known), "/src", &plan.Plan{}, files, sums))
	for more, want := range map[string]string{
		`{"ImportPath": "example.com/m/b", "Dir": "/src/b", "GoFiles": ["b.go"]}`:                                                                   "b/b.go, of example.com/m/b, was not known",
		`{"ImportPath": "example.com/l", "Dir": "/src/l", "Module": {"Path": "l", "Version": "v1", "Replace": {"Path": "./l"}}, "SFiles": ["l.s"]}`: "l/l.s, of example.com/l, was not known",
		`{"ImportPath": "example.com/y", "Module": {"Path": "example.com/y", "Version": "v1.0.0"}}`:                                                 "no go.sum of the source has example.com/y v1.0.0",
		`{"ImportPath": "z", "Module": {"Path": "z", "Version": "v1", "Replace": {"Path": "example.com/fork", "Version": "v2.0.0"}}}`:               "",
		`{`: "reading the output of go list",
	} {
		err := checkUsed([]byte(known+more), "/src", &plan.Plan{}, files, sums)
		if want == "" {
			assert.NoError(t, err)
		} else {
			assert.ErrorContains(t, err, want)
		}
	}
}
