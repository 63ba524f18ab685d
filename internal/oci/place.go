package oci

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Place says what a layer with these files, in any order, has to hold so that they are where a Dockerfile's COPY would put them,
// and adds them to f. Links on the way to a file are followed, and its own path if that is a link, all within the image. Directories
// that are there stay as they are: the layer repeats their mode, owner and times, since some runtimes take a directory that a layer
// does not describe for one of root's with the mode 0755. A listed directory that is there gets an owner other than root,
// who may write there then; one that is Exact gets its mode, too. Directories that are missing are root's with the mode 0755; in a setgid
// directory they get its group and are setgid, too.
//
// A directory where there is a file, a file where there is a directory, and two files that would be one are errors, after which f
// is of no use.
func (f *FileSystem) Place(files []File) ([]File, error) {
	layer := layerTree{fs: f, placed: map[string]string{}, at: map[string]File{}}
	files = slices.Clone(files)
	slices.SortStableFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	for _, file := range files {
		if err := layer.place(file); err != nil {
			return nil, err
		}
	}
	all := make([]File, 0, len(layer.at))
	for _, file := range layer.at {
		all = append(all, file)
	}
	slices.SortFunc(all, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return all, nil
}

// layerTree is what comes into a layer.
type layerTree struct {
	fs *FileSystem
	at map[string]File
	// placed has the paths that were asked for, by where they led.
	placed map[string]string
}

func (l *layerTree) place(file File) error {
	if err := file.check(); err != nil {
		return err
	}
	at, found, err := l.follow(file)
	if err != nil {
		return fmt.Errorf("placing %s in the image: %w", file.Path, err)
	}
	if at == "/" {
		return fmt.Errorf("placing %s in the image: it leads to the root directory", file.Path)
	}
	given := file.Path
	if other, twice := l.placed[at]; twice && !(file.Mode.IsDir() && found.isDir()) {
		return fmt.Errorf("%s and %s of one layer are the same file in the image", other, given)
	}
	l.placed[at] = given
	file.Path = at
	switch {
	case found == nil:
	case file.Mode.IsDir() && !found.isDir():
		return fmt.Errorf("placing the directory %s in the image: there is a file in its place: choose another path", given)
	case !file.Mode.IsDir() && found.isDir():
		return fmt.Errorf("placing the file %s in the image: there is a directory in its place: choose another path, or one in it", given)
	case file.Mode.IsDir():
		was := found.file(at)
		if file.Exact {
			was.Mode, was.UID, was.GID = file.Mode, file.UID, file.GID
		} else if file.UID != 0 || file.GID != 0 {
			was.UID, was.GID, was.Mode = file.UID, file.GID, was.Mode|0o700
		}
		file = was
	}
	l.parents(at)
	l.at[at] = file
	l.fs.put(file)
	return nil
}

// follow is where a file leads. A link that is to be placed takes the place of another.
func (l *layerTree) follow(file File) (at string, found *node, err error) {
	if file.Mode.Type() != fs.ModeSymlink {
		return l.fs.walk(file.Path)
	}
	dir, parent, err := l.fs.walk(path.Dir(file.Path))
	if err != nil {
		return "", nil, err
	}
	name := path.Base(file.Path)
	if parent != nil && !parent.isDir() {
		return "", nil, notDirError(dir)
	}
	if parent != nil {
		found = parent.children[name]
	}
	return path.Join(dir, name), found, nil
}

// parents has the directories above at in the layer, highest first.
func (l *layerTree) parents(at string) {
	dir := path.Dir(at)
	if _, listed := l.at[dir]; listed || dir == "/" {
		return
	}
	l.parents(dir)
	parent := File{Path: dir, Mode: fs.ModeDir | 0o755}
	if _, found, err := l.fs.walk(dir); err == nil && found != nil {
		parent = found.file(dir)
	} else if above := l.at[path.Dir(dir)]; above.Mode&fs.ModeSetgid != 0 {
		parent.Mode, parent.GID = parent.Mode|fs.ModeSetgid, above.GID // as mkdir(2) makes it
	}
	l.at[dir] = parent
	l.fs.put(parent)
}
