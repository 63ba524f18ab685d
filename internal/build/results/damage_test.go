package results_test

import (
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/build/slot"
	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/test/registrytest"
)

// Every file of a cache may be damaged, cut off or gone: then there is no result, or the right one.
func TestDamage(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	p := newProject(t)
	built := newMachine(t, "oci:"+dir, true).builds(t, p)
	var files []string
	require.NoError(t, filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() && e.Name() != "oci-layout" {
			files = append(files, name)
		}
		return err
	}))
	require.Greater(t, len(files), 5)
	misses := 0
	for _, file := range files {
		sound, err := os.ReadFile(file)
		require.NoError(t, err)
		flipped := []byte(string(sound))
		flipped[len(flipped)/2] ^= 1
		for how, content := range map[string][]byte{"flipped": flipped, "cut off": sound[:len(sound)/2], "empty": {}, "gone": nil} {
			about := how + " " + strings.TrimPrefix(file, dir)
			if content == nil {
				require.NoError(t, os.Remove(file))
			} else {
				require.NoError(t, os.WriteFile(file, content, 0o644))
			}
			found, err := build.BuildOne(t.Context(), newMachine(t, "oci:"+dir, false), p.dir, p.plan, build.Discard)
			if err == nil {
				assert.Equal(t, digestOf(t, built), digestOf(t, found), about)
			} else {
				assert.ErrorIs(t, err, errAsked, about)
			}
			if err != nil {
				misses++
			}
		}
		require.NoError(t, os.WriteFile(file, sound, 0o644))
	}
	// A flipped bit may leave index.json as good as it was, and nobody reads the artifact's configuration.
	assert.GreaterOrEqual(t, misses, 4*(len(files)-2))
}

// Content that somebody else made is no result.
func TestForeign(t *testing.T) {
	repository := "oci:" + filepath.Join(t.TempDir(), "cache")
	p := newProject(t)
	newMachine(t, repository, true).builds(t, p)
	opened, err := slot.Open(repository, nil)
	require.NoError(t, err)
	names, err := opened.Names(t.Context())
	require.NoError(t, err)
	require.Len(t, names, 1)
	real, err := opened.Get(t.Context(), names[0])
	require.NoError(t, err)
	entry := artifactOf(t, real)
	strange, err := random.Image(100, 1)
	require.NoError(t, err)
	whole := func(images []v1.Image, documents ...string) v1.ImageIndex {
		index, err := slot.New(real.Index.Annotations, images...)
		require.NoError(t, err)
		for _, document := range documents {
			index, err = slot.Add(index, "application/vnd.slipway.result.v1+json", []byte(document))
			require.NoError(t, err)
		}
		return index
	}
	forPlatform := platformed(t, strange)
	for about, content := range map[string]v1.ImageIndex{
		"an empty index":           empty.Index,
		"no entry":                 whole([]v1.Image{forPlatform}),
		"an image in vain":         whole([]v1.Image{forPlatform}, entry),
		"an image of no platform":  whole([]v1.Image{strange}, entry),
		"no image":                 whole(nil, entry),
		"an entry that is no JSON": whole([]v1.Image{forPlatform}, "{"),
		"an entry of another":      whole([]v1.Image{forPlatform}, strings.Replace(entry, `"key":"`, `"key":"0`, 1)),
		"a very large entry":       whole([]v1.Image{forPlatform}, strings.Repeat(" ", 17<<20)),
	} {
		require.NoError(t, opened.Put(t.Context(), names[0], content))
		newMachine(t, repository, false).misses(t, p, about)
	}
	// A build puts the right thing back.
	newMachine(t, repository, true).builds(t, p)
	_, err = build.BuildOne(t.Context(), newMachine(t, repository, false), p.dir, p.plan, build.Discard)
	require.NoError(t, err)
}

// artifactOf is the entry in a slot.
func artifactOf(t *testing.T, s *slot.Slot) string {
	t.Helper()
	d, ok := s.Artifact("application/vnd.slipway.result.v1+json")
	require.True(t, ok)
	document, err := s.Document(t.Context(), d)
	require.NoError(t, err)
	return string(document)
}

// platformed is an image for linux/amd64.
func platformed(t *testing.T, img v1.Image) v1.Image {
	t.Helper()
	layers, err := img.Layers()
	require.NoError(t, err)
	made, err := oci.New(oci.Spec{Platform: v1.Platform{OS: "linux", Architecture: "amd64"}, Layers: []oci.Layer{{Layer: ociLayer{layers[0]}}}})
	require.NoError(t, err)
	return made
}

type ociLayer struct{ v1.Layer }

func (ociLayer) MediaType() (types.MediaType, error) { return types.OCILayer, nil }

// Two who put the same or something else into a slot at once leave one of them, as a whole.
func TestTwoWriters(t *testing.T) {
	for kind, repository := range repositories(t) {
		t.Run(kind, func(t *testing.T) {
			p, q := newProject(t), newProject(t)
			q.write(t, "text.txt", "another")
			var group sync.WaitGroup
			for _, project := range []project{p, q, p} {
				m := newMachine(t, repository, true)
				built, err := build.BuildOne(t.Context(), m, project.dir, project.plan, build.Discard)
				require.NoError(t, err)
				t.Cleanup(func() { assert.NoError(t, built.Close()) })
				group.Go(func() { assert.NoError(t, m.save(t, project, built)) })
			}
			group.Wait()
			_, err1 := build.BuildOne(t.Context(), newMachine(t, repository, false), p.dir, p.plan, build.Discard)
			_, err2 := build.BuildOne(t.Context(), newMachine(t, repository, false), q.dir, q.plan, build.Discard)
			assert.True(t, (err1 == nil) != (err2 == nil), "%v, %v", err1, err2)
		})
	}
}

// A registry that dies at any request, while a result is put there or taken, leaves what was there, and no build that waits for it.
func TestDyingRegistry(t *testing.T) {
	server := registrytest.Start(t)
	repository := server.Host + "/team/cache"
	p := newProject(t)
	m := newMachine(t, repository, true)
	m.builds(t, p)
	server.Forget()
	_, err := build.BuildOne(t.Context(), newMachine(t, repository, false), p.dir, p.plan, build.Discard)
	require.NoError(t, err)
	reads := len(server.Requests())
	require.Greater(t, reads, 3)
	after := func(n int) registrytest.Fault {
		var mu sync.Mutex
		return registrytest.Fault{When: func(*http.Request) bool {
			mu.Lock()
			defer mu.Unlock()
			n--
			return n < 0
		}, Do: registrytest.HangUp(10)}
	}
	for n := range reads {
		server.Break(after(n + 1)) // the first is the handshake
		newMachine(t, repository, false).misses(t, p, "after %d requests", n)
	}
	server.Break()
	p.write(t, "text.txt", "another")
	built, err := build.BuildOne(t.Context(), m, p.dir, p.plan, build.Discard)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, built.Close()) })
	for n := range 8 {
		server.Break(after(n + 1))
		assert.Error(t, m.save(t, p, built), "after %d requests", n)
		server.Break()
		newMachine(t, repository, false).misses(t, p, "after %d requests", n)
	}
	p.write(t, "text.txt", "hello")
	_, err = build.BuildOne(t.Context(), newMachine(t, repository, false), p.dir, p.plan, build.Discard)
	require.NoError(t, err, "what was there before")
	p.write(t, "text.txt", "another")
	require.NoError(t, m.save(t, p, built))
}

// A source that changes while it is built gives no result.
func TestChangedMeanwhile(t *testing.T) {
	repository := "oci:" + filepath.Join(t.TempDir(), "cache")
	p := newProject(t)
	m := newMachine(t, repository, true)
	built, err := build.BuildOne(t.Context(), m, p.dir, p.plan, build.Discard)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, built.Close()) })
	p.write(t, "text.txt", "another")
	assert.ErrorContains(t, m.save(t, p, built), "the source changed")
	newMachine(t, repository, false).misses(t, p)
}

// A disk on which nothing can be written makes no build fail.
func TestNoRoom(t *testing.T) {
	repository := registrytest.Start(t).Host + "/team/cache"
	p := newProject(t)
	newMachine(t, repository, true).builds(t, p)
	m := newMachine(t, repository, false)
	dir := t.TempDir()
	full, err := cache.Open(filepath.Join(dir, "full"))
	require.NoError(t, err)
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "full")))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "full"), nil, 0o644))
	m.Results = &oci.Bases{Cache: full, Remote: m.Bases.Remote}
	m.misses(t, p)
}
