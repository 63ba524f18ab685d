// Package doctor finds out what of this machine works for building and publishing images, and what to do about the rest. It asks no network
// and no credential helper.
package doctor

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/slipway-ci/slipway/internal/build/host"
	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/child"
	"github.com/slipway-ci/slipway/internal/console"
	"github.com/slipway-ci/slipway/internal/goenv"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/registry"
)

// State says how something is.
type State string

// The states.
const (
	OK State = "ok"
	// Absent is something that only some builds need.
	Absent State = "absent"
	// Broken is something that is needed and does not work.
	Broken State = "broken"
)

// Finding is what was found of one thing.
type Finding struct {
	Name  string `json:"name"`
	State State  `json:"state"`
	// Text says what there is, or what is wrong; Hint what to do about it.
	Text string `json:"text"`
	Hint string `json:"hint,omitempty"`
}

// Works reports whether nothing is broken.
func Works(findings []Finding) bool {
	return !slices.ContainsFunc(findings, func(f Finding) bool { return f.State == Broken })
}

// timeLimit bounds the Go command, which may be a script that asks a network.
const timeLimit = 10 * time.Second

// Examine examines this machine. environ is the caller's environment.
func Examine(ctx context.Context, environ []string) []Finding {
	e := &examination{environ: environ}
	e.goCommand(ctx)
	e.engines()
	e.git()
	e.logins()
	e.caches()
	e.compilers()
	e.network()
	return e.findings
}

type examination struct {
	environ  []string
	goEnv    map[string]string // what go env says; nil without Go
	findings []Finding
}

func (e *examination) add(name string, state State, text, hint string) {
	e.findings = append(e.findings, Finding{name, state, text, hint})
}

// goVariables are what go env is asked for.
var goVariables = []string{"GOVERSION", "GOTOOLCHAIN", "GOROOT", "GOCACHE", "GOMODCACHE", "GOPROXY", "GOSUMDB", "GOPRIVATE", "GOFLAGS"}

// dagger is the command that begins a session with an engine.
const dagger = "dagger"

func (e *examination) goCommand(ctx context.Context) {
	path, err := exec.LookPath("go")
	if err != nil {
		if _, err := exec.LookPath(dagger); err == nil {
			e.add("go", Absent, "there is no go command on the PATH", "install Go from https://go.dev/dl, or build by --engine dagger")
			return
		}
		e.add("go", Broken, "there is no go command on the PATH", "install Go from https://go.dev/dl, or the dagger command for --engine dagger")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, timeLimit)
	defer cancel()
	var out, problems bytes.Buffer
	// In a directory without a go.mod, which might have another version downloaded.
	err = child.Command{
		Args: append([]string{path, "env", "-json"}, goVariables...), Dir: os.TempDir(), Env: goenv.Child(e.environ, "GO*"), Stdout: &out, Stderr: &problems,
	}.Run(ctx)
	if err == nil {
		err = json.Unmarshal(out.Bytes(), &e.goEnv)
	}
	if err != nil {
		e.add("go", Broken, fmt.Sprintf("%s env does not work: %v %s", path, err, strings.TrimSpace(problems.String())), "install Go from https://go.dev/dl")
		return
	}
	e.add("go", OK, e.goEnv["GOVERSION"]+" in "+e.goEnv["GOROOT"], "")
	downloaded, _ := filepath.Glob(filepath.Join(e.goEnv["GOMODCACHE"], "golang.org", "toolchain@*"))
	var versions []string
	for _, dir := range downloaded {
		_, version, _ := strings.Cut(filepath.Base(dir), "-go")
		versions = append(versions, "go"+version)
	}
	text := "GOTOOLCHAIN is " + e.goEnv["GOTOOLCHAIN"]
	if len(versions) > 0 {
		text += "; downloaded are " + strings.Join(versions, ", ")
	}
	hint := ""
	if strings.HasPrefix(e.goEnv["GOTOOLCHAIN"], "local") {
		hint = "a source that needs a newer Go is refused: unset GOTOOLCHAIN to have it downloaded"
	}
	e.add("toolchains", OK, text, hint)
}

func (e *examination) engines() {
	if path, err := exec.LookPath(dagger); err == nil {
		e.add("dagger", OK, path, "")
	} else {
		e.add("dagger", Absent, "there is no dagger command on the PATH", "install it for --engine dagger; the host engine does without")
	}
	for _, name := range []string{"docker", "podman", "nerdctl"} {
		if path, err := exec.LookPath(name); err == nil {
			e.add("runtime", OK, path, "")
			return
		}
	}
	e.add("runtime", Absent, "there is none of docker, podman, nerdctl on the PATH", "install one for --load; builds and publishing do without")
}

func (e *examination) git() {
	if path, err := exec.LookPath("git"); err == nil {
		e.add("git", OK, path, "")
		return
	}
	e.add("git", Absent, "there is no git command on the PATH", "install it for {{.Git…}} in settings, the commit in provenance, --changed-since and private modules")
}

func (e *examination) logins() {
	logins, err := registry.Logins()
	if err != nil {
		e.add("login", Broken, err.Error(), "")
		return
	}
	for _, l := range logins {
		name := l.Registry
		if name == "" {
			name = "all other registries"
		}
		switch {
		case l.Missing:
			e.add("login", Broken, fmt.Sprintf("%s: %s names %s, which is not on the PATH", name, l.Place, l.Helper), "install that program, or delete its line in the file")
		case l.Helper != "":
			e.add("login", OK, fmt.Sprintf("%s: %s, which %s names", name, l.Helper, l.Place), "")
		default:
			e.add("login", OK, name+": "+l.Place, "")
		}
	}
	if len(logins) == 0 {
		e.add("login", Absent, "neither docker nor podman has logged in to a registry", "run docker login before you publish, or read from private repositories")
	}
}

func (e *examination) compilers() {
	for _, p := range []plan.Platform{{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm64"}} {
		dynamic, static := plan.Compilers(p)
		for _, one := range []struct {
			how string
			c   *plan.C
		}{{"dynamic", dynamic}, {"static", static}} {
			what := p.String() + ", --cgo=" + one.how + ": "
			if found, err := host.FindCompiler(plan.Compile{Platform: p, C: one.c}); err == nil {
				e.add("C compiler", OK, what+found, "")
			} else {
				e.add("C compiler", Absent, what+"none", one.c.Hint)
			}
		}
	}
}

func (e *examination) caches() {
	slipway, err := cache.OpenUser()
	if err != nil {
		e.add("cache", Broken, err.Error(), "set XDG_CACHE_HOME to a directory that you can write to")
	} else if used, most, err := slipway.Usage(); err != nil {
		e.add("cache", Broken, err.Error(), "")
	} else {
		e.add("cache", OK, fmt.Sprintf("%s: %s of at most %s, which Slipway trims", slipway.Dir(), console.Size(used), console.Size(most)), "")
	}
	if e.goEnv == nil {
		return
	}
	for _, dir := range []string{e.goEnv["GOCACHE"], e.goEnv["GOMODCACHE"]} {
		e.add("cache", OK, dir+": "+usage(dir), "")
	}
}

// variables of the network, in the order in which they are reported.
var variables = []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR", "SLIPWAY_MIRRORS"}

func (e *examination) network() {
	if e.goEnv != nil {
		for _, name := range []string{"GOPROXY", "GOSUMDB", "GOPRIVATE"} {
			if value := e.goEnv[name]; value != "" {
				e.add("modules", OK, name+" is "+value, "")
			}
		}
		if e.goEnv["GOPROXY"] == "off" {
			e.add("modules", Absent, "no module is downloaded, since GOPROXY is off", "unset it, unless all modules are in the module cache or in vendor")
		}
	}
	known := goenv.Tool(e.environ)
	for _, name := range variables {
		for _, kv := range append(known, e.environ...) {
			if value, ok := strings.CutPrefix(kv, name+"="); ok && value != "" {
				e.variable(name, value)
				break
			}
		}
	}
}

func (e *examination) variable(name, value string) {
	if strings.HasPrefix(name, "SSL_CERT_") {
		if _, err := os.Stat(strings.Split(value, string(filepath.ListSeparator))[0]); err != nil {
			e.add("network", Broken, fmt.Sprintf("%s is %s, which cannot be read: %v", name, value, err), "name certificates that are there, or unset it")
			return
		}
	}
	e.add("network", OK, name+" is "+value, "")
}
