package host

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/cache/filestate"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/source"
)

// inputs is everything that go build makes programs of.
type inputs struct {
	// Digest is the same while nothing of it changes; empty where that cannot be said.
	Digest string `json:"digest"`
	// Settings is the same while nothing but the source changes; empty where that cannot be said.
	Settings string `json:"settings,omitempty"`
	// Everything reports that all files of the source count, and not only those of the kinds that Go reads: some are embedded, or
	// included by assembly.
	Everything bool `json:"everything"`
}

// states are those of what go build reads, each read once for all platforms: an edit that one of them does not see yet is seen by the next
// build.
type states struct {
	toolchain  func() (filestate.State, error)
	source     func() (filestate.State, error)
	everything func() (filestate.State, error) // of the source, with the files of all kinds
}

// newStates are the states of a source, and of the Go distribution of the plan, which may be in the directory modules, GOMODCACHE.
func newStates(source string, plan *plan.Plan, modules string) *states {
	return &states{
		sync.OnceValues(func() (filestate.State, error) { return toolchainState(plan.Go.Version, modules) }),
		sync.OnceValues(func() (filestate.State, error) { return sourceState(source, plan.Source.Outputs, false) }),
		sync.OnceValues(func() (filestate.State, error) { return sourceState(source, plan.Source.Outputs, true) }),
	}
}

// inputs resolves what go build would read for p, without reading it: the source, the toolchain, the settings. Modules are what
// go.sum says, since they have been verified.
func (c *compiler) inputs(p plan.Compile, everything bool) inputs {
	is := inputs{Everything: everything}
	if c.plan.Dependencies.Download != nil && c.verified == "" {
		return is
	}
	toolchain, err := c.states.toolchain()
	if err != nil || !toolchain.Settled {
		return is
	}
	settings, err := json.Marshal([]any{p, c.plan.Env, c.plan.Source, c.verified, c.verifier.modules, toolchain.Digest})
	if err != nil {
		return is
	}
	is.Settings = cache.DigestOf(settings)
	read := c.states.source
	if everything {
		read = c.states.everything
	}
	if source, err := read(); err == nil && source.Settled {
		is.Digest = cache.DigestOf([]byte(is.Settings + " " + source.Digest))
	}
	return is
}

// kinds are the files of a source that Go reads, by their extensions, and others by their names. Source: go help packages;
// go/build, goodOSArchFile; go help build, -pgo
var (
	kinds = []string{
		".go", ".s", ".S", ".sx", ".c", ".cc", ".cpp", ".cxx", ".m", ".h", ".hh", ".hpp", ".hxx", ".f", ".F", ".for", ".f90",
		".swig", ".swigcxx", ".syso", ".pgo",
	}
	others   = []string{"go.mod", "go.sum", "go.work", "go.work.sum", "modules.txt"}
	assembly = []string{".s", ".S", ".sx"}
)

// most is how many entries a source may have to be inspected: more take longer than the Go command, which knows what it needs. Tests
// make it less.
var most = 50_000

var errTooMany = errors.New("the source has too many files")

// included reports which entries of a source Go reads. It leaves out .git, and the targets of links, except for directories: the Go command
// may enter those, and they are never settled.
func included(everything bool, seen *int) filestate.Include {
	return func(dir string, e fs.DirEntry) bool {
		if *seen++; *seen > most {
			return false
		}
		name := e.Name()
		if e.Type()&fs.ModeSymlink != 0 {
			if info, err := os.Stat(filepath.Join(dir, name)); err == nil && info.IsDir() {
				return true
			}
		}
		if e.IsDir() {
			return name != ".git"
		}
		return everything || slices.Contains(kinds, filepath.Ext(name)) || slices.Contains(others, name)
	}
}

func sourceState(dir string, outputs plan.Outputs, everything bool) (filestate.State, error) {
	seen := 0
	include := included(everything, &seen)
	root := filepath.Clean(dir)
	state, err := filestate.Read(time.Now(), func(dir string, e fs.DirEntry) bool {
		if len(outputs) > 0 {
			inSource := filepath.ToSlash(strings.TrimPrefix(filepath.Join(dir, e.Name()), root))
			if outputs.Has(strings.TrimPrefix(inSource, "/")) {
				return false
			}
		}
		return include(dir, e)
	}, root)
	if err == nil && seen > most {
		err = errTooMany
	}
	return state, err
}

// needsEverything reports whether Go reads files of any kind in the source: where one embeds files, or assembly includes some. In doubt
// it does.
func (c *compiler) needsEverything() bool {
	tree, err := source.Open(c.source)
	if err != nil {
		return true
	}
	defer tree.Close()
	seen := 0
	include := included(false, &seen)
	errFound := errors.New("there is such a file")
	err = fs.WalkDir(tree, ".", func(name string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name == ".":
			return nil
		case !include(filepath.Join(c.source, path.Dir(name)), e):
			if e.IsDir() {
				return fs.SkipDir
			}
			return nil
		case slices.Contains(assembly, path.Ext(name)):
			return errFound
		case e.IsDir() || path.Ext(name) != ".go":
			return nil
		}
		text, err := tree.ReadFile(name)
		if err == nil && bytes.Contains(text, []byte("//go:embed")) {
			err = errFound
		}
		return err
	})
	return err != nil || seen > most
}

// toolchainState is the state of the Go distribution that compiles, as far as it is for compiling programs.
func toolchainState(version, modules string) (filestate.State, error) {
	root, err := findToolchain(version, modules)
	if err != nil {
		return filestate.State{}, err
	}
	src := filepath.Join(root, "src")
	include := func(dir string, e fs.DirEntry) bool {
		return e.Name() != "testdata" && !strings.HasSuffix(e.Name(), "_test.go") && !(dir == src && e.Name() == "cmd")
	}
	var parts []string
	for _, part := range []string{"VERSION", "go.env", "bin", "pkg", "src"} {
		parts = append(parts, filepath.Join(root, part))
	}
	return filestate.Read(time.Now(), include, parts...)
}

// findToolchain finds the Go distribution of the version: the one of the go command on the PATH, or else the one that it would take,
// which it keeps in the module cache. Source: https://go.dev/doc/toolchain#download
func findToolchain(version, modules string) (root string, err error) {
	name, err := exec.LookPath("go")
	if err != nil {
		return "", err
	}
	if name, err = filepath.EvalSymlinks(name); err != nil {
		return "", err
	}
	version = "go" + version
	root = filepath.Dir(filepath.Dir(name))
	own, err := versionOf(root)
	if err != nil || own == version {
		return root, err
	}
	root = filepath.Join(modules, "golang.org", "toolchain@v0.0.1-"+version+"."+runtime.GOOS+"-"+runtime.GOARCH)
	if own, err = versionOf(root); err == nil && own != version {
		err = errors.New("the Go distribution in " + root + " is another one")
	}
	return root, err
}

// versionOf reads the version of a Go distribution.
func versionOf(root string) (string, error) {
	text, err := os.ReadFile(filepath.Join(root, "VERSION"))
	line, _, _ := strings.Cut(string(text), "\n")
	return strings.TrimSpace(line), err
}
