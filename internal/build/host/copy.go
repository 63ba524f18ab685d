package host

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/slipway-ci/slipway/internal/source"
)

// copySource copies the files below the directory from into the new directory to, without git's own, and without the directory that to is
// in, which is below from where that is where temporary files are. A symbolic link is copied as
// one; if it leads out of the source, it leads to the same place from the copy. What is gone once its directory was read is left out: a cache
// below the source changes while it is copied.
func copySource(ctx context.Context, to, from string) (err error) {
	tree, err := source.Open(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tree.Close()) }()
	above, err := os.Stat(filepath.Dir(to))
	if err != nil {
		return err
	}
	return fs.WalkDir(tree, ".", func(name string, e fs.DirEntry, err error) error {
		if name != "." && errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		relative := filepath.FromSlash(name)
		at := filepath.Join(to, relative)
		switch {
		case e.Name() == ".git" && e.IsDir():
			return fs.SkipDir
		case e.Name() == ".git":
			return nil
		case e.IsDir():
			if info, err := e.Info(); err != nil {
				return err
			} else if os.SameFile(info, above) {
				return fs.SkipDir
			}
			return os.Mkdir(at, 0o755)
		case e.Type() == fs.ModeSymlink:
			name := filepath.Join(from, relative)
			target, err := os.Readlink(name)
			if err != nil {
				return err
			}
			if !filepath.IsAbs(target) && !filepath.IsLocal(filepath.Join(filepath.Dir(relative), target)) {
				target = filepath.Join(filepath.Dir(name), target)
			}
			return os.Symlink(target, at)
		case e.Type().IsRegular():
			return copyFile(at, tree, name)
		default:
			return nil // a pipe or socket, which no build reads
		}
	})
}

func copyFile(to string, tree *source.Tree, name string) (err error) {
	in, err := tree.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, info.Mode().Perm()|0o200)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
