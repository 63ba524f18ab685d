// Package gitcommand reads the git repository that a directory is in, and runs nothing that the repository says.
//
// A repository's configuration can name programs in many places (filters, core.fsmonitor, hooks, the configuration of an
// embedded repository), and a source may bring a repository. So git never reads that configuration: [Open] makes a git
// directory, with a configuration that holds formats and conversions alone, which lends the repository's objects,
// references and index. The user's and the machine's configuration count as ever: filters that they define are run.
package gitcommand

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/slipway-ci/slipway/internal/child"
	"github.com/slipway-ci/slipway/internal/goenv"
)

// passed are the variables by which a user configures git, besides those that any program gets. What leads git to another
// repository than the one that a directory is in, as the variables of a hook do, is not among them.
var passed = []string{
	"GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_COUNT", "GIT_CONFIG_KEY_*", "GIT_CONFIG_VALUE_*",
	"GIT_CONFIG_PARAMETERS", "GIT_ATTR_NOSYSTEM", "GIT_EXEC_PATH", "GIT_CEILING_DIRECTORIES", "SUDO_UID",
}

// fixed is the rest of the environment. Nothing is locked, asked for or downloaded, and a commit is what its hash says.
var fixed = []string{
	"LC_ALL=C", "GIT_OPTIONAL_LOCKS=0", "GIT_TERMINAL_PROMPT=0", "GIT_NO_LAZY_FETCH=1", "GIT_LFS_SKIP_SMUDGE=1",
	"GIT_NO_REPLACE_OBJECTS=1", "GIT_GRAFT_FILE=" + os.DevNull,
}

// off are the settings that turn off what even the user's own configuration must not do: programs of a relative name would be the
// source's, and a git that enters a submodule reads the configuration there.
var off = []setting{
	{"core", "", "fsmonitor", "false"},
	{"core", "", "hookspath", os.DevNull},
	{"protocol", "", "allow", "never"},
	{"safe", "", "barerepository", "explicit"},
	{"diff", "", "ignoresubmodules", "all"},
}

// run runs git in dir with more variables than those of every run.
func run(ctx context.Context, out io.Writer, dir string, env, args []string) error {
	command := []string{"git", "--no-pager"}
	for _, s := range off {
		command = append(command, "-c", s.name()+"="+s.value)
	}
	var stderr strings.Builder
	err := child.Command{
		Args: append(command, args...), Dir: dir, Env: slices.Concat(goenv.Child(os.Environ(), passed...), fixed, env), Stdout: out, Stderr: &stderr,
	}.Run(ctx)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return &Error{stderr.String(), err}
	}
	return nil
}

// Error is a command of git that failed. Its text is the first line of what git printed that is neither advice nor a warning.
type Error struct {
	stderr string
	err    error
}

func (e *Error) Unwrap() error { return e.err }

func (e *Error) Error() string {
	for line := range strings.Lines(strings.TrimSpace(e.stderr)) {
		if !strings.HasPrefix(line, "hint:") && !strings.HasPrefix(line, "warning:") {
			return strings.TrimSpace(strings.TrimPrefix(strings.TrimPrefix(line, "fatal: "), "error: "))
		}
	}
	return e.err.Error()
}

// advice is the command that git names as the hint, empty where it names none.
func (e *Error) advice() string {
	lines := strings.Split(strings.TrimSpace(e.stderr), "\n")
	if last := strings.TrimSpace(lines[len(lines)-1]); strings.HasPrefix(last, "git config ") {
		return last
	}
	return ""
}

// Explain says what an error of [Open] means, and what to do: git's own advice where it has some, else something that leads to a
// repository, or the alternative.
func Explain(err error, alternative string) (problem, hint string) {
	failed := (*Error)(nil)
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return "there is no git command on the PATH", "install git, or " + alternative
	case errors.As(err, &failed) && failed.advice() != "":
		return failed.Error(), failed.advice()
	}
	return err.Error(), "run in the work tree of a git repository, or " + alternative
}
