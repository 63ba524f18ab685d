package changed

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/source"
)

// tree compares files of the source, as they are on disk, with a commit. Neither git's index nor what git is configured to ignore
// counts: a file is as it was if the commit has it, with the same bytes. Names are relative to the source, with slashes. Methods
// that say how something is different say so in a phrase for users, which is empty where it is as it was. Once their context is
// done, what they say means nothing.
type tree struct {
	root  string   // the source, without symbolic links
	roots []string // the names that others may call it by
	rev   string   // as the user calls it
	was   map[string]entry
	names []string // of was, sorted
	// outputs are no part of the source.
	outputs plan.Outputs
	// above says how the attributes are different that stand above the source.
	above string
	// compared and converted cache results; all is for everything, nil where nobody has asked.
	compared, converted map[string]string
	all                 *string
}

func openTree(ctx context.Context, dir string, repository *repository, rev string) (*tree, error) {
	was, err := repository.files(ctx)
	if err != nil {
		return nil, err
	}
	root, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, err
	}
	above, err := repository.attributesAbove(ctx)
	if err != nil {
		return nil, err
	}
	t := &tree{
		root: root, roots: []string{dir, root}, rev: rev, was: was, above: above,
		compared: map[string]string{}, converted: map[string]string{},
	}
	for name := range was {
		t.names = append(t.names, name)
	}
	slices.Sort(t.names)
	return t, nil
}

func (t *tree) path(name string) string { return filepath.Join(t.root, filepath.FromSlash(name)) }

// read reads a file.
func (t *tree) read(name string) (_ []byte, err error) {
	opened, err := source.Open(t.root)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	return opened.ReadFile(name)
}

// inSource is the name of what has that path, if it is in the source.
func (t *tree) inSource(at string) (name string, ok bool) {
	for _, root := range t.roots {
		relative, err := filepath.Rel(root, at)
		if relative = filepath.ToSlash(relative); err == nil && relative != ".." && !strings.HasPrefix(relative, "../") {
			return relative, true
		}
	}
	return "", false
}

// file says how the file that name leads to is different, or a symbolic link on the way there.
func (t *tree) file(ctx context.Context, name string) string {
	real, different := t.follow(ctx, name)
	if different != "" {
		return different
	}
	return t.compare(ctx, real)
}

// maybe is file for a file that need not be there, and was not there either.
func (t *tree) maybe(ctx context.Context, name string) string {
	if _, was := t.was[name]; !was {
		if _, err := os.Lstat(t.path(name)); errors.Is(err, fs.ErrNotExist) {
			return ""
		}
	}
	return t.file(ctx, name)
}

// directory says how the directory that name leads to is different: any file of it, at any depth, or its mode.
func (t *tree) directory(ctx context.Context, name string) string {
	real, different := t.follow(ctx, name)
	if different != "" {
		return different
	}
	different = t.walk(ctx, real, "", func(name string, e fs.DirEntry) string {
		if e.IsDir() {
			if len(t.below(name)) == 0 { // git knows no empty directories
				return t.isNew(name)
			}
			return ""
		}
		if different := t.file(ctx, name); different != "" {
			return different
		}
		return t.mode(ctx, name)
	})
	for _, name := range t.below(real) {
		if different == "" {
			different = t.file(ctx, name)
		}
	}
	return different
}

// everything says how any file of the source is different, but Go's and git's own.
func (t *tree) everything(ctx context.Context) string {
	if t.all != nil {
		return *t.all
	}
	different := t.walk(ctx, ".", ".git", func(name string, e fs.DirEntry) string {
		if e.IsDir() || isGo(name) || path.Base(name) == ".git" {
			return ""
		}
		different := t.compare(ctx, name)
		if different == "" && e.Type() == fs.ModeSymlink { // what it leads to is in the source, and gets its turn
			_, different = t.follow(ctx, name)
		}
		return different
	})
	for _, name := range t.names {
		if different == "" && !isGo(name) {
			different = t.compare(ctx, name)
		}
	}
	t.all = &different
	return different
}

// walk calls visit for everything that is below a directory, or for a file, until it says that something is different. Directories called skip
// are left out.
func (t *tree) walk(ctx context.Context, from, skip string, visit func(name string, e fs.DirEntry) string) (different string) {
	err := filepath.WalkDir(t.path(from), func(at string, e fs.DirEntry, err error) error {
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		name, err := filepath.Rel(t.root, at)
		if err != nil {
			return err
		}
		if t.outputs.Has(filepath.ToSlash(name)) {
			return nil
		}
		if e.IsDir() && e.Name() == skip {
			return fs.SkipDir
		}
		if different = visit(filepath.ToSlash(name), e); different != "" {
			return fs.SkipAll
		}
		return nil
	})
	if err != nil {
		return unreadable(from, err)
	}
	return different
}

func isGo(name string) bool { return strings.HasSuffix(name, ".go") }

// below are the names of the commit's files in a directory, at any depth.
func (t *tree) below(dir string) []string {
	if dir == "." {
		return t.names
	}
	from, _ := slices.BinarySearch(t.names, dir+"/")
	to, _ := slices.BinarySearch(t.names, dir+"0") // what follows the slash
	return t.names[from:to]
}

// in are the names of the commit's files right in a directory.
func (t *tree) in(dir string) []string {
	var names []string
	for _, name := range t.below(dir) {
		if path.Dir(name) == dir {
			names = append(names, name)
		}
	}
	return names
}

// maxLinks is how many symbolic links a name may lead through. Systems allow about forty.
const maxLinks = 100

// follow finds the name that a name leads to, through symbolic links that are as they were.
func (t *tree) follow(ctx context.Context, name string) (real, different string) {
	real = "."
	links := 0
	for rest := strings.Split(name, "/"); len(rest) > 0; {
		next := path.Join(real, rest[0])
		rest = rest[1:]
		if next == ".." || strings.HasPrefix(next, "../") {
			return "", shown(name) + " leads out of the source"
		}
		info, err := os.Lstat(t.path(next))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return path.Join(append([]string{next}, rest...)...), ""
		case err != nil:
			return "", unreadable(next, err)
		case info.Mode().Type() != fs.ModeSymlink:
			real = next
			continue
		}
		if links++; links > maxLinks {
			return "", shown(name) + " leads through too many symbolic links"
		}
		if different := t.compare(ctx, next); different != "" {
			return "", different
		}
		target, err := os.Readlink(t.path(next))
		if err != nil {
			return "", unreadable(next, err)
		}
		if filepath.IsAbs(target) {
			if target, err = filepath.Rel(t.root, target); err != nil {
				return "", shown(name) + " leads out of the source"
			}
			real = "."
		}
		rest = append(strings.Split(filepath.ToSlash(target), "/"), rest...)
	}
	return real, ""
}

// compare says how a file, or a symbolic link itself, is different.
func (t *tree) compare(ctx context.Context, name string) string {
	different, ok := t.compared[name]
	if !ok {
		different = t.compareAnew(ctx, name)
		t.compared[name] = different
	}
	return different
}

func (t *tree) compareAnew(ctx context.Context, name string) string {
	was, there := t.was[name]
	info, err := os.Lstat(t.path(name))
	switch {
	case errors.Is(err, fs.ErrNotExist) && there:
		return shown(name) + " was removed"
	case errors.Is(err, fs.ErrNotExist):
		return shown(name) + " is missing"
	case err != nil:
		return unreadable(name, err)
	case !there:
		return t.isNew(name)
	case was.mode == modeSubmodule:
		return "the commit of the submodule " + shown(name) + " is not at hand"
	}
	switch isLink := was.mode == modeLink; {
	case info.Mode().Type() == fs.ModeSymlink && isLink:
		target, err := os.Readlink(t.path(name))
		if err != nil {
			return unreadable(name, err)
		}
		target = filepath.ToSlash(target)
		if was.blob(int64(len(target)), strings.NewReader(target)) {
			return ""
		}
	case info.Mode().IsRegular() && !isLink:
		same, err := was.sameFile(ctx, t.path(name))
		if err != nil {
			return unreadable(name, err)
		}
		if same {
			return t.attributes(ctx, name)
		}
	}
	return shown(name) + " changed"
}

// attributes says how the files are different that say what git makes of a file when it checks it out: the same file of the
// commit may have been another on disk.
func (t *tree) attributes(ctx context.Context, name string) string {
	dir := path.Dir(name)
	if path.Base(name) == attributes {
		if dir == "." {
			return t.above
		}
		dir = path.Dir(dir)
	}
	different, ok := t.converted[dir]
	if !ok {
		file := path.Join(dir, attributes)
		if different = t.maybe(ctx, file); different == "" {
			different = t.attributes(ctx, file)
		}
		t.converted[dir] = different
	}
	return different
}

// mode reports whether the owner may execute the file that name leads to, and could not, or the other way round.
func (t *tree) mode(ctx context.Context, name string) string {
	real, different := t.follow(ctx, name)
	if different != "" {
		return different
	}
	info, err := os.Lstat(t.path(real))
	if err != nil {
		return unreadable(real, err)
	}
	if (info.Mode()&0o100 != 0) != (t.was[real].mode == modeExecutable) {
		return "the mode of " + shown(real) + " changed"
	}
	return ""
}

func (t *tree) isNew(name string) string { return shown(name) + " is not in " + t.rev }

func unreadable(name string, err error) string {
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		err = p.Err // the path would be that of this machine
	}
	return fmt.Sprintf("%s cannot be read: %v", shown(name), err)
}

// shown is a name that a terminal may show.
func shown(name string) string {
	if strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) || !utf8.ValidString(name) {
		return strconv.Quote(name)
	}
	return name
}
