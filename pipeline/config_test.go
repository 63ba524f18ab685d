package pipeline

import (
	"testing"

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
