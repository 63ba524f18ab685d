package main

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway"
	"github.com/slipway-ci/slipway/internal/config/environ"
	"github.com/slipway-ci/slipway/internal/config/options"
	"github.com/slipway-ci/slipway/internal/plan"
)

// Every setting has a flag whose help names its variable, and both stand in the page of settings.
func TestEverySettingIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/settings.md")
	require.NoError(t, err)
	root := quietRoot()
	usage := map[string]string{}
	for _, c := range root.Commands() {
		c.Flags().VisitAll(func(f *pflag.Flag) { usage[f.Name] += f.Usage })
	}
	all := ""
	for name, text := range usage {
		all += text
		if name != "help" {
			assert.True(t, strings.Contains(string(page), "`--"+name), "the page has no --%s", name)
			assert.NotEmpty(t, text)
		}
	}
	noFlag := map[string]bool{}
	for _, s := range plan.Settings() {
		if s.Flag == "" {
			noFlag[s.Variable] = true
		}
	}
	for _, s := range []any{plan.Config{}, slipway.Settings{}, options.Options{}} {
		for field := range reflect.TypeOf(s).Fields() {
			name := environ.Name(field)
			if field.Anonymous || !field.IsExported() {
				continue // no setting
			}
			assert.True(t, strings.Contains(string(page), "`"+name+"`"), "the page has no %s", name)
			if !noFlag[name] {
				assert.True(t, strings.Contains(all, "("+name+")"), "no flag's help has %s", name)
			}
		}
	}
}

// Of each option, the page of settings names the commands that have the flag.
func TestCommandsOfFlags(t *testing.T) {
	page, err := os.ReadFile("../../docs/settings.md")
	require.NoError(t, err)
	commands := map[string][]string{}
	for _, c := range quietRoot().Commands() {
		c.Flags().VisitAll(func(f *pflag.Flag) { commands[f.Name] = append(commands[f.Name], c.Name()) })
	}
	_, images, _ := strings.Cut(string(page), "\nCommands: ")
	ofImages, images, _ := strings.Cut(images, ".\n")
	images, others, found := strings.Cut(images, "\n## ")
	require.True(t, found)
	row := regexp.MustCompile("(?m)^\\| `--([a-z-]+).* \\| (.*) \\| .* \\|$")
	documented := map[string][]string{} // a flag of one name may be another option of another command
	for _, cells := range row.FindAllStringSubmatch(images, -1) {
		want := ofImages
		if cells[1] == "vulndb" {
			want = "check, diff"
			assert.Contains(t, cells[0], "of check, diff alone")
		}
		documented[cells[1]] = strings.Split(want, ", ")
	}
	for _, cells := range row.FindAllStringSubmatch(others, -1) {
		documented[cells[1]] = append(documented[cells[1]], strings.Split(cells[2], ", ")...)
	}
	for name, of := range documented {
		assert.ElementsMatch(t, commands[name], of, name)
		delete(commands, name)
	}
	assert.Empty(t, commands)
}

// A flag wins over its variable, a list flag replaces the variable's list.
func TestFlagsWin(t *testing.T) {
	s := &settings{}
	require.NoError(t, s.read(t.Context(), []string{"SLIPWAY_PLATFORMS=linux/386", "SLIPWAY_LABELS=a=1\nb=2", "SLIPWAY_RUNTIME=alpine", "SLIPWAY_CGO=true"}))
	c := &cobra.Command{Use: "build"}
	s.flags(c)
	require.NoError(t, c.ParseFlags([]string{"--platform", "linux/amd64,linux/arm64", "--platform", "linux/arm", "--label", "c=3,4", "--runtime", "scratch", "--cgo=false"}))
	assert.Equal(t, plan.List{"linux/amd64", "linux/arm64", "linux/arm"}, s.image.Platforms)
	assert.Equal(t, plan.Pairs{"c=3,4"}, s.image.Labels)
	assert.Equal(t, "scratch", s.image.Runtime)
	assert.Equal(t, "false", s.image.CGO)
}

// The value of --cgo may be left out, and may follow as another word.
func TestCgoFlag(t *testing.T) {
	for args, want := range map[string][]string{
		"build --cgo":                {"build", "--cgo"},
		"build --cgo dir":            {"build", "--cgo", "dir"},
		"build --cgo ./static":       {"build", "--cgo", "./static"},
		"build --cgo static dir":     {"build", "--cgo=static", "dir"},
		"build --cgo dynamic":        {"build", "--cgo=dynamic"},
		"build --generate ./web":     {"build", "--generate", "./web"},
		"build --generate ./web/...": {"build", "--generate=./web/..."},
		"build --generate ./... dir": {"build", "--generate=./...", "dir"},
		"build --fips dir":           {"build", "--fips", "dir"},
		"build --fips v1.26.0 dir":   {"build", "--fips=v1.26.0", "dir"},
		"build --cgo=static static":  {"build", "--cgo=static", "static"},
		"build -- --cgo static":      {"build", "--", "--cgo", "static"},
		"build --arg=--cgo static":   {"build", "--arg=--cgo", "static"},
		"build --cgo --cgo false x ": {"build", "--cgo", "--cgo=false", "x"},
	} {
		assert.Equal(t, want, joinOptional(strings.Fields(args)))
	}
}
