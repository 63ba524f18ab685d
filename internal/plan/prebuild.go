package plan

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/slipway-ci/slipway/internal/fault"
)

// Prebuild is a step before all others of a build, which makes files of the source, such as a web UI that a program embeds.
type Prebuild struct {
	// Command runs in a copy of the source, in its root and without Outputs.
	Command []string `json:"command"`
	// Image is what it runs in where an engine has containers.
	Image string `json:"image"`
	// Caches are directories of that container that outlive a build. The command finds those of a machine by itself.
	Caches []Cache `json:"caches,omitempty"`
	// Outputs are files and directories of the source, which take the place of what the source has of them. Nothing else that the command
	// writes is used.
	Outputs []string `json:"outputs"`
}

var prebuildSetting = Setting{
	Flag: "prebuild-command", NotInModule: true, Value: "WORD",
	Help:  "word of a command that makes files of the source before anything is compiled, such as a web UI that a program embeds; it runs in a copy of the source, and only with --prebuild",
	Field: "Prebuild",
}

var runPrebuildSetting = Setting{
	Flag: "prebuild", NotInFile: true, Argument: "prebuild", Help: "run the command of prebuild, which slipway.yaml may have, before compiling",
	Default: "no, so that the source must have what it makes",
	Field:   "RunPrebuild",
}

var prebuildImageSetting = Setting{
	Flag: "prebuild-image", NotInModule: true, Value: "IMAGE", Help: "image that prebuild runs in on a Dagger engine and in a Dockerfile, with a tag or digest, like docker.io/library/node:24.4.1",
	More:  "the host engine has no use for it: the command runs on this machine",
	Field: "PrebuildImage",
	read: func(c Config, s *settings, f *fault.Faults) {
		if c.PrebuildImage == "" {
			return
		}
		ref, err := parseBase(c.PrebuildImage)
		switch {
		case err != nil:
			f.Add("prebuild-image", c.PrebuildImage, err.Error(), "")
		case len(LocalBase(ref)) > 0:
			f.Add("prebuild-image", c.PrebuildImage, "not an image of a registry", "push it to one, and name it there")
		}
		s.prebuildImage = ref
	},
}

var prebuildOutputsSetting = Setting{
	Flag: "prebuild-output", NotInModule: true, Value: "PATH", Help: "file or directory of the source that prebuild makes, like web/dist; nothing else that it writes is used",
	Field: "PrebuildOutputs",
	read: func(c Config, s *settings, f *fault.Faults) {
		s.prebuildOutputs = sorted(each(f, "prebuild-output", c.PrebuildOutputs, parsePrebuildOutput))
		for _, output := range s.prebuildOutputs {
			for _, other := range s.prebuildOutputs {
				if output != other && within(other, output) {
					f.Add("prebuild-output", output, "it is in "+other+", which is another", "leave it out")
				}
			}
		}
	},
}

func parsePrebuildOutput(text string) (string, error) {
	output := path.Clean(text)
	switch {
	case text == "" || output == "." || path.IsAbs(output) || output == ".." || strings.HasPrefix(output, "../"):
		return "", fmt.Errorf("not a file or directory in the source: write it like web/dist")
	case strings.ContainsAny(output, "*?[]!\\\x00"):
		return "", fmt.Errorf("it has a character of patterns: name the directory itself, like web/dist")
	case slices.Contains(strings.Split(output, "/"), gitDir):
		return "", fmt.Errorf("git's own: name what the command makes, like web/dist")
	}
	return output, nil
}

var prebuildCachesSetting = Setting{
	Flag: "prebuild-cache", NotInModule: true, Value: "DIR", Help: "directory of the container of prebuild that outlives a build, like /root/.local/share/pnpm/store",
	Field: "PrebuildCaches",
	read: func(c Config, s *settings, f *fault.Faults) {
		s.prebuildCaches = sorted(each(f, "prebuild-cache", c.PrebuildCaches, func(text string) (string, error) {
			dir := path.Clean(text)
			if !path.IsAbs(dir) || dir == "/" || strings.ContainsRune(dir, 0) {
				return "", fmt.Errorf("not an absolute path of a directory: write it like /root/.npm")
			}
			return dir, nil
		}))
	},
}

// prebuild is nil unless the step runs. Where it is there and does not run, the source must have what it makes.
func (r resolver) prebuild(module string) *Prebuild {
	command := []string(r.config.Prebuild)
	if len(command) == 0 {
		for _, besides := range []struct {
			field string
			given bool
		}{
			{"prebuild-image", r.config.PrebuildImage != ""},
			{"prebuild-output", len(r.config.PrebuildOutputs) > 0},
			{"prebuild-cache", len(r.config.PrebuildCaches) > 0},
		} {
			if besides.given {
				r.add(besides.field, "", "there is no prebuild", "write its command, like prebuild: [pnpm, run, build], or leave this out")
			}
		}
		return nil
	}
	switch {
	case len(command) == 1 && strings.ContainsAny(command[0], " \t\n"):
		r.add("prebuild", command[0], "one word with spaces in it", "write a list of words, like [pnpm, run, build], or [sh, -c, …] for a line of a shell")
	case command[0] == "" || slices.ContainsFunc(command, func(word string) bool { return strings.ContainsRune(word, 0) }):
		r.add("prebuild", "", "no command", "write a list of words, like [pnpm, run, build]")
	}
	if len(r.config.PrebuildOutputs) == 0 {
		r.add("prebuild", strings.Join(command, " "), "nothing says what it makes", "name it, like prebuild-outputs: [web/dist]")
	}
	if r.config.PrebuildImage == "" {
		r.add("prebuild", strings.Join(command, " "), "nothing says what it runs in where there are containers", "name an image, like prebuild-image: docker.io/library/node:24.4.1")
	}
	if !r.runsPrebuild() {
		for _, output := range r.prebuildOutputs {
			if !r.exists(output) {
				r.add("prebuild", strings.Join(command, " "), "it makes "+output+", which is not in the source, and it was not asked to run", "add --prebuild, or run it by yourself")
			}
		}
		return nil
	}
	step := &Prebuild{Command: command, Image: r.prebuildImage, Outputs: r.prebuildOutputs}
	for _, dir := range r.prebuildCaches {
		// Other modules may not be trusted with what this one reads again.
		step.Caches = append(step.Caches, Cache{Name: "prebuild:" + module + ":" + dir, Path: dir})
	}
	return step
}

// runsPrebuild reports whether the step runs. Who locks needs its image whether or not it does.
func (r resolver) runsPrebuild() bool {
	return len(r.config.Prebuild) > 0 && (r.config.RunPrebuild || r.unlocked)
}

// madeBefore reports whether a file or directory of the source, or something in it, is made by the prebuild that runs.
func (r resolver) madeBefore(name string) bool {
	return r.config.RunPrebuild && len(r.config.Prebuild) > 0 &&
		slices.ContainsFunc(r.prebuildOutputs, func(output string) bool { return within(name, output) || within(output, name) })
}
