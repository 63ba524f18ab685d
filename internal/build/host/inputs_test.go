package host_test

import (
	"bytes"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/cache/filestate"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/test/testtool"
)

// listener hears what the steps say.
type listener struct {
	mu   sync.Mutex
	said bytes.Buffer
}

func (l *listener) Step(string, string) build.Step { return l }

func (l *listener) End(error) {}

func (l *listener) Progress(build.Progress) {}

func (l *listener) Part(build.Part)            {}
func (l *listener) Skip(skipped build.Skipped) { io.WriteString(l, skipped.Reason) }

func (l *listener) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.said.Write(p)
}

// unchanged reports whether the Go command was left out.
func (l *listener) unchanged() bool {
	return strings.Contains(l.said.String(), "nothing that the programs are made of has changed")
}

// site is a source that is built again and again.
type site struct {
	builder
	dir    string
	config plan.Config
}

func newSite(t *testing.T, files map[string]string) site {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "source")
	s := site{newBuilder(t), dir, plan.Config{Runtime: "scratch", Platforms: []string{"linux/amd64"}}}
	if !filestate.Supported(filepath.Dir(dir)) {
		testtool.Skip(t, "times of change, which the file system of the tests' directory has not: set TMPDIR to another")
	}
	for name, content := range files {
		s.write(t, name, content)
	}
	return s
}

func (s site) write(t *testing.T, name, content string) {
	t.Helper()
	name = filepath.Join(s.dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
	require.NoError(t, os.WriteFile(name, []byte(content), 0o644))
}

// make builds, and reports whether the Go command was left out.
func (s site) make(t *testing.T) (digest string, unchanged bool) {
	t.Helper()
	plan, err := plan.Resolve(t.Context(), os.DirFS(s.dir), s.config)
	require.NoError(t, err)
	var l listener
	built, err := build.BuildOne(t.Context(), s, s.dir, plan, &l)
	require.NoError(t, err)
	d, err := built.Artifact.Digest()
	require.NoError(t, err)
	require.NoError(t, built.Close())
	return d.String(), l.unchanged()
}

// settle builds until there is nothing left to do: what was written a moment ago is read again.
func (s site) settle(t *testing.T) (digest string) {
	t.Helper()
	for range 100 {
		time.Sleep(300 * time.Millisecond) // a build of files that have not settled costs more
		digest, unchanged := s.make(t)
		if unchanged {
			return digest
		}
	}
	t.Fatal("it never settles")
	return ""
}

const embeds = "package main\n\nimport _ \"embed\"\n\n//go:embed data.txt\nvar data string\n\nfunc main() { println(data) }\n"

// A build asks the Go command when anything has changed that it reads, and gives what a build without a cache gives.
func TestUnchanged(t *testing.T) {
	for name, test := range map[string]struct {
		files     map[string]string // besides those of hello
		change    func(t *testing.T, s *site)
		unchanged bool
		slow      bool // another of its kind is always tried
	}{
		"an edit of the same size and time": {change: func(t *testing.T, s *site) {
			rewrite(t, filepath.Join(s.dir, "main.go"), "package main\n\nfunc main() { println(\"jello\") }\n")
		}},
		"a file more": {change: func(t *testing.T, s *site) {
			s.write(t, "more.go", "package main\n\nfunc init() { println(\"more\") }\n")
		}},
		"a file less": {slow: true, files: map[string]string{"more.go": "package main\n\nfunc init() { println(\"more\") }\n"}, change: func(t *testing.T, s *site) {
			require.NoError(t, os.Remove(filepath.Join(s.dir, "more.go")))
		}},
		"another package": {files: map[string]string{
			"main.go": "package main\n\nimport \"example.com/hello/sub\"\n\nfunc main() { sub.Say() }\n", "sub/sub.go": "package sub\n\nfunc Say() { println(1) }\n",
		}, change: func(t *testing.T, s *site) { s.write(t, "sub/sub.go", "package sub\n\nfunc Say() { println(2) }\n") }},
		"go.mod": {slow: true, change: func(t *testing.T, s *site) {
			s.write(t, "go.mod", "module example.com/hello\n\ngo 1.26.7\n\ntoolchain go1.26.8\n")
		}},
		"a profile": {slow: true, change: func(t *testing.T, s *site) { s.write(t, "default.pgo", profile(t)) }},
		"a setting": {
			slow:   true,
			files:  map[string]string{"main.go": "package main\n\nvar x = \"-\"\n\nfunc main() { println(x) }\n"},
			change: func(_ *testing.T, s *site) { s.config.Stamps = []string{"main.x=1"} },
		},
		"the first embedded file": {slow: true, files: map[string]string{"data.txt": "one"}, change: func(t *testing.T, s *site) { s.write(t, "main.go", embeds) }},
		"an embedded file": {files: map[string]string{"main.go": embeds, "data.txt": "one"}, change: func(t *testing.T, s *site) {
			rewrite(t, filepath.Join(s.dir, "data.txt"), "two")
		}},
		"a link to a directory": {slow: true, change: func(t *testing.T, s *site) {
			require.NoError(t, os.Symlink(t.TempDir(), filepath.Join(s.dir, "linked")))
		}},
		"a program damaged": {change: func(t *testing.T, s *site) {
			s.damageAll(t, "programs/*/hello", func(b []byte) []byte { b[len(b)/2] ^= 1; return b })
		}},
		"a program cut off": {slow: true, change: func(t *testing.T, s *site) {
			s.damageAll(t, "programs/*/hello", func(b []byte) []byte { return b[:len(b)/2] })
		}},
		"a program gone": {slow: true, change: func(t *testing.T, s *site) {
			names, err := filepath.Glob(filepath.Join(s.cache, "programs/*/hello"))
			require.NoError(t, err)
			require.NoError(t, os.Remove(names[0]))
		}},
		"notes gone": {change: func(t *testing.T, s *site) { require.NoError(t, os.RemoveAll(filepath.Join(s.cache, "notes"))) }},
		"notes and a byte of the program": {slow: true, change: func(t *testing.T, s *site) {
			require.NoError(t, os.RemoveAll(filepath.Join(s.cache, "notes")))
			s.damageAll(t, "programs/*/hello", func(b []byte) []byte { b[len(b)/2] ^= 1; return b })
		}},

		"nothing":          {change: func(*testing.T, *site) {}, unchanged: true},
		"a text":           {slow: true, change: func(t *testing.T, s *site) { s.write(t, "README.md", "text") }, unchanged: true},
		"a result":         {slow: true, change: func(t *testing.T, s *site) { s.write(t, "dist/hello.tar", "image") }, unchanged: true},
		"git":              {slow: true, change: func(t *testing.T, s *site) { s.write(t, ".git/x.go", "package x\n") }, unchanged: true},
		"a link to a text": {slow: true, change: func(t *testing.T, s *site) { require.NoError(t, os.Symlink("main.go", filepath.Join(s.dir, "link"))) }, unchanged: true},
		"a label":          {change: func(_ *testing.T, s *site) { s.config.Labels = []string{"a=b"} }, unchanged: true},
		"layers gone": {slow: true, change: func(t *testing.T, s *site) {
			require.NoError(t, os.RemoveAll(filepath.Join(s.cache, "blobs")))
			require.NoError(t, os.MkdirAll(filepath.Join(s.cache, "blobs/sha256"), 0o755))
		}, unchanged: true},
	} {
		t.Run(name, func(t *testing.T) {
			if test.slow {
				testtool.NeedTime(t, "each change is built five times")
			}
			t.Parallel()
			files := map[string]string{"go.mod": hello["go.mod"], "main.go": hello["main.go"]}
			for name, content := range test.files {
				files[name] = content
			}
			s := newSite(t, files)
			s.settle(t)
			test.change(t, &s)
			got, unchanged := s.make(t)
			assert.Equal(t, test.unchanged, unchanged)
			clean := site{newBuilder(t), s.dir, s.config}
			want, _ := clean.make(t)
			assert.Equal(t, want, got)
			if name == "a link to a directory" { // which the Go command may enter, so that nobody else can say
				_, unchanged = s.make(t)
				assert.False(t, unchanged)
				return
			}
			assert.Equal(t, want, s.settle(t))
		})
	}
}

// profile is one that the compiler takes.
func profile(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, pprof.StartCPUProfile(&b))
	for begin := time.Now(); time.Since(begin) < 200*time.Millisecond; {
		_ = strings.Repeat("x", 1000)
	}
	pprof.StopCPUProfile()
	return b.String()
}

// rewrite gives a file other content, and its old time, without replacing it.
func rewrite(t *testing.T, name, content string) {
	t.Helper()
	info, err := os.Stat(name)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(name, []byte(content), info.Mode()))
	require.NoError(t, os.Chtimes(name, info.ModTime(), info.ModTime()))
}

// damageAll changes files of the cache, and leaves their times.
func (b builder) damageAll(t *testing.T, pattern string, change func([]byte) []byte) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(b.cache, pattern))
	require.NoError(t, err)
	require.NotEmpty(t, names)
	for _, name := range names {
		content, err := os.ReadFile(name)
		require.NoError(t, err)
		rewrite(t, name, string(change(content)))
	}
}

// Two builds of one source at a time: the second compiles on its own.
func TestBinaryCacheIsOneBuilds(t *testing.T) {
	s := newSite(t, hello)
	want := s.settle(t)
	plan, err := plan.Resolve(t.Context(), os.DirFS(s.dir), s.config)
	require.NoError(t, err)
	first, err := build.BuildOne(t.Context(), s, s.dir, plan, build.Discard)
	require.NoError(t, err)
	got, unchanged := s.make(t)
	assert.Equal(t, want, got)
	assert.False(t, unchanged, "it took what the first has not closed")
	require.NoError(t, first.Close())
	_, unchanged = s.make(t)
	assert.True(t, unchanged)
	assert.NoError(t, filepath.WalkDir(s.cache, func(name string, e fs.DirEntry, err error) error {
		if err == nil && e.Type()&fs.ModeSymlink != 0 {
			t.Error(name, "is a link")
		}
		return err
	}))
}
