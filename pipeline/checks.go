package pipeline

import (
	"slices"
	"strings"
)

// Pinned tools of checks. The Go command fetches them through the module proxy, and checks them against its database of sums.
const (
	golangciLint = "github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.13.0"
	govulncheck  = "golang.org/x/vuln/cmd/govulncheck@v1.3.0"
)

// Check is a look at the source that needs the modules, downloaded and verified. Package check reads what its command says.
type Check struct {
	Name string `json:"name"`
	// Command is empty where there is nothing to do but to verify the modules. [CheckOut] in it stands for a folder.
	Command []string `json:"command,omitempty"`
	// Env is added to the plan's.
	Env map[string]string `json:"env,omitempty"`
	// Race says that Command is a go test that can look for data races, where there is a C compiler: see [Check.WithRace].
	Race bool `json:"race,omitempty"`
	// Reads is a folder, of the machine that the settings were made on, that Command reads besides the source; empty for none.
	Reads string `json:"reads,omitempty"`
}

// CheckOut stands for the folder that a check's command writes files to.
const CheckOut = "{out}"

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

// WithRace is c with the race detector, which needs cgo.
func (c Check) WithRace() Check {
	c.Command = slices.Insert(slices.Clone(c.Command), 2, "-race")
	env := map[string]string{"CGO_ENABLED": "1"}
	for k, v := range c.Env {
		env[k] = v
	}
	c.Env = env
	return c
}

func (r resolver) checks(work *workset, version string) []Check {
	all := work.everything()
	// In a workspace go mod tidy would look for the members in a registry; that the modules are verified remains.
	var tidy []string
	if work.work == nil {
		tidy = []string{"go", "mod", "tidy", "-diff"}
	}
	// The tools may need a newer Go than the source.
	tool := map[string]string{"GOTOOLCHAIN": "go" + version + "+auto"}
	vulncheck := Check{Name: "vulncheck", Env: tool, Command: []string{"go", "run", govulncheck, "-format", "json"}}
	if db := r.config.VulnDB; db != "" {
		vulncheck.Command = append(vulncheck.Command, "-db", db)
		if folder, ok := strings.CutPrefix(db, "file://"); ok {
			vulncheck.Reads = folder
		}
	}
	vulncheck.Command = append(vulncheck.Command, all...)
	return []Check{
		{Name: "verify", Command: tidy},
		{Name: "vet", Command: append([]string{"go", "vet"}, all...)},
		{
			Name: "test", Command: append([]string{"go", "test", "-json", "-coverprofile=" + CheckOut + "/coverage.out"}, all...), Race: true,
			// What does not compile is told in plain text.
			Env: map[string]string{"GODEBUG": "gotestjsonbuildtext=1"},
		},
		{
			Name: "lint", Env: tool,
			Command: append([]string{"go", "run", golangciLint, "run", "--show-stats=false", "--output.json.path=" + CheckOut + "/lint.json"}, all...),
		},
		vulncheck,
	}
}
