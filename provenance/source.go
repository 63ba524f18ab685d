package provenance

import (
	"context"
	"net/url"
	"regexp"
	"strings"

	"github.com/slipway-ci/slipway/internal/gitcommand"
)

// Source is where a source tree came from.
type Source struct {
	// Repository is a URL, Revision a commit's hash. Either is empty where it is not known.
	Repository, Revision string
	// Modified says that the tree differs from the commit.
	Modified bool
}

// orElse is s, with what it lacks taken from other if that speaks of the same commit.
func (s Source) orElse(other Source) Source {
	if s.Revision == "" {
		return other
	}
	if s.Repository == "" && other.Revision == s.Revision {
		s.Repository = other.Repository
	}
	return s
}

// ReadSource asks git about the folder dir. Git's files could be read without it, but for whether the tree was modified,
// and a commit that is not what was built must not be named as if it were. Without git or a repository, nothing is known.
func ReadSource(ctx context.Context, dir string) Source {
	git := func(args ...string) string {
		out, err := gitcommand.Run(ctx, dir, args...)
		if err != nil {
			return ""
		}
		return strings.TrimSpace(out)
	}
	// One call for commit and state. The lines that begin with # are headers, all others are changes.
	status := git("status", "--porcelain=v2", "--branch", "--untracked-files=normal", "--", ".")
	var s Source
	for line := range strings.Lines(status) {
		if oid, found := strings.CutPrefix(line, "# branch.oid "); found {
			s.Revision = strings.TrimSpace(oid)
		} else if !strings.HasPrefix(line, "#") {
			s.Modified = true
		}
	}
	if !commit.MatchString(s.Revision) { // "(initial)", or no repository
		return Source{}
	}
	s.Repository = cleanURL(git("config", "--get", "remote.origin.url"))
	return s
}

var (
	commit = regexp.MustCompile(`^[0-9a-f]{40}([0-9a-f]{24})?$`)
	// scpLike is git's short form of an SSH URL, as "git@host:owner/name.git".
	scpLike = regexp.MustCompile(`^(?:[^@/]+@)?([^:/]+):([^/].*)$`)
)

// cleanURL is a repository's URL without user, password, query and fragment. What is not a URL of another machine is left
// out: a path says nothing elsewhere.
func cleanURL(raw string) string {
	if m := scpLike.FindStringSubmatch(raw); m != nil && !strings.Contains(raw, "://") {
		raw = "ssh://" + m[1] + "/" + m[2]
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return ""
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}
