package program

import (
	"go/version"
	"net/url"
	"path"
	"runtime/debug"
	"strings"
)

// packageOf is the package of a symbol, "" if its name does not say one, and what the name begins with before what the symbol is called
// in its package.
func packageOf(symbol string) (pkg, prefix string) {
	name := symbol
	if rest, ok := strings.CutPrefix(name, "type:."); ok { // a function that compares or hashes values of a type, as type:.eq.PACKAGE.TYPE
		_, name, _ = strings.Cut(rest, ".")
		for strings.HasPrefix(name, "[") {
			_, name, _ = strings.Cut(name, "]")
		}
		name = strings.TrimLeft(name, "*")
	}
	if strings.HasPrefix(name, "go:") {
		return "", ""
	}
	if i := strings.IndexAny(name, "[("); i >= 0 {
		name = name[:i]
	}
	if strings.ContainsAny(name, " {") { // a type without a name
		return "", ""
	}
	slash := strings.LastIndexByte(name, '/') + 1
	dot := strings.IndexByte(name[slash:], '.')
	if dot <= 0 {
		return "", ""
	}
	escaped := name[:slash+dot]
	pkg, err := url.PathUnescape(escaped) // as the linker writes dots and what is not in ASCII
	if err != nil {
		pkg = escaped
	}
	if name != symbol && strings.HasPrefix(symbol, "type:") {
		return pkg, ""
	}
	return pkg, escaped + "."
}

// modulesOf are the modules of a program, as go version -m lists them, and the standard library.
func modulesOf(info *debug.BuildInfo) []*Module {
	var all []*Module
	add := func(m *debug.Module) {
		module := &Module{Path: m.Path, Version: m.Version, Packages: []*Package{}}
		if r := m.Replace; r != nil {
			module.Replace = strings.TrimSuffix(r.Path+"@"+r.Version, "@")
		}
		all = append(all, module)
	}
	if info.Main.Path != "" {
		add(&info.Main)
	}
	for _, m := range info.Deps {
		add(m)
	}
	return append(all, &Module{Path: std, Version: info.GoVersion, Packages: []*Package{}})
}

// moduleOf is the module that a package is from: the one with the longest path above it; nil if it is none of them. The last is the
// standard library, whose import paths begin with a word without a dot.
func moduleOf(modules []*Module, pkg string) *Module {
	library := len(modules) - 1
	for at := pkg; at != "." && at != "/"; at = path.Dir(at) {
		for _, m := range modules[:library] {
			if m.Path == at {
				return m
			}
		}
	}
	if first, _, _ := strings.Cut(pkg, "/"); strings.Contains(first, ".") || first == commandLine || first == "main" {
		return nil
	}
	return modules[library]
}

// commandLine is the import path of a package that go build made of files.
const commandLine = "command-line-arguments"

// hasSwissMaps reports whether a version of Go has the maps of Go 1.24 and newer.
func hasSwissMaps(goVersion string) bool {
	number, experiments, _ := strings.Cut(goVersion, " ")
	return (!version.IsValid(number) || version.Compare(number, "go1.24") >= 0) && !strings.Contains(experiments, "noswissmap")
}
