package plan

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/slipway-ci/slipway/internal/fault"
)

var generateSetting = Setting{
	Flag: "generate", Alone: "true", Value: "PACKAGES", Help: "run go generate before compiling, in a copy of the source",
	More:  "for all packages, or for those that are given, like ./web/... or, after an equals sign, ./web; slipway.yaml may name them, but alone starts nothing",
	Form:  regexp.MustCompile(`^\./(.*/)?\.\.\.$`),
	Field: "Generate",
	read: func(c Config, s *settings, f *fault.Faults) {
		s.generate = each(f, "generate", c.Generate, parseGenerated)
	},
}

// parseGenerated reads a directory, or a pattern of all packages below one, relative to the source.
func parseGenerated(text string) (string, error) {
	dir, below := strings.CutSuffix(text, "...")
	clean := path.Clean(dir)
	switch {
	case isSwitch(text):
		return text, nil
	case text != "." && !strings.HasPrefix(text, "./") || strings.Contains(dir, "...") || below && !strings.HasSuffix(dir, "/") || clean == ".." || strings.HasPrefix(clean, "../"):
		return "", fmt.Errorf("not packages of the source: write them like ./web or ./web/..., or true for all")
	case below:
		return local(path.Join(clean, "...")), nil
	}
	return local(clean), nil
}

// isSwitch reports whether a value is that of a switch: of all packages, or none.
func isSwitch(text string) bool {
	_, err := strconv.ParseBool(text)
	return err == nil
}

// Generates reports whether go generate runs.
func (c Config) Generates() bool {
	return slices.ContainsFunc(c.Generate, func(value string) bool {
		on, err := strconv.ParseBool(value)
		return err != nil || on
	})
}

// NamesGenerated reports whether packages are named whose code is generated. Where go generate runs and none are, it is all of them.
func (c Config) NamesGenerated() bool {
	return slices.ContainsFunc(c.Generate, func(value string) bool { return !isSwitch(value) })
}

// generateCommand is nil where nothing is generated.
func (r resolver) generateCommand(work *workset) []string {
	if !r.config.Generates() {
		return nil
	}
	command := []string{"go", "generate"}
	for _, pattern := range r.generate {
		dir := path.Clean(strings.TrimSuffix(pattern, "..."))
		switch on, err := strconv.ParseBool(pattern); {
		case on:
			return append([]string{"go", "generate"}, work.everything()...)
		case err == nil:
		case !r.exists(dir):
			r.add("generate", pattern, "no such directory in the source", "name packages like ./web or ./web/..., or leave them out for all")
		case !within(work.dir, dir):
			r.add("generate", pattern, "not in the module or workspace of the program, which is in "+local(work.dir), "name packages of that")
		default:
			packages := local(relative(work.dir, dir))
			if strings.HasSuffix(pattern, "...") {
				packages = strings.TrimSuffix(packages, "/") + "/..."
			}
			command = append(command, packages)
		}
	}
	return command
}
