package plan

import (
	"path"
	"slices"
	"strings"
)

// Debugger is the program that starts the first program, and that a remote debugger connects to.
type Debugger struct {
	// Name of its executable, which File.Program says too.
	Name string `json:"name"`
	// Module and Version of its source.
	Module  string `json:"module"`
	Version string `json:"version"`
	// Download is a command to run outside any module. The module is then in the module cache, checked against Go's checksum
	// database; what it needs, its own go.sum pins.
	Download []string `json:"download"`
	// Env is added to the plan's and the platform's when it is compiled.
	Env map[string]string `json:"env"`
	// Flags are arguments of go build, and Package is the main package, as a directory of the module.
	Flags   []string `json:"flags"`
	Package string   `json:"package"`
}

// Command compiles the debugger from the module cache in the directory modules, GOMODCACHE, and leaves it in the directory out,
// which must be absolute.
func (d *Debugger) Command(modules, out string) []string {
	source := strings.TrimSuffix(modules, "/") + "/" + d.Module + "@" + d.Version
	command := append([]string{"go", "build", "-C", source}, d.Flags...)
	return append(command, "-o", strings.TrimSuffix(out, "/")+"/"+d.Name, d.Package)
}

var debugSetting = Setting{
	Flag: "debug", Argument: "debugger", Help: "make an image for a remote debugger: programs are neither stripped nor optimised, and the first runs under Delve, which listens on port 40000",
	Field: "Debug",
}

// debugPort is where the debugger listens.
const debugPort = "40000/tcp"

// debuggerName is the name of Delve's executable.
const debuggerName = "dlv"

// newDebugger is the debugger of all plans.
func newDebugger() *Debugger {
	const module, version = "github.com/go-delve/delve", "v1.27.2"
	return &Debugger{
		Name: debuggerName, Module: module, Version: version,
		Download: []string{"go", "mod", "download", module + "@" + version},
		Env:      map[string]string{"CGO_ENABLED": "0", "GOWORK": "off"},
		Flags:    []string{"-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags=-s -w"},
		Package:  "./cmd/" + debuggerName,
	}
}

// What Delve debugs. Source: https://github.com/go-delve/delve, pkg/goversion/compat.go and pkg/proc/native at that version.
var (
	debuggerOldest, debuggerNewest = "1.25", "1.27"
	debuggerArchitectures          = []string{"386", "amd64", "arm64", "ppc64le"}
)

// checkDebugger faults what the debugger cannot do with programs that this version of Go compiles.
func (r resolver) checkDebugger(goVersion string, programs []Program) {
	if !r.config.Debug {
		return
	}
	d := newDebugger()
	name := "Delve " + d.Version
	if compareGo(goVersion, debuggerOldest+"rc1") < 0 || compareGo(goVersion, debuggerNewest+".999") > 0 {
		r.add("debug", "", name+" debugs programs of Go "+debuggerOldest+" to "+debuggerNewest+", and this is Go "+goVersion,
			"choose another with --go, or leave out --debug")
	}
	for _, p := range r.settings.platforms {
		if !slices.Contains(debuggerArchitectures, p.Architecture) {
			r.add("debug", "", name+" does not run on "+p.String(), "choose from "+strings.Join(debuggerArchitectures, ", ")+" with --platform, or leave out --debug")
		}
	}
	if slices.Contains(r.settings.image.Ports, debugPort) {
		r.add("port", debugPort, "the debugger listens there", "choose another port, or leave out --debug")
	}
	for _, p := range programs {
		if p.Name == d.Name {
			r.add("package", p.Package, "its program has the name of the debugger", "rename it, or leave out --debug")
		}
	}
}

// debugged is the command line that runs that of a program under the debugger. Arguments of the program may follow it.
func debugged(command []string) []string {
	port, _, _ := strings.Cut(debugPort, "/")
	debugger := []string{
		path.Join(appDir, debuggerName), "exec", "--headless", "--accept-multiclient", "--continue", "--api-version=2",
		"--listen=:" + port, command[0], "--",
	}
	return append(debugger, command[1:]...)
}
