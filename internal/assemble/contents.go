package assemble

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"

	"github.com/slipway-ci/slipway/image"
	"github.com/slipway-ci/slipway/image/roots"
	"github.com/slipway-ci/slipway/pipeline"
)

// contents is what the layers of a plan put into the image of a platform. It is all that says what a plan's files are there:
// their paths, content, modes and owners, on top of what the base has.
type contents struct {
	build *build
	// files are the image's: those of the base and of layers.
	files  *image.FileSystem
	layers []image.Layer
	// next is the number of the layer of the plan that comes next.
	next int
}

func (c *contents) copy() *contents {
	return &contents{build: c.build, files: c.files.Copy(), layers: c.layers[:len(c.layers):len(c.layers)], next: c.next}
}

// add makes the plan's next layers; without programs, as far as they need none.
func (c *contents) add(ctx context.Context, programs *compiled) error {
	plan := c.build.plan.Image
	for ; c.next < len(plan.Layers); c.next++ {
		layer := plan.Layers[c.next]
		if programs == nil && needsPrograms(layer) {
			return nil
		}
		if err := c.layer(ctx, layer, programs); err != nil {
			return fmt.Errorf("making the layer %s: %w", layer.Name, err)
		}
	}
	return nil
}

func needsPrograms(layer pipeline.Layer) bool {
	for _, f := range layer.Files {
		if f.Program != "" {
			return true
		}
	}
	return false
}

// layer adds a layer, unless the base has all of it.
func (c *contents) layer(ctx context.Context, layer pipeline.Layer, programs *compiled) error {
	var files []image.File
	for _, f := range layer.Files {
		made, err := c.resolve(ctx, f, programs)
		if err != nil {
			return err
		}
		files = append(files, made...)
	}
	if len(files) == 0 {
		return nil
	}
	placed, err := c.files.Place(files)
	if err != nil {
		return err
	}
	plan := c.build.plan.Image
	made, err := image.NewLayer(ctx, c.build.store, placed, c.build.created(), compression(plan.Compression))
	if err != nil {
		return err
	}
	c.layers = append(c.layers, image.Layer{Layer: made, CreatedBy: "slipway: " + layer.Name})
	return nil
}

// resolve says what a file of the plan is in the image: none or more files.
func (c *contents) resolve(ctx context.Context, f pipeline.File, programs *compiled) ([]image.File, error) {
	one := func(file image.File, err error) ([]image.File, error) { return []image.File{file}, err }
	switch {
	case f.Dir:
		uid, gid, err := f.IDs()
		return one(image.File{Path: f.Path, Mode: fs.ModeDir | f.Mode.FileMode(), UID: uid, GID: gid}, err)
	case f.Program != "":
		return one(c.program(f, programs))
	case f.Source != "":
		at := f.Path
		if there, err := c.files.Stat(at); err == nil && there.Mode.IsDir() {
			at = path.Join(at, path.Base(f.Source)) // as COPY does
		}
		return one(image.FromFS(at, f.Mode.FileMode(), c.build.source, f.Source))
	case f.Certificates || f.CACerts != "":
		return c.bundles(ctx, f)
	case f.Append != "":
		return c.extend(ctx, f, f.Path, "", f.Appended)
	default:
		return one(image.FromBytes(f.Path, f.Mode.FileMode(), []byte(f.Text)), nil)
	}
}

// program is a program that is what was noted of it.
func (c *contents) program(f pipeline.File, programs *compiled) (image.File, error) {
	file, err := c.build.store.FromDisk(f.Path, f.Mode.FileMode(), filepath.Join(programs.dir, f.Program))
	if err != nil {
		return file, err
	}
	if noted := programs.digests[f.Program]; noted != "" && noted != file.ID {
		return file, fmt.Errorf("the cached program %s: %w", f.Program, image.ErrAltered)
	}
	return file, nil
}

// bundles are the image's bundles of certificates, each once however many links lead to it, or a new one.
func (c *contents) bundles(ctx context.Context, f pipeline.File) ([]image.File, error) {
	public := string(roots.PEM())
	with := func(bundle string) string { return f.Bundle(bundle, public) }
	var all []image.File
	seen := map[string]bool{}
	for _, name := range pipeline.Bundles {
		there, err := c.files.Stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if seen[there.Path] {
			continue
		}
		seen[there.Path] = true
		files, err := c.extend(ctx, f, there.Path, "", with)
		if err != nil {
			return nil, err
		}
		all = append(all, files...)
	}
	if len(seen) == 0 {
		return c.extend(ctx, f, f.Path, public, with)
	}
	return all, nil
}

// extend is a file of the image with more in it, of the mode and owner that it has; a new one begins with initial. There is nothing to
// place where it has all of it.
func (c *contents) extend(ctx context.Context, f pipeline.File, name, initial string, more func(string) string) ([]image.File, error) {
	content, err := c.files.ReadFile(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return []image.File{image.FromBytes(name, f.Mode.FileMode(), []byte(more(initial)))}, nil
	}
	if err != nil {
		return nil, err
	}
	extended := more(string(content))
	if extended == string(content) {
		return nil, nil
	}
	there, err := c.files.Stat(name)
	if err != nil {
		return nil, err
	}
	file := image.FromBytes(name, there.Mode, []byte(extended))
	file.UID, file.GID, file.Xattrs = there.UID, there.GID, there.Xattrs
	return []image.File{file}, nil
}

func compression(c pipeline.Compression) image.Compression {
	return image.Compression{Zstd: c.Format == pipeline.Zstd, Level: c.Level}
}
