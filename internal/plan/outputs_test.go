package plan_test

import (
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/plan"
)

func TestOutputs(t *testing.T) {
	outputs := plan.Outputs{"dist/*.tar", "layout/blobs", "layout/index.json"}
	for name, want := range map[string]bool{
		"dist/a.tar": true, "dist": false, "dist/a.txt": false, "dist/sub/a.tar": false, "sub/dist/a.tar": false, "a.tar": false,
		"layout": false, "layout/blobs": true, "layout/blobs/sha256/x": true, "layout/index.json": true, "layout/blobs2": false, ".": false,
	} {
		assert.Equal(t, want, outputs.Has(name), name)
	}
	assert.False(t, plan.Outputs(nil).Has("dist/a.tar"))
}

func TestOutputsIn(t *testing.T) {
	outputs := plan.Outputs{"dist/*.tar", "a/b/layout/blobs", "a/b/layout/index.json"}
	for name, c := range map[string]struct{ files, want []string }{
		"none":              {[]string{"main.go"}, nil},
		"one of two":        {[]string{"dist/x.tar", "dist/x.js"}, []string{"dist/x.tar"}},
		"all of it":         {[]string{"dist/x.tar", "dist/y.tar", "main.go"}, []string{"dist", "dist/x.tar", "dist/y.tar"}},
		"a layout":          {[]string{"a/b/layout/blobs/sha256/x", "a/b/layout/index.json", "a/x"}, []string{"a/b", "a/b/layout", "a/b/layout/blobs", "a/b/layout/index.json"}},
		"a layout of mixed": {[]string{"a/b/layout/blobs/sha256/x", "a/b/layout/index.json", "a/b/layout/x"}, []string{"a/b/layout/blobs", "a/b/layout/index.json"}},
	} {
		t.Run(name, func(t *testing.T) {
			source := fstest.MapFS{}
			for _, file := range c.files {
				source[file] = &fstest.MapFile{}
			}
			got, err := outputs.In(source)
			require.NoError(t, err)
			assert.Equal(t, c.want, got)
		})
	}
}
