package changed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/slipway-ci/slipway/pipeline"
)

// field is what faults call the revision.
const field = "changed-since"

// repository is what git knows of a source folder at one revision.
type repository struct {
	dir    string // the source
	commit string // its full hash
}

// localEnv are the variables that lead git to another repository than the one that a folder is in. A hook of git's has them.
// Source: git rev-parse --local-env-vars. What configures git, such as a safe.directory or a key for ssh, is the caller's to say.
var localEnv = []string{
	"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES",
	"GIT_PREFIX", "GIT_NAMESPACE", "GIT_CONFIG", "GIT_IMPLICIT_WORK_TREE", "GIT_GRAFT_FILE", "GIT_SHALLOW_FILE",
	"GIT_NO_REPLACE_OBJECTS", "GIT_REPLACE_REF_BASE", "GIT_INTERNAL_SUPER_PREFIX",
}

// git runs a command that only reads. Its error is git's own first line.
func git(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", append([]string{"--no-optional-locks", "-C", dir}, args...)...)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return slices.Contains(localEnv, name)
	})
	cmd.Env = append(cmd.Env, "LC_ALL=C", "GIT_TERMINAL_PROMPT=0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case err != nil:
		return "", &gitError{stderr.String(), err}
	}
	return string(out), nil
}

type gitError struct {
	stderr string
	err    error
}

func (e *gitError) Unwrap() error { return e.err }

func (e *gitError) Error() string {
	line, _, _ := strings.Cut(strings.TrimSpace(e.stderr), "\n")
	if line = strings.TrimPrefix(line, "fatal: "); line == "" {
		return e.err.Error()
	}
	return line
}

// advice is the command that git says mends it, if it says so.
func (e *gitError) advice() string {
	lines := strings.Split(strings.TrimSpace(e.stderr), "\n")
	if last := strings.TrimSpace(lines[len(lines)-1]); strings.HasPrefix(last, "git config ") {
		return last
	}
	return ""
}

// open finds the commit that rev names in the repository that dir is in. What is wrong with either is [pipeline.Faults].
func open(ctx context.Context, dir, rev string) (*repository, error) {
	fault := func(problem, remedy string) error {
		return pipeline.Faults{{Field: field, Value: rev, Problem: problem, Remedy: remedy}}
	}
	inside, err := git(ctx, dir, "rev-parse", "--is-inside-work-tree")
	failed := (*gitError)(nil)
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return nil, fault("there is no git command on the PATH", "install git, or build all images")
	case errors.As(err, &failed) && failed.advice() != "":
		return nil, fault(err.Error(), failed.advice())
	case errors.As(err, &failed):
		return nil, fault(err.Error(), "run in the work tree of a git repository, or build all images")
	case err != nil:
		return nil, err
	case strings.TrimSpace(inside) != "true":
		return nil, fault(dir+" is not in a work tree", "run in the work tree of a git repository, or build all images")
	}

	// What begins with a dash is an option, and with a caret all that is not in a revision.
	if rev == "" || strings.ContainsAny(rev[:1], "-^") || strings.ContainsAny(rev, "\x00\n") {
		return nil, fault("not a revision", "name a commit, tag or branch, like origin/main or HEAD~1")
	}
	object, err := git(ctx, dir, "rev-parse", "--verify", "--quiet", rev)
	if err == nil { // peeled in a second step, for rev may end in a text to search for
		object, err = git(ctx, dir, "rev-parse", "--verify", "--quiet", strings.TrimSpace(object)+"^{commit}")
	}
	if err == nil {
		return &repository{dir, strings.TrimSpace(object)}, nil
	}
	if !errors.As(err, &failed) {
		return nil, err
	}
	if shallow, err := git(ctx, dir, "rev-parse", "--is-shallow-repository"); err == nil && strings.TrimSpace(shallow) == "true" {
		return nil, fault("no such revision in this clone, which is shallow",
			"fetch all of it: git fetch --unshallow, or fetch-depth: 0 for actions/checkout, or GIT_DEPTH: 0 in GitLab")
	}
	return nil, fault("no such revision in this repository", "name a commit, tag or branch that git log knows; git fetch brings those of the remote")
}

// entry is a file as a commit has it.
type entry struct {
	mode string // "100644", "100755", "120000" for a symbolic link, "160000" for a submodule
	hash string // of the content
}

const (
	modeExecutable = "100755"
	modeLink       = "120000"
	modeSubmodule  = "160000"
)

// files are all files of the commit that are in the source, by their names relative to it. Those of submodules that are checked
// out are among them; one that is not, or whose commit is not at hand, is an entry itself.
func (r *repository) files(ctx context.Context) (map[string]entry, error) {
	files := map[string]entry{}
	if err := listTree(ctx, r.dir, r.commit, "", files); err != nil {
		return nil, fmt.Errorf("reading %s: %w", r.commit, err)
	}
	return files, nil
}

func listTree(ctx context.Context, dir, commit, prefix string, files map[string]entry) error {
	out, err := git(ctx, dir, "ls-tree", "-r", "-z", commit)
	if err != nil {
		return err
	}
	listed, err := parseTree(out)
	if err != nil {
		return err
	}
	for name, e := range listed {
		if e.mode == modeSubmodule {
			sub := filepath.Join(dir, filepath.FromSlash(name))
			if _, err := os.Lstat(filepath.Join(sub, ".git")); err == nil {
				err := listTree(ctx, sub, e.hash, path.Join(prefix, name), files)
				if err == nil {
					continue
				}
				if ctx.Err() != nil {
					return err
				}
			}
		}
		files[path.Join(prefix, name)] = e
	}
	return nil
}

// parseTree reads what git ls-tree -r -z prints: "MODE TYPE HASH\tNAME", each ended by a zero byte.
func parseTree(out string) (map[string]entry, error) {
	entries := map[string]entry{}
	for len(out) > 0 {
		record, rest, ended := strings.Cut(out, "\x00")
		head, name, ok := strings.Cut(record, "\t")
		fields := strings.Split(head, " ")
		if !ended || !ok || len(fields) != 3 || !fs.ValidPath(name) || name == "." {
			return nil, fmt.Errorf("git ls-tree says %q, which is not understood", record)
		}
		entries[name] = entry{mode: fields[0], hash: fields[2]}
		out = rest
	}
	return entries, nil
}
