package plan

import "context"

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
