package dockerfile

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/slipway-ci/slipway/internal/plan"
)

// onAny makes of the files of a base of unknown layout what the plan says: there may be links, users and certificates anywhere.
func (p *preparation) onAny(decided *plan.Plan) {
	has := func(is func(plan.File) bool) bool { return slices.ContainsFunc(files(decided), is) }
	extends := has(func(f plan.File) bool { return f.Append != "" })
	adds := has(func(f plan.File) bool { return f.Certificates || f.CACerts != "" })
	p.functions = extends || adds || has(func(f plan.File) bool { return f.Owner != "" })
	if p.mounts = p.functions; p.functions {
		p.script = append(p.script, follow)
	}
	if extends {
		p.script = append(p.script, extend)
	}
	if has(func(f plan.File) bool { return f.Required }) {
		p.script = append(p.script, free)
	}
	if adds {
		p.script = append(p.script, add)
	}
	for _, f := range files(decided) {
		switch {
		case special(f):
			if p.functions {
				p.script = append(p.script, "there=$(at "+shell([]string{f.Path})+")")
			}
			p.directory(f, `"$there"`)
		case f.Link != "":
			p.linkIn(f)
		case f.Append != "":
			to := path.Join(p.next(), path.Base(f.Path))
			line := strings.TrimSuffix(f.Append, "\n")
			if f.Required {
				p.call("free", f.Path, line)
			}
			p.call("extend", f.Path, to, line)
			p.copy(to, f.Path)
		case f.Certificates || f.CACerts != "":
			p.bundles(decided, f)
		}
	}
	p.makeMissing(decided)
}

// Functions of the script, which follow the rules of package placement where only the builder can read the base, at /base.
const (
	follow = `# Where a path leads in the base: links are followed, and none leads out of it.
at() {
  rest=$1/ found= links=0
  while [ -n "$rest" ]; do
    part=${rest%%/*} rest=${rest#*/}
    case $part in
      ''|.) ;;
      ..) found=${found%/*} ;;
      *)
        if [ -L "/base$found/$part" ] && [ $links -lt 40 ]; then
          links=$((links+1)) link=$(readlink "/base$found/$part")
          case $link in /*) found= ;; esac
          rest=$link/$rest
        else
          found=$found/$part
        fi ;;
    esac
  done
  echo "/base$found"
}`
	extend = `# A file of the base with one line more, unless one has the same first or third field.
extend() {
  there=$(at "$1")
  mkdir -p "${2%/*}"
  if [ -e "$there" ]; then cp -p "$there" "$2"; else install -m 0644 /dev/null "$2"; fi
  if ! awk -F: -v line="$3" 'BEGIN { split(line, own) } $1 == own[1] || $3 "" == own[3] { found = 1 } END { exit !found }' "$2"; then
    if [ -n "$(tail -c 1 "$2")" ]; then echo >> "$2"; fi
    printf '%s\n' "$3" >> "$2"
  fi
}`
	free = `# Fails where a line of the base has one of the first and the third field of another, and not both.
free() {
  there=$(at "$1")
  if [ ! -e "$there" ]; then return; fi
  awk -F: -v line="$2" 'BEGIN { split(line, own) } ($1 == own[1]) != ($3 "" == own[3]) { print "the base has the line " $0; taken = 1 } END { exit taken }' "$there" >&2
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

// bundles adds certificates to each of the base's bundles, or makes one that begins with the builder's.
func (p *preparation) bundles(decided *plan.Plan, f plan.File) {
	dir := p.next()
	public := plan.CABundle
	if decided.CACerts != "" {
		public = publicFile
	}
	all := []string{"cat", public}
	if f.CACerts != "" {
		all = append(all, caFile)
	}
	more, first := path.Join(dir, "more.pem"), path.Join(dir, "0", path.Base(plan.CABundle))
	p.call("mkdir", "-p", path.Dir(first))
	if f.Certificates {
		p.script = append(p.script, shell(all)+" > "+more)
	} else {
		p.call("cp", caFile, more)
	}
	for i, name := range plan.Bundles {
		to := path.Join(dir, strconv.Itoa(i), path.Base(name))
		p.call("add", name, to, more)
		// The pattern lets COPY leave out what is not there.
		p.copies = append(p.copies, "COPY --from=builder "+execForm([]string{to[:len(to)-1] + "[" + to[len(to)-1:] + "]", name}))
	}
	p.script = append(p.script, fmt.Sprintf(`if [ $seen = : ]; then %s > %s; chmod %s %[2]s; fi`, shell(all), first, f.Mode))
}
