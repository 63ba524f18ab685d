package environ_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/config/environ"
)

func TestSplit(t *testing.T) {
	for list, want := range map[string][]string{
		"":                                nil,
		" , ":                             nil,
		"v1, v2,,v3":                      {"v1", "v2", "v3"},
		`{{or .Git.Tag "dev"}}`:           {`{{or .Git.Tag "dev"}}`},
		`{{or .Git.Tag "dev"}},latest`:    {`{{or .Git.Tag "dev"}}`, "latest"},
		`{{printf "%s,%s" "a" "b"}},c`:    {`{{printf "%s,%s" "a" "b"}}`, "c"},
		`{{"}},"}}x,y`:                    {`{{"}},"}}x`, "y"},
		"{{`}},`}},y":                     {"{{`}},`}}", "y"},
		`{{"\"}},"}},y`:                   {`{{"\"}},"}}`, "y"},
		`{{','}},y`:                       {`{{','}}`, "y"},
		`{{if .Git.Dirty}}a,b{{end}}`:     {`{{if .Git.Dirty}}a`, `b{{end}}`},
		`say "x",'y'`:                     {`say "x"`, `'y'`},
		`{{.Git.Tag}}-{{slice "a,b" 1}}`:  {`{{.Git.Tag}}-{{slice "a,b" 1}}`},
		`{{unended, but no other, either`: {`{{unended, but no other, either`},
	} {
		assert.Equal(t, want, environ.Split(list), list)
	}
}

func FuzzSplit(f *testing.F) {
	f.Add(`{{or .Git.Tag "dev"}},latest`)
	f.Fuzz(func(t *testing.T, list string) {
		for _, value := range environ.Split(list) {
			assert.NotEmpty(t, value)
			assert.Contains(t, list, value)
		}
		if !strings.Contains(list, "{{") {
			assert.LessOrEqual(t, len(environ.Split(list)), strings.Count(list, ",")+1)
		}
	})
}

func TestReadSplits(t *testing.T) {
	var c struct {
		Tags   []string `env:"SLIPWAY_TAGS"`
		Labels []string `env:"SLIPWAY_LABELS, delimiter=\n"`
	}
	require.NoError(t, environ.Read(t.Context(), []string{`SLIPWAY_TAGS={{printf "a,b"}}, v1`, "SLIPWAY_LABELS=a=b,c"}, &c))
	assert.Equal(t, []string{`{{printf "a,b"}}`, "v1"}, c.Tags)
	assert.Equal(t, []string{"a=b,c"}, c.Labels)
}
