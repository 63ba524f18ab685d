package host_test

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/plan"
)

// bytesOf is a reporter that has how many bytes each step moved.
type bytesOf struct {
	mu    sync.Mutex
	steps map[string]int64
}

func (b *bytesOf) Step(lane, name string) build.Step {
	return countingStep{build.Discard.Step(lane, name), name, b}
}

type countingStep struct {
	build.Step
	name string
	of   *bytesOf
}

func (s countingStep) Progress(p build.Progress) {
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	if p.Unit == build.Bytes {
		s.of.steps[s.name] = p.Done
	}
}

// The bytes of modules that the Go command downloads are counted, and those of modules that were there are not.
func TestDownloadedBytes(t *testing.T) {
	proxy, sums := moduleProxy(t, "one", "two")
	dir := writeTree(t, map[string]string{
		"go.mod":  "module example.com/app\n\ngo 1.26.8\n\nrequire (\n\texample.com/one v1.0.0\n\texample.com/two v1.0.0\n)\n",
		"go.sum":  sums,
		"main.go": "package main\n\nimport (\n\t\"example.com/one\"\n\t\"example.com/two\"\n)\n\nfunc main() { println(one.Name, two.Name) }\n",
	})
	cache := t.TempDir()
	t.Cleanup(func() { makeRemovable(t, cache) })
	downloaded := func() map[string]int64 {
		t.Helper()
		plan, err := plan.Resolve(t.Context(), os.DirFS(dir), plan.Config{Runtime: "scratch", Platforms: []string{"linux/amd64"}})
		require.NoError(t, err)
		b := &bytesOf{steps: map[string]int64{}}
		result, err := build.BuildOne(t.Context(), newEngine(t, "GOMODCACHE="+cache, "GOPROXY=file://"+filepath.ToSlash(proxy), "GOSUMDB=off"), dir, plan, b)
		require.NoError(t, err)
		require.NoError(t, result.Close())
		return b.steps
	}
	size := func(name string) int64 {
		info, err := os.Stat(filepath.Join(proxy, "example.com", name, "@v", "v1.0.0.zip"))
		require.NoError(t, err)
		return info.Size()
	}
	assert.Equal(t, map[string]int64{"download": size("one") + size("two")}, downloaded())
	for _, zip := range []string{"v1.0.0.zip", "v1.0.0.ziphash"} {
		require.NoError(t, os.Remove(filepath.Join(cache, "cache/download/example.com/two/@v", zip)))
	}
	makeRemovable(t, cache)
	require.NoError(t, os.RemoveAll(filepath.Join(cache, "example.com/two@v1.0.0")))
	assert.Equal(t, map[string]int64{"download": size("two")}, downloaded())
	assert.Empty(t, downloaded())
}
