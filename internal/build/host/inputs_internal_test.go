package host

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/cache/filestate"
	"github.com/slipway-ci/slipway/internal/plan"
)

// What a program is made of is the same while nothing of it changes, and unknown where something cannot be known.
func TestInputs(t *testing.T) {
	type given struct {
		c                             compiler
		p                             plan.Compile
		toolchain, source, everything filestate.State
		err                           error
		all                           bool
	}
	read := func(change func(*given)) inputs {
		g := given{
			c: compiler{
				plan:     &plan.Plan{Env: map[string]string{"GOFLAGS": ""}, Dependencies: plan.Dependencies{Download: []string{"go", "mod", "download"}}},
				verified: "modules", verifier: verifier{modules: "cache"},
			},
			p:         plan.Compile{Platform: plan.Platform{OS: "linux", Architecture: "amd64"}},
			toolchain: filestate.State{Digest: "toolchain", Settled: true},
			source:    filestate.State{Digest: "source", Settled: true}, everything: filestate.State{Digest: "everything", Settled: true},
		}
		change(&g)
		g.c.states = &states{
			func() (filestate.State, error) { return g.toolchain, nil },
			func() (filestate.State, error) { return g.source, g.err },
			func() (filestate.State, error) { return g.everything, nil },
		}
		return g.c.inputs(g.p, g.all)
	}
	first := read(func(*given) {})
	assert.NotEmpty(t, first.Digest)
	for name, change := range map[string]func(*given){
		"nothing":                 func(*given) {},
		"a file of no use to Go":  func(g *given) { g.everything.Digest = "x" },
		"such a file, just now":   func(g *given) { g.everything.Settled = false },
		"verifying is not needed": func(g *given) { g.c.plan.Dependencies.Download = nil },
	} {
		assert.Equal(t, first, read(change), name)
	}
	for name, change := range map[string]func(*given){
		"platform":     func(g *given) { g.p.Platform.Architecture = "arm64" },
		"flag":         func(g *given) { g.p.Flags = []string{"-race"} },
		"its variable": func(g *given) { g.p.Env = map[string]string{"GOAMD64": "v3"} },
		"variable":     func(g *given) { g.c.plan.Env["GOEXPERIMENT"] = "x" },
		"directory":    func(g *given) { g.c.plan.Source.Dir = "sub" },
		"modules":      func(g *given) { g.c.verified = "others" },
		"module cache": func(g *given) { g.c.verifier.modules = "another" },
		"toolchain":    func(g *given) { g.toolchain.Digest = "x" },
		"source":       func(g *given) { g.source.Digest = "x" },
		"all files":    func(g *given) { g.all = true },
	} {
		changed := read(change)
		assert.NotEmpty(t, changed.Digest, name)
		assert.NotEqual(t, first.Digest, changed.Digest, name)
	}
	for name, change := range map[string]func(*given){
		"unverified modules":       func(g *given) { g.c.verified = "" },
		"a file written just now":  func(g *given) { g.source.Settled = false },
		"any file, just now":       func(g *given) { g.all, g.everything.Settled = true, false },
		"a toolchain just put in":  func(g *given) { g.toolchain.Settled = false },
		"a source not to be read":  func(g *given) { g.err = errors.New("permission denied") },
		"one that has many files":  func(g *given) { g.err = errTooMany },
		"no toolchain to be found": func(g *given) { g.toolchain.Digest, g.toolchain.Settled = "", false },
	} {
		assert.Empty(t, read(change).Digest, name)
	}
}

// Where everything counts, the note says so.
func TestInputsOfEverything(t *testing.T) {
	c := compiler{plan: &plan.Plan{Dependencies: plan.Dependencies{Download: []string{"go"}}}}
	assert.Equal(t, inputs{Everything: true}, c.inputs(plan.Compile{}, true))
}

// A source with very many files is left to the Go command, which knows those that it needs.
func TestTooManyFiles(t *testing.T) {
	defer func(was int) { most = was }(most)
	most = 3
	dir := t.TempDir()
	for i := range most + 1 {
		require.NoError(t, os.Mkdir(filepath.Join(dir, strconv.Itoa(i)), 0o755))
	}
	c := compiler{source: dir}
	assert.True(t, c.needsEverything())
	_, err := sourceState(dir, nil, false)
	require.ErrorIs(t, err, errTooMany)

	require.NoError(t, os.Remove(filepath.Join(dir, "0")))
	assert.False(t, c.needsEverything())
	_, err = sourceState(dir, nil, false)
	assert.NoError(t, err)
}

// Go reads files of any kind where they are embedded or included by assembly; a source that cannot be read may do so.
func TestNeedsEverything(t *testing.T) {
	for content, want := range map[string]bool{
		"main.go: package main":     false,
		"a.txt: //go:embed a":       false,
		"sub/main.go: //go:embed a": true,
		"sub/add.s: TEXT ·add(SB)":  true,
		".git/x.go: //go:embed a":   false,
	} {
		t.Run(content, func(t *testing.T) {
			dir := t.TempDir()
			name, content, _ := strings.Cut(content, ": ")
			name = filepath.Join(dir, name)
			require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
			require.NoError(t, os.WriteFile(name, []byte(content), 0o644))
			c := compiler{source: dir}
			assert.Equal(t, want, c.needsEverything())
		})
	}
	c := compiler{source: filepath.Join(t.TempDir(), "gone")}
	assert.True(t, c.needsEverything())
}

// After go build, what it has left as it was is not read again, if that was known to be sound.
func TestLookAtPrograms(t *testing.T) {
	const name = "program"
	store, err := cache.Open(t.TempDir())
	require.NoError(t, err)
	c, s, programs := compiler{cache: store}, &binaryCache{dir: t.TempDir()}, []plan.Program{{Name: name}}
	self, err := os.Executable()
	require.NoError(t, err)
	ours, id := filepath.Join(s.dir, name), buildID(self)
	require.NotEmpty(t, id)
	for _, test := range []struct {
		file, id, sum string // what is there, and what the note says of it
		unread        bool
		read, damaged bool
	}{
		{file: self, id: id, sum: "noted", unread: true},
		{file: self, id: id, sum: "noted", read: true, damaged: true},
		{file: self, id: "of another build", sum: "noted", unread: true, read: true},
		{file: self, read: true},
		{file: "inputs.go", read: true},
		{file: "inputs.go", sum: "noted", unread: true, read: true, damaged: true},
		{file: "inputs.go", id: id, sum: "noted", unread: true, read: true, damaged: true},
	} {
		require.NoError(t, os.RemoveAll(ours))
		content, err := os.ReadFile(test.file)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(ours, content, 0o755))
		was := cachedPrograms{Programs: map[string]cachedProgram{}}
		if test.sum != "" {
			was.Programs[name] = cachedProgram{test.id, test.sum}
		}
		is, damaged, err := c.inspect(s, was, map[string]bool{name: test.unread}, programs)
		require.NoError(t, err)
		assert.Equal(t, test.damaged, len(damaged) > 0, test)
		want := test.sum
		if test.read {
			want, err = cache.ReadFileDigest(ours)
			require.NoError(t, err)
		}
		assert.Equal(t, want, is.Programs[name].Digest, test)
	}
}

// Programs are cached only where the Go command can tell whether they are up to date.
func TestCacheable(t *testing.T) {
	assert.True(t, cacheable(&plan.Plan{}, plan.Compile{Flags: []string{"-trimpath"}}))
	for name, not := range map[string]struct {
		plan plan.Plan
		p    plan.Compile
	}{
		"C libraries":      {p: plan.Compile{C: new(plan.C)}},
		"generated code":   {plan: plan.Plan{Generate: []string{"go", "generate"}}},
		"another build ID": {p: plan.Compile{Flags: []string{"-ldflags=-buildid="}}},
		"by a variable":    {plan: plan.Plan{Env: map[string]string{"GOFLAGS": "-ldflags=-buildid="}}},
		"by a platform's":  {p: plan.Compile{Env: map[string]string{"GOFLAGS": "-ldflags=-buildid="}}},
	} {
		assert.False(t, cacheable(&not.plan, not.p), name)
	}
}
