package slipway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/semver"

	"github.com/slipway-ci/slipway/internal/fault"
	"github.com/slipway-ci/slipway/internal/gitcommand"
	"github.com/slipway-ci/slipway/internal/plan"
)

// readGit reads the state of git that settings need: what the texts name of the source's commit, if they name anything, and the value
// of --revision auto.
func (r *Request) readGit(ctx context.Context, texts []string) (facts plan.Git, revision string, err error) {
	wrong := func(problem, hint string) error {
		return fault.Faults{{Field: "git", Problem: problem, Hint: hint}}
	}
	repository, err := gitcommand.Open(ctx, r.Dir)
	switch {
	case ctx.Err() != nil:
		return facts, "", ctx.Err()
	case err != nil:
		return facts, "", wrong(gitcommand.Explain(err, "leave out --revision auto, --buildvcs and templates with .Git"))
	}
	defer func() { err = errors.Join(err, repository.Close()) }()
	status, err := repository.Status(ctx)
	switch {
	case err != nil:
		return facts, "", fmt.Errorf("asking git for the state of the source: %w", err)
	case status.Commit == "":
		return facts, "", wrong("there is no commit yet", "make one, or leave out --revision auto, --buildvcs and templates with .Git")
	}
	dirty := r.dirty(status)
	// A source that differs is marked: the image is not what the commit holds.
	if revision = status.Commit; dirty {
		revision += "-dirty"
	}
	if !plan.NeedsGit(texts...) {
		return facts, revision, nil
	}
	facts = plan.Git{Commit: status.Commit, ShortCommit: status.Commit[:7], Branch: status.Branch, Dirty: dirty}
	if err := readCommit(ctx, repository, &facts); err != nil {
		return facts, "", err
	}
	if slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(text, "Describe") }) {
		facts.Describe, err = describeHead(ctx, repository)
	}
	return facts, revision, err
}

// readCommit adds when the commit was made, and its tag.
func readCommit(ctx context.Context, r *gitcommand.Repository, facts *plan.Git) error {
	made, err1 := r.Run(ctx, "rev-list", "--timestamp", "--max-count=1", facts.Commit)
	tags, err2 := r.Run(ctx, "for-each-ref", "--points-at="+facts.Commit, "--sort=-version:refname", "--format=%(refname:strip=2)", "refs/tags")
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("asking git about %s: %w", facts.Commit, err)
	}
	facts.Timestamp, _, _ = strings.Cut(made, " ")
	seconds, err := strconv.ParseInt(facts.Timestamp, 10, 64)
	if err != nil {
		return fmt.Errorf("reading the time that git gives for %s: %w", facts.Commit, err)
	}
	facts.Date = time.Unix(seconds, 0).UTC().Format(time.RFC3339)
	facts.Tag = newestTag(strings.Fields(tags), r.Prefix())
	return nil
}

// describeHead is what git describe --tags --always --dirty prints. With --dirty, git would start itself in submodules.
func describeHead(ctx context.Context, r *gitcommand.Repository) (string, error) {
	name, err1 := r.Run(ctx, "describe", "--tags", "--always", "HEAD")
	modified, err2 := r.Modified(ctx)
	if err := errors.Join(err1, err2); err != nil {
		return "", fmt.Errorf("asking git for a description of the commit: %w", err)
	}
	name = strings.TrimSpace(name)
	if modified {
		name += "-dirty"
	}
	return name, nil
}

// newestTag is the tag that says most about a source in the directory prefix of a repository: the highest version by SemVer, among
// those of the directory (api/v1.2.3 is one of api/), else those without a directory, else all. Without a version it is the first of
// tags.
func newestTag(tags []string, prefix string) string {
	if len(tags) == 0 {
		return ""
	}
	return slices.MinFunc(tags, func(a, b string) int { // the first of equal ones
		classA, versionA := classify(a, prefix)
		classB, versionB := classify(b, prefix)
		return cmp.Or(cmp.Compare(classA, classB), semver.Compare(versionB, versionA), cmp.Compare(len(versionB), len(versionA)))
	})
}

// classify returns how much a tag says, from 0 on, and which version it names.
func classify(tag, prefix string) (class int, version string) {
	i := strings.LastIndex(tag, "/") + 1
	dir, version := tag[:i], tag[i:]
	if !strings.HasPrefix(version, "v") {
		version = "v" + version
	}
	switch {
	case !semver.IsValid(version):
		return 3, ""
	case dir == prefix:
		return 0, version
	case dir == "":
		return 1, version
	}
	return 2, version
}
