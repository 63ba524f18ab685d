package plan

import (
	"bufio"
	"fmt"
	"go/build"
	"go/build/constraint"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// unbuilt says why the main package of the directory is not built for the platform and the settings, and how to change that. Both are
// empty if there is no such package.
func (p packages) unbuilt(dir string) (why, how string) {
	isMain := func(change func(*build.Context)) bool {
		with := p
		change(&with.context)
		name, err := with.name(dir)
		return err == nil && name == "main"
	}
	if isMain(func(c *build.Context) { c.CgoEnabled = true }) {
		return "needs cgo", "add --cgo"
	}
	tags := p.unknownTags(dir)
	sets := [][]string{tags}
	for _, tag := range slices.Backward(tags) {
		sets = slices.Insert(sets, 0, []string{tag})
	}
	for _, cgo := range []bool{p.context.CgoEnabled, true} {
		for _, set := range sets {
			with := func(c *build.Context) { c.CgoEnabled, c.BuildTags = cgo, slices.Concat(c.BuildTags, set) }
			if len(set) == 0 || !isMain(with) {
				continue
			}
			how = strings.ReplaceAll("add --build-tags "+strings.Join(set, ","), "--build-tags goexperiment.", "--go-experiment ")
			if cgo != p.context.CgoEnabled {
				how += " and --cgo"
			}
			return "is behind build constraints", how
		}
	}
	for _, arch := range sortedKeys(architectures) {
		if isMain(func(c *build.Context) { c.GOARCH = arch }) {
			return "is for another architecture", "build for --platform linux/" + arch + " alone"
		}
	}
	for _, system := range systems {
		if system != p.context.GOOS && isMain(func(c *build.Context) { c.GOOS, c.CgoEnabled = system, true }) {
			return "is for " + system + " alone", "Slipway builds for Linux: add files for it"
		}
	}
	return "", ""
}

// systems are the values of GOOS, and machines the values of GOARCH that no platform has. Source: go/build, knownOS and knownArch
var (
	systems = []string{
		"aix", "android", "darwin", "dragonfly", "freebsd", "illumos", "ios", "js", "linux", "netbsd", "openbsd", "plan9", "solaris",
		"wasip1", "windows",
	}
	machines = []string{"mips", "mips64", "mipsle", "ppc64", "sparc64", "wasm"}
)

// unknownTags are the build tags of the directory's files that users choose: those of systems, machines and compilers are not, and
// neither is ignore, which by convention nobody sets.
func (p packages) unknownTags(dir string) []string {
	var tags []string
	entries, _ := fs.ReadDir(p, dir)
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".go") && !strings.HasSuffix(e.Name(), "_test.go") {
			tags = append(tags, tagsOf(p, path.Join(dir, e.Name()))...)
		}
	}
	known := slices.Concat(systems, machines, []string{"unix", "cgo", "gc", "gccgo", "ignore"}, p.context.BuildTags)
	return sorted(slices.DeleteFunc(tags, func(tag string) bool {
		_, platform := architectures[tag]
		return platform || slices.Contains(known, tag) || strings.HasPrefix(tag, "go1.")
	}))
}

// tagsOf are the tags that the build constraint of a Go file names.
func tagsOf(source fs.FS, name string) []string {
	file, err := source.Open(name)
	if err != nil {
		return nil
	}
	defer file.Close()
	var tags []string
	var add func(constraint.Expr)
	add = func(expr constraint.Expr) {
		switch x := expr.(type) {
		case *constraint.TagExpr:
			tags = append(tags, x.Tag)
		case *constraint.NotExpr:
			add(x.X)
		case *constraint.AndExpr:
			add(x.X)
			add(x.Y)
		case *constraint.OrExpr:
			add(x.X)
			add(x.Y)
		}
	}
	lines := bufio.NewScanner(file)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "package ") {
		if expr, err := constraint.Parse(lines.Text()); err == nil {
			add(expr)
		}
	}
	return tags
}

// noMain is the fault of a source without a main package for the platform: it says which there would be, and how.
func (r resolver) noMain(work *workset, pkgs packages) {
	var whys, hows []string
	dirs, _ := pkgs.directories(work) // they were read before
	for _, dir := range dirs {
		why, how := pkgs.unbuilt(dir)
		switch name, err := pkgs.name(dir); {
		case err == nil && name == "main":
			why, how = work.refused(dir) // it was no candidate for that alone
		case err != nil && why == "":
			why, how = fmt.Sprintf("is no package (%v)", err), "mend the files; go vet checks them"
		}
		if why != "" && len(whys) < 3 {
			whys, hows = append(whys, local(dir)+" "+why), append(hows, how)
		}
	}
	problem, hint := "no main package in "+work.modules[0].file.Module.Mod.Path, "Slipway ships programs: add a directory with package main, such as cmd/server"
	if len(work.modules) > 1 {
		problem = "no main package in the modules of " + path.Join(work.dir, "go.work")
	}
	if whys != nil {
		problem += fmt.Sprintf(" for %s: %s", r.settings.platforms[0], strings.Join(whys, ", "))
		hint = strings.Join(slices.Compact(hows), ", or ")
	}
	r.add("source", "", problem, hint)
}
