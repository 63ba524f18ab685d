package dockerfile

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/slipway-ci/slipway/internal/plan"
)

// Directories of the builder stage with what is made for the image.
const (
	rootDir  = "/rootfs"
	emptyDir = rootDir + "/empty"
)

// preparation is what has to be made in the builder, since COPY alone cannot, and how it gets from there into the image. COPY keeps
// directories that are there and follows links, as long as it is given the very directory and not one above it.
type preparation struct {
	extended []string // files of the base that are copied to rootDir, to get lines at their end
	script   []string // commands
	copies   []string
	// mounts says that the script reads the base, at /base; functions that it defines functions, for a base of unknown layout.
	mounts, functions bool
	number            int
}

// prepare goes through the files of a plan that are not copied as they are.
func prepare(plan *plan.Plan) *preparation {
	p := &preparation{}
	switch {
	case plan.Image.Base == "":
		p.onScratch(plan)
	case plan.Image.KnownLayout():
		p.onKnown(plan)
	default:
		p.onAny(plan)
	}
	return p
}

// readsBase reports whether files are made from the base's.
func (p *preparation) readsBase() bool { return p.mounts || p.extended != nil }

// onScratch makes directories in their places: there are no others that they could replace.
func (p *preparation) onScratch(plan *plan.Plan) {
	var dirs []string
	for _, dir := range missing(plan) {
		dirs = append(dirs, rootDir+dir)
	}
	if dirs != nil {
		p.call(append([]string{"mkdir", "-p"}, dirs...)...)
	}
	for _, f := range files(plan) {
		switch {
		case special(f):
			p.call(install(f, rootDir+f.Path)...)
		case f.Link != "":
			p.call("mkdir", "-p", rootDir+path.Dir(f.Path))
			p.script = append(p.script, link(f, rootDir+f.Path)...)
		}
	}
	if p.script != nil {
		p.copy(rootDir+"/", "/")
	}
}

// onKnown adds to files of a known layout. Such a base has the public certificates.
func (p *preparation) onKnown(plan *plan.Plan) {
	for _, f := range files(plan) {
		to := path.Join(rootDir, path.Base(f.Path))
		switch {
		case special(f):
			p.mounts = p.mounts || f.Owner != ""
			p.directory(f, shell([]string{"/base" + f.Path}))
		case f.Link != "":
			p.linkIn(f)
		case f.Append != "":
			p.extended = append(p.extended, f.Path)
			p.script = append(p.script, "echo "+shell([]string{strings.TrimSuffix(f.Append, "\n")})+" >> "+to)
		case f.CACerts != "":
			p.extended = append(p.extended, f.Path)
			p.script = append(p.script, "cat "+caFile+" >> "+to)
		}
	}
	for _, group := range byDirectory(p.extended) {
		var from []string
		for _, name := range group.files {
			from = append(from, path.Join(rootDir, path.Base(name)))
		}
		p.copies = append(p.copies, "COPY --from=builder "+arguments(group.dir+"/", from...))
	}
	p.makeMissing(plan)
}

// makeMissing makes an empty directory for those that have to be there.
func (p *preparation) makeMissing(plan *plan.Plan) {
	dirs := missing(plan)
	if dirs != nil {
		p.call("mkdir", "-p", emptyDir)
	}
	for _, dir := range dirs {
		p.copy(emptyDir+"/", dir+"/")
	}
}

// next is a new directory of the builder.
func (p *preparation) next() string {
	p.number++
	return path.Join(rootDir, strconv.Itoa(p.number))
}

func (p *preparation) call(command ...string) { p.script = append(p.script, shell(command)) }

func (p *preparation) copy(from, to string) {
	p.copies = append(p.copies, "COPY --from=builder "+arguments(to, from))
}

// special reports whether f is a directory with its own mode or owner.
func special(f plan.File) bool { return f.Dir && (f.Owner != "" || f.Mode != 0o755) }

// install is the command that makes such a directory.
func install(f plan.File, at string) []string {
	// COPY keeps the owners of another stage's files.
	return slices.Concat([]string{"install", "-d", "-m", f.Mode.String()}, strings.Fields(owned(f)), []string{at})
}

// directory makes a directory with its own mode or owner. One that the base has, which is a word of the shell, keeps its mode, unless
// another is asked for, but its owner may write.
func (p *preparation) directory(f plan.File, there string) {
	dir := p.next()
	made := path.Join(dir, path.Base(f.Path))
	p.call(install(f, made)...)
	if p.mounts && !f.Exact {
		p.script = append(p.script, fmt.Sprintf(`if [ -d %s ]; then chmod "$(stat -c %%a %[1]s)" %s && chmod u+rwx %[2]s; fi`, there, shell([]string{made})))
	}
	p.copy(dir+"/", strings.TrimSuffix(path.Dir(f.Path), "/")+"/")
}

// link are the commands that make a symbolic link.
func link(f plan.File, at string) []string {
	commands := []string{"ln -s -- " + shell([]string{f.Link, at})}
	if f.Owner != "" {
		commands = append(commands, "chown -h "+shell([]string{f.Owner, at}))
	}
	return commands
}

// linkIn makes a symbolic link and copies the directory that it is in: COPY would follow it.
func (p *preparation) linkIn(f plan.File) {
	dir := p.next()
	p.call("mkdir", "-p", dir)
	p.script = append(p.script, link(f, path.Join(dir, path.Base(f.Path)))...)
	p.copy(dir+"/", strings.TrimSuffix(path.Dir(f.Path), "/")+"/")
}

// missing are directories, the deepest alone, that have to be there: those of the plan, and those of files that are placed with another
// mode than 0755, since COPY --chmod gives that to a file's missing directories, too, and nobody could enter them.
func missing(plan *plan.Plan) []string {
	var dirs []string
	for _, f := range files(plan) {
		switch dir := path.Dir(f.Path); {
		case f.Dir && f.Owner == "" && f.Mode == 0o755:
			dirs = append(dirs, f.Path)
		case asItIs(plan, f) != "" && f.Mode != 0o755 && f.Owner == "" && dir != "/":
			dirs = append(dirs, dir)
		}
	}
	slices.Sort(dirs)
	dirs = slices.Compact(dirs)
	return slices.DeleteFunc(slices.Clone(dirs), func(dir string) bool {
		return slices.ContainsFunc(dirs, func(other string) bool { return strings.HasPrefix(other, dir+"/") })
	})
}

// asItIs is the instruction for a file that comes into the image as it is, but for the mode; empty for others.
func asItIs(decided *plan.Plan, f plan.File) string {
	switch {
	case f.Program != "":
		return "COPY --from=builder " + chmod(f) + arguments(f.Path, path.Join(outDir, f.Program))
	case f.Certificates && decided.Image.Base == "":
		return "COPY --from=builder " + chmod(f) + plan.CABundle + " " + f.Path
	case f.Link != "":
		return ""
	case f.Source != "" && !staged(f):
		return "COPY " + chmod(f) + arguments(f.Path, f.Source)
	case f.Download != nil && !staged(f):
		return download(*f.Download, chmod(f), f.Path)
	case f.Text != "":
		return "COPY " + chmod(f) + "<<\"EOF\" " + f.Path + "\n" + f.Text + "EOF"
	default:
		return ""
	}
}

func chmod(f plan.File) string {
	options := "--chmod=" + f.Mode.String() + " "
	if f.Owner != "" {
		options = "--chown=" + f.Owner + " " + options
	}
	return options
}
