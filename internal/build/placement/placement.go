// Package placement computes what the files of a plan are in an image: their paths, modes, owners and contents, on top of what the base
// has. Whoever makes the image only puts them there.
package placement

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"

	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/oci/roots"
	"github.com/slipway-ci/slipway/internal/plan"
)

// Layer is a layer of a plan, as it comes into an image.
type Layer struct {
	Name string
	// Files are the plan's and the directories above them, sorted by path. Directories that the base has are as they are there.
	Files []oci.File
}

// From says what a file of a layer holds: its Program, Source, Download or Text is set, and none for a directory or link. A program, a download
// and what is in the source have to be opened by whoever has them.
func From(f oci.File) plan.File {
	from, _ := f.From.(plan.File)
	return from
}

// NeedsPrograms reports whether programs come into the layer.
func (l Layer) NeedsPrograms() bool {
	return slices.ContainsFunc(l.Files, func(f oci.File) bool { return From(f).Program != "" })
}

// Layers places the layers of an image on the file system of its base, which has their files in the end. A layer that the base has all
// of is left out. The entrypoint has to be a file that can be executed then.
func Layers(ctx context.Context, base *oci.FileSystem, image plan.Image) ([]Layer, error) {
	var all []Layer
	for _, layer := range image.Layers {
		placed, err := place(ctx, base, layer.Files)
		if err != nil {
			return nil, fmt.Errorf("making the layer %s: %w", layer.Name, err)
		}
		if len(placed) > 0 {
			all = append(all, Layer{layer.Name, placed})
		}
	}
	return all, starts(base, image)
}

// starts checks that a container can run the entrypoint, which may be a file of the base.
func starts(files *oci.FileSystem, image plan.Image) error {
	entrypoint := image.Command()[0]
	file, err := files.Stat(entrypoint)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("the entrypoint %s is not in the image: its base %s has no such file: name another with --entrypoint, or place a program there with --package DIR=%s",
			entrypoint, image.Base, entrypoint)
	case err != nil:
		return fmt.Errorf("the entrypoint %s: %w", entrypoint, err)
	case !file.Mode.IsRegular() || file.Mode&0o111 == 0:
		return fmt.Errorf("the entrypoint %s is not an executable file (%s): name another with --entrypoint", entrypoint, file.Mode)
	}
	return nil
}

func place(ctx context.Context, base *oci.FileSystem, files []plan.File) ([]oci.File, error) {
	var all []oci.File
	for _, f := range files {
		resolved, err := resolve(ctx, base, f)
		if err != nil {
			return nil, err
		}
		all = append(all, resolved...)
	}
	return base.Place(all)
}

// resolve says what a file of the plan is in the image: none or more files.
func resolve(ctx context.Context, base *oci.FileSystem, f plan.File) ([]oci.File, error) {
	file := oci.File{Path: f.Path, Mode: f.Mode.FileMode()}
	var err error
	if file.UID, file.GID, err = f.IDs(); err != nil {
		return nil, err
	}
	switch {
	case f.Dir:
		file.Mode |= fs.ModeDir
		file.Exact = f.Exact
		return []oci.File{file}, nil
	case f.Link != "":
		file.Mode, file.Link = fs.ModeSymlink|fs.ModePerm, f.Link
		return []oci.File{file}, nil
	case f.Program != "" || f.Source != "" || f.Download != nil:
		file.From, file.Open, file.Xattrs = f, notYet, f.Xattrs()
		if there, err := base.Stat(f.Path); f.Program == "" && err == nil && there.Mode.IsDir() {
			name := path.Base(f.Source)
			if f.Download != nil {
				name = f.Download.Name()
			}
			file.Path = path.Join(f.Path, name) // as COPY and ADD do
		}
		return []oci.File{file}, nil
	case f.Certificates || f.CACerts != "":
		names, err := bundles(base, f.Path)
		if err != nil {
			return nil, err
		}
		public := string(roots.PEM())
		return extend(ctx, base, f, names, public, func(bundle string) string { return f.Bundle(bundle, public) })
	case f.Append != "":
		if err := taken(ctx, base, f); err != nil {
			return nil, err
		}
		return extend(ctx, base, f, []string{f.Path}, "", f.Appended)
	default:
		return []oci.File{text(f.Path, file.Mode, f.Text)}, nil
	}
}

func text(name string, mode fs.FileMode, content string) oci.File {
	file := oci.FromBytes(name, mode, []byte(content))
	file.From = plan.File{Text: content}
	return file
}

func notYet() (io.ReadCloser, error) { return nil, errors.New("its content is not there yet") }

// taken is the error of a required line whose name or number the base has given away.
func taken(ctx context.Context, base *oci.FileSystem, f plan.File) error {
	if !f.Required {
		return nil
	}
	content, err := base.ReadFile(ctx, f.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if line := f.Taken(string(content)); line != "" {
		return fmt.Errorf("naming the user: %s of the base has the line %q (choose another --user or --user-name)", f.Path, line)
	}
	return nil
}

// bundles are the image's bundles of certificates, each once however many links lead to it, or the one to make.
func bundles(base *oci.FileSystem, missing string) ([]string, error) {
	var names []string
	for _, name := range plan.Bundles {
		there, err := base.Stat(name)
		switch {
		case errors.Is(err, fs.ErrNotExist) || err == nil && slices.Contains(names, there.Path):
		case err != nil:
			return nil, err
		default:
			names = append(names, there.Path)
		}
	}
	if names == nil {
		return []string{missing}, nil
	}
	return names, nil
}

// extend is files of the image with more in them, of the mode and owner that they have; a new one begins with initial. There is nothing
// to place for those that have all of it.
func extend(ctx context.Context, base *oci.FileSystem, f plan.File, names []string, initial string, more func(string) string) ([]oci.File, error) {
	var files []oci.File
	for _, name := range names {
		there, err := base.Stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			files = append(files, text(name, f.Mode.FileMode(), more(initial)))
			continue
		}
		if err != nil {
			return nil, err
		}
		content, err := base.ReadFile(ctx, name)
		if err != nil {
			return nil, err
		}
		if extended := more(string(content)); extended != string(content) {
			file := text(name, there.Mode, extended)
			file.UID, file.GID, file.Xattrs = there.UID, there.GID, there.Xattrs
			files = append(files, file)
		}
	}
	return files, nil
}
