package assemble

import (
	"context"
	"fmt"
	"io"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/slipway-ci/slipway/internal/build/placement"
	"github.com/slipway-ci/slipway/internal/distro"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/plan"
)

// contents is what comes on top of the base in the image of a platform.
type contents struct {
	execution *execution
	// installed are the layers of packages.
	installed []oci.Layer
	packages  []distro.Package
	// placed are the plan's layers, and made those of them that need no programs; nil in the places of others.
	placed []placement.Layer
	made   []v1.Layer
}

// prepare makes everything that needs no programs, for the platform with that number.
func (c *contents) prepare(ctx context.Context, number int) (err error) {
	b := c.execution
	p := b.plan.Platforms()[number]
	files, err := b.bases.fileSystem(b.base, ociPlatform(p))
	if err != nil {
		return fmt.Errorf("reading the base %s for %s: %w", b.plan.Image.Base, p, err)
	}
	if b.plan.Image.Distribution != nil {
		if err := c.install(ctx, number, files); err != nil {
			return err
		}
	}
	if c.placed, err = placement.Layers(ctx, files, b.plan.Image.For(p)); err != nil {
		return err
	}
	if err := c.download(ctx, p); err != nil {
		return err
	}
	c.made = make([]v1.Layer, len(c.placed))
	for i, l := range c.placed {
		if !l.NeedsPrograms() {
			if c.made[i], err = c.layer(ctx, l, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// layers are all layers, with the programs.
func (c *contents) layers(ctx context.Context, programs programDirs) ([]oci.Layer, error) {
	all := c.installed[:len(c.installed):len(c.installed)]
	for i, made := range c.made {
		if made == nil {
			var err error
			if made, err = c.layer(ctx, c.placed[i], programs); err != nil {
				return nil, err
			}
		}
		all = append(all, oci.Layer{Layer: made, CreatedBy: oci.Placed + c.placed[i].Name})
	}
	return all, nil
}

// layer makes a layer of the plan.
func (c *contents) layer(ctx context.Context, l placement.Layer, programs programDirs) (made v1.Layer, err error) {
	b := c.execution
	files := make([]oci.File, len(l.Files))
	for i, f := range l.Files {
		if files[i], err = c.open(f, programs); err != nil {
			return nil, fmt.Errorf("making the layer %s: %w", l.Name, err)
		}
	}
	if made, err = oci.NewLayer(ctx, b.cache, files, b.created(), compression(b.plan.Image.Compression)); err != nil {
		return nil, fmt.Errorf("making the layer %s: %w", l.Name, err)
	}
	return made, nil
}

// open is a file with its content. A program is what was noted of it.
func (c *contents) open(f oci.File, programs programDirs) (oci.File, error) {
	switch from := placement.From(f); {
	case from.Source != "":
		file, err := oci.FromFS(f.Path, f.Mode, c.execution.source, from.Source)
		file.UID, file.GID = f.UID, f.GID
		return file, err
	case from.Download != nil:
		f.ID, f.Size = digits(*from.Download), from.Download.Size
		f.Open = func() (io.ReadCloser, error) { return c.execution.cache.GetBlob(f.ID) }
		return f, nil
	case from.Program != "":
		made := c.execution.of(programs, from.Program)
		file, err := oci.FromDisk(c.execution.cache, f.Path, f.Mode, filepath.Join(made.dir, from.Program))
		if noted := made.digests[from.Program]; err == nil && noted != "" && noted != file.ID {
			err = fmt.Errorf("the cached program %s: %w", from.Program, oci.ErrAltered)
		}
		file.Xattrs = f.Xattrs
		return file, err
	default:
		return f, nil
	}
}

func compression(c plan.Compression) oci.Compression {
	return oci.Compression{Zstd: c.Format == plan.Zstd, Level: c.Level}
}
