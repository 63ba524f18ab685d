package gitcommand_test

import (
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/gitcommand"
	"github.com/slipway-ci/slipway/internal/test/testtool"
)

// git runs the real git, as nobody in particular.
func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command(testtool.Need(t, "git", "git"), append([]string{"-C", dir}, args...)...)
	cmd.Env = append(os.Environ(),
		"GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com",
		"GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com", "GIT_ALLOW_PROTOCOL=file",
	)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "git %s: %s", strings.Join(args, " "), out)
	return strings.TrimSpace(string(out))
}

func write(t *testing.T, name, content string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
	require.NoError(t, os.WriteFile(name, []byte(content), 0o755))
}

// newRepository makes one with a commit of the files a.txt and sub/b.txt.
func newRepository(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	git(t, dir, "init", "-q", "-b", "main")
	write(t, filepath.Join(dir, "a.txt"), "a\n")
	write(t, filepath.Join(dir, "sub", "b.txt"), "b\n")
	git(t, dir, "add", "-A")
	git(t, dir, "commit", "-q", "-m", "first")
	return dir
}

func open(t *testing.T, dir string) *gitcommand.Repository {
	t.Helper()
	r, err := gitcommand.Open(t.Context(), dir)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, r.Close()) })
	return r
}

// readings are everything that Slipway asks git.
func readings(ctx context.Context, dir string) []error {
	r, err := gitcommand.Open(ctx, dir)
	if err != nil {
		return []error{err}
	}
	_, err1 := r.Status(ctx)
	_, err2 := r.Modified(ctx)
	errs := []error{err1, err2}
	for _, args := range [][]string{
		{"rev-list", "--timestamp", "--max-count=1", "HEAD"},
		{"for-each-ref", "--points-at=HEAD"},
		{"describe", "--tags", "--always"},
		{"rev-parse", "--verify", "--quiet", "HEAD"},
		{"ls-tree", "-r", "-z", "HEAD"},
		{"cat-file", "--filters", "HEAD:./a.txt"},
		{"cat-file", "blob", "HEAD:./a.txt"},
	} {
		_, err := r.Run(ctx, args...)
		errs = append(errs, err)
	}
	return append(errs, r.Close())
}

// Each trap is a repository that has git run a program, as its control shows; the readings must not spring it.
func TestNothingRuns(t *testing.T) {
	testtool.Need(t, "git", "git")
	if runtime.GOOS == "windows" {
		testtool.Skip(t, "a system whose git runs commands by sh")
	}
	local := func(t *testing.T, dir, text string) {
		t.Helper()
		f, err := os.OpenFile(filepath.Join(dir, ".git", "config"), os.O_APPEND|os.O_WRONLY, 0)
		require.NoError(t, err)
		_, err = f.WriteString(text)
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	attributes := func(t *testing.T, dir, text string) {
		t.Helper()
		write(t, filepath.Join(dir, ".gitattributes"), text)
		git(t, dir, "add", "-A")
		git(t, dir, "commit", "-q", "-m", "attributes")
	}
	// loseBlob removes a.txt from the object database of a repository that calls itself a partial clone.
	loseBlob := func(t *testing.T, dir, remote string) {
		t.Helper()
		hash := git(t, dir, "rev-parse", "HEAD:a.txt")
		require.NoError(t, os.Remove(filepath.Join(dir, ".git", "objects", hash[:2], hash[2:])))
		local(t, dir, "[core]\n\trepositoryformatversion = 1\n[extensions]\n\tpartialClone = origin\n[protocol]\n\tallow = always\n"+
			"[protocol \"ext\"]\n\tallow = always\n[remote \"origin\"]\n\tpromisor = true\n\tpartialclonefilter = blob:none\n"+remote)
	}
	status, cat := []string{"status"}, []string{"cat-file", "blob", "HEAD:a.txt"}
	for name, trap := range map[string]struct {
		// set sets the trap in dir; run is a shell command that leaves a trace.
		set     func(t *testing.T, dir, run string)
		control []string
	}{
		"fsmonitor": {func(t *testing.T, dir, run string) { local(t, dir, "[core]\n\tfsmonitor = \""+run+";false\"\n") }, status},
		"fsmonitor in an included file": {func(t *testing.T, dir, run string) {
			write(t, filepath.Join(dir, "included"), "[core]\n\tfsmonitor = \""+run+";false\"\n")
			local(t, dir, "[include]\n\tpath = ../included\n")
		}, status},
		"fsmonitor of one work tree": {func(t *testing.T, dir, run string) {
			local(t, dir, "[extensions]\n\tworktreeConfig = true\n")
			write(t, filepath.Join(dir, ".git", "config.worktree"), "[core]\n\tfsmonitor = \""+run+";false\"\n")
		}, status},
		"clean": {func(t *testing.T, dir, run string) {
			attributes(t, dir, "*.txt filter=x\n")
			local(t, dir, "[filter \"x\"]\n\tclean = "+run+"\n")
		}, status},
		"process": {func(t *testing.T, dir, run string) {
			attributes(t, dir, "*.txt filter=any.name\n")
			local(t, dir, "[filter \"any.name\"]\n\tprocess = "+run+"\n")
		}, status},
		"attributes of the repository": {func(t *testing.T, dir, run string) {
			write(t, filepath.Join(dir, ".git", "info", "attributes"), "* filter=x\n")
			local(t, dir, "[filter \"x\"]\n\tclean = "+run+"\n\trequired = true\n")
		}, status},
		"smudge": {func(t *testing.T, dir, run string) {
			attributes(t, dir, "*.txt filter=x\n")
			local(t, dir, "[filter \"x\"]\n\tsmudge = "+run+"\n")
		}, []string{"cat-file", "--filters", "HEAD:a.txt"}},
		"textconv": {func(t *testing.T, dir, run string) {
			attributes(t, dir, "*.txt diff=x\n")
			local(t, dir, "[diff \"x\"]\n\ttextconv = "+run+";cat\n")
		}, []string{"show", "HEAD~1"}},
		"external diff": {func(t *testing.T, dir, run string) { local(t, dir, "[diff]\n\texternal = "+run+"\n") }, []string{"diff"}},
		"signature": {func(t *testing.T, dir, run string) {
			program := filepath.Join(dir, "gpg")
			write(t, program, "#!/bin/sh\n"+run+"\n")
			write(t, filepath.Join(dir, "commit"), git(t, dir, "cat-file", "commit", "HEAD"))
			text, err := os.ReadFile(filepath.Join(dir, "commit"))
			require.NoError(t, err)
			signed := strings.Replace(string(text), "\n\n", "\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n x\n -----END PGP SIGNATURE-----\n\n", 1)
			write(t, filepath.Join(dir, "commit"), signed+"\n")
			git(t, dir, "update-ref", "HEAD", git(t, dir, "hash-object", "-t", "commit", "-w", filepath.Join(dir, "commit")))
			local(t, dir, "[log]\n\tshowSignature = true\n[gpg]\n\tprogram = "+program+"\n")
		}, []string{"log", "-1", "--format=%ct"}},
		"hook": {func(t *testing.T, dir, run string) {
			write(t, filepath.Join(dir, ".git", "hooks", "post-index-change"), "#!/bin/sh\n"+run+"\n")
		}, status},
		"hooks of the source": {func(t *testing.T, dir, run string) {
			write(t, filepath.Join(dir, "hooks", "post-index-change"), "#!/bin/sh\n"+run+"\n")
			local(t, dir, "[core]\n\thooksPath = hooks\n")
		}, status},
		"promisor by ext": {func(t *testing.T, dir, run string) {
			loseBlob(t, dir, "\turl = ext::sh -c "+strings.ReplaceAll(run, " ", "% ")+"\n")
		}, cat},
		"promisor by ssh": {func(t *testing.T, dir, run string) {
			loseBlob(t, dir, "\turl = ssh://nowhere.invalid/x\n[core]\n\tsshCommand = "+run+";false\n")
		}, cat},
		"promisor's upload-pack": {func(t *testing.T, dir, run string) {
			loseBlob(t, dir, "\turl = "+newRepository(t)+"\n\tuploadpack = "+run+";false\n")
		}, cat},
		"promisor by a proxy": {func(t *testing.T, dir, run string) {
			program := filepath.Join(dir, "proxy")
			write(t, program, "#!/bin/sh\n"+run+"\n")
			loseBlob(t, dir, "\turl = git://nowhere.invalid/x\n[core]\n\tgitProxy = "+program+"\n")
		}, cat},
		"submodule": {func(t *testing.T, dir, run string) {
			git(t, dir, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", newRepository(t), "module")
			git(t, dir, "commit", "-q", "-m", "module")
			git(t, filepath.Join(dir, "module"), "config", "core.fsmonitor", run+";false")
		}, status},
		"git directory of the source": {func(t *testing.T, dir, run string) {
			require.NoError(t, os.Rename(filepath.Join(dir, ".git"), filepath.Join(dir, "data")))
			write(t, filepath.Join(dir, ".git"), "gitdir: data\n")
			git(t, dir, "config", "core.fsmonitor", run+";false")
		}, status},
		"work tree elsewhere": {func(t *testing.T, dir, run string) {
			other := newRepository(t)
			require.NoError(t, os.RemoveAll(filepath.Join(dir, ".git")))
			tree := filepath.Join(t.TempDir(), "tree")
			git(t, other, "worktree", "add", "-q", tree)
			require.NoError(t, os.Rename(filepath.Join(tree, ".git"), filepath.Join(dir, ".git")))
			git(t, other, "config", "core.fsmonitor", run+";false")
		}, status},
		"hooks that the user's own configuration takes from the source": {func(t *testing.T, dir, run string) {
			write(t, filepath.Join(dir, "hooks", "post-index-change"), "#!/bin/sh\n"+run+"\n")
			t.Setenv("GIT_CONFIG_COUNT", "1")
			t.Setenv("GIT_CONFIG_KEY_0", "core.hooksPath")
			t.Setenv("GIT_CONFIG_VALUE_0", "hooks")
		}, status},
		"fsmonitor that the user's own configuration takes from the source": {func(t *testing.T, dir, run string) {
			write(t, filepath.Join(dir, "monitor"), "#!/bin/sh\n"+run+";false\n")
			t.Setenv("GIT_CONFIG_PARAMETERS", "'core.fsmonitor=./monitor'")
		}, status},
	} {
		t.Run(name, func(t *testing.T) {
			dir, trace := newRepository(t), filepath.Join(t.TempDir(), "ran")
			trap.set(t, dir, "echo >"+trace)
			// Git would take unchanged times for unchanged content.
			touch := func() {
				require.NoError(t, filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
					if err == nil && filepath.Ext(name) == ".txt" {
						err = os.Chtimes(name, time.Time{}, time.Now().Add(-time.Hour))
					}
					return err
				}))
			}
			touch()
			for _, err := range readings(t.Context(), dir) {
				if err != nil && strings.Contains(name, "promisor") {
					continue // what is not there cannot be read
				}
				assert.NoError(t, err)
			}
			assert.NoFileExists(t, trace)

			control := exec.Command("git", append([]string{"-C", dir}, trap.control...)...)
			touch()
			write(t, filepath.Join(dir, "a.txt"), "a\n")
			if trap.control[0] == "diff" {
				write(t, filepath.Join(dir, "a.txt"), "other\n")
			}
			out, _ := control.CombinedOutput()
			assert.FileExists(t, trace, "the trap is none: %s", out)
		})
	}
}

// The programs that the user configures get nothing of the environment that git does not need.
func TestEnvironment(t *testing.T) {
	dir, trace := newRepository(t), filepath.Join(t.TempDir(), "environment")
	if runtime.GOOS == "windows" {
		testtool.Skip(t, "a system whose git runs commands by sh")
	}
	write(t, filepath.Join(dir, ".gitattributes"), "*.txt filter=x\n")
	t.Setenv("COSIGN_PASSWORD", "SECRET")
	t.Setenv("SLIPWAY_GIT_TOKENS", "SECRET")
	t.Setenv("GITHUB_TOKEN", "SECRET")
	t.Setenv("LD_AUDIT", "")
	t.Setenv("GIT_SSH_COMMAND", "SECRET")
	config := filepath.Join(t.TempDir(), "config")
	write(t, config, "[filter \"x\"]\n\tclean = env >>"+trace+";cat\n")
	t.Setenv("GIT_CONFIG_GLOBAL", config)
	write(t, filepath.Join(dir, "a.txt"), "a\n")
	for _, err := range readings(t.Context(), dir) {
		assert.NoError(t, err)
	}
	text, err := os.ReadFile(trace)
	require.NoError(t, err, "a filter of the user's own is run")
	assert.NotContains(t, string(text), "SECRET")
	assert.Contains(t, string(text), "\nPATH=")
}
