package host

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// copySource copies the files below the folder from into the new folder to, without git's own. A symbolic link is copied as
// one; if it leads out of the source, it leads to the same place from the copy.
func copySource(ctx context.Context, to, from string) error {
	return filepath.WalkDir(from, func(name string, e fs.DirEntry, err error) error {
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		relative, err := filepath.Rel(from, name)
		if err != nil {
			return err
		}
		at := filepath.Join(to, relative)
		switch {
		case e.Name() == ".git" && e.IsDir():
			return fs.SkipDir
		case e.Name() == ".git":
			return nil
		case e.IsDir():
			return os.Mkdir(at, 0o755)
		case e.Type() == fs.ModeSymlink:
			target, err := os.Readlink(name)
			if err != nil {
				return err
			}
			if !filepath.IsAbs(target) && !filepath.IsLocal(filepath.Join(filepath.Dir(relative), target)) {
				target = filepath.Join(filepath.Dir(name), target)
			}
			return os.Symlink(target, at)
		case e.Type().IsRegular():
			return copyFile(at, name)
		default:
			return nil // a socket or its like, which no build reads
		}
	})
}

func copyFile(to, from string) (err error) {
	in, err := os.Open(from)
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
