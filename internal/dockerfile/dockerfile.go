// Package dockerfile renders a plan as the multi-stage Dockerfile that it stands for: for people who want to read what a
// build does in the notation that they know, or to build it with docker buildx.
//
// The binaries are the same, byte for byte; so are the image's configuration and the paths, modes and owners of its files.
// The root certificates are the builder image's, where Slipway brings its own.
package dockerfile

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/slipway-ci/slipway/internal/console"
	"github.com/slipway-ci/slipway/internal/plan"
)

// Directories of the builder stage.
const (
	srcDir = "/src"
	outDir = "/out"

	caFile     = "/ca-certs.pem"     // the plan's certificates
	publicFile = "/public-certs.pem" // the builder's own
)

// Render writes the Dockerfile of plan. The build context is the plan's source.
func Render(plan *plan.Plan) (string, error) {
	if err := refused(plan); err != nil {
		return "", err
	}
	var d writer
	d.line("# syntax=docker/dockerfile:1")
	if len(plan.Source.Excluded) > 0 {
		d.excluded(plan)
	}
	if layout, ok := strings.CutPrefix(plan.Image.Base, "oci:"); ok {
		d.line("# Build with --build-context base=oci-layout://" + layout)
	}
	d.line("")
	if hasBaseStage(plan) {
		d.line("FROM " + base(plan) + " AS " + baseStage(plan))
		if plan.Image.Install != nil {
			d.line("USER 0")
			d.run(shell(plan.Image.Install))
		}
		d.line("")
	}
	d.files(plan)
	d.prebuild(plan)
	d.builder(plan)
	d.runtime(plan)
	for line := range strings.Lines(d.String()) {
		if visible := console.Visible(line); visible != line {
			return "", fmt.Errorf("%w: %s", ErrInvisible, strings.TrimSpace(visible))
		}
	}
	return d.String(), nil
}

// excluded says how to build nevertheless, where .dockerignore leaves out what is compiled: it may have been written for another
// Dockerfile. Source: https://docs.docker.com/build/concepts/context/#filename-and-location
func (d *writer) excluded(plan *plan.Plan) {
	missing := plan.Source.Excluded
	text := strconv.Quote(missing[0])
	if len(missing) > 1 {
		text += fmt.Sprintf(" and %d more", len(missing)-1)
	}
	patterns := plan.Source.Files
	if patterns == nil {
		patterns = []string{"**"}
	}
	again := make([]string, len(patterns))
	for i, pattern := range patterns {
		again[i] = "!" + pattern
	}
	d.line("# .dockerignore leaves out what this build needs: " + text + ". For this file alone, BuildKit reads one beside it in its place,")
	d.line("# with the same name and .dockerignore after it. This makes it for a file called Dockerfile:")
	d.line("#   { cat .dockerignore; printf '\\n%s' " + shell(again) + "; } > Dockerfile.dockerignore")
}

// writer collects lines.
type writer struct{ strings.Builder }

func (d *writer) line(s string) { d.WriteString(s + "\n") }

// run writes a command that a shell gets in pieces, one to a line.
func (d *writer) run(pieces ...string) { d.line("RUN " + strings.Join(pieces, " \\\n    ")) }

// netrc mounts the logins for private modules.
const netrc = "--mount=type=secret,id=netrc,target=/root/.netrc"

// undownloaded is the file that says in the builder which modules could not be downloaded. Those that are needed are tried again once
// the source is there, for a step that went on without a login is in BuildKit's cache. Compiling has no login: C reads any file.
const undownloaded = "/tmp/undownloaded"

// builder is the stage that compiles: on the platform of the machine, for the platform that is asked for.
func (d *writer) builder(p *plan.Plan) {
	platform := "--platform=$BUILDPLATFORM "
	if c := p.Compile[0].C; c != nil && c.Static && len(p.Compile) > 1 {
		platform = "" // Alpine has no cross compilers
		d.line("# Platforms that are not the machine's own are compiled on an emulator, by binfmt_misc and QEMU.")
	}
	d.line("FROM " + platform + p.Builder + " AS builder")
	for _, k := range slices.Sorted(maps.Keys(p.Env)) {
		d.line("ENV " + k + "=" + quote(p.Env[k]))
	}
	if p.CACerts != "" {
		d.line("COPY <<\"EOF\" " + caFile + "\n" + p.CACerts + "EOF")
		add := "cat " + caFile + " >> " + plan.CABundle
		if prepare(p).functions {
			add = "cp " + plan.CABundle + " " + publicFile + " && " + add
		}
		d.run(add)
	}
	if p.Prepare != nil {
		d.run(shell(p.Prepare))
	}
	d.line("WORKDIR " + word(path.Join(srcDir, p.Source.Dir)))
	modules, both := mounts(p.Caches[:1]), mounts(p.Caches)

	if p.Dependencies.Download != nil {
		d.line("")
		d.line("# The modules alone: no edit of the source repeats this.")
		for _, group := range byDirectory(p.Dependencies.Files) {
			d.line("COPY " + arguments(path.Join(srcDir, group.dir)+"/", group.files...))
		}
		d.line("# Private modules: docker build --secret id=netrc,src=$HOME/.netrc --build-arg GOPRIVATE=git.example.com …")
		d.line("# A module that cannot be had is an error below, if go build needs it; one that go.sum does not fit is one here.")
		d.line("ARG GOPRIVATE")
		d.run(append(slices.Clone(modules), netrc, p.Dependencies.DownloadScript()+` && printf %s "$out" >`+undownloaded)...)
		d.run(append(slices.Clone(modules), p.Dependencies.VerifyScript())...)
	}

	d.line("")
	if installs := installs(p); installs != nil {
		d.line("ARG TARGETPLATFORM")
		d.run(slices.Concat([]string{`case "$TARGETPLATFORM" in`}, installs, []string{"esac"})...)
	}
	d.line("COPY . " + srcDir)
	d.prebuilt(p)
	if p.Generate != nil {
		d.run(append(slices.Clone(both), shell(p.Generate))...)
	}
	if installs(p) == nil {
		d.line("ARG TARGETPLATFORM")
	}
	if p.Dependencies.Download != nil {
		compile := p.Compile[0]
		needed := slices.Concat([]string{"go", "list"}, compile.Flags, []string{"-deps"}, compile.AllPackages())
		d.run(append(modules, netrc, "[ ! -s "+undownloaded+" ] || "+shell(needed)+" >/dev/null")...)
	}
	pieces := append(slices.Clone(both), `case "$TARGETPLATFORM" in`)
	for _, c := range p.Compile {
		pieces = append(pieces, fmt.Sprintf("%s) export %s ;;", c.Platform, assignments(c.Env)))
	}
	pieces = append(pieces, `*) echo "no part of the plan: $TARGETPLATFORM" >&2; exit 1 ;;`, "esac &&")
	var compiled []string
	for _, command := range p.Compile[0].Commands(outDir) {
		compiled = append(compiled, shell(command))
	}
	command := strings.Join(compiled, " && \\\n    ")
	if p.Debugger != nil {
		modules := p.Caches[0].Path
		pieces = append(pieces, command+" &&", "(cd / && "+assignments(p.Debugger.Env)+" "+shell(p.Debugger.Download)+") &&")
		command = assignments(p.Debugger.Env) + " " + shell(p.Debugger.Command(modules, outDir))
	}
	d.run(append(pieces, command)...)

	d.prepared(p)
}

// prepared is what the builder makes for the image besides the programs.
func (d *writer) prepared(plan *plan.Plan) {
	prepared := prepare(plan)
	if prepared.script == nil {
		return
	}
	d.line("")
	if prepared.extended != nil {
		d.line("COPY --from=" + baseStage(plan) + " " + arguments(rootDir+"/", prepared.extended...))
	}
	mount := "--mount=type=bind,from=" + baseStage(plan) + ",target=/base"
	commands := strings.Join(prepared.script, " && \\\n    ")
	switch {
	case prepared.functions:
		d.line("RUN " + mount + " <<\"EOF\"\nset -e\n" + strings.Join(prepared.script, "\n") + "\nEOF")
	case prepared.mounts:
		d.run(mount, commands)
	default:
		d.run(commands)
	}
}

// runtime is the stage that becomes the image. None of its platform's programs runs: files are only placed.
func (d *writer) runtime(decided *plan.Plan) {
	image := decided.Image
	d.line("")
	if hasBaseStage(decided) {
		d.line("FROM " + baseStage(decided))
	} else {
		d.line("FROM " + base(decided))
	}
	for _, line := range prepare(decided).copies {
		d.line(line)
	}
	for _, p := range placedFiles(decided) {
		from, to := p.at, p.path
		if p.dir {
			from, to = from+"/", strings.TrimSuffix(to, "/")+"/"
		}
		d.line("COPY --from=" + filesStage + " " + arguments(to, from))
	}
	for _, f := range files(decided) {
		if line := asItIs(decided, f); line != "" {
			d.line(line)
		}
	}
	if image.Path != nil {
		d.line("ENV PATH=$PATH:" + strings.Join(image.Path, ":"))
	}
	for _, kv := range image.Env {
		k, v, _ := strings.Cut(kv, "=")
		d.line("ENV " + k + "=" + quote(v))
	}
	d.line("WORKDIR " + word(image.WorkingDir))
	d.line("USER " + image.User)
	if image.StopSignal != "" {
		d.line("STOPSIGNAL " + image.StopSignal)
	}
	if h := image.Healthcheck; h != nil {
		line := "HEALTHCHECK"
		for _, option := range h.Options() {
			line += " --" + option
		}
		d.line(line + " CMD " + execForm(h.Command))
	}
	if len(image.Volumes) > 0 {
		d.line("VOLUME " + execForm(image.Volumes))
	}
	for _, p := range image.Ports {
		d.line("EXPOSE " + p)
	}
	for _, k := range slices.Sorted(maps.Keys(image.Labels)) {
		d.line("LABEL " + quote(k) + "=" + quote(image.Labels[k]))
	}
	if image.Entrypoint != nil {
		d.line("ENTRYPOINT " + execForm(image.Entrypoint))
	}
	if len(image.Args) > 0 {
		d.line("CMD " + execForm(image.Args))
	}
}

// installs are the cases of a shell that bring the C compilers of platforms.
func installs(plan *plan.Plan) []string {
	var cases []string
	for _, c := range plan.Compile {
		if c.C != nil && c.C.Install != nil {
			cases = append(cases, fmt.Sprintf("%s) %s ;;", c.Platform, shell(c.C.Install)))
		}
	}
	return cases
}

func assignments(env map[string]string) string {
	var list []string
	for _, k := range slices.Sorted(maps.Keys(env)) {
		list = append(list, k+"="+shell([]string{env[k]}))
	}
	return strings.Join(list, " ")
}

func base(plan *plan.Plan) string {
	switch {
	case plan.Image.Base == "":
		return "scratch"
	case strings.HasPrefix(plan.Image.Base, "oci:"):
		return "base" // a named build context
	default:
		return plan.Image.Base
	}
}

// files are those of all layers, but for what copies place.
func files(p *plan.Plan) []plan.File {
	var all []plan.File
	for _, l := range p.Image.Layers {
		for _, f := range l.Files {
			if !copied(p, l.Name, f) {
				all = append(all, f)
			}
		}
	}
	return all
}

// hasBaseStage reports whether the base has a stage: something is installed in it, or files are made from its files.
func hasBaseStage(plan *plan.Plan) bool {
	return plan.Image.Install != nil || prepare(plan).readsBase()
}

// baseStage is the stage that files are read from. One that differs from the base must not have the name of a build context,
// which would take its place.
func baseStage(plan *plan.Plan) string {
	if plan.Image.Install != nil {
		return "installed"
	}
	return "base"
}

// directory is a directory of the source and files in it.
type directory struct {
	dir   string
	files []string
}

func byDirectory(files []string) []directory {
	var groups []directory
	for _, f := range files {
		if i := len(groups) - 1; i >= 0 && groups[i].dir == path.Dir(f) {
			groups[i].files = append(groups[i].files, f)
		} else {
			groups = append(groups, directory{path.Dir(f), []string{f}})
		}
	}
	return groups
}

func mounts(caches []plan.Cache) []string {
	var mounts []string
	for _, c := range caches {
		mounts = append(mounts, "--mount=type=cache,target="+c.Path)
	}
	return mounts
}

func execForm(args []string) string {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(args) // strings always encode
	return console.Visible(strings.TrimSpace(b.String()))
}

// quote writes a value for ENV and LABEL. Source: https://docs.docker.com/reference/dockerfile/#environment-replacement
func quote(s string) string {
	if s != "" && plain(s) {
		return s
	}
	return `"` + apart(strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`).Replace(s), `"`) + `"`
}

// ciCommand is what a CI system would take for a command in a log that the Dockerfile is printed to.
var ciCommand = regexp.MustCompile(`(?i)#(#(?:\[|vso\[|teamcity\[))`)

// apart is what stands between quotes, without what is a command where it is whole.
func apart(s, quote string) string { return ciCommand.ReplaceAllString(s, "#"+quote+quote+"$1") }

// shell writes a command line for a POSIX shell.
func shell(args []string) string {
	quoted := make([]string, len(args))
	for i, a := range args {
		if a != "" && plain(a) {
			quoted[i] = a
		} else {
			quoted[i] = "'" + apart(strings.ReplaceAll(a, "'", `'\''`), "'") + "'"
		}
	}
	return strings.Join(quoted, " ")
}

// plain reports whether s means itself in a shell and in a Dockerfile.
func plain(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=./:,@+%", r)
	})
}
