package gitcommand

import (
	"context"
	"errors"
	"io"
	"net/url"
	"os"
	"os/exec"
	"strings"

	"github.com/slipway-ci/slipway/internal/child"
	"github.com/slipway-ci/slipway/internal/goenv"
)

// reaching are the variables by which a user has git log in at other machines, besides those of configuration.
var reaching = []string{
	"SSH_AUTH_SOCK", "GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSL_*", "GIT_ASKPASS", "SSH_ASKPASS", "SSL_CERT_FILE", "SSL_CERT_DIR",
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "ALL_PROXY", "all_proxy",
}

// Fetch fetches a commit of the repository at a URL into the empty directory dir, and checks it out; with its history and tags if history
// is set. environ is the caller's environment, as a list of KEY=VALUE, whose configuration of git counts. Nothing of the repository is
// run, and its submodules stay out. The error is an [Error] if git fails.
func Fetch(ctx context.Context, environ []string, address, commit, dir string, history bool) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" && u.Scheme != "ssh" && u.Scheme != "git" {
		return errors.New("it is not the URL of a repository")
	}
	if u.Scheme == "ssh" && u.User == nil {
		u.User = url.User("git") // as at every host of repositories; provenance has no users
		address = u.String()
	}
	if _, err := exec.LookPath("git"); err != nil {
		return exec.ErrNotFound
	}
	f := fetcher{dir: dir, env: append(goenv.Child(environ, append(passed, reaching...)...), "LC_ALL=C", "GIT_TERMINAL_PROMPT=0", "GIT_LFS_SKIP_SMUDGE=1")}
	if err := f.git(ctx, "init", "--quiet", "--template=", "."); err != nil {
		return err
	}
	// One commit is enough where a server gives it by its hash, and nothing needs what is before it.
	if history || f.git(ctx, "fetch", "--quiet", "--depth=1", "--no-tags", address, commit) != nil {
		if err := f.git(ctx, "fetch", "--quiet", "--tags", address, "+refs/heads/*:refs/remotes/origin/*"); err != nil {
			return err
		}
	}
	return f.git(ctx, "checkout", "--quiet", "--detach", commit)
}

type fetcher struct {
	dir string
	env []string
}

func (f fetcher) git(ctx context.Context, args ...string) error {
	var stderr strings.Builder
	command := []string{"git", "--no-pager", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=" + os.DevNull, "-c", "protocol.ext.allow=never", "-c", "submodule.recurse=false"}
	err := child.Command{Args: append(command, args...), Dir: f.dir, Env: f.env, Stdout: io.Discard, Stderr: &stderr}.Run(ctx)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return &Error{stderr.String(), err}
	}
	return nil
}
