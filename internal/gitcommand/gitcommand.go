// Package gitcommand asks git about the repository that a folder is in.
package gitcommand

import (
	"context"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/slipway-ci/slipway/internal/child"
)

// localEnv are the variables that lead git to another repository than the one that a folder is in. A hook of git's has them.
// Source: git rev-parse --local-env-vars. What configures git, such as a safe.directory or a key for ssh, is the caller's to say.
var localEnv = []string{
	"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES",
	"GIT_PREFIX", "GIT_NAMESPACE", "GIT_CONFIG", "GIT_IMPLICIT_WORK_TREE", "GIT_GRAFT_FILE", "GIT_SHALLOW_FILE",
	"GIT_NO_REPLACE_OBJECTS", "GIT_REPLACE_REF_BASE", "GIT_INTERNAL_SUPER_PREFIX",
}

// Run runs a command that only reads, in the repository that the folder dir is in, and returns what it prints. What git itself says
// is wrong is an [Error].
func Run(ctx context.Context, dir string, args ...string) (string, error) {
	var out strings.Builder
	err := RunTo(ctx, &out, dir, args...)
	return out.String(), err
}

// RunTo is [Run], which prints to out.
func RunTo(ctx context.Context, out io.Writer, dir string, args ...string) error {
	environ := slices.DeleteFunc(os.Environ(), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return slices.Contains(localEnv, name)
	})
	// Nothing is to be locked, asked for or downloaded for a look.
	environ = append(environ, "LC_ALL=C", "GIT_TERMINAL_PROMPT=0", "GIT_LFS_SKIP_SMUDGE=1")
	var stderr strings.Builder
	err := child.Command{
		Args: append([]string{"git", "--no-optional-locks", "-C", dir}, args...), Env: environ, Stdout: out, Stderr: &stderr,
	}.Run(ctx)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return &Error{stderr.String(), err}
	}
	return nil
}

// Error is a command of git that failed. Its text is the first line of what git printed.
type Error struct {
	stderr string
	err    error
}

func (e *Error) Unwrap() error { return e.err }

func (e *Error) Error() string {
	line, _, _ := strings.Cut(strings.TrimSpace(e.stderr), "\n")
	if line = strings.TrimPrefix(line, "fatal: "); line == "" {
		return e.err.Error()
	}
	return line
}

// Advice is the command that git says mends it, if it says so.
func (e *Error) Advice() string {
	lines := strings.Split(strings.TrimSpace(e.stderr), "\n")
	if last := strings.TrimSpace(lines[len(lines)-1]); strings.HasPrefix(last, "git config ") {
		return last
	}
	return ""
}
