package plan

import (
	"cmp"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/slipway-ci/slipway/internal/fault"
)

// Pinned tools of checks. The Go command fetches them through the module proxy, and checks them against its database of sums. Of
// govulncheck no image is released. Source: https://golangci-lint.run/docs/welcome/install/local/#docker
var (
	golangciLint = &Tool{
		Package: "github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.13.0",
		Image:   "docker.io/golangci/golangci-lint:v2.13.0", File: "/usr/bin/golangci-lint",
	}
	govulncheck = &Tool{Package: "golang.org/x/vuln/cmd/govulncheck@v1.3.0"}
)

// Tool is a program that a check runs, which is no part of Go.
type Tool struct {
	// Package is its main package and version, as go run takes it.
	Package string `json:"package"`
	// Image is a released image that has it in File, for engines that run containers; empty for none, and where a slipway.lock has no digest
	// of it.
	Image string `json:"image,omitempty"`
	File  string `json:"file,omitempty"`
}

// Summary says in a line what a check does.
func (c Check) Summary() string {
	if c.Tool == nil {
		return cmp.Or(shellLine(c.Command), "go mod verify")
	}
	_, version, _ := strings.Cut(c.Tool.Package, "@")
	text := c.Tool.Name() + " " + version
	for _, step := range c.Then {
		if step.Out != "" {
			text += ", " + step.About
		}
	}
	return text
}

// Name is what go install calls it.
func (t *Tool) Name() string {
	name, _, _ := strings.Cut(path.Base(t.Package), "@")
	return name
}

// In returns a command of a check that runs the tool from a file, in place of go run. Other commands stay as they are.
func (t *Tool) In(file string, command []string) []string {
	at := slices.Index(command, t.Package)
	if at < 0 {
		return command
	}
	var wrapper []string
	if i := slices.Index(command[:at], "-exec"); i >= 0 {
		wrapper = strings.Fields(command[i+1])
	}
	return slices.Concat(wrapper, []string{file}, command[at+1:])
}

// Check is a check of the source that needs the modules, downloaded and verified. Package check reads what its command prints.
type Check struct {
	Name string `json:"name"`
	// Command is empty where there is nothing to do but to verify the modules. [CheckOut] in it stands for a directory.
	Command []string `json:"command,omitempty"`
	// Tool is what Command and Then run by go run; nil for Go alone.
	Tool *Tool `json:"tool,omitempty"`
	// Env is added to the plan's.
	Env map[string]string `json:"env,omitempty"`
	// Race says that Command is a go test that can detect data races, where the engine has a C compiler: see [Capabilities].
	Race bool `json:"race,omitempty"`
	// Reads is a directory, of the machine that the settings were made on, that Command reads besides the source; empty for none.
	Reads string `json:"reads,omitempty"`
	// Online says that Command asks a server whose answer changes with time, so that no earlier result may stand for this one.
	Online bool `json:"online,omitempty"`
	// Then is what follows, one after the other, unless Command fails.
	Then []CheckStep `json:"then,omitempty"`
}

// CheckStep is a command that is part of a check. The first that fails is the last.
type CheckStep struct {
	Command []string `json:"command"`
	// Env is added to the check's.
	Env map[string]string `json:"env,omitempty"`
	// Out is the file in [CheckOut] that its standard output goes to; empty for none. About says what it is about.
	Out   string `json:"out,omitempty"`
	About string `json:"about,omitempty"`
}

// CheckOut stands for the directory of files that a check's commands write for package check, and CheckTemp for that of their temporary
// files. CheckGit stands for assignments of variables with which git reads the source's repository without running its programs, or
// finds none.
const (
	CheckOut  = "{out}"
	CheckTemp = "{temp}"
	CheckGit  = "{git}"
)

// CheckNames are the checks that every plan has, in their order.
var CheckNames = []string{"verify", "vet", "test", "lint", "vulncheck"}

// Check is the check of that name.
func (p *Plan) Check(name string) (Check, bool) {
	i := slices.IndexFunc(p.Checks, func(c Check) bool { return c.Name == name })
	if i < 0 {
		return Check{}, false
	}
	return p.Checks[i], true
}

var vulnDBSetting = Setting{
	Flag: "vulndb", ForChecks: true, Commands: []string{"check", "diff"}, Value: "URL", Help: "database of vulnerabilities, by its URL",
	More: "also file:///DIR; diff compares no vulnerabilities without it", Default: "https://vuln.go.dev",
	Field: "VulnDB",
	read: func(c Config, _ *settings, f *fault.Faults) {
		if db, err := url.Parse(c.VulnDB); c.VulnDB != "" && (err != nil || !slices.Contains([]string{"http", "https", "file"}, db.Scheme)) {
			f.Add("vulndb", c.VulnDB, "not the URL of a database", "write it like https://vuln.example.com or file:///srv/vulndb")
		}
	},
}

// checks are all checks. programs are those that are scanned.
func (r resolver) checks(work *workset, version string, compiles []Compile, programs []Program) []Check {
	all := work.everything()
	// In a workspace go mod tidy would ask for the members at a module proxy; that the modules are verified remains.
	var tidy []string
	if work.work == nil {
		tidy = []string{"go", "mod", "tidy", "-diff"}
	}
	// The tools may need a newer Go than the source.
	tool := map[string]string{"GOTOOLCHAIN": "go" + version + "+auto"}
	scan := []string{"go", "run", govulncheck.Package, "-format", "json"}
	vulncheck := Check{Name: "vulncheck", Tool: govulncheck, Env: tool, Online: true}
	if db := r.config.VulnDB; db != "" {
		scan = append(scan, "-db", db)
		if dir, ok := strings.CutPrefix(db, "file://"); ok {
			vulncheck.Reads, vulncheck.Online = dir, false
		}
	}
	vulncheck.Command = slices.Concat(scan, all)
	for _, c := range compiles {
		for _, program := range programs {
			vulncheck.Then = append(vulncheck.Then, scanProgram(c, program, version, scan)...)
		}
	}
	return []Check{
		{Name: "verify", Command: tidy},
		{Name: "vet", Command: append([]string{"go", "vet"}, all...)},
		r.race(Check{
			Name: "test", Command: append([]string{"go", "test", "-json", "-coverprofile=" + CheckOut + "/coverage.out"}, all...), Race: true,
			// What does not compile is reported in plain text.
			Env: map[string]string{"GODEBUG": "gotestjsonbuildtext=1"},
		}),
		r.lint(tool, all),
		vulncheck,
	}
}

// lintFormats are the formats of golangci-lint. Source: https://golangci-lint.run/docs/configuration/cli/#run
var lintFormats = []string{"text", "tab", "html", "checkstyle", "code-climate", "junit-xml", "teamcity", "sarif"}

// lint has golangci-lint heed the source's configuration, but for what would run or write something: plugins, which a program
// without cgo cannot load, git, which linters start, and so does go list -export, files of reports, and fixes.
func (r resolver) lint(tool map[string]string, packages []string) Check {
	env := map[string]string{"CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false"}
	maps.Copy(env, tool)
	wrapper := "env " + CheckGit
	if r.cgo != "" {
		wrapper += " CGO_ENABLED=1" // for the packages that it reads
	}
	command := []string{"go", "run", "-exec", wrapper, golangciLint.Package, "run", "--show-stats=false", "--fix=false", "--output.json.path=" + CheckOut + "/lint.json"}
	for _, format := range lintFormats {
		command = append(command, "--output."+format+".path=")
	}
	return Check{Name: "lint", Tool: golangciLint, Env: env, Command: append(command, packages...)}
}

// scanProgram compiles a program as for an image, but with its symbols, and has scan read it: its platform has other files than the
// machine's, and the linker leaves out what cannot be reached. With cgo there may be no C compiler
// for it.
func scanProgram(c Compile, program Program, version string, scan []string) []CheckStep {
	if c.C != nil {
		return nil
	}
	about := program.ImportPath + " for " + c.Platform.String()
	// Without symbols govulncheck takes everything for vulnerable that the modules have in them.
	c.Flags = slices.Clone(c.Flags)
	for i, flag := range c.Flags {
		if strings.HasPrefix(flag, "-ldflags=") {
			c.Flags[i] = flag + " -s=false"
		}
	}
	file := strings.NewReplacer("/", "-", ".", "_").Replace(c.Platform.String() + "/" + program.ImportPath)
	env := map[string]string{"GOTOOLCHAIN": "go" + version}
	maps.Copy(env, c.Env)
	build := append([]string{"go", "build"}, c.Flags...)
	binary := CheckTemp + "/" + file
	return []CheckStep{
		{Command: append(build, "-o", binary, program.Package), Env: env, About: about},
		{Command: append(slices.Clone(scan), "-mode", "binary", binary), Out: file + ".json", About: about},
	}
}
