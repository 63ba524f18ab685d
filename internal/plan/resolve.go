package plan

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/slipway-ci/slipway/internal/fault"
)

// Resolve decides what building source as config asks does. An error that is [fault.Faults] lists everything that is wrong with the
// request, as far as one fault does not hide another.
//
// Images are those of the file [LockFile] in the source, where there is one.
func Resolve(ctx context.Context, source fs.FS, config Config) (*Plan, error) {
	return scans{}.resolve(ctx, source, config, mode{})
}

// Reads are patterns, in the manner of .dockerignore, of what [Resolve] reads of a source, besides the files and directories that the
// settings name.
var Reads = []string{"**/*.go", "**/go.mod", "**/go.sum", "**/go.work", "**/go.work.sum", "**/vendor/modules.txt", "**/" + LockFile, IgnoreFile}

// ResolveAll is [Resolve] for several images of one source, which is read once. Plans and errors are in the order of configs; a
// plan without an error is there even if others have one.
func ResolveAll(ctx context.Context, source fs.FS, configs []Config) ([]*Plan, []error) {
	return resolveAll(ctx, source, configs, mode{})
}

// ResolveUnlocked is [ResolveAll] as if there were no [LockFile]: it is for who writes that file.
func ResolveUnlocked(ctx context.Context, source fs.FS, configs []Config) ([]*Plan, []error) {
	return resolveAll(ctx, source, configs, mode{unlocked: true})
}

// ResolveChecks is [Resolve] for who runs the plan's checks and builds nothing: where there are several main packages and none is
// named, any will do.
func ResolveChecks(ctx context.Context, source fs.FS, config Config) (*Plan, error) {
	return scans{}.resolve(ctx, source, config, mode{anyPackage: true})
}

// mode is what a plan is for.
type mode struct{ unlocked, anyPackage bool }

func resolveAll(ctx context.Context, source fs.FS, configs []Config, m mode) ([]*Plan, []error) {
	seen := scans{}
	plans, errs := make([]*Plan, len(configs)), make([]error, len(configs))
	for i, config := range configs {
		plans[i], errs[i] = seen.resolve(ctx, source, config, m)
	}
	return plans, errs
}

// scans are the results of [resolver.scan], by the workset's directory: reading every Go file takes longer than all else.
type scans map[string]func() scanned

func (s scans) resolve(ctx context.Context, source fs.FS, config Config, m mode) (*Plan, error) {
	f := &fault.Faults{}
	r := resolver{config: config, mode: m, settings: config.settings(f), tree: tree{source, f}, scans: s}
	plan, err := r.plan(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the source: %w", err)
	}
	if err := f.Err(); err != nil {
		return nil, err
	}
	return plan, nil
}

// resolver turns one request into a plan.
type resolver struct {
	config Config
	mode
	settings
	tree
	scans scans
}

// plan is nil where faults leave nothing to plan.
func (r resolver) plan(ctx context.Context) (*Plan, error) {
	parts, err := r.parts(ctx)
	if err != nil || parts == nil {
		return nil, err
	}
	first := parts[0]
	r.checkDebugger(first.version, first.programs)
	name := cmp.Or(r.config.Name, nameOf(first.programs[0].Name))
	if name == "" {
		r.add("name", "", "no image can be called after the program "+first.programs[0].Name, "give it a name with --name")
	}
	names := map[string]any{"Name": name}
	ignore := r.readIgnore()
	files, copies, err := r.sourceFiles(ctx, ignore, names)
	if err != nil {
		return nil, err
	}
	plan, err := r.compilation(first, names)
	if err != nil {
		return nil, err
	}
	plan.Name = name
	for _, one := range parts[1:] {
		other, err := r.compilation(one, names)
		if err != nil {
			return nil, err
		}
		plan.OtherModules = append(plan.OtherModules, other)
	}
	if r.config.Debug {
		plan.Debugger = newDebugger()
	}
	plan.Prebuild = r.prebuild(first.programs[0].Module)
	plan.Generate = r.generateCommand(first.work)
	plan.Image = r.image(parts, files, names)
	r.addGoSettings(plan)
	plan.Image.Copies = copies
	if plan.Source.Excluded, err = r.excluded(ignore, plan); err != nil {
		return nil, err
	}
	plan.Checks = r.checks(first.work, first.version, plan.Compile, first.mains)
	plan.Notes = r.notes(plan)
	if !r.unlocked {
		r.pin(plan, first.work)
	}
	return plan, nil
}

// notes are what a plan's reader may want to change.
func (r resolver) notes(plan *Plan) []Note {
	var notes []Note
	if text := endedNote(r.base); text != "" {
		notes = append(notes, Note{"base", text})
	}
	if newest := newestPatchOf(plan.Go.Version); newest != "" && r.config.Go == "" {
		notes = append(notes, Note{"go", fmt.Sprintf("%s says %s, and %s is the newest patch release: --go %s takes it",
			plan.Go.From, plan.Go.Version, newest, latestPatch)})
	}
	if plan.Prebuild == nil && len(r.config.Prebuild) > 0 {
		notes = append(notes, Note{"prebuild", fmt.Sprintf("%s is taken as it is in the source: --prebuild makes it", strings.Join(r.prebuildOutputs, ", "))})
	}
	return notes
}

// everything is the patterns of all packages of the main modules.
func (b *workset) everything() []string {
	var all []string
	for _, m := range b.modules {
		all = append(all, strings.TrimSuffix(local(relative(b.dir, m.dir)), "/")+"/...")
	}
	return all
}

const noModule = "no go.mod in this directory or above it, within the source"

// NoModuleHere is the problem of a source that has no Go module, neither in it nor below.
const NoModuleHere = "no go.mod here"

// workset finds the module or workspace to build in.
func (r resolver) workset() *workset {
	start := "."
	if len(r.settings.packages) > 0 {
		start = r.settings.packages[0]
	}
	if work := r.findWorkset(start); work != nil || len(*r.faults) > 0 {
		return work
	}
	below := r.modulesBelow()
	switch {
	case start != "." && !r.exists(start):
		r.add("package", start, "no such directory in the source", "name the directory of a main package, like ./cmd/server")
	case start != ".":
		r.add("package", start, noModule, "run go mod init in it, or name a directory of a module")
	case len(below) > 0:
		r.add("source", "", "no go.mod or go.work here, but there are modules below: "+strings.Join(below, ", "),
			"give slipway one of these directories, or the program with --package")
	default:
		r.add("source", "", NoModuleHere, "give slipway the directory of a Go module, or make one with go mod init")
	}
	return nil
}

// modulesBelow are the directories of up to five modules below the source's root.
func (r resolver) modulesBelow() []string {
	var dirs []string
	_ = fs.WalkDir(r, ".", func(name string, e fs.DirEntry, err error) error {
		switch {
		case err != nil, e.IsDir() && name != "." && skipped(e.Name()):
			return fs.SkipDir // only a hint is made of it
		case len(dirs) == 5:
			return fs.SkipAll
		case path.Base(name) == "go.mod":
			dirs = append(dirs, "./"+path.Dir(name))
		}
		return nil
	})
	return dirs
}

// programs finds the programs to build; it is empty where that is a fault. mains are all programs that could be meant. names are those that
// programs have already.
func (r resolver) programs(ctx context.Context, work *workset, version string, names map[string]bool) (programs, mains []Program, err error) {
	pkgs := r.newPackages(version, r.settings.platforms[0])
	dirs := r.settings.packages
	all := dirs
	if len(r.config.Packages) == 0 {
		all, err = pkgs.mains(work)
		switch mains := all; {
		case err != nil:
			return nil, nil, err
		case ctx.Err() != nil:
			return nil, nil, ctx.Err()
		case len(mains) == 0:
			r.noMain(work, pkgs)
		case len(mains) > 1 && !r.anyPackage:
			r.add("package", "", fmt.Sprintf("%d main packages to choose from: %s", len(mains), list(mains)), "choose with --package, like --package "+local(mains[0]))
			return nil, nil, nil
		}
		dirs = all[:min(len(all), 1)]
	}
	program := func(dir string) (p Program, ok bool) {
		p.ImportPath, p.Module, ok = work.importPath(dir)
		p.Name, p.Package = programName(p.ImportPath), local(relative(work.dir, dir))
		return p, ok
	}
	for _, dir := range all {
		if p, ok := program(dir); ok {
			mains = append(mains, p)
		}
	}
	for _, dir := range dirs {
		found, _ := program(dir)
		home, unused := r.home(work, dir)
		name, err := pkgs.name(dir)
		unbuilt, how := "", ""
		if name != "main" {
			unbuilt, how = pkgs.unbuilt(dir)
		}
		refused, rename := work.refused(dir)
		switch {
		case !r.exists(dir):
			r.add("package", local(dir), "no such directory in the source", "name the directory of a main package, like ./cmd/server")
		case home == "":
			r.add("package", local(dir), noModule, "run go mod init in it, or name a directory of a module")
		case unused:
			r.add("package", local(dir), fmt.Sprintf("its module, in %s, is not one that %s uses", local(home), path.Join(work.dir, "go.work")),
				fmt.Sprintf("add it with go work use %s, or build the module alone: give slipway the directory %s as its source", local(relative(work.dir, home)), local(home)))
		case refused != "":
			r.add("package", local(dir), "it "+refused, rename)
		case unbuilt != "":
			r.add("package", local(dir), "it "+unbuilt, how)
		case err != nil:
			r.add("package", local(dir), err.Error(), "mend the files; go vet checks them")
		case name == "":
			r.add("package", local(dir), "no Go files for "+r.settings.platforms[0].String(), "name the directory of a main package, like ./cmd/server")
		case name != "main":
			r.add("package", local(dir), "package "+name+" is a library", "name the directory of a package main, like ./cmd/server")
		case slices.ContainsFunc(programs, func(p Program) bool { return p.ImportPath == found.ImportPath }):
			r.add("package", local(dir), "named twice", "leave one out")
		default:
			// go build would write both to one file, and the image's files name programs.
			for n := 2; names[found.Name]; n++ {
				found.Name = fmt.Sprintf("%s-%d", programName(found.ImportPath), n)
			}
			names[found.Name] = true
			programs = append(programs, found)
		}
	}
	return programs, mains, nil
}

// local writes a directory as the Go command wants it.
func local(dir string) string {
	if dir == "." {
		return dir
	}
	return "./" + dir
}

func list(dirs []string) string {
	const most = 10
	shown := make([]string, 0, most)
	for _, d := range dirs[:min(len(dirs), most)] {
		shown = append(shown, local(d))
	}
	if len(dirs) > most {
		shown = append(shown, "…")
	}
	return strings.Join(shown, ", ")
}

// fileMode is the mode in the image. Of a file's own mode only the owner's execute bit counts, as in git: the rest is the
// umask of whoever checked it out.
func (f file) fileMode(own fs.FileMode) Mode {
	switch {
	case f.mode != 0:
		return f.mode
	case own&0o100 != 0:
		return 0o755
	default:
		return 0o644
	}
}

// isPath reports whether a variable of the environment is the search path.
func isPath(env string) bool { return strings.HasPrefix(env, "PATH=") }

func (r resolver) image(parts []part, files []File, names map[string]any) Image {
	described := map[string]string{"org.opencontainers.image.title": fmt.Sprint(names["Name"])}
	if r.config.Revision != "" {
		described["org.opencontainers.image.revision"] = r.config.Revision
	}
	labels, annotations := maps.Clone(described), maps.Clone(described)
	maps.Copy(labels, r.expandMap("label", r.labels, names))
	maps.Copy(annotations, r.expandMap("annotation", r.annotations, names))
	if strings.HasPrefix(r.user, "0:") {
		labels[RootLabel] = "allowed"
	}
	image := r.settings.image
	image.Runtime, image.Base, image.User, image.Packages = r.runtime, r.base, r.user, r.runtimePackages
	r.distribution(&image)
	image.Labels, image.Annotations = labels, annotations
	image.Env = each(r.faults, "env", r.expandAll("env", image.Env, names), parseEnv)
	binaries := r.binaries(parts)
	if len(image.Entrypoint) == 0 {
		image.Entrypoint = []string{binaries[0].Path}
	}
	r.checkLinks(slices.Concat(r.etc(), files, binaries))
	files = append(files, r.links...)
	r.checkEntrypoint(image, binaries, files)
	r.checkHealthcheck(image, slices.Concat(binaries, files))
	if r.config.Debug {
		image.Entrypoint = debugged(image.Entrypoint)
		image.Ports = append(slices.Clone(image.Ports), debugPort)
		slices.SortFunc(image.Ports, comparePorts)
		binaries = append(binaries, File{Path: path.Join(appDir, debuggerName), Mode: 0o755, Program: debuggerName})
	}
	if r.config.NoEntrypoint {
		image.Entrypoint, image.Args = nil, image.Command()
	}
	if image.WorkingDir == "" {
		image.WorkingDir = "/"
		if slices.ContainsFunc(binaries, func(f File) bool { return within(appDir, f.Path) }) {
			image.WorkingDir = appDir
		}
	}
	if slices.ContainsFunc(binaries, func(f File) bool { return path.Dir(f.Path) == appDir }) && !slices.ContainsFunc(r.config.Env, isPath) {
		image.Path = []string{appDir}
	}
	for _, p := range binaries {
		for _, f := range files {
			if f.Path == p.Path && (f.Link == "" || f.Source != "") {
				r.add("file", f.given()+":"+f.Path, "the program itself goes there", "choose another destination")
			}
		}
	}
	if image.WorkingDir != appDir && image.WorkingDir != "/" && !slices.ContainsFunc(files, func(f File) bool { return f.Path == image.WorkingDir }) {
		files = append(files, File{Path: image.WorkingDir, Mode: 0o755, Dir: true})
	}
	files = r.writableDirs(files, slices.Concat(r.etc(), binaries))
	// What changes least comes lowest, so that a registry and a node have most of the image already.
	for _, layer := range []Layer{{"runtime", r.etc()}, {FilesLayer, files}, {"program", binaries}} {
		if len(layer.Files) > 0 {
			image.Layers = append(image.Layers, layer)
		}
	}
	r.checkPaths(image.Layers)
	return image
}
