package assemble

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"

	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/oci/roots"
	"github.com/slipway-ci/slipway/internal/plan"
)

// contents is what the layers of a plan put into the image of a platform. It is all that says what a plan's files are there:
// their paths, content, modes and owners, on top of what the base has.
type contents struct {
	execution *execution
	// files are the image's: those of the base and of layers.
	files  *oci.FileSystem
	layers []oci.Layer
	// next is the number of the layer of the plan that comes next.
	next int
}

func (c *contents) copy() *contents {
	return &contents{execution: c.execution, files: c.files.Copy(), layers: c.layers[:len(c.layers):len(c.layers)], next: c.next}
}

// add makes the plan's next layers; without programs, as far as they need none.
func (c *contents) add(ctx context.Context, programs *compiled) error {
	plan := c.execution.plan.Image
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

func needsPrograms(layer plan.Layer) bool {
	for _, f := range layer.Files {
		if f.Program != "" {
			return true
		}
	}
	return false
}

// layer adds a layer, unless the base has all of it.
func (c *contents) layer(ctx context.Context, layer plan.Layer, programs *compiled) error {
	var files []oci.File
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
	plan := c.execution.plan.Image
	made, err := oci.NewLayer(ctx, c.execution.cache, placed, c.execution.created(), compression(plan.Compression))
	if err != nil {
		return err
	}
	c.layers = append(c.layers, oci.Layer{Layer: made, CreatedBy: "slipway: " + layer.Name})
	return nil
}

// starts finds out whether a container can run the file: an entrypoint may be the base's.
func (c *contents) starts(entrypoint string) error {
	file, err := c.files.Stat(entrypoint)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("the entrypoint %s is not in the image: its base %s has no such file: name another with --entrypoint, or place a program there with --package DIR=%s",
			entrypoint, c.execution.plan.Image.Base, entrypoint)
	case err != nil:
		return fmt.Errorf("the entrypoint %s: %w", entrypoint, err)
	case !file.Mode.IsRegular() || file.Mode&0o111 == 0:
		return fmt.Errorf("the entrypoint %s is not an executable file (%s): name another with --entrypoint", entrypoint, file.Mode)
	}
	return nil
}

// resolve says what a file of the plan is in the image: none or more files.
func (c *contents) resolve(ctx context.Context, f plan.File, programs *compiled) ([]oci.File, error) {
	one := func(file oci.File, err error) ([]oci.File, error) { return []oci.File{file}, err }
	switch {
	case f.Dir:
		uid, gid, err := f.IDs()
		return one(oci.File{Path: f.Path, Mode: fs.ModeDir | f.Mode.FileMode(), UID: uid, GID: gid}, err)
	case f.Program != "":
		return one(c.program(f, programs))
	case f.Source != "":
		at := f.Path
		if there, err := c.files.Stat(at); err == nil && there.Mode.IsDir() {
			at = path.Join(at, path.Base(f.Source)) // as COPY does
		}
		return one(oci.FromFS(at, f.Mode.FileMode(), c.execution.source, f.Source))
	case f.Certificates || f.CACerts != "":
		return c.bundles(ctx, f)
	case f.Append != "":
		return c.extend(ctx, f, f.Path, "", f.Appended)
	default:
		return one(oci.FromBytes(f.Path, f.Mode.FileMode(), []byte(f.Text)), nil)
	}
}

// program is a program that is what was noted of it.
func (c *contents) program(f plan.File, programs *compiled) (oci.File, error) {
	file, err := oci.FromDisk(c.execution.cache, f.Path, f.Mode.FileMode(), filepath.Join(programs.dir, f.Program))
	if err != nil {
		return file, err
	}
	if noted := programs.digests[f.Program]; noted != "" && noted != file.ID {
		return file, fmt.Errorf("the cached program %s: %w", f.Program, oci.ErrAltered)
	}
	return file, nil
}

// bundles are the image's bundles of certificates, each once however many links lead to it, or a new one.
func (c *contents) bundles(ctx context.Context, f plan.File) ([]oci.File, error) {
	public := string(roots.PEM())
	with := func(bundle string) string { return f.Bundle(bundle, public) }
	var all []oci.File
	seen := map[string]bool{}
	for _, name := range plan.Bundles {
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
func (c *contents) extend(ctx context.Context, f plan.File, name, initial string, more func(string) string) ([]oci.File, error) {
	content, err := c.files.ReadFile(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return []oci.File{oci.FromBytes(name, f.Mode.FileMode(), []byte(more(initial)))}, nil
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
	file := oci.FromBytes(name, there.Mode, []byte(extended))
	file.UID, file.GID, file.Xattrs = there.UID, there.GID, there.Xattrs
	return []oci.File{file}, nil
}

func compression(c plan.Compression) oci.Compression {
	return oci.Compression{Zstd: c.Format == plan.Zstd, Level: c.Level}
}
