package slipway

import (
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/mod/modfile"

	"github.com/slipway-ci/slipway/internal/fault"
	"github.com/slipway-ci/slipway/internal/plan"
)

// withModuleAbove returns err with the module above dir in the fault that dir has none.
func withModuleAbove(dir string, err error) error {
	faults := slices.Clone(fault.As(err))
	for i, f := range faults {
		if f.Problem != plan.NoModuleHere {
			continue
		}
		above, below, found := moduleAbove(dir)
		if !found {
			return err
		}
		faults[i] = fault.Fault{
			Field: f.Field, Value: dir, Problem: "the directory belongs to the module or workspace in " + above,
			Hint: "give that to slipway, and this as the program: --package " + below + " " + above,
		}
	}
	if faults == nil {
		return err
	}
	return faults
}

// moduleAbove returns the directory of the workspace, else of the module, that dir is in, relative if dir is, and dir relative to it.
func moduleAbove(dir string) (above, below string, found bool) {
	full, err := filepath.Abs(dir)
	if err != nil {
		return "", "", false
	}
	module := upward(filepath.Dir(full), "go.mod")
	if module == "" {
		return "", "", false
	}
	root := module
	if work := upward(module, "go.work"); work != "" && uses(work, module) {
		root = work
	}
	relative, err := filepath.Rel(root, full)
	return written(dir, root), "./" + filepath.ToSlash(relative), err == nil
}

// upward returns the nearest directory that has the file: at, or one above it; empty if none has.
func upward(at, file string) string {
	for {
		if info, err := os.Stat(filepath.Join(at, file)); err == nil && info.Mode().IsRegular() {
			return at
		}
		parent := filepath.Dir(at)
		if parent == at {
			return ""
		}
		at = parent
	}
}

// uses reports whether the go.work in work names the module in the directory module.
func uses(work, module string) bool {
	text, err := os.ReadFile(filepath.Join(work, "go.work"))
	if err != nil {
		return false
	}
	parsed, err := modfile.ParseWork("go.work", text, nil)
	return err == nil && slices.ContainsFunc(parsed.Use, func(u *modfile.Use) bool {
		return filepath.Join(work, filepath.FromSlash(u.Path)) == module
	})
}

// written returns the directory at, relative to the current one if like is relative.
func written(like, at string) string {
	here, err := os.Getwd()
	if err != nil || filepath.IsAbs(like) {
		return at
	}
	if relative, err := filepath.Rel(here, at); err == nil {
		return relative
	}
	return at
}
