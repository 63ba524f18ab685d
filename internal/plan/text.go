package plan

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/slipway-ci/slipway/internal/console"
)

// text is a plan for people.
type text struct{ strings.Builder }

func (t *text) section(title string) { fmt.Fprintf(t, "\n%s\n", title) }

// row is one line, and harmless to a terminal.
func (t *text) row(name, format string, args ...any) {
	fmt.Fprintf(t, "  %-14s %s\n", name, console.Line(fmt.Sprintf(format, args...)))
}

// WriteText writes the plan for people: what happens, in the order in which it does. Every value is on one line, and harmless
// to a terminal.
func (p *Plan) WriteText(w io.Writer) error {
	var b text
	section, row := b.section, b.row

	fmt.Fprintln(&b, console.Line(p.Name+", from "+p.Source.Module))
	for _, part := range p.Parts() {
		b.compilation(part)
	}

	section("Image")
	base := p.Image.Base
	if base == "" {
		base = "nothing"
	}
	row("runtime", "%s, on %s", p.Image.Runtime, base)
	if d := p.Image.Distribution; d != nil {
		row("packages", "%s, of %s", strings.Join(p.Image.Packages, ", "), d.Title())
	}
	for _, layer := range p.Image.Layers {
		for _, f := range layer.Files {
			origin := f.origin()
			if f.Owner != "" && f.Owner != p.Image.User {
				origin += ", " + f.Owner
			}
			row("layer "+layer.Name, "%s %s  %s", f.Mode, f.Path, origin)
		}
	}
	if p.Image.Compression != (Compression{}) {
		row("compression", "%s", p.Image.Compression)
	}
	row("user", "%s", p.Image.User)
	if p.Image.Entrypoint == nil {
		row("command", "%s", shellLine(p.Image.Command()))
	} else {
		row("entrypoint", "%s", shellLine(p.Image.Command()))
	}
	row("directory", "%s", p.Image.WorkingDir)
	if p.Image.Path != nil {
		row("search path", "that of the base, and %s", strings.Join(p.Image.Path, ":"))
	}
	if p.Image.StopSignal != "" {
		row("stop signal", "%s", p.Image.StopSignal)
	}
	if h := p.Image.Healthcheck; h != nil {
		row("health check", "%s", strings.Join(append([]string{shellLine(h.Command)}, h.Options()...), ", "))
	}
	for _, volume := range p.Image.Volumes {
		row("volume", "%s", volume)
	}
	for _, port := range p.Image.Ports {
		row("port", "%s", port)
	}
	for _, env := range p.Image.Env {
		row("env", "%s", env)
	}
	for _, k := range slices.Sorted(maps.Keys(p.Image.Labels)) {
		row("label", "%s=%s", k, p.Image.Labels[k])
	}
	for _, k := range slices.Sorted(maps.Keys(p.Image.Annotations)) {
		row("annotation", "%s=%s", k, p.Image.Annotations[k])
	}

	movingPackages := p.Image.Distribution != nil && p.Image.Distribution.Locked == nil
	if moving := p.moving(); len(moving)+len(p.Notes) > 0 || movingPackages {
		section("Note")
		for _, note := range p.Notes {
			row(note.About, "%s", note.Text)
		}
		for _, ref := range moving {
			row("may move", "%s: slipway pin records its digest", ref)
		}
		if movingPackages {
			row("may move", "packages of %s: slipway pin records them", distributions[p.Image.Distribution.Name].title)
		}
	}

	section("Checks")
	for _, check := range p.Checks {
		row(check.Name, "%s", cmp.Or(shellLine(check.Command), "go mod verify"))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// compilation is how the programs of one module or workspace are compiled.
func (t *text) compilation(p *Plan) {
	section, row := t.section, t.row
	section("Source")
	for _, program := range p.Programs {
		row("program", "%s (%s)", program.Package, program.ImportPath)
	}
	row("directory", "%s", p.Source.Dir)
	switch {
	case p.Source.Workspace:
		row("modules", "go.work")
	case p.Source.Vendor:
		row("modules", "vendor directory")
	}
	if v := p.Source.VCS; v != nil {
		modified := ""
		if v.Modified {
			modified = ", modified"
		}
		row("stamp", "%s, %s%s", v.Revision, v.Time, modified)
	}
	row("go", "%s, from %s", p.Go.Version, p.Go.From)
	row("builder", "%s", p.Builder)
	if p.Prepare != nil {
		row("install", "%s", shellLine(p.Prepare))
	}

	if p.CACerts != "" {
		row("trusts", "%s more", caCerts(p.CACerts))
	}

	if step := p.Prebuild; step != nil {
		section("Prebuild")
		row("run", "%s", shellLine(step.Command))
		row("in", "%s; with the host engine, on this machine", step.Image)
		for _, cache := range step.Caches {
			row("cache", "%s", cache.Path)
		}
		for _, output := range step.Outputs {
			row("makes", "%s", output)
		}
	}

	section("Dependencies")
	if p.Dependencies.Download == nil {
		row("", "nothing to download")
	} else {
		row("from", "%s", strings.Join(p.Dependencies.Files, ", "))
		row("run", "%s", shellLine(p.Dependencies.Download))
		row("run", "%s", shellLine(p.Dependencies.Verify))
	}

	section("Compile")
	if p.Generate != nil {
		row("run", "%s", shellLine(p.Generate))
	}
	for _, command := range p.Compile[0].Commands("OUT") {
		row("run", "%s", shellLine(command))
	}
	row("host engine", "adds -p where several platforms compile at once: the machine's processors, divided among them")
	row("environment", "%s", assignments(p.Env))
	for _, c := range p.Compile {
		if c.C != nil && c.C.Install != nil {
			row("install", "%s", c.C.Install[len(c.C.Install)-1])
		}
		row(c.Platform.String(), "%s", assignments(c.Env))
	}
	if d := p.Debugger; d != nil {
		row("debugger", "%s@%s", d.Module, d.Version)
	}
	guard := "right platform, stripped"
	if p.Guard.Symbols {
		guard = "right platform, with symbols"
	}
	if p.Guard.Static {
		guard += ", linked statically"
	}
	if p.Guard.GLIBC != "" {
		guard += ", for glibc " + p.Guard.GLIBC
	}
	row("guard", "%s", guard)
}

// origin says where a file's content comes from.
func (f File) origin() string {
	if f.Owner != "" && !f.Dir {
		owned := f
		owned.Owner = ""
		return owned.origin() + ", the user's"
	}
	switch {
	case f.Program != "":
		return strings.Join(append([]string{"the program"}, f.Capabilities...), ", ")
	case f.Link != "":
		return "a link to " + f.Link
	case f.Source != "":
		return "from " + f.Source
	case f.Downloads != nil:
		return "from " + f.Download.URL
	case f.Download != nil:
		return strings.TrimSuffix("from "+f.Download.URL+", "+f.Download.Digest, ", ")
	case f.Certificates && f.CACerts != "":
		return "public root certificates, and " + caCerts(f.CACerts) + " more"
	case f.Certificates:
		return "public root certificates"
	case f.CACerts != "":
		return "the base's, and " + caCerts(f.CACerts) + " more"
	case f.Append != "":
		return "the base's, and " + strings.TrimSpace(f.Append)
	case f.Owner != "":
		return "a directory of the user's"
	case f.Dir:
		return "a directory"
	default:
		return "written by Slipway"
	}
}

func assignments(env map[string]string) string {
	var list []string
	for _, k := range slices.Sorted(maps.Keys(env)) {
		list = append(list, k+"="+env[k])
	}
	return strings.Join(list, " ")
}

// shellLine writes a command line for reading; arguments with spaces are quoted.
func shellLine(args []string) string {
	quoted := make([]string, len(args))
	for i, a := range args {
		quoted[i] = a
		if a == "" || strings.ContainsAny(a, " \t\n'\"$") {
			quoted[i] = fmt.Sprintf("%q", a)
		}
	}
	return strings.Join(quoted, " ")
}
