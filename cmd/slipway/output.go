package main

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/slipway-ci/slipway/internal/gitcommand"
)

// defaultOutput is the directory of archives where no setting names another place.
const defaultOutput = "dist"

// own reports of a file of the source in dir, by its name with slashes, whether it is something that Slipway writes there: neither
// source nor a reason to call the source modified.
func (a *app) own(dir string) func(name string) bool {
	inSource := func(at string) (string, bool) {
		root, err1 := filepath.Abs(dir)
		at, err2 := filepath.Abs(at)
		if err1 != nil || err2 != nil {
			return "", false
		}
		name, err := filepath.Rel(root, at)
		return filepath.ToSlash(name), err == nil && filepath.IsLocal(name)
	}
	archives, hasArchives := inSource(defaultOutput)
	output, hasOutput := inSource(a.Output)
	hasOutput = hasOutput && a.Output != ""
	return func(name string) bool {
		if hasArchives {
			if base, ok := strings.CutPrefix(name, archives+"/"); ok && !strings.Contains(base, "/") && strings.HasSuffix(base, ".tar") {
				return true
			}
		}
		if !hasOutput {
			return false
		}
		if strings.HasSuffix(output, ".tar") {
			return name == output
		}
		if output != "." {
			inside := false
			if name, inside = strings.CutPrefix(name, output+"/"); !inside {
				return false
			}
		}
		return name == "oci-layout" || name == "index.json" || strings.HasPrefix(name, "blobs/")
	}
}

// dirty reports whether the source in dir differs from its commit, by more than what Slipway wrote there.
func (a *app) dirty(dir string, status gitcommand.Status) bool {
	own := a.own(dir)
	return status.Modified || slices.ContainsFunc(status.Untracked, func(name string) bool { return !own(name) })
}
