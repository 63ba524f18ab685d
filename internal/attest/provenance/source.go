package provenance

import (
	"context"
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/slipway-ci/slipway/internal/gitcommand"
)

// Source is where a source tree came from.
type Source struct {
	// Repository is a URL, Revision a commit's hash. Either is empty where it is not known.
	Repository, Revision string
	// Directory is that of the tree in the repository, with slashes; empty for its top.
	Directory string
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

// ReadSource asks git about the directory dir. own reports whether an untracked file, relative to dir, is no part of the source. Where
// there is no repository, or no commit, nothing is known. An error says why a repository cannot be read.
//
// Git's files could be read without it, but for whether the tree was modified, and a commit that is not what was built must not be
// named as if it were.
func ReadSource(ctx context.Context, dir string, own func(name string) bool) (s Source, err error) {
	r, err := gitcommand.Open(ctx, dir)
	if errors.Is(err, gitcommand.ErrNoRepository) {
		return Source{}, nil
	}
	if err != nil {
		return Source{}, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	status, err := r.Status(ctx)
	if err != nil || !commit.MatchString(status.Commit) {
		return Source{}, err
	}
	modified := status.Modified || slices.ContainsFunc(status.Untracked, func(name string) bool { return !own(name) })
	return Source{
		Repository: cleanURL(r.Origin()), Revision: status.Commit, Directory: strings.TrimSuffix(r.Prefix(), "/"), Modified: modified,
	}, nil
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
