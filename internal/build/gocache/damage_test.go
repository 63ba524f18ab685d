package gocache

import (
	"bytes"
	"context"
	"encoding/base64"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/build/slot"
	"github.com/slipway-ci/slipway/internal/test/registrytest"
)

// Every file of a cache may be damaged, cut off or gone: what cannot be had is compiled, and the cache is whole afterwards.
func TestDamage(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	objects := with(library(), "main", "text")
	newMachine(t, "oci:"+dir).builds(t, library())
	newMachine(t, "oci:"+dir).builds(t, objects) // two blobs
	saved := t.TempDir()
	require.NoError(t, os.CopyFS(saved, os.DirFS(dir)))
	missed := 0
	require.NoError(t, fs.WalkDir(os.DirFS(saved), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() || e.Name() == "oci-layout" {
			return err
		}
		file := filepath.Join(dir, filepath.FromSlash(name))
		sound, err := os.ReadFile(filepath.Join(saved, filepath.FromSlash(name)))
		require.NoError(t, err)
		flipped := bytes.Clone(sound)
		flipped[len(flipped)/2] ^= 1
		for how, content := range map[string][]byte{"flipped": flipped, "cut off": sound[:len(sound)/2], "gone": nil} {
			require.NoError(t, os.RemoveAll(dir))
			require.NoError(t, os.CopyFS(dir, os.DirFS(saved)))
			require.NoError(t, os.Remove(file))
			if content != nil {
				require.NoError(t, os.WriteFile(file, content, 0o644))
			}
			m := newMachine(t, "oci:"+dir)
			missed += len(m.builds(t, objects))
			if m.warnings == nil {
				assert.Empty(t, newMachine(t, "oci:"+dir).builds(t, objects), "%s %s: it is whole again", how, name)
			}
		}
		return nil
	}))
	assert.Greater(t, missed, 100)
}

// publish puts an artifact with an index and blobs into the slot of the machine's image.
func (m *machine) publish(t *testing.T, form string, index []byte, blobs ...[]byte) {
	t.Helper()
	into := slot.Entry{Kind: slot.Packages, Image: "hello", Platform: "linux/amd64", Branch: "main"}
	content, err := slot.New(into.Annotations(form))
	require.NoError(t, err)
	var layers []v1.Layer
	for _, b := range blobs {
		layers = append(layers, opaque{static.NewLayer(b, artifactType+"+zstd")})
	}
	content, err = slot.Add(content, artifactType, index, layers...)
	require.NoError(t, err)
	require.NoError(t, m.Repository.Put(t.Context(), into.Name(), content))
}

func compress(t *testing.T, content io.Reader) []byte {
	t.Helper()
	var packed bytes.Buffer
	z, err := zstd.NewWriter(&packed, zstd.WithWindowSize(1<<20))
	require.NoError(t, err)
	_, err = io.Copy(z, content)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return packed.Bytes()
}

// Whoever writes to a cache may write anything there. What is wrong is missing, and nothing is written for it but what an index announces.
func TestHostile(t *testing.T) {
	const form = "1 go1.26.8 linux/amd64"
	o := func(action, content string) object {
		return object{id(digest(action)), id(digest(content)), int64(len(content))}
	}
	archive := func(action string) string {
		return "!<arch>\n__.PKGDEF 0 0 0 644 100 `\ngo object linux amd64\nbuild id \"" + base64.RawURLEncoding.EncodeToString(digest(action)[:15]) + "/x\"\n\n"
	}
	zeros := strings.Repeat("\x00", 1<<20)
	large := o("main", "text")
	large.size = most
	wide := func() []byte { // asks for more memory than is given
		var packed bytes.Buffer
		z, err := zstd.NewWriter(&packed, zstd.WithWindowSize(256<<20))
		require.NoError(t, err)
		_, err = io.Copy(z, io.LimitReader(repeat("text"), 300<<20))
		require.NoError(t, err)
		require.NoError(t, z.Close())
		return packed.Bytes()
	}
	for name, test := range map[string]struct {
		form  string
		index []byte
		blobs [][]byte
		found bool
	}{
		"sound":                {form, encode([]blob{{objects: []object{o("main", "text")}}}), [][]byte{compress(t, strings.NewReader("text"))}, true},
		"of another version":   {"2 go1.26.8 linux/amd64", []byte("anything"), nil, false},
		"no index":             {form, nil, nil, false},
		"an index of nonsense": {form, []byte("nonsense"), [][]byte{nil}, false},
		"other content":        {form, encode([]blob{{objects: []object{o("main", "text")}}}), [][]byte{compress(t, strings.NewReader("evil"))}, false},
		"too short":            {form, encode([]blob{{objects: []object{o("main", "text")}}}), [][]byte{compress(t, strings.NewReader("tex"))}, false},
		"not compressed":       {form, encode([]blob{{objects: []object{o("main", "text")}}}), [][]byte{[]byte("text")}, false},
		"more than announced":  {form, encode([]blob{{objects: []object{o("main", "text")}}}), [][]byte{compress(t, strings.NewReader("text"+zeros))}, true},
		"a huge object":        {form, encode([]blob{{objects: []object{large}}}), [][]byte{compress(t, strings.NewReader("text"))}, false},
		"much memory":          {form, encode([]blob{{objects: []object{o("main", "text")}}}), [][]byte{wide()}, false},
		"another's package": {
			form, encode([]blob{{objects: []object{o("main", archive("other"))}}}), [][]byte{compress(t, strings.NewReader(archive("other")))}, false,
		},
		"its own package": {form, encode([]blob{{objects: []object{o("main", archive("main"))}}}), [][]byte{compress(t, strings.NewReader(archive("main")))}, true},
	} {
		t.Run(name, func(t *testing.T) {
			repository := "oci:" + filepath.Join(t.TempDir(), "cache")
			m := newMachine(t, repository)
			m.publish(t, test.form, test.index, test.blobs...)
			s := m.begin(t)
			c := connect(t, s)
			_, found := c.get("main")
			assert.Equal(t, test.found, found)
			c.compile(map[string]string{"more": "text"})
			s.Compiled()
			require.NoError(t, s.Close())
			assert.Less(t, store{m.Local.Shared("gocache", repository)}.size(), int64(2000))
			assert.Empty(t, m.warnings)
			_, ok := newMachine(t, repository).compiles(t, "more")
			assert.True(t, ok, "the cache is whole")
		})
	}
}

type repeat string

func (r repeat) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = r[i%len(r)]
	}
	return len(p), nil
}

// compiles is what an action has put out, as another build sees it.
func (m *machine) compiles(t *testing.T, action string) (string, bool) {
	t.Helper()
	s := m.begin(t)
	c := connect(t, s)
	content, ok := c.get(action)
	c.compile(nil)
	require.NoError(t, s.Close())
	return content, ok
}

// Of two builds that write at once, one is the last; the cache is whole.
func TestTwoWriters(t *testing.T) {
	for kind, repository := range map[string]string{"registry": registrytest.Start(t).Host + "/team/cache", "layout": "oci:" + filepath.Join(t.TempDir(), "cache")} {
		t.Run(kind, func(t *testing.T) {
			var both sync.WaitGroup
			machines := []*machine{newMachine(t, repository), newMachine(t, repository)}
			for i, m := range machines {
				s := m.begin(t)
				c := connect(t, s)
				c.compile(with(library(), "main", strings.Repeat("x", i+1)))
				both.Go(func() {
					s.Compiled()
					assert.NoError(t, s.Close())
				})
			}
			both.Wait()
			for _, m := range machines {
				assert.Empty(t, m.warnings)
			}
			main, ok := newMachine(t, repository).compiles(t, "main")
			assert.True(t, ok)
			assert.Contains(t, []string{"x", "xx"}, main)
			assert.Empty(t, newMachine(t, repository).builds(t, library()))
		})
	}
}

// A registry that dies half-way is no reason to fail: what has not arrived is compiled, what is not saved is a warning.
func TestRegistryDies(t *testing.T) {
	reg := registrytest.Start(t)
	repository := reg.Host + "/team/cache"
	newMachine(t, repository).builds(t, library())
	_, layers := newMachine(t, repository).blobs(t)

	half := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = w.Write([]byte("(\xb5/\xfd")) // as a blob begins
	}
	reg.Break(registrytest.Fault{When: registrytest.On("GET", layers[0]), Do: half})
	m := newMachine(t, repository)
	assert.Len(t, m.builds(t, library()), 41)
	reg.Break()
	assert.Empty(t, newMachine(t, repository).builds(t, library()), "the cache is whole")

	reg.Break(registrytest.Fault{When: registrytest.On("PUT", ""), Do: registrytest.HangUp(0)})
	m = newMachine(t, repository)
	assert.Len(t, m.builds(t, with(library(), "main", "text")), 1)
	require.Len(t, m.warnings, 1)
	assert.Contains(t, m.warnings[0], "compiled packages for linux/amd64 are not in the cache "+repository+": ")
	reg.Break()
	assert.Empty(t, m.builds(t, with(library(), "main", "text")))
	assert.Empty(t, newMachine(t, repository).builds(t, with(library(), "main", "text")), "the next build has saved it")
	assert.Empty(t, newMachine(t, repository).builds(t, library()), "the cache is whole")

	reg.Break(registrytest.Fault{When: registrytest.Any, Do: registrytest.HangUp(0)})
	m = newMachine(t, repository)
	assert.Len(t, m.builds(t, library()), 41)
}

// A disk that takes nothing any more: the Go command is answered so, and goes on without.
func TestFullDisk(t *testing.T) {
	repository := "oci:" + filepath.Join(t.TempDir(), "cache")
	newMachine(t, repository).builds(t, library())
	m := newMachine(t, repository)
	s := m.begin(t)
	c := connect(t, s)
	for action, content := range library() {
		is, ok := c.get(action)
		assert.True(t, ok)
		assert.Equal(t, content, is)
	}
	require.NoError(t, os.RemoveAll(s.shared.dir))
	require.NoError(t, os.WriteFile(s.shared.dir, nil, 0o644))
	assert.NotEmpty(t, c.put("main", "text").Err)
	_, ok := c.get("main")
	assert.False(t, ok)
	assert.Empty(t, c.ask(request{Command: "close"}, nil).Err)
	require.NoError(t, c.conn.Close())
	s.Compiled()
	require.NoError(t, s.Close())
	assert.Empty(t, newMachine(t, repository).builds(t, library()), "the cache is whole")
}

// A build that is stopped waits for nothing.
func TestStopped(t *testing.T) {
	reg := registrytest.Start(t)
	repository := reg.Host + "/team/cache"
	newMachine(t, repository).builds(t, library())
	_, layers := newMachine(t, repository).blobs(t)
	reg.Break(registrytest.Fault{When: registrytest.On("GET", layers[0]), Do: registrytest.Stall})
	m := newMachine(t, repository)
	ctx, cancel := context.WithCancel(t.Context())
	m.build.Dir = t.TempDir()
	s := m.Open(ctx, m.build)
	require.NotEmpty(t, s.Environ())
	cancel()
	require.NoError(t, s.Close())
	assert.Empty(t, m.warnings)
}
