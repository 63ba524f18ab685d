package plan

import (
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestExactGo(t *testing.T) {
	for in, want := range map[string]string{
		"1.26.8": "1.26.8", "go1.26.8": "1.26.8", "1.26rc1": "1.26rc1", "1.21.0": "1.21.0",
	} {
		got, err := exactGo(in)
		require.NoError(t, err, in)
		assert.Equal(t, want, got)
	}
	got, err := exactGo("1.26")
	require.NoError(t, err)
	assert.Regexp(t, `^1\.26\.[0-9]+$`, got)
	for in, want := range map[string]string{
		"1.20.14":       "older modules",
		"latest":        "from day to day",
		"1.26.8-custom": "not a version of Go",
		"one":           "not a version of Go",
		"1.999":         "name one exactly",
		"":              "not a version of Go",
	} {
		_, err := exactGo(in)
		assert.ErrorContains(t, err, want, in)
	}
	_, err = exactGo(newestGo())
	assert.NoError(t, err)
}

// The names are those that go build gives: cmd/go/internal/load, DefaultExecName.
func TestProgramName(t *testing.T) {
	for importPath, want := range map[string]string{
		"example.com/app": "app", "example.com/app/v2": "app", "example.com/app/v2/cmd/x": "x", "gopkg.in/app.v1": "app.v1", "hello": "hello",
	} {
		assert.Equal(t, want, programName(importPath), importPath)
	}
}

func TestMode(t *testing.T) {
	for text, want := range map[string]string{"0755": "-rwxr-xr-x", "1777": "trwxrwxrwx", "4711": "urwx--x--x"} {
		var m Mode
		require.NoError(t, m.UnmarshalText([]byte(text)))
		assert.Equal(t, want, m.FileMode().String())
		assert.Equal(t, text, m.String())
	}
	assert.Error(t, new(Mode).UnmarshalText([]byte("0999")))
	assert.Error(t, new(Mode).UnmarshalText([]byte("17777")))
}

func TestAppended(t *testing.T) {
	const entry = "app:x:1000:1000:app:/:/sbin/nologin\n"
	for content, want := range map[string]string{
		"":                                  entry,
		"root:x:0:0:root:/root:/bin/sh":     "root:x:0:0:root:/root:/bin/sh\n" + entry,
		"root:x:0:0::/:\n\n# comment\n":     "root:x:0:0::/:\n\n# comment\n" + entry,
		"app:x:7:7:app:/:/bin/sh\n":         "app:x:7:7:app:/:/bin/sh\n",
		"other:x:1000:1000:o:/:/bin/sh\n":   "other:x:1000:1000:o:/:/bin/sh\n",
		"x:1000\n1000\n app:x:5:5::/:\n":    "x:1000\n1000\n app:x:5:5::/:\n" + entry,
		"zero:x:01000:1000:o:/:/bin/sh\n":   "zero:x:01000:1000:o:/:/bin/sh\n" + entry,
		"other:x:10000:10000:o:/:/bin/sh\n": "other:x:10000:10000:o:/:/bin/sh\n" + entry,
	} {
		assert.Equal(t, want, File{Append: entry}.Appended(content), content)
	}
}

// Whatever the Go command takes as a program's name gives an image a name that registries take, or none.
func TestNameOf(t *testing.T) {
	for program, want := range map[string]string{
		"api": "api", "MyAPI": "myapi", "my_API": "my_api", "a--b": "a--b", "a__b": "a__b", "a___b": "a-b", "a+.b": "a-b", "a~b": "a-b",
		".x": "x", "_x": "x", "x-": "x", "~": "", "__": "", "v1.2": "v1.2",
	} {
		assert.Equal(t, want, nameOf(program), program)
		assert.True(t, want == "" || imageName.MatchString(want), want)
	}
}

// latest-patch takes the newest patch release of what the source names, and a plan without it says that there is one.
func TestLatestPatch(t *testing.T) {
	newest := newestPatchOf("1.25.1")
	require.NotEmpty(t, newest)
	for _, test := range []struct{ lines, setting, version, from, note string }{
		{"go 1.25.1", "", "1.25.1", "the go line of go.mod", "the go line of go.mod says 1.25.1, and " + newest + " is the newest patch release: --go latest-patch takes it"},
		{"go 1.25.1", "latest-patch", newest, "--go latest-patch, and the go line of go.mod, which says 1.25.1", ""},
		{"go 1.24\ntoolchain go1.25.1", "latest-patch", newest, "--go latest-patch, and the toolchain line of go.mod, which says 1.25.1", ""},
		{"go 1.25rc1", "latest-patch", newest, "--go latest-patch, and the go line of go.mod, which says 1.25rc1", ""},
		{"go 1.25", "", newest, "the go line of go.mod (1.25, its newest patch release)", ""},
		{"go 1.25.1", "1.25.2", "1.25.2", "--go", ""},
		{"go " + newest, "latest-patch", newest, "the go line of go.mod", ""},
		{"go 1.25.999", "latest-patch", "1.25.999", "the go line of go.mod", ""},
		{"go 1.999.1", "latest-patch", "1.999.1", "the go line of go.mod", ""},
	} {
		source := fstest.MapFS{
			"go.mod":  {Data: []byte("module example.com/m\n\n" + test.lines + "\n")},
			"main.go": {Data: []byte("package main\n")},
		}
		plan, err := Resolve(t.Context(), source, Config{Go: test.setting, Runtime: "scratch"})
		require.NoError(t, err, test.lines)
		assert.Equal(t, Go{Version: test.version, From: test.from}, plan.Go, "%+v", test)
		var notes []Note
		if test.note != "" {
			notes = []Note{{"go", test.note}}
		}
		assert.Equal(t, notes, plan.Notes, "%+v", test)
	}
}
