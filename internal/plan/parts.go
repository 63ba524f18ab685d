package plan

import (
	"context"
	"maps"
	"strings"
)

// part is a module or workspace, with the programs of the image that are of it.
type part struct {
	work *workset
	// version of Go, and where it was read.
	version, from   string
	programs, mains []Program
	// dependencies are the files that decide on modules.
	dependencies []string
}

// parts finds the programs, by the modules or workspaces that they are of, in the setting's order. It is empty where that is a fault.
func (r resolver) parts(ctx context.Context) ([]part, error) {
	var parts []part
	names := map[string]bool{}
	for rest := r.settings.packages; parts == nil || rest != nil; {
		r.settings.packages = rest
		one := part{work: r.workset()}
		if one.work == nil {
			return nil, nil
		}
		r.settings.packages, rest = r.of(one.work, rest)
		one.dependencies = r.dependencyFiles(one.work)
		one.version, one.from = r.goVersion(one.work, r.config.Go)
		if one.version == "" || len(r.settings.platforms) == 0 {
			return nil, nil
		}
		r.checkGoHas(one.version)
		var err error
		if one.programs, one.mains, err = r.programs(ctx, one.work, one.version, names); err != nil || len(one.programs) == 0 {
			return nil, err
		}
		r.checkModules(one.work, one.version, one.programs)
		parts = append(parts, one)
	}
	if len(parts) > 1 {
		r.checkParts(parts)
	}
	return parts, nil
}

// of are the directories whose packages are compiled in the workset, and the others; nil for none.
func (r resolver) of(work *workset, dirs []string) (own, others []string) {
	for _, dir := range dirs {
		if nearest := r.findWorkset(dir); nearest == nil || nearest.dir == work.dir {
			own = append(own, dir)
		} else {
			others = append(others, dir)
		}
	}
	return own, others
}

// checkParts faults what is done in the source of one module or workspace alone.
func (r resolver) checkParts(parts []part) {
	problem := "the packages are of several modules: " + local(parts[0].work.dir) + ", " + local(parts[1].work.dir)
	if r.runsPrebuild() {
		r.add("prebuild", "", problem, "run it by yourself before, or put the modules into one go.work")
	}
	if r.config.Generates() {
		r.add("generate", "", problem, "run go generate by yourself before, or put the modules into one go.work")
	}
	if r.anyPackage {
		r.add("package", "", problem, "check one after the other, or put the modules into one go.work")
	}
}

// compilation is what a plan says of compiling programs.
func (r resolver) compilation(p part, names map[string]any) (*Plan, error) {
	work, programs := p.work, p.programs
	compiled, err := r.compiledFiles(work)
	if err != nil {
		return nil, err
	}
	plan := &Plan{
		Source: Source{Module: programs[0].Module, Dir: work.dir, Workspace: work.work != nil, Vendor: work.vendor, VCS: r.vcs(), Files: compiled, Outputs: r.config.Outputs},
		Go:     Go{Version: p.version, From: p.from},
		Env: map[string]string{
			"CGO_ENABLED": "0",
			"GO111MODULE": "on",
			"GOENV":       "off", // what go env -w stored on one machine must not change the result
			"GOFLAGS":     "",
			"GOTOOLCHAIN": "go" + p.version,
			"GOWORK":      "off",
		},
		CACerts:      r.caCerts,
		Dependencies: Dependencies{Files: p.dependencies},
		Caches: []Cache{
			{Name: "go-mod", Env: "GOMODCACHE", Path: "/go/pkg/mod"},
			{Name: "go-build", Env: "GOCACHE", Path: "/root/.cache/go-build"},
		},
		Programs: programs,
		Guard:    Guard{Static: r.cgo == cgoStatic || !r.hasGLIBC(), Symbols: r.config.Debug, Runtime: r.runtime},
	}
	if r.cgo == cgoDynamic {
		plan.Guard.GLIBC, plan.Guard.Lacks = r.known().glibc, r.lacks()
	}
	plan.Builder, plan.BuilderPackages, plan.Prepare = r.builder(p.version)
	if r.cgo != "" {
		plan.Env["CGO_ENABLED"] = "1"
		if !r.config.Debug {
			maps.Copy(plan.Env, strippedC)
		}
	}
	if work.work != nil {
		plan.Env["GOWORK"] = "" // found by the Go command in its working directory
	}
	if !work.vendor && work.needsModules() {
		plan.Dependencies.Download = append([]string{"go", "mod", "download"}, work.downloaded(programs)...)
		plan.Dependencies.Verify = []string{"go", "mod", "verify"}
	}
	for _, platform := range r.settings.platforms {
		plan.Compile = append(plan.Compile, r.compile(platform, work, programs, names))
	}
	return plan, nil
}

func (r resolver) compile(p Platform, work *workset, programs []Program, names map[string]any) Compile {
	mod := "-mod=readonly"
	if work.vendor {
		mod = "-mod=vendor"
	}
	flags := []string{mod, "-trimpath", r.buildVCS()}
	if ldflags := r.linkerFlags(p, names); ldflags != "" {
		flags = append(flags, "-ldflags="+ldflags)
	}
	if r.config.Debug {
		flags = append(flags, "-gcflags=all=-N -l")
	}
	if len(r.tags) > 0 {
		flags = append(flags, "-tags="+strings.Join(r.tags, ","))
	}
	c := Compile{Platform: p, Env: p.goEnv(), C: r.c(p), Flags: flags}
	if c.C != nil {
		maps.Copy(c.Env, CompilerEnv(c.C.Compiler))
	}
	for _, program := range programs {
		if program.Name == programName(program.ImportPath) {
			c.Packages = append(c.Packages, program.Package)
		} else {
			c.Renamed = append(c.Renamed, Renamed{program.Package, program.Name})
		}
	}
	return c
}

// Parts are the plans that each module's or workspace's programs are compiled by: p, which the image is of, and [Plan.OtherModules].
func (p *Plan) Parts() []*Plan { return append([]*Plan{p}, p.OtherModules...) }

// ModuleFiles are the [Dependencies.Files] of all parts.
func (p *Plan) ModuleFiles() []string {
	var files []string
	for _, part := range p.Parts() {
		files = append(files, part.Dependencies.Files...)
	}
	return sorted(files)
}
