package changed

import (
	"bytes"
	"context"
	"crypto/sha1" // git's names of contents, not a defence
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/slipway-ci/slipway/internal/fault"
	"github.com/slipway-ci/slipway/internal/gitcommand"
)

// field is what faults call the revision.
const field = "changed-since"

// repository is a directory in a work tree, at one commit.
type repository struct {
	*gitcommand.Repository
	dir    string
	commit string // its full hash
	// submodules are those that its files are of.
	submodules []*repository
}

// Close closes the repository and its submodules.
func (r *repository) Close() error {
	err := r.Repository.Close()
	for _, sub := range r.submodules {
		err = errors.Join(err, sub.Close())
	}
	return err
}

// open finds the commit that rev names in the repository that dir is in. What is wrong with either is [fault.Faults]. The caller
// closes the repository.
func open(ctx context.Context, dir, rev string) (*repository, error) {
	wrong := func(problem, hint string) error {
		return fault.Faults{{Field: field, Value: rev, Problem: problem, Hint: hint}}
	}
	git, err := gitcommand.Open(ctx, dir)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, wrong(gitcommand.Explain(err, "build all images"))
	}
	commit, err := findCommit(ctx, git, rev, wrong)
	if err != nil {
		return nil, errors.Join(err, git.Close())
	}
	return &repository{Repository: git, dir: dir, commit: commit}, nil
}

// findCommit is the hash of the commit that rev names.
func findCommit(ctx context.Context, git *gitcommand.Repository, rev string, wrong func(problem, hint string) error) (string, error) {
	// What begins with a dash is an option, and with a caret everything that is not in a revision.
	if rev == "" || strings.ContainsAny(rev[:1], "-^") || strings.ContainsAny(rev, "\x00\n") {
		return "", wrong("not a revision", "name a commit, tag or branch, like origin/main or HEAD~1")
	}
	object, err := git.Run(ctx, "rev-parse", "--verify", "--quiet", rev)
	if err == nil { // peeled in a second step, for rev may end in a text to search for
		object, err = git.Run(ctx, "rev-parse", "--verify", "--quiet", strings.TrimSpace(object)+"^{commit}")
	}
	if err == nil {
		return strings.TrimSpace(object), nil
	}
	if !errors.As(err, new(*gitcommand.Error)) {
		return "", err
	}
	if shallow, err := git.Run(ctx, "rev-parse", "--is-shallow-repository"); err == nil && strings.TrimSpace(shallow) == "true" {
		return "", wrong("no such revision in this clone, which is shallow",
			"fetch all of it: git fetch --unshallow, or fetch-depth: 0 for actions/checkout, or GIT_DEPTH: 0 in GitLab")
	}
	return "", wrong("no such revision in this repository", "name a commit, tag or branch that git log knows; git fetch brings those of the remote")
}

// entry is a file as a commit has it.
type entry struct {
	mode string // "100644", "100755", "120000" for a symbolic link, "160000" for a submodule
	hash string // of the content
	// in has the file, by that name. A submodule has its own.
	in   *repository
	name string
}

// blob reports whether the entry is a file, or a symbolic link to a target, with that content.
// Source: https://git-scm.com/book/en/v2/Git-Internals-Git-Objects
func (e entry) blob(size int64, content io.Reader) bool {
	sum := hash.Hash(sha1.New())
	if len(e.hash) == hex.EncodedLen(sha256.Size) {
		sum = sha256.New()
	}
	fmt.Fprintf(sum, "blob %d\x00", size)
	_, err := io.Copy(sum, content)
	return err == nil && hex.EncodeToString(sum.Sum(nil)) == e.hash
}

// sameFile reports whether a file of that path has the entry's content, or what git makes of it when it checks it out: with other
// ends of lines, say, or by Git LFS.
func (e entry) sameFile(ctx context.Context, at string) (bool, error) {
	f, err := os.Open(at)
	if err != nil {
		return false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return false, err
	}
	if e.blob(info.Size(), f) {
		return true, nil
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return false, err
	}
	now, checkedOut := sha256.New(), sha256.New()
	if _, err := io.Copy(now, f); err != nil {
		return false, err
	}
	err = e.in.RunTo(ctx, checkedOut, "cat-file", "--filters", e.in.commit+":./"+e.name)
	return err == nil && bytes.Equal(now.Sum(nil), checkedOut.Sum(nil)), nil
}

const (
	modeExecutable = "100755"
	modeLink       = "120000"
	modeSubmodule  = "160000"
)

// files are all files of the commit that are in the directory, by their names relative to it. Those of submodules that are checked
// out are among them; one that is not, or whose commit is not at hand, is an entry itself.
func (r *repository) files(ctx context.Context) (map[string]entry, error) {
	out, err := r.Run(ctx, "ls-tree", "-r", "-z", r.commit)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", r.commit, err)
	}
	files, err := parseTree(out)
	if err != nil {
		return nil, err
	}
	for name, e := range maps.Clone(files) {
		if e.mode != modeSubmodule {
			e.in, e.name = r, name
			files[name] = e
			continue
		}
		dir := filepath.Join(r.dir, filepath.FromSlash(name))
		if _, err := os.Lstat(filepath.Join(dir, ".git")); err != nil {
			continue // its directory is one of this repository
		}
		git, err := gitcommand.Open(ctx, dir)
		if err != nil {
			continue
		}
		sub := &repository{Repository: git, dir: dir, commit: e.hash}
		r.submodules = append(r.submodules, sub)
		below, err := sub.files(ctx)
		if err != nil {
			continue
		}
		delete(files, name)
		for n, e := range below {
			files[path.Join(name, n)] = e
		}
	}
	return files, ctx.Err()
}

// attributes is the name of the files that say what git makes of others when it checks them out.
// Source: https://git-scm.com/docs/gitattributes
const attributes = ".gitattributes"

// attributesAbove says how the files of that name are different which are above the source, and mean it too.
func (r *repository) attributesAbove(ctx context.Context) (string, error) {
	up, err := r.Run(ctx, "rev-parse", "--show-cdup")
	if err != nil {
		return "", err
	}
	for up = strings.TrimSpace(up); up != ""; up = strings.TrimPrefix(up, "../") {
		name := up + attributes
		hash, err := r.Run(ctx, "rev-parse", "--verify", "--quiet", r.commit+":./"+name)
		same, fileErr := entry{hash: strings.TrimSpace(hash), in: r, name: name}.sameFile(ctx, filepath.Join(r.dir, name))
		if !same && (err == nil || !errors.Is(fileErr, fs.ErrNotExist)) {
			return name + " changed", nil
		}
	}
	return "", ctx.Err()
}

// parseTree reads what git ls-tree -r -z prints: "MODE TYPE HASH\tNAME", each ended by a zero byte.
func parseTree(out string) (map[string]entry, error) {
	entries := map[string]entry{}
	for len(out) > 0 {
		record, rest, ended := strings.Cut(out, "\x00")
		head, name, ok := strings.Cut(record, "\t")
		fields := strings.Split(head, " ")
		if !ended || !ok || len(fields) != 3 || !fs.ValidPath(name) || name == "." {
			return nil, fmt.Errorf("git ls-tree printed %q, which is not understood", record)
		}
		entries[name] = entry{mode: fields[0], hash: fields[2]}
		out = rest
	}
	return entries, nil
}
