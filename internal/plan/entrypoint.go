package plan

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/slipway-ci/slipway/internal/fault"
)

var entrypointSetting = Setting{
	Flag: "entrypoint", Value: "WORD",
	Help:    "word of the command that a container runs, whose first is the path of a file of the image, like /app/server, and the others arguments that come before the user's",
	Default: "the path of the first program",
	Field:   "Entrypoint",
	read: func(c Config, s *settings, f *fault.Faults) {
		for i, word := range c.Entrypoint {
			switch {
			case i == 0 && (!path.IsAbs(word) || path.Clean(word) != word || word == "/"):
				f.Add("entrypoint", word, "not the absolute path of a file in the image", "write it like /app/server")
			case strings.ContainsRune(word, 0):
				f.Add("entrypoint", word, "holds a zero byte, which no argument can have", "leave it out")
			}
		}
		s.image.Entrypoint = c.Entrypoint
	},
}

var noEntrypointSetting = Setting{
	Flag: "no-entrypoint", Help: "make the program and its arguments the image's command, as CMD alone does in a Dockerfile: a user may give another command, and an entrypoint of the base stays",
	Field: "NoEntrypoint",
}

// binaries are the programs' files in the image, in the order of the programs.
func (r resolver) binaries(parts []part) []File {
	var binaries []File
	at := map[string]string{} // the package whose program is in a place
	for _, one := range parts {
		for _, p := range one.programs {
			dir := path.Join(one.work.dir, p.Package)
			name := cmp.Or(r.destinations[dir], path.Join(appDir, programName(p.ImportPath)))
			if other, twice := at[name]; twice {
				r.add("package", local(dir), "its program would be in the same place, "+name+", as that of "+other, fmt.Sprintf("choose another destination, like --package %s=/usr/bin/%s", local(dir), p.Name))
			}
			at[name] = local(dir)
			binaries = append(binaries, File{Path: name, Mode: 0o755, Program: p.Name, Capabilities: r.capabilities})
		}
	}
	return binaries
}

// checkEntrypoint faults an entrypoint that cannot be run, as far as the files of the plan say so: it may be one of the base's.
func (r resolver) checkEntrypoint(image Image, binaries, files []File) {
	name := image.Entrypoint[0]
	all := slices.Concat(binaries, files)
	i := slices.IndexFunc(all, func(f File) bool { return f.Path == name })
	switch {
	case r.config.Debug && (i < 0 || all[i].Program == ""):
		r.add("entrypoint", name, "the debugger runs one of the programs, and this is none: they are "+paths(binaries), "name one, or leave out --debug")
	case i < 0 && r.base == "":
		r.add("entrypoint", name, "the image has no such file: its programs are "+paths(binaries), "name one, or bring a file with --file")
	case i < 0:
	case all[i].Dir:
		r.add("entrypoint", name, "a directory of the image", "name a file in it")
	case all[i].Mode&0o111 == 0:
		r.add("entrypoint", name, "a file that nobody may execute", fmt.Sprintf("give it a mode with --file %s:%s:0755", all[i].given(), name))
	}
}

func paths(files []File) string {
	var all []string
	for _, f := range files {
		all = append(all, f.Path)
	}
	return strings.Join(all, ", ")
}
