package host_test

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/build/host"
	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/cache/filestate"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/test/testtool"
)

// builder is an engine with a cache that stays.
type builder struct {
	cache string
	build.Engine
	// unchanged counts the builds that have left out the Go command.
	unchanged *int
}

func newBuilder(t *testing.T) builder {
	t.Helper()
	dir := t.TempDir()
	store, err := cache.Open(dir)
	require.NoError(t, err)
	return builder{dir, host.New(&oci.Bases{Cache: store}, os.Environ()), new(int)}
}

// build returns the image's digest, once all of it has been read.
func (b builder) build(dir string, config plan.Config) (digest string, size int64, err error) {
	plan, err := plan.Resolve(context.Background(), os.DirFS(dir), config)
	if err != nil {
		return "", 0, err
	}
	var l listener
	built, err := build.BuildOne(context.Background(), b, dir, plan, &l)
	if err != nil {
		return "", 0, err
	}
	if l.unchanged() {
		*b.unchanged++
	}
	d, err := built.Artifact.Digest()
	if err != nil {
		return "", 0, err
	}
	out := filepath.Join(dir, "..", "out-"+d.Hex+".tar")
	if err := oci.WriteArchive(context.Background(), out, built.Artifact, "x"); err != nil {
		return "", 0, err
	}
	if err := os.Remove(out); err != nil {
		return "", 0, err
	}
	return d.String(), built.Images[0].BinarySize, built.Close()
}

// damage changes a file of the cache at random, and says how.
func (b builder) damage(t *testing.T, random *rand.Rand) string {
	t.Helper()
	kinds := map[string][]string{} // files by their directory's name and their extension: of some there is one, of others many
	require.NoError(t, filepath.WalkDir(b.cache, func(name string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() && !strings.HasSuffix(name, ".lock") {
			relative, err := filepath.Rel(b.cache, name)
			require.NoError(t, err)
			kind := strings.Split(relative, string(filepath.Separator))[0] + filepath.Ext(name)
			kinds[kind] = append(kinds[kind], name)
		}
		return err
	}))
	if len(kinds) == 0 {
		return "nothing to damage"
	}
	kind := slices.Sorted(maps.Keys(kinds))[random.IntN(len(kinds))]
	names := kinds[kind]
	name := names[random.IntN(len(names))]
	content, err := os.ReadFile(name)
	require.NoError(t, err)
	how := ""
	switch at := random.IntN(len(content) + 1); random.IntN(3) {
	case 0:
		how, content = "cut", content[:at]
	case 1:
		if at < len(content) {
			content[at] ^= 1
		}
		how = "changed"
	default:
		require.NoError(t, os.Remove(name))
		return "removed " + name
	}
	// As somebody else would, who does not replace the file: its time stays, too.
	info, err := os.Stat(name)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(name, content, info.Mode()))
	require.NoError(t, os.Chtimes(name, info.ModTime(), info.ModTime()))
	return how + " " + name
}

// Whatever happened before, a build gives what a build without a cache gives.
func TestAnySequence(t *testing.T) {
	const steps = 20
	b := newBuilder(t)
	dir := filepath.Join(t.TempDir(), "source")
	require.NoError(t, os.Mkdir(dir, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte(hello["go.mod"]), 0o644))
	text := 0
	config := plan.Config{Runtime: "scratch", Platforms: []string{"linux/amd64"}}
	write := func() {
		source := fmt.Sprintf("package main\n\nvar x = \"-\"\n\nfunc main() { println(x, \"text %d\") }\n", text)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte(source), 0o644))
	}
	write()
	type state struct{ digest, size any }
	clean := map[string]state{}
	var log []string
	for seed := range uint64(testtool.Trials(2, 3)) {
		random := rand.New(rand.NewPCG(seed, 6))
		for range steps {
			switch random.IntN(6) {
			case 0:
				text = random.IntN(2) // an edit, or the end of one
				write()
				log = append(log, fmt.Sprint("text ", text))
			case 1:
				config.Stamps = [][]string{nil, {"main.x=1"}}[random.IntN(2)]
				log = append(log, fmt.Sprint("stamps ", config.Stamps))
			case 2:
				// So that what was done until now is old enough to be trusted.
				time.Sleep(300 * time.Millisecond)
				log = append(log, "a pause")
			default:
				log = append(log, b.damage(t, random))
			}
			key := fmt.Sprint(text, config.Stamps)
			if _, ok := clean[key]; !ok {
				digest, size, err := newBuilder(t).build(dir, config)
				require.NoError(t, err)
				clean[key] = state{digest, size}
			}
			digest, size, err := b.build(dir, config)
			require.NoError(t, err, log)
			require.Equal(t, clean[key], state{digest, size}, log)
		}
	}
	assert.Len(t, clean, 4, "the steps leave out a state")
	if filestate.Supported(dir) {
		assert.Positive(t, *b.unchanged, "no step was without changes")
	}
}

// Builds that share a cache do not disturb each other.
func TestSideBySide(t *testing.T) {
	b := newBuilder(t)
	dir := writeTree(t, hello)
	config := plan.Config{Runtime: "scratch"}
	want, _, err := newBuilder(t).build(dir, config)
	require.NoError(t, err)
	var group sync.WaitGroup
	for range 3 {
		group.Go(func() {
			// Two stores, as two processes have them.
			store, err := cache.Open(b.cache)
			if !assert.NoError(t, err) {
				return
			}
			plan, err := plan.Resolve(context.Background(), os.DirFS(dir), config)
			if !assert.NoError(t, err) {
				return
			}
			built, err := build.BuildOne(context.Background(), host.New(&oci.Bases{Cache: store}, os.Environ()), dir, plan, build.Discard)
			if !assert.NoError(t, err) {
				return
			}
			got, err := built.Artifact.Digest()
			assert.NoError(t, err)
			assert.Equal(t, want, got.String())
			assert.NoError(t, built.Close())
		})
	}
	group.Wait()
}
