package source

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// WriteFile gives a file of the tree a new content, whole or not at all. What has the name is replaced; a link is not followed.
func (t *Tree) WriteFile(name string, content []byte) error {
	temp := path.Join(path.Dir(name), ".slipway-"+rand.Text())
	f, err := t.root.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return explain(name, err)
	}
	_, err = f.Write(content)
	// The umask is nobody's business.
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err == nil {
		err = t.root.Rename(temp, name)
	}
	if err != nil {
		return errors.Join(explain(name, err), t.root.Remove(temp))
	}
	return nil
}

// CheckOutput refuses the path of an output that leads, by a link in one of the directories, out of it: who made the directory, such as
// a source, does not decide where files go. A link elsewhere is the user's own.
func CheckOutput(output string, dirs ...string) (err error) {
	inside, name, err := split(output, dirs)
	if err != nil || inside == "" {
		return err
	}
	t, err := Open(inside)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	at := ""
	for element := range strings.SplitSeq(filepath.ToSlash(name), "/") {
		at = path.Join(at, element)
		if _, err := t.Stat(at); errors.Is(err, ErrOutside) {
			return fmt.Errorf("%s is %w", filepath.Join(inside, at), ErrOutside)
		}
	}
	return nil
}

// Within returns where a path leads to in dir, whatever links lead there, by the rules of package fs; ok reports whether it does.
func Within(file, dir string) (name string, ok bool) {
	inside, name, err := split(file, []string{dir})
	return filepath.ToSlash(name), err == nil && inside != ""
}

// split finds the first of the directories that lead to file which is one of dirs, and the rest of its path; both are empty for none.
func split(file string, dirs []string) (inside, name string, err error) {
	file, err = filepath.Abs(file)
	if err != nil {
		return "", "", err
	}
	var infos []fs.FileInfo
	for _, dir := range dirs {
		info, err := os.Stat(dir)
		if err != nil {
			return "", "", err
		}
		infos = append(infos, info)
	}
	root := filepath.VolumeName(file) + string(filepath.Separator)
	rest := strings.TrimPrefix(file, root)
	for at := root; rest != ""; {
		info, err := os.Stat(at)
		if err != nil {
			return "", "", nil // what is not there yet leads nowhere else
		}
		for _, dir := range infos {
			if os.SameFile(info, dir) {
				return at, rest, nil
			}
		}
		next, after, _ := strings.Cut(rest, string(filepath.Separator))
		at, rest = filepath.Join(at, next), after
	}
	return "", "", nil
}
