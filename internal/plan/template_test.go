package plan_test

import (
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/fault"
	"github.com/slipway-ci/slipway/internal/plan"
)

var hello = fstest.MapFS{
	"go.mod":  {Data: []byte("module example.com/hello\n\ngo 1.26.8\n")},
	"main.go": {Data: []byte("package main\n\nfunc main() {}\n")},
}

var facts = plan.Facts{
	Git: plan.Git{
		Commit: "0123456789abcdef0123456789abcdef01234567", ShortCommit: "0123456", Tag: "v1.2.3", Branch: "main",
		Date: "2026-01-31T12:00:00Z", Timestamp: "1769860800",
	},
	Env: map[string]string{"CHANNEL": "beta"},
}

func TestTemplates(t *testing.T) {
	plan, err := plan.Resolve(t.Context(), hello, plan.Config{
		Platforms:    []string{"linux/amd64", "linux/arm/v7"},
		Name:         "greeter",
		LDFlags:      "-X main.platform={{.Platform}}",
		Stamps:       []string{"main.version={{.Git.Tag}} of {{.Git.ShortCommit}}", "main.arch={{.OS}}-{{.Arch}}"},
		Env:          []string{"VERSION={{.Git.Version}}", "NAME={{.Name}}", "PLAIN=a"},
		Labels:       []string{"channel={{.Env.CHANNEL}}", "built={{.Git.Date}}", `braces={{"{{"}}`},
		Annotations:  []string{`where={{if .Git.Dirty}}changed{{else}}{{.Git.Branch}}{{end}}`, "of={{.Name}}"},
		Surroundings: plan.Surroundings{Facts: facts},
	})
	require.NoError(t, err)
	assert.Equal(t, "greeter", plan.Name)
	assert.Contains(t, plan.Compile[0].Flags, "-ldflags=-s -w -X 'main.version=v1.2.3 of 0123456' -X main.arch=linux-amd64 -X main.platform=linux/amd64")
	assert.Contains(t, plan.Compile[1].Flags, "-ldflags=-s -w -X 'main.version=v1.2.3 of 0123456' -X main.arch=linux-arm -X main.platform=linux/arm/v7")
	assert.Equal(t, map[string]string{
		"channel": "beta", "built": "2026-01-31T12:00:00Z", "braces": "{{", "org.opencontainers.image.title": "greeter",
	}, plan.Image.Labels)
	assert.Equal(t, map[string]string{"where": "main", "of": "greeter", "org.opencontainers.image.title": "greeter"}, plan.Image.Annotations)
	assert.Equal(t, []string{"VERSION=1.2.3", "NAME=greeter", "PLAIN=a"}, plan.Image.Env)
	assert.Equal(t, []string{"/app/hello"}, plan.Image.Entrypoint, "the program keeps its name")
}

func TestPartsOfATag(t *testing.T) {
	const all = "{{.Git.Version}}|{{.Git.Major}}|{{.Git.Minor}}|{{.Git.Patch}}|{{.Git.Prerelease}}"
	for tag, want := range map[string]string{
		"v1.2.3":               "1.2.3|1|2|3|",
		"1.2.3":                "1.2.3|1|2|3|",
		"v1.2.3-rc.1+build.7":  "1.2.3-rc.1+build.7|1|2|3|rc.1",
		"v1.2.3+build-7":       "1.2.3+build-7|1|2|3|",
		"api/v0.10.0":          "0.10.0|0|10|0|",
		"v2":                   "2|2|||",
		"release-2026-01":      "||||",
		"v01.2.3":              "||||",
		"":                     "||||",
		"v1.2.3-a-b":           "1.2.3-a-b|1|2|3|a-b",
		"deploy/2026/v20.1.99": "20.1.99|20|1|99|",
	} {
		facts := facts
		facts.Git.Tag = tag
		got, err := facts.Expand("tag", "x", all)
		require.NoError(t, err)
		assert.Equal(t, want, got, tag)
	}
	assert.True(t, plan.NeedsGit(plan.Config{Env: []string{"V={{.Git.Tag}}"}}.Templates()...))
	final, err := facts.Expand("tag", "x", "{{if not .Git.Prerelease}}{{.Git.Major}}.{{.Git.Minor}}{{end}}")
	require.NoError(t, err)
	assert.Equal(t, "1.2", final)
}

func TestTemplateFaults(t *testing.T) {
	known := "the names are .Name, .Env.VARIABLE, .Git.Tag, .Version, .Major, .Minor, .Patch, .Prerelease, .Describe, .Commit, .ShortCommit, .Branch, .Date, " +
		".Timestamp and .Dirty of .Git, and for ldflags, stamps and files .Platform, .OS and .Arch"
	for name, c := range map[string]struct {
		config plan.Config
		want   string
	}{
		"unknown name": {
			plan.Config{Labels: []string{"a={{.Git.Tga}}"}, Surroundings: plan.Surroundings{Facts: facts}},
			`label "{{.Git.Tga}}": template: <.Git.Tga>: map has no entry for key "Tga": ` + known,
		},
		"unknown variable": {
			plan.Config{Labels: []string{"a={{.Env.NONE}}"}, Surroundings: plan.Surroundings{Facts: facts}},
			`label "{{.Env.NONE}}": template: <.Env.NONE>: map has no entry for key "NONE": set the variable, or write another name; one that holds a secret, such as a TOKEN or PASSWORD, cannot be named`,
		},
		"platform where there is none": {
			plan.Config{Annotations: []string{"a={{.Platform}}"}, Surroundings: plan.Surroundings{Facts: facts}},
			`annotation "{{.Platform}}": template: <.Platform>: map has no entry for key "Platform": ` + known,
		},
		"syntax": {
			plan.Config{LDFlags: "-X a.b={{.Git", Surroundings: plan.Surroundings{Facts: facts}},
			`ldflags "-X a.b={{.Git": template: unclosed action: write it in the notation of Go's text/template, with {{"{{"}} for braces themselves`,
		},
		"no commit": {
			plan.Config{Stamps: []string{"main.v={{.Git.Tag}}"}},
			`stamp "main.v={{.Git.Tag}}": nothing is known of a commit: build in a git repository, or leave out .Git`,
		},
		"environment": {
			plan.Config{Env: []string{"A={{.Git.Tga}}"}, Surroundings: plan.Surroundings{Facts: facts}},
			`env "A={{.Git.Tga}}": template: <.Git.Tga>: map has no entry for key "Tga": ` + known,
		},
		"name in the environment": {
			plan.Config{Env: []string{"{{.Name}}=a"}, Surroundings: plan.Surroundings{Facts: facts}},
			`env "{{.Name}}=a": not of the form KEY=VALUE: write it like LOG_LEVEL=info`,
		},
		"what is filled in": {
			plan.Config{Stamps: []string{"main.v=\"{{.Env.Q}}"}, Surroundings: plan.Surroundings{Facts: plan.Facts{Env: map[string]string{"Q": "'"}}}},
			`stamp "main.v=\"'": has both kinds of quotes, which go build cannot take: use one kind`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := plan.Resolve(t.Context(), hello, c.config)
			assert.EqualError(t, err, c.want) // once, and not for each platform
		})
	}
}

func TestNeedsGit(t *testing.T) {
	assert.True(t, plan.NeedsGit("a", "x{{.Git.Tag}}"))
	assert.False(t, plan.NeedsGit("a.Git", "{{.Name}}"))
	assert.Equal(t, []string{"l", "s", "k=v", "a=b"}, plan.Config{LDFlags: "l", Stamps: []string{"s"}, Labels: []string{"k=v"}, Annotations: []string{"a=b"}}.Templates())
}

func FuzzExpand(f *testing.F) {
	f.Add("{{.Name}}-{{.Git.Tag}}")
	f.Add(`{{range .Env}}{{.}}{{end}}`)
	f.Fuzz(func(t *testing.T, text string) {
		got, err := facts.Expand("tag", "hello", text)
		if err != nil {
			assert.NotNil(t, fault.As(err))
			assert.Empty(t, got)
		}
	})
}
