package gitcommand

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/slipway-ci/slipway/internal/cache/temporary"
)

// ErrNoRepository is the error for a directory that is in no repository.
var ErrNoRepository = errors.New("not a git repository (or any of the parent directories)")

// Repository is the repository of a work tree, as seen from one of its directories.
type Repository struct {
	dir  string // without symbolic links
	top  string // the work tree
	temp *temporary.Dir
	made string // the git directory that git is given
	info string // the directory in it or in what it shares with other work trees that has exclude
	env  []string
	// origin is the URL of the remote origin.
	origin string
}

// Open finds the repository that the directory dir is in. [Explain] says what an error means. The caller closes the
// repository.
func Open(ctx context.Context, dir string) (_ *Repository, err error) {
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return nil, err
	}
	top, gitDir, err := find(dir)
	if err != nil {
		return nil, err
	}
	if _, err := exec.LookPath("git"); err != nil {
		return nil, exec.ErrNotFound
	}
	if err := checkOwner(ctx, top, gitDir); err != nil {
		return nil, err
	}
	temp, err := temporary.NewDir()
	if err != nil {
		return nil, err
	}
	r := &Repository{dir: dir, top: top, temp: temp, made: filepath.Join(temp.Path, "git")}
	if err := os.Mkdir(r.made, 0o700); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	if err := r.borrow(ctx, gitDir); err != nil {
		if ctx.Err() == nil {
			err = fmt.Errorf("reading the git repository of %s: %w", top, err)
		}
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// Close removes the files that git was given.
func (r *Repository) Close() error { return r.temp.Remove() }

// Run runs a command that only reads and returns what it prints. The error is an [Error] if the command fails.
func (r *Repository) Run(ctx context.Context, args ...string) (string, error) {
	var out strings.Builder
	err := r.RunTo(ctx, &out, args...)
	return out.String(), err
}

// RunTo is [Repository.Run], which prints to out.
func (r *Repository) RunTo(ctx context.Context, out io.Writer, args ...string) error {
	return run(ctx, out, r.dir, r.env, args)
}

// Environ are the variables by which a git that another program starts in the directory sees the repository as [Repository.Run] does.
func (r *Repository) Environ() []string { return slices.Clone(r.env) }

// Exclude has git not report files that it does not have as such, by patterns of package path, which are relative to the directory.
func (r *Repository) Exclude(patterns []string) error {
	name := filepath.Join(r.info, "exclude")
	text, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	lines := strings.TrimSuffix(string(text), "\n") + "\n"
	for _, pattern := range patterns {
		lines += "/" + literal.Replace(r.Prefix()) + pattern + "\n"
	}
	// Where there is a file, it is a link to the repository's own.
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return errors.Join(os.MkdirAll(r.info, 0o700), os.WriteFile(name, []byte(lines), 0o600))
}

// literal writes a name as a pattern of itself alone.
var literal = strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`)

// NoRepository are the variables by which git finds no repository, wherever it is started.
func NoRepository() []string { return []string{"GIT_DIR=" + os.DevNull} }

// Prefix is the directory relative to the work tree, with slashes and one at its end; empty for the work tree itself.
func (r *Repository) Prefix() string {
	relative, err := filepath.Rel(r.top, r.dir)
	if err != nil || relative == "." {
		return ""
	}
	return filepath.ToSlash(relative) + "/"
}

// Origin is the URL of the remote that is called origin; empty for none.
func (r *Repository) Origin() string { return r.origin }

// find finds the work tree that dir is in, and its git directory. A directory with the form of a repository ends the search: its
// content is no work tree, and may be a part of the source.
func find(dir string) (top, gitDir string, err error) {
	ceilings := filepath.SplitList(os.Getenv("GIT_CEILING_DIRECTORIES"))
	for top = dir; ; top = filepath.Dir(top) {
		gitDir = filepath.Join(top, ".git")
		info, err := os.Stat(gitDir)
		switch {
		case err == nil && info.Mode().IsRegular():
			gitDir, err = pointer(gitDir, "gitdir: ")
			if err == nil && !isGitDir(gitDir) && !hasCommon(gitDir) {
				err = fmt.Errorf("not a git repository: %s, which %s names", gitDir, filepath.Join(top, ".git"))
			}
			return top, gitDir, err
		case err == nil && info.IsDir() && isGitDir(gitDir):
			return top, gitDir, nil
		case isGitDir(top):
			return "", "", fmt.Errorf("%s is a bare git repository, so the source is not in a work tree", top)
		}
		parent := filepath.Dir(top)
		if parent == top || slices.Contains(ceilings, parent) {
			return "", "", ErrNoRepository
		}
	}
}

// isGitDir reports whether a directory has what each git directory has. Source: https://git-scm.com/docs/gitrepository-layout
func isGitDir(dir string) bool {
	for _, name := range []string{"objects", "refs"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || !info.IsDir() {
			return false
		}
	}
	_, err := os.Lstat(filepath.Join(dir, "HEAD"))
	return err == nil
}

// pointer reads a file that holds nothing but the path of a directory, relative to the file's own.
func pointer(file, before string) (string, error) {
	text, err := readSmall(file)
	if err != nil {
		return "", err
	}
	dir, ok := strings.CutPrefix(strings.TrimRight(text, "\r\n"), before)
	if !ok || dir == "" {
		return "", fmt.Errorf("%s does not name a git directory", file)
	}
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(filepath.Dir(file), dir)
	}
	return dir, nil
}

// small is more than any file of git's that is read here holds.
const small = 1 << 20

// readSmall reads a regular file, whatever stands in its place.
func readSmall(name string) (string, error) {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return "", err
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%s is not a regular file", name)
	case info.Size() > small:
		return "", fmt.Errorf("%s has more than %d bytes", name, small)
	}
	text, err := os.ReadFile(name)
	return string(text), err
}

// checkOwner has git decide, by its own rules, whether the user may read a repository of somebody else's.
func checkOwner(ctx context.Context, top, gitDir string) error {
	if ownedByCaller(top) && ownedByCaller(filepath.Join(top, ".git")) && ownedByCaller(gitDir) {
		return nil
	}
	return run(ctx, io.Discard, top, nil, []string{"rev-parse", "--git-dir"})
}

// lent are the files and directories of a git directory that hold its state, and name no programs. Parts of a split index are lent
// as well. Source: https://git-scm.com/docs/gitrepository-layout
var lent = []string{"refs", "packed-refs", "reftable", "logs", "shallow", "index"}

// heads are the files that are references themselves. A link would not do: git takes one for the reference that it points to.
var heads = []string{"HEAD", "ORIG_HEAD", "FETCH_HEAD", "MERGE_HEAD"}

// borrow makes the git directory that git is given.
func (r *Repository) borrow(ctx context.Context, gitDir string) error {
	common, commonMade := gitDir, r.made
	if hasCommon(gitDir) {
		var err error
		if common, err = pointer(filepath.Join(gitDir, "commondir"), ""); err != nil {
			return err
		}
		commonMade = filepath.Join(r.made, "common")
		err = errors.Join(os.Mkdir(commonMade, 0o700), os.WriteFile(filepath.Join(r.made, "commondir"), []byte("common\n"), 0o600), lend(common, commonMade))
		if err != nil {
			return err
		}
	}
	r.info = filepath.Join(commonMade, "info")
	if err := lend(gitDir, r.made); err != nil {
		return err
	}
	if err := lendObjects(common, commonMade); err != nil {
		return err
	}
	r.env = []string{"GIT_DIR=" + r.made, "GIT_WORK_TREE=" + r.top}
	config, err := r.readConfig(ctx, common, gitDir)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(commonMade, "config"), []byte(config), 0o600)
}

// hasCommon reports whether a git directory is that of one more work tree, which shares the rest with others.
func hasCommon(gitDir string) bool {
	_, err := os.Lstat(filepath.Join(gitDir, "commondir"))
	return err == nil
}

// lend links what is in the git directory from into to.
func lend(from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name, made := filepath.Join(from, e.Name()), filepath.Join(to, e.Name())
		switch {
		case slices.Contains(heads, e.Name()):
			var text string
			if text, err = readSmall(name); err == nil {
				err = os.WriteFile(made, []byte(text), 0o600)
			}
		case e.Name() == "info":
			err = lendInfo(name, made)
		case slices.Contains(lent, e.Name()), strings.HasPrefix(e.Name(), "sharedindex."):
			err = link(name, made)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// lendInfo links what is in the directory from, which git reads without asking whether they are files, into the new directory to.
func lendInfo(from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	if err := os.Mkdir(to, 0o700); err != nil {
		return err
	}
	for _, e := range entries {
		if err := link(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// lendObjects makes the objects of the git directory from those of to. Nothing is added to them: whatever git makes stays in to.
// Source: https://git-scm.com/docs/gitrepository-layout#Documentation/gitrepository-layout.txt-objectsinfoalternates
func lendObjects(from, to string) error {
	objects := filepath.Join(from, "objects")
	if strings.ContainsAny(objects, "\n") {
		return fmt.Errorf("the name of %q has a line break", objects)
	}
	info := filepath.Join(to, "objects", "info")
	return errors.Join(os.MkdirAll(info, 0o700), os.WriteFile(filepath.Join(info, "alternates"), []byte(filepath.ToSlash(objects)+"\n"), 0o600))
}

// link makes to lead to a file or directory, or be a copy where the user may not make links, as on Windows.
func link(from, to string) error {
	info, err := os.Stat(from)
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular() && !info.IsDir():
		return fmt.Errorf("%s is neither a regular file nor a directory", from)
	case os.Symlink(from, to) == nil:
		return nil
	case info.IsDir():
		return os.CopyFS(to, os.DirFS(from))
	}
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o600)
}
