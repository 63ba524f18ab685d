package results_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/attest/signing"
	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/build/host"
	"github.com/slipway-ci/slipway/internal/build/results"
	"github.com/slipway-ci/slipway/internal/build/slot"
	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/registry"
	"github.com/slipway-ci/slipway/internal/test/registrytest"
)

// project is a program, and its plan.
type project struct {
	dir  string
	plan *plan.Plan
}

func newProject(t *testing.T, platforms ...string) project {
	t.Helper()
	p := project{dir: t.TempDir()}
	p.write(t, "go.mod", "module example.com/hello\n\ngo 1.26.8\n")
	p.write(t, "main.go", "package main\n\nfunc main() { println(text) }\n")
	p.write(t, "text.go", "package main\n\nimport _ \"embed\"\n\n//go:embed text.txt\nvar text string\n")
	p.write(t, "text.txt", "hello")
	p.write(t, "conf.yaml", "a: b")
	return p.planned(t, platforms...)
}

func (p project) write(t *testing.T, name, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o644))
}

func (p project) planned(t *testing.T, platforms ...string) project {
	t.Helper()
	if platforms == nil {
		platforms = []string{"linux/amd64"}
	}
	var err error
	p.plan, err = plan.Resolve(t.Context(), os.DirFS(p.dir), plan.Config{Runtime: "scratch", Platforms: platforms, Files: []string{"conf.yaml:/etc/conf.yaml"}})
	require.NoError(t, err)
	return p
}

// machine is one that builds: with a cache of its own.
type machine struct {
	*results.Engine
	asked *asked
	cache *cache.Cache
}

// asked is an engine that notes for which platforms it was asked. Without next, it fails.
type asked struct {
	next build.Engine

	mu        sync.Mutex
	platforms []string
}

var errAsked = errors.New("nothing is built here")

func (a *asked) Build(ctx context.Context, dir string, plans []*plan.Plan, report build.Reporter, done func(int, *build.Result, error)) {
	for i, p := range plans {
		for _, platform := range p.Platforms() {
			a.mu.Lock()
			a.platforms = append(a.platforms, platform.String())
			a.mu.Unlock()
		}
		if a.next == nil {
			done(i, nil, errAsked)
		}
	}
	if a.next != nil {
		a.next.Build(ctx, dir, plans, report, done)
	}
}

// newMachine is a machine that has nothing. It builds if it can.
func newMachine(t *testing.T, repository string, builds bool) machine {
	t.Helper()
	client, err := registry.New(registry.Options{Bounds: registry.Bounds{Tries: 1}})
	require.NoError(t, err)
	t.Cleanup(client.Close)
	store, err := cache.Open(filepath.Join(t.TempDir(), "cache"))
	require.NoError(t, err)
	bases := &oci.Bases{Cache: store, Remote: client}
	opened, err := slot.Open(repository, client)
	require.NoError(t, err)
	engine := host.New(bases, os.Environ())
	a := &asked{}
	if builds {
		a.next = engine
	}
	c := &results.Cache{Repository: opened, Name: repository, Fetch: true}
	return machine{&results.Engine{
		Next: a, Bases: bases, Results: bases, Cache: func(int) *results.Cache { return c },
		Behaviour: "one", Branches: []string{"main"},
		List: func(ctx context.Context, source string, p *plan.Plan, c plan.Compile, args ...string) ([]byte, string, error) {
			out, err := engine.List(ctx, source, p, c, args...)
			return out, source, err
		},
	}, a, store}
}

// builds builds a project, and puts the result into the cache.
func (m machine) builds(t *testing.T, p project) *build.Result {
	t.Helper()
	built, err := build.BuildOne(t.Context(), m, p.dir, p.plan, build.Discard)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, built.Close()) })
	require.NoError(t, m.save(t, p, built))
	return built
}

func (m machine) save(t *testing.T, p project, built *build.Result) error {
	t.Helper()
	return m.Save(t.Context(), 0, p.plan, built, func(v1.Image) (map[string][]byte, error) {
		return map[string][]byte{"cyclonedx": []byte("{\n}"), "spdx": []byte("{}")}, nil
	}, func(img v1.Image) v1.Image { return img })
}

// misses makes sure that a machine finds nothing, and asks the next engine.
func (m machine) misses(t *testing.T, p project, about ...any) {
	t.Helper()
	_, err := build.BuildOne(t.Context(), m, p.dir, p.plan, build.Discard)
	assert.ErrorIs(t, err, errAsked, about...)
}

// repositories are one of each kind.
func repositories(t *testing.T) map[string]string {
	return map[string]string{"registry": registrytest.Start(t).Host + "/team/cache", "layout": "oci:" + filepath.Join(t.TempDir(), "cache")}
}

func digestOf(t *testing.T, r *build.Result) string {
	t.Helper()
	digest, err := r.Artifact.Digest()
	require.NoError(t, err)
	return digest.String()
}

// What was built on one machine comes from the cache on another: with the same digest and content, and nothing is built.
func TestHit(t *testing.T) {
	for kind, repository := range repositories(t) {
		t.Run(kind, func(t *testing.T) {
			p := newProject(t)
			first := newMachine(t, repository, true)
			built := first.builds(t, p)
			second := newMachine(t, repository, false)
			found, err := build.BuildOne(t.Context(), second, p.dir, p.plan, build.Discard)
			require.NoError(t, err)
			assert.Equal(t, digestOf(t, built), digestOf(t, found))
			assert.Empty(t, second.asked.platforms)
			is, was := found.Images[0], built.Images[0]
			assert.Equal(t, was.BinarySize, is.BinarySize)
			assert.Equal(t, "{\n}", string(is.Documents["cyclonedx"]))
			require.NotNil(t, is.Cached)
			assert.Equal(t, repository, is.Cached.Cache)
			_, unpacked, err := oci.Sizes(was.Image)
			require.NoError(t, err)
			assert.Equal(t, unpacked, is.UnpackedSize)
			require.NoError(t, oci.WriteArchive(t.Context(), filepath.Join(t.TempDir(), "found.tar"), found.Artifact, "hello"))
			require.NoError(t, found.Close())

			// What the first machine put there, it has, and it asks for nothing.
			_, err = build.BuildOne(t.Context(), first, p.dir, p.plan, build.Discard)
			require.NoError(t, err)
			assert.Equal(t, []string{"linux/amd64", "linux/amd64"}, first.asked.platforms)
		})
	}
}

// A hit asks for no manifest twice, neither by its tag nor by its digest.
func TestHitAsksOnce(t *testing.T) {
	reg := registrytest.Start(t)
	repository := reg.Host + "/team/cache"
	p := newProject(t)
	newMachine(t, repository, true).builds(t, p)
	reg.Forget()
	m := newMachine(t, repository, false)
	_, err := build.BuildOne(t.Context(), m, p.dir, p.plan, build.Discard)
	require.NoError(t, err)
	manifests := 0
	for _, r := range reg.Requests() {
		if r.Method == "GET" && strings.Contains(r.Path, "/manifests/") {
			manifests++
		}
	}
	assert.Equal(t, 3, manifests, "the slot's, the image's and the entry's: %v", reg.Requests())
}

// Platforms that are missing are built, and the image is the same as if all of it had been.
func TestOneOfTwoPlatforms(t *testing.T) {
	repository := registrytest.Start(t).Host + "/team/cache"
	p := newProject(t)
	newMachine(t, repository, true).builds(t, p)
	p = p.planned(t, "linux/amd64", "linux/arm64")
	m := newMachine(t, repository, true)
	mixed := m.builds(t, p)
	assert.Equal(t, []string{"linux/arm64"}, m.asked.platforms)
	plain, err := build.BuildOne(t.Context(), m.asked.next, p.dir, p.plan, build.Discard)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, plain.Close()) })
	assert.Equal(t, digestOf(t, plain), digestOf(t, mixed))
	found, err := build.BuildOne(t.Context(), newMachine(t, repository, false), p.dir, p.plan, build.Discard)
	require.NoError(t, err)
	assert.Equal(t, digestOf(t, plain), digestOf(t, found))
}

// Whatever decides an image makes another result of it.
func TestKey(t *testing.T) {
	repository := "oci:" + filepath.Join(t.TempDir(), "cache")
	p := newProject(t)
	newMachine(t, repository, true).builds(t, p)
	for name, text := range map[string]string{
		"main.go": "package main\n\nfunc main() { print(text) }\n", "text.txt": "hi", "conf.yaml": "a: c", "go.mod": "module example.com/hello\n\ngo 1.26.7\n",
		"more.go": "package main\n",
	} {
		was, err := os.ReadFile(filepath.Join(p.dir, name))
		p.write(t, name, text)
		newMachine(t, repository, false).misses(t, p.planned(t), name)
		if errors.Is(err, fs.ErrNotExist) {
			require.NoError(t, os.Remove(filepath.Join(p.dir, name)))
		} else {
			p.write(t, name, string(was))
		}
	}
	other := newMachine(t, repository, false)
	other.Behaviour = "two"
	other.misses(t, p, "another Slipway")
	other = newMachine(t, repository, false)
	other.Branches = []string{"feature"}
	other.misses(t, p, "another branch")
	other.Branches = []string{"feature", "main"}
	_, err := build.BuildOne(t.Context(), other, p.dir, p.plan, build.Discard)
	require.NoError(t, err)
	labelled := *p.plan
	labelled.Image.Labels = map[string]string{"a": "b"}
	newMachine(t, repository, false).misses(t, project{p.dir, &labelled}, "a label")
}

// A mode decides who reads and who writes.
func TestModes(t *testing.T) {
	repository := "oci:" + filepath.Join(t.TempDir(), "cache")
	p := newProject(t)
	m := newMachine(t, repository, true)
	m.Mode = slot.Read
	m.builds(t, p)
	newMachine(t, repository, false).misses(t, p, "nothing was put there")
	m = newMachine(t, repository, true)
	m.Mode = slot.Refresh
	m.builds(t, p)
	m.builds(t, p)
	assert.Len(t, m.asked.platforms, 2)
	m = newMachine(t, repository, false)
	m.Mode = slot.Refresh
	m.misses(t, p, "it is built")
	_, err := build.BuildOne(t.Context(), newMachine(t, repository, false), p.dir, p.plan, build.Discard)
	require.NoError(t, err)
}

// With a key, only results count that it has signed.
func TestSigned(t *testing.T) {
	repository := "oci:" + filepath.Join(t.TempDir(), "cache")
	p := newProject(t)
	mine, other := newKey(t), newKey(t)
	newMachine(t, repository, true).builds(t, p)
	m := newMachine(t, repository, false)
	m.Key = mine
	m.misses(t, p, "not signed")
	m = newMachine(t, repository, true)
	m.Key = mine
	m.builds(t, p)
	m = newMachine(t, repository, false)
	m.Key = other
	m.misses(t, p, "by another key")
	m = newMachine(t, repository, false)
	m.Key = mine
	found, err := build.BuildOne(t.Context(), m, p.dir, p.plan, build.Discard)
	require.NoError(t, err)
	assert.True(t, found.Images[0].Cached.Signed)
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
