package dockerfile

import (
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/slipway-ci/slipway/internal/console"
	"github.com/slipway-ci/slipway/internal/plan"
)

const (
	filesStage = "files"
	contextDir = "/context" // the build context, in the stage of that name

	downloadsDir = "/downloads" // those of all platforms, in that stage
)

// placed is what the stage of files prepares in the directory or file at, for one COPY.
type placed struct {
	at, path string
	dir      bool
	adds     []string // instructions that come before the commands
	commands []string
}

// placedFiles are what COPY alone cannot place: directories, whose files have their own modes, and files with names that it takes
// for patterns.
func placedFiles(plan *plan.Plan) []placed {
	var all []placed
	next := func() string { return "/" + filesStage + "/" + strconv.Itoa(len(all)) }
	for _, c := range plan.Image.Copies {
		at := next()
		commands := copyCommands(c, at)
		if len(plan.Source.Excluded) > 0 || differ(plan, c) {
			commands = listCommands(plan, c, at)
		}
		all = append(all, placed{at, c.Path, true, nil, commands})
	}
	for _, f := range files(plan) {
		if staged(f) {
			at := next()
			put := func(source string) string {
				return "install -m " + f.Mode.String() + owned(f) + " " + shell([]string{source}) + " " + at
			}
			var adds []string
			sources := map[string]string{}
			for platform, source := range f.Sources {
				sources[platform] = path.Join(contextDir, source)
			}
			for _, platform := range slices.Sorted(maps.Keys(f.Downloads)) {
				sources[platform] = path.Join(downloadsDir, path.Base(at), strings.ReplaceAll(platform, "/", "-"))
				adds = append(adds, download(f.Downloads[platform], "", sources[platform]))
			}
			commands := []string{put(path.Join(contextDir, f.Source))}
			if len(sources) > 0 {
				commands = []string{`case "$TARGETPLATFORM" in`}
				for _, platform := range slices.Sorted(maps.Keys(sources)) {
					commands = append(commands, platform+") "+put(sources[platform])+" ;;")
				}
				commands = append(commands, "esac")
			}
			all = append(all, placed{at, f.Path, false, adds, commands})
		}
	}
	return all
}

// staged reports whether f is another file on each platform, or has a name that COPY takes for a pattern. One that nobody could read in a
// shell is written as JSON.
func staged(f plan.File) bool {
	return perPlatform(f) || strings.ContainsAny(f.Source, `*?[\`) && console.Line(f.Source) == f.Source
}

// perPlatform reports whether f is another file on each platform.
func perPlatform(f plan.File) bool { return f.Sources != nil || f.Downloads != nil }

// download is the instruction that downloads a file.
func download(d plan.Download, options, to string) string {
	return "ADD --checksum=" + d.Digest + " " + options + words(word(d.URL), word(to))
}

// copies reports whether COPY takes a word for what it is: it has flags, patterns, variables and quotes.
func copies(word string) bool { return plain(word) && !strings.HasPrefix(word, "-") }

// copyCommands make the directory at, with what c says.
func copyCommands(c plan.Copy, at string) []string {
	links := "L"
	if c.Links {
		links = "P"
	}
	commands := []string{
		"mkdir " + at,
		"cp -R" + links + " " + shell([]string{path.Join(contextDir, c.Source) + "/."}) + " " + at,
		"find " + at + " -name .git -prune -exec rm -rf {} +",
	}
	for _, pattern := range c.Without {
		commands = append(commands, "rm -rf "+at+"/"+glob(pattern))
		for dir := path.Dir(pattern); dir != "."; dir = path.Dir(dir) {
			commands = append(commands, "rmdir "+at+"/"+glob(dir)+" 2>/dev/null || true")
		}
	}
	commands = append(commands, "find "+at+" -type d -exec chmod 0755 {} +")
	if c.Mode != 0 {
		return append(commands, "find "+at+" -type f -exec chmod "+c.Mode.String()+" {} +")
	}
	return append(commands,
		"find "+at+" -type f -perm -100 -exec chmod 0755 {} +",
		"find "+at+" -type f ! -perm -100 -exec chmod 0644 {} +")
}

// differ reports whether the files of c have to be made one by one: some links of it are kept and others are not, or some are the user's.
func differ(p *plan.Plan, c plan.Copy) bool {
	return slices.ContainsFunc(copiedBy(p, c), func(f plan.File) bool { return f.Owner != "" || f.Link != "" && !c.Links })
}

// copiedBy are the files that c places, in order. Directories of the user's are among them that have files of c in them.
func copiedBy(p *plan.Plan, c plan.Copy) []plan.File {
	var all []plan.File
	for _, l := range p.Image.Layers {
		for i, f := range l.Files {
			holds := func(other plan.File) bool {
				_, within := below(f.Path, other.Path)
				return within && other.Source != "" && placedBy(c, l.Name, other)
			}
			inner, within := below(c.Path, f.Path)
			if placedBy(c, l.Name, f) || l.Name == plan.FilesLayer && f.Dir && within && inner != "." && slices.ContainsFunc(l.Files[i:], holds) {
				all = append(all, f)
			}
		}
	}
	return all
}

// listCommands make the directory at file by file: the context has more than [plan.IgnoreFile] leaves in, or the files differ.
func listCommands(plan *plan.Plan, c plan.Copy, at string) []string {
	commands := []string{"mkdir " + at}
	for _, f := range copiedBy(plan, c) {
		inner, _ := below(c.Path, f.Path)
		to := path.Join(at, inner)
		switch {
		case f.Dir && f.Owner == "":
			commands = append(commands, "mkdir -p "+shell([]string{to}))
		case f.Dir:
			commands = append(commands, shell(install(f, to)))
		case f.Link != "":
			commands = append(commands, link(f, to)...)
		default:
			commands = append(commands, "install -D -m "+f.Mode.String()+owned(f)+" "+shell([]string{path.Join(contextDir, f.Source), to}))
		}
	}
	return commands
}

// owned are the options that give a file to its owner.
func owned(f plan.File) string {
	if user, group, owned := strings.Cut(f.Owner, ":"); owned {
		return " -o " + user + " -g " + group
	}
	return ""
}

// glob writes a pattern of package path for a shell.
func glob(pattern string) string {
	var b strings.Builder
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '\\' && i+1 < len(pattern):
			i++
			b.WriteString(shell([]string{pattern[i : i+1]}))
		case strings.IndexByte("*?[]", c) >= 0:
			b.WriteByte(c)
		default:
			b.WriteString(shell([]string{pattern[i : i+1]}))
		}
	}
	return b.String()
}

// files is the stage that prepares what [placedFiles] says.
func (d *writer) files(plan *plan.Plan) {
	all := placedFiles(plan)
	if len(all) == 0 {
		return
	}
	script := "set -e\nmkdir /" + filesStage + "\n"
	for _, p := range all {
		script += strings.Join(p.commands, "\n") + "\n"
	}
	end := "EOF"
	for strings.Contains("\n"+script, "\n"+end+"\n") {
		end += "F"
	}
	d.line("FROM --platform=$BUILDPLATFORM " + plan.Builder + " AS " + filesStage)
	for _, p := range all {
		for _, line := range p.adds {
			d.line(line)
		}
	}
	if slices.ContainsFunc(files(plan), perPlatform) {
		d.line("ARG TARGETPLATFORM")
	}
	d.line("RUN --mount=type=bind,target=" + contextDir + " <<\"" + end + "\"\n" + script + end)
	d.line("")
}

// copied reports whether one of the plan's copies places f of that layer.
func copied(p *plan.Plan, layer string, f plan.File) bool {
	return slices.ContainsFunc(p.Image.Copies, func(c plan.Copy) bool { return placedBy(c, layer, f) })
}

// placedBy reports whether c places f of that layer.
func placedBy(c plan.Copy, layer string, f plan.File) bool {
	inner, within := below(c.Path, f.Path)
	return layer == plan.FilesLayer && within && (f.Dir && f.Owner == "" || f.Source != "" && f.Source == path.Join(c.Source, inner))
}

// below is what a path is below dir, if it is.
func below(dir, file string) (string, bool) {
	if dir == file {
		return ".", true
	}
	return strings.CutPrefix(file, strings.TrimSuffix(dir, "/")+"/")
}

// arguments writes the paths of COPY: plainly where that can be read, else as JSON.
func arguments(to string, from ...string) string {
	all := make([]string, 0, len(from)+1)
	for _, name := range from {
		all = append(all, word(literal(name)))
	}
	return words(append(all, word(to))...)
}

// words writes the words of COPY and ADD.
func words(all ...string) string {
	plainly := strings.Join(all, " ")
	// JSON has no notation for what is no UTF-8, which is refused.
	if slices.ContainsFunc(all, func(w string) bool { return !copies(w) }) && utf8.ValidString(plainly) {
		return execForm(all)
	}
	return plainly
}

// literal writes a name as a pattern of itself alone. Without a pattern in it, COPY takes a backslash for itself.
func literal(name string) string {
	if !strings.ContainsAny(name, "*?[") {
		return name
	}
	return strings.NewReplacer(`\`, `\\`, "*", "[*]", "?", "[?]", "[", "[[]").Replace(name)
}

// word keeps a text from being read as variables and quotes.
func word(s string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "'", `\'`, "$", `\$`).Replace(s)
}
