package gocache

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/slipway-ci/slipway/internal/attest/signing"
	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/build/slot"
	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/registry"
	"github.com/slipway-ci/slipway/internal/test/registrytest"
)

func TestMain(m *testing.M) {
	Helper()
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreTopFunction("net/http.(*persistConn).writeLoop"),
		goleak.IgnoreTopFunction("internal/poll.runtime_pollWait"))
}

// machine builds with caches of its own.
type machine struct {
	*Cache
	home  string
	build Build

	mu       sync.Mutex
	warnings []string
}

func newMachine(t *testing.T, repository string) *machine {
	t.Helper()
	client, err := registry.New(registry.Options{Bounds: registry.Bounds{Tries: 1}})
	require.NoError(t, err)
	t.Cleanup(client.Close)
	opened, err := slot.Open(repository, client)
	require.NoError(t, err)
	home := t.TempDir()
	local, err := cache.Open(filepath.Join(home, "slipway"))
	require.NoError(t, err)
	m := &machine{home: home, build: Build{
		Images: []string{"hello"}, Platform: "linux/amd64", Go: "1.26.8", Settings: "go.sum", GoCache: filepath.Join(home, "go-build"), Report: build.Discard,
	}}
	m.Cache = &Cache{
		Repository: opened, Name: repository, Branches: []string{"main"}, Local: local,
		Warn: func(text string) {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.warnings = append(m.warnings, text)
		},
	}
	return m
}

// begin begins a build.
func (m *machine) begin(t *testing.T) *Session {
	t.Helper()
	dir, err := os.MkdirTemp("", "gocache") // the path of a socket has to be short
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, os.RemoveAll(dir)) })
	b := m.build
	b.Dir = dir
	return m.Open(t.Context(), b)
}

// goCommand talks to a session as the Go command does.
type goCommand struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
	id   int64
}

// connect connects as the helper does.
func connect(t *testing.T, s *Session) *goCommand {
	t.Helper()
	program := s.Environ()["GOCACHEPROG"]
	require.NotEmpty(t, program)
	words := strings.Split(program, "'")
	conn, err := net.Dial("unix", words[5])
	require.NoError(t, err)
	c := &goCommand{t: t, conn: conn, in: bufio.NewReader(conn)}
	assert.Equal(t, []string{"get", "put", "close"}, c.answer().KnownCommands)
	return c
}

func (c *goCommand) answer() (r response) {
	line, err := c.in.ReadBytes('\n')
	require.NoError(c.t, err)
	require.NoError(c.t, json.Unmarshal(line, &r))
	return r
}

func (c *goCommand) ask(r request, body []byte) response {
	c.id++
	r.ID = c.id
	text, err := json.Marshal(r)
	require.NoError(c.t, err)
	text = append(text, "\n\n"...)
	if len(body) > 0 {
		text = append(append(append(text, '"'), base64.StdEncoding.EncodeToString(body)...), "\"\n"...)
	}
	_, err = c.conn.Write(text)
	require.NoError(c.t, err)
	answer := c.answer()
	assert.Equal(c.t, r.ID, answer.ID)
	return answer
}

// get is the content of what an action has put out; false for a miss.
func (c *goCommand) get(action string) (string, bool) {
	r := c.ask(request{Command: "get", ActionID: digest(action)}, nil)
	assert.Empty(c.t, r.Err)
	if r.Miss {
		return "", false
	}
	content, err := os.ReadFile(r.DiskPath)
	require.NoError(c.t, err)
	sum := sha256.Sum256(content)
	assert.Equal(c.t, sum[:], r.OutputID)
	assert.Equal(c.t, int64(len(content)), r.Size)
	return string(content), true
}

func (c *goCommand) put(action, content string) response {
	return c.ask(request{Command: "put", ActionID: digest(action), OutputID: digest(content), BodySize: int64(len(content))}, []byte(content))
}

// compile takes what is there, and makes the rest. It returns what it made.
func (c *goCommand) compile(objects map[string]string) (made []string) {
	for action, content := range objects {
		if is, ok := c.get(action); ok {
			assert.Equal(c.t, content, is)
			continue
		}
		made = append(made, action)
		r := c.put(action, content)
		assert.Empty(c.t, r.Err)
	}
	assert.Empty(c.t, c.ask(request{Command: "close"}, nil).Err)
	require.NoError(c.t, c.conn.Close())
	return made
}

func digest(text string) []byte {
	sum := sha256.Sum256([]byte(text))
	return sum[:]
}

// builds builds, and returns what was compiled.
func (m *machine) builds(t *testing.T, objects map[string]string) []string {
	t.Helper()
	s := m.begin(t)
	made := connect(t, s).compile(objects)
	s.Compiled()
	require.NoError(t, s.Close())
	return made
}

// library are objects that are large beside others.
func library() map[string]string {
	objects := map[string]string{"empty": ""}
	for i := range 40 {
		objects[fmt.Sprint("library ", i)] = strings.Repeat(fmt.Sprint("content ", i, " "), 1000)
	}
	return objects
}

func with(objects map[string]string, more ...string) map[string]string {
	all := map[string]string{}
	for action, content := range objects {
		all[action] = content
	}
	for i := 0; i < len(more); i += 2 {
		all[more[i]] = more[i+1]
	}
	return all
}

// blobs are how many objects each blob of an image has.
func (m *machine) blobs(t *testing.T) (objects []int, layers []string) {
	t.Helper()
	s := &Session{Build: m.build, cache: m.Cache}
	found, err := s.find(t.Context())
	require.NoError(t, err)
	require.Contains(t, found, "hello")
	artifact, ok := found["hello"].Artifact(artifactType)
	require.True(t, ok)
	blobs, err := s.index(t.Context(), found["hello"], artifact)
	require.NoError(t, err)
	for _, b := range blobs {
		digest, err := b.layer.Digest()
		require.NoError(t, err)
		objects, layers = append(objects, len(b.objects)), append(layers, digest.String())
	}
	return objects, layers
}

// What one machine compiled, another takes from the repository; what it compiles itself gets into a blob of its own, and the large one stays.
func TestShare(t *testing.T) {
	for kind, repository := range map[string]string{"registry": registrytest.Start(t).Host + "/team/cache", "layout": "oci:" + filepath.Join(t.TempDir(), "cache")} {
		t.Run(kind, func(t *testing.T) {
			first := newMachine(t, repository)
			assert.Len(t, first.builds(t, with(library(), "main", "one")), 42)
			assert.Empty(t, first.warnings)
			_, large := first.blobs(t)
			require.Len(t, large, 1)

			second := newMachine(t, repository)
			assert.Equal(t, []string{"main 2"}, second.builds(t, with(library(), "main 2", "two")))
			objects, layers := second.blobs(t)
			assert.Equal(t, []int{42, 1}, objects)
			assert.Equal(t, large[0], layers[0])

			third := newMachine(t, repository)
			assert.Equal(t, []string{"main 3"}, third.builds(t, with(library(), "main 3", "three")))
			objects, layers = third.blobs(t)
			assert.Equal(t, []int{42, 1}, objects, "what is not used any more is gone")
			assert.Equal(t, large[0], layers[0])
			assert.Empty(t, newMachine(t, repository).builds(t, with(library(), "main 3", "three")))
		})
	}
}

// What comes from a repository, and what was compiled from it, is no part of the Go command's own cache. Later builds of the same machine
// take it from where it is, without the repository.
func TestApart(t *testing.T) {
	repository := "oci:" + filepath.Join(t.TempDir(), "cache")
	first := newMachine(t, repository)
	first.builds(t, library())
	assert.Nil(t, first.begin(t).closed(t), "its own cache has everything")

	second := newMachine(t, repository)
	second.builds(t, with(library(), "main", "text"))
	assert.NoDirExists(t, second.build.GoCache)
	environ := second.begin(t).closed(t)
	shared := store{environ["GOCACHE"]}
	require.NotEmpty(t, shared.dir)
	for action := range with(library(), "main", "") {
		_, _, ok := shared.get(id(digest(action)))
		assert.True(t, ok, action)
	}
	second.build.Settings = "another go.sum"
	assert.Empty(t, second.builds(t, with(library(), "main", "text")))
	require.NoError(t, os.RemoveAll(shared.dir))
	assert.NotEmpty(t, second.begin(t).closed(t)["GOCACHEPROG"], "it is gone")
}

// closed ends a build in which nothing was compiled.
func (s *Session) closed(t *testing.T) map[string]string {
	t.Helper()
	environ := s.Environ()
	require.NoError(t, s.Close())
	return environ
}

// Where this machine has what a blob holds, the blob is not fetched, and nothing comes from the repository.
func TestWarmMachine(t *testing.T) {
	reg := registrytest.Start(t)
	repository := reg.Host + "/team/cache"
	newMachine(t, repository).builds(t, library())
	m := newMachine(t, repository)
	own := store{m.build.GoCache}
	require.NoError(t, own.open())
	for action, content := range library() {
		_, err := own.put(object{id(digest(action)), id(digest(content)), int64(len(content))}, strings.NewReader(content))
		require.NoError(t, err)
	}
	_, layers := m.blobs(t)
	reg.Forget()
	assert.Equal(t, []string{"main"}, m.builds(t, with(library(), "main", "text")))
	for _, r := range reg.Requests() {
		assert.False(t, r.Method == "GET" && strings.HasSuffix(r.Path, layers[0]), r)
	}
	_, _, ok := own.get(id(digest("main")))
	assert.True(t, ok, "what was compiled is in its own cache")
}

func TestModes(t *testing.T) {
	repository := "oci:" + filepath.Join(t.TempDir(), "cache")
	m := newMachine(t, repository)
	m.Mode = slot.Read
	assert.Nil(t, m.begin(t).closed(t), "there is nothing to read")
	m = newMachine(t, repository)
	m.builds(t, library())
	m = newMachine(t, repository)
	m.Mode = slot.Read
	assert.Equal(t, []string{"main"}, m.builds(t, with(library(), "main", "")))
	objects, _ := m.blobs(t)
	assert.Equal(t, []int{41}, objects)
	m = newMachine(t, repository)
	m.Mode = slot.Refresh
	assert.Len(t, m.builds(t, with(library(), "main", "")), 42)
	objects, _ = m.blobs(t)
	assert.Equal(t, []int{42}, objects)
}

// Packages of another branch, Go version, platform or image do not count, but for those that a branch is made from.
func TestOthers(t *testing.T) {
	repository := "oci:" + filepath.Join(t.TempDir(), "cache")
	newMachine(t, repository).builds(t, library())
	for name, change := range map[string]func(*machine){
		"branch":   func(m *machine) { m.Branches = []string{"other"} },
		"Go":       func(m *machine) { m.build.Go = "1.26.7" },
		"platform": func(m *machine) { m.build.Platform = "linux/arm64" },
		"image":    func(m *machine) { m.build.Images = []string{"other"} },
	} {
		m := newMachine(t, repository)
		m.Mode = slot.Read
		change(m)
		assert.Nil(t, m.begin(t).closed(t), name)
	}
	m := newMachine(t, repository)
	m.Branches, m.build.Images = []string{"feature", "main"}, []string{"other", "hello"}
	assert.Empty(t, m.builds(t, library()))
	m.build.Images, m.Branches = []string{"other"}, []string{"feature"}
	m.Local = newMachine(t, repository).Local
	assert.Empty(t, m.builds(t, library()), "the image that had none has a slot")
}

// With a key, only packages count that it has signed.
func TestSigned(t *testing.T) {
	repository := "oci:" + filepath.Join(t.TempDir(), "cache")
	mine, other := newKey(t), newKey(t)
	reads := func(key *signing.Key) bool {
		m := newMachine(t, repository)
		m.Key, m.Mode = key, slot.Read
		return m.begin(t).closed(t) != nil
	}
	newMachine(t, repository).builds(t, library())
	assert.False(t, reads(mine))
	m := newMachine(t, repository)
	m.Key = other
	m.builds(t, library())
	assert.False(t, reads(mine))
	assert.True(t, reads(other))
}

func newKey(t *testing.T) *signing.Key {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	text, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	parsed, err := signing.ParseKey(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: text}), nil)
	require.NoError(t, err)
	return parsed
}

func TestArrange(t *testing.T) {
	o := func(name string, size int64) object {
		return object{action: id(digest(name)), output: id(digest(name)), size: size}
	}
	var used []usedObject
	for _, name := range strings.Fields("a b c d") {
		used = append(used, usedObject{object: o(name, 10)})
	}
	moved := o("d", 10)
	moved.output = id(digest("other"))
	stay, rest := arrange(used, []blob{
		{objects: []object{o("a", 30), o("gone", 10)}}, // three quarters
		{objects: []object{o("b", 20), o("old", 10)}},
		{objects: []object{moved}},
		{},
	})
	require.Len(t, stay, 1)
	assert.Equal(t, o("a", 30), stay[0].objects[0])
	assert.Equal(t, used[1:], rest)

	var many []blob
	for i := range 10 {
		many = append(many, blob{objects: []object{o("a", int64(1+i))}})
	}
	stay, _ = arrange(used, many)
	require.Len(t, stay, mostBlobs-1)
	assert.Equal(t, int64(10), stay[0].size())
}

func TestIndex(t *testing.T) {
	blobs := []blob{{objects: []object{{id{1}, id{2}, 3}, {id{4}, id{5}, 1 << 20}}}, {objects: []object{}}}
	text := encode(blobs)
	is, err := decode(text, []v1.Layer{nil, nil})
	require.NoError(t, err)
	assert.Equal(t, blobs, is)
	for cut := range text {
		_, err := decode(text[:cut], []v1.Layer{nil, nil})
		assert.Error(t, err, cut)
	}
	_, err = decode(append(bytes.Clone(text), 0), []v1.Layer{nil, nil})
	assert.Error(t, err)
	_, err = decode([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, []v1.Layer{nil})
	assert.Error(t, err, "more objects than there are bytes")
	_, err = decode(encode([]blob{{objects: []object{{size: most}, {size: 1}}}}), []v1.Layer{nil})
	assert.Error(t, err, "more bytes than are cached")
}
