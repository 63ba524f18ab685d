package plan_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/slipway-ci/slipway/internal/plan"
)

func TestSplitList(t *testing.T) {
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
		assert.Equal(t, want, plan.SplitList(list), list)
	}
}

func FuzzSplitList(f *testing.F) {
	f.Add(`{{or .Git.Tag "dev"}},latest`)
	f.Fuzz(func(t *testing.T, list string) {
		for _, value := range plan.SplitList(list) {
			assert.NotEmpty(t, value)
			assert.Contains(t, list, value)
		}
		if !strings.Contains(list, "{{") {
			assert.LessOrEqual(t, len(plan.SplitList(list)), strings.Count(list, ",")+1)
		}
	})
}
