package dockerfile

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/slipway-ci/slipway/pipeline"
)

// Directories of the builder stage with what is made for the image, each thing in a numbered directory of its own.
const (
	rootDir  = "/rootfs"
	emptyDir = rootDir + "/empty"
)

// preparation is what has to be made in the builder, since COPY alone cannot, and how it gets from there into the image. COPY keeps
// directories that are there and follows links, as long as it is told the very directory and not one above it.
type preparation struct {
	script []string // lines for a shell that ends with the first failure
	copies []string
	// readsBase says that the script reads the base.
	readsBase bool
	number    int
}

// prepare goes through the files of a plan that are not copied as they are.
func prepare(plan *pipeline.Plan) *preparation {
	p := &preparation{}
	has := func(is func(pipeline.File) bool) bool {
		return plan.Image.Base != "" && slices.ContainsFunc(files(plan), is)
	}
	extends := has(func(f pipeline.File) bool { return f.Append != "" })
	adds := has(func(f pipeline.File) bool { return f.Certificates || f.CACerts != "" })
	if p.readsBase = extends || adds || has(func(f pipeline.File) bool { return f.Owner != "" }); p.readsBase {
		p.script = append(p.script, pipeline.FollowInBase)
	}
	if extends {
		p.script = append(p.script, extend)
	}
	if adds {
		p.script = append(p.script, add)
	}
	for _, f := range files(plan) {
		switch {
		case f.Dir && (f.Owner != "" || f.Mode != 0o755):
			p.directory(f)
		case f.Append != "":
			to := path.Join(p.next(), path.Base(f.Path))
			p.call("extend", f.Path, to, strings.TrimSuffix(f.Append, "\n"))
			p.copy(to, f.Path)
		case adds && (f.Certificates || f.CACerts != ""):
			p.bundles(plan, f)
		}
	}
	if dirs := missing(plan); dirs != nil {
		p.call("mkdir", "-p", emptyDir)
		for _, dir := range dirs {
			p.copy(emptyDir+"/", dir+"/")
		}
	}
	return p
}

// Functions of the script.
const (
	extend = `# A file of the base with one line more, unless one has the same first or third field.
extend() {
  there=$(at "$1")
  mkdir -p "${2%/*}"
  if [ -e "$there" ]; then cp -p "$there" "$2"; else install -m 0644 /dev/null "$2"; fi
  if ! awk -F: -v line="$3" 'BEGIN { split(line, own) } $1 == own[1] || $3 == own[3] { found = 1 } END { exit !found }' "$2"; then
    if [ -n "$(tail -c 1 "$2")" ]; then echo >> "$2"; fi
    printf '%s\n' "$3" >> "$2"
  fi
}`
	add = `# A bundle of the base with the certificates of a file that it lacks; each bundle once, whatever it is called.
seen=:
add() {
  mkdir -p "${2%/*}" # COPY wants it, whether there is anything in it or not
  there=$(at "$1")
  case $seen in *":$there:"*) return ;; esac
  if [ ! -f "$there" ]; then return; fi
  seen=$seen$there:
  cp -p "$there" "$2"
  lacking=$(awk '
    /-----BEGIN CERTIFICATE-----/ { block = $0; key = ""; inside = 1; next }
    !inside { next }
    { block = block "\n" $0 }
    !/-----END CERTIFICATE-----/ { sub(/[ \t\r]+$/, ""); key = key $0; next }
    { inside = 0 }
    !(key in known) { known[key]; if (more) print block }
  ' "$there" more=1 "$3")
  if [ -z "$lacking" ]; then return; fi
  if [ -n "$(tail -c 1 "$2")" ]; then echo >> "$2"; fi
  printf '%s\n' "$lacking" >> "$2"
}`
)

// next is a new directory of the builder.
func (p *preparation) next() string {
	p.number++
	return path.Join(rootDir, strconv.Itoa(p.number))
}

func (p *preparation) call(command ...string) { p.script = append(p.script, shell(command)) }

func (p *preparation) copy(from, to string) {
	p.copies = append(p.copies, "COPY --from=builder "+arguments(to, from))
}

// directory makes a directory with a mode or an owner of its own. One that the base has keeps its mode, but its owner may write.
func (p *preparation) directory(f pipeline.File) {
	dir := p.next()
	command := []string{"install", "-d", "-m", f.Mode.String()}
	if user, group, owned := strings.Cut(f.Owner, ":"); owned {
		// COPY keeps the owners of another stage's files.
		command = append(command, "-o", user, "-g", group)
	}
	made := path.Join(dir, path.Base(f.Path))
	p.call("mkdir", "-p", dir)
	p.call(append(command, made)...)
	if p.readsBase {
		p.script = append(p.script, fmt.Sprintf(`there=$(at %s)
if [ -d "$there" ]; then chmod "$(stat -c %%a "$there")" %s; chmod u+rwx %[2]s; fi`, shell([]string{f.Path}), shell([]string{made})))
	}
	p.copy(dir+"/", strings.TrimSuffix(path.Dir(f.Path), "/")+"/")
}

// bundles adds certificates to each of the base's bundles, or makes one that begins with the builder's.
func (p *preparation) bundles(plan *pipeline.Plan, f pipeline.File) {
	dir := p.next()
	public := pipeline.CABundle
	if plan.CACerts != "" {
		public = publicFile
	}
	all := []string{"cat", public}
	if f.CACerts != "" {
		all = append(all, caFile)
	}
	more, first := path.Join(dir, "more.pem"), path.Join(dir, "0", path.Base(pipeline.CABundle))
	p.call("mkdir", "-p", path.Dir(first))
	if f.Certificates {
		p.script = append(p.script, shell(all)+" > "+more)
	} else {
		p.call("cp", caFile, more)
	}
	for i, name := range pipeline.Bundles {
		to := path.Join(dir, strconv.Itoa(i), path.Base(name))
		p.call("add", name, to, more)
		// The pattern lets COPY leave out what is not there.
		p.copies = append(p.copies, "COPY --from=builder "+execForm([]string{to[:len(to)-1] + "[" + to[len(to)-1:] + "]", name}))
	}
	p.script = append(p.script, fmt.Sprintf(`if [ $seen = : ]; then %s > %s; chmod %s %[2]s; fi`, shell(all), first, f.Mode))
}

// missing are directories, the deepest alone, that have to be there: those of the plan, and those of files that are placed with another
// mode than 0755, since COPY --chmod gives that to a file's missing directories, too, and nobody could enter them.
func missing(plan *pipeline.Plan) []string {
	var dirs []string
	for _, f := range files(plan) {
		switch dir := path.Dir(f.Path); {
		case f.Dir && f.Owner == "" && f.Mode == 0o755:
			dirs = append(dirs, f.Path)
		case asItIs(plan, f) && f.Mode != 0o755 && dir != "/":
			dirs = append(dirs, dir)
		}
	}
	slices.Sort(dirs)
	dirs = slices.Compact(dirs)
	return slices.DeleteFunc(slices.Clone(dirs), func(dir string) bool {
		return slices.ContainsFunc(dirs, func(other string) bool { return strings.HasPrefix(other, dir+"/") })
	})
}

// asItIs reports whether a file is copied as it is, with its mode.
func asItIs(plan *pipeline.Plan, f pipeline.File) bool {
	return f.Certificates && plan.Image.Base == "" || f.Source != "" && !staged(f) || f.Text != ""
}
