package gitcommand

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Status is how a directory differs from the commit that is checked out.
type Status struct {
	// Commit is the hash of HEAD, empty before the first commit. Branch is empty where HEAD is on none.
	Commit, Branch string
	// Modified reports that a file of the commit, of the index or of a submodule is another, or is missing.
	Modified bool
	// Untracked are the files that git neither has nor ignores, relative to the directory, with slashes.
	Untracked []string
}

// Status compares the directory with HEAD and the index.
func (r *Repository) Status(ctx context.Context) (Status, error) { return r.status(ctx, "all", ".") }

// Modified reports whether a file of the whole work tree is another than at HEAD, as git describe --dirty does. Files that git does
// not have do not count.
func (r *Repository) Modified(ctx context.Context) (bool, error) {
	s, err := r.status(ctx, "no", ":/")
	return s.Modified, err
}

func (r *Repository) status(ctx context.Context, untracked, pathspec string) (s Status, err error) {
	// Git would compare what is in submodules by the configuration that they have.
	out, err := r.Run(ctx, "status", "--porcelain=v2", "--branch", "-z", "--no-renames", "--no-ahead-behind", "--ignore-submodules=dirty",
		"--untracked-files="+untracked, "--", pathspec)
	if err != nil {
		return s, err
	}
	prefix := r.Prefix()
	for record := range strings.SplitSeq(strings.TrimSuffix(out, "\x00"), "\x00") {
		kind, rest, _ := strings.Cut(record, " ")
		switch {
		case kind == "#":
			key, value, _ := strings.Cut(rest, " ")
			if key == "branch.oid" && value != "(initial)" {
				s.Commit = value
			}
			if key == "branch.head" && value != "(detached)" {
				s.Branch = value
			}
		case kind == "?":
			s.Untracked = append(s.Untracked, strings.TrimPrefix(rest, prefix))
		case kind != "":
			s.Modified = true
		}
	}
	if s.Modified {
		return s, nil
	}
	s.Modified, err = r.submodulesModified(ctx, untracked, pathspec)
	return s, err
}

// submodulesModified reports whether one of the submodules that are checked out is not as its commit is.
func (r *Repository) submodulesModified(ctx context.Context, untracked, pathspec string) (bool, error) {
	if _, err := os.Lstat(filepath.Join(r.top, ".gitmodules")); err != nil {
		return false, nil
	}
	out, err := r.Run(ctx, "ls-files", "--stage", "-z", "--", pathspec)
	if err != nil {
		return false, err
	}
	for record := range strings.SplitSeq(out, "\x00") {
		head, name, _ := strings.Cut(record, "\t")
		if !strings.HasPrefix(head, "160000 ") {
			continue
		}
		modified, err := submoduleModified(ctx, filepath.Join(r.dir, filepath.FromSlash(name)), untracked)
		if err != nil {
			return false, fmt.Errorf("submodule %s: %w", name, err)
		}
		if modified {
			return true, nil
		}
	}
	return false, nil
}

func submoduleModified(ctx context.Context, dir, untracked string) (_ bool, err error) {
	if _, err := os.Lstat(filepath.Join(dir, ".git")); err != nil {
		return false, nil // not checked out
	}
	sub, err := Open(ctx, dir)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, sub.Close()) }()
	if sub.top != sub.dir {
		return false, nil // its directory is one of this repository
	}
	s, err := sub.status(ctx, untracked, ".")
	return s.Modified || len(s.Untracked) > 0, err
}
