package plan

import "strings"

var buildVCSSetting = Setting{
	Flag: "buildvcs", NotInModule: true, Help: "stamp programs with the commit and the version of the module, as go build does by default, for debug.ReadBuildInfo and go version -m",
	More:    "needs the host engine",
	Default: "no, so that a commit that changes nothing in the program changes nothing in the image",
	Field:   "BuildVCS",
}

// VCS is the commit that go build stamps into programs. The Go command reads it by itself, with the module's version.
type VCS struct {
	Revision string `json:"revision"`
	// Time is that of the commit, as in 2026-01-31T12:00:00Z.
	Time string `json:"time"`
	// Modified says that the source differs from the commit.
	Modified bool `json:"modified,omitempty"`
}

// vcs is nil unless programs are to be stamped.
func (r resolver) vcs() *VCS {
	git := r.config.Facts.Git
	switch {
	case !r.config.BuildVCS:
		return nil
	case r.config.Engine.NoVCS:
		r.add("buildvcs", "", "the engine gets the files of the source, and no repository", "leave it out, use --engine host, or set variables with --stamp and {{.Git.Commit}}")
	case git == (Git{}):
		r.add("buildvcs", "", "nothing is known of a commit", "build in a git repository, or leave it out")
	case r.runsPrebuild():
		r.add("buildvcs", "", "the copy of the source that --prebuild writes to is no repository", "run the prebuild by yourself before, or leave one of the two out")
	case r.config.Generates():
		r.add("buildvcs", "", "what --generate writes is in no commit", "commit the generated code, or leave one of the two out")
	}
	return &VCS{Revision: git.Commit, Time: git.Date, Modified: git.Dirty}
}

// buildVCS is the flag of go build.
func (r resolver) buildVCS() string {
	if r.config.BuildVCS {
		return stampVCS
	}
	return ignoreVCS
}

// Flags of go build that stamp programs with the commit, and do not.
const (
	stampVCS  = "-buildvcs=true"
	ignoreVCS = "-buildvcs=false"
)

// ListFlags are the flags for go list, which has nothing to stamp.
func (c Compile) ListFlags() []string {
	flags := make([]string, len(c.Flags))
	for i, flag := range c.Flags {
		flags[i] = strings.Replace(flag, stampVCS, ignoreVCS, 1)
	}
	return flags
}
