package assemble

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/plan"
)

// install makes layers of the packages that the plan installs in the base, and returns the file system with them.
func (c *contents) install(ctx context.Context, platform plan.Platform) (*oci.FileSystem, error) {
	b := c.execution
	installer, ok := b.group.compiler.(Installer)
	if !ok {
		return nil, errors.New("installing packages: the engine runs nothing in images")
	}
	ref := b.plan.Image.Base
	if b.base.Name != "" { // the engine finds tags by itself, and they may move
		ref = b.base.Name + "@" + b.base.Digest.String()
	}
	name := "installed-" + strconv.Itoa(b.number) + "-" + strings.ReplaceAll(platform.String(), "/", "-") + ".tar"
	archive := filepath.Join(b.group.dir, name)
	err := build.Do(b.report, b.lane(platform.String()), "install", func(build.Step) error {
		return installer.Install(ctx, b.plan, platform, ref, archive)
	})
	if err != nil {
		return nil, err
	}
	files, err := c.readInstalled(ctx, platform, archive)
	if err != nil {
		return nil, fmt.Errorf("reading the base %s with packages for %s: %w", b.plan.Image.Base, platform, err)
	}
	return files, nil
}

// readInstalled reads the archive of the base with packages.
func (c *contents) readInstalled(ctx context.Context, platform plan.Platform, archive string) (*oci.FileSystem, error) {
	b := c.execution
	found, err := (&oci.Bases{Cache: b.cache}).Resolve(ctx, "oci-archive:"+archive)
	if err != nil {
		return nil, err
	}
	img, err := found.Image(ociPlatform(platform))
	if err != nil {
		return nil, err
	}
	base, err := b.base.Image(ociPlatform(platform))
	if err != nil {
		return nil, err
	}
	layers, err := oci.Added(ctx, b.cache, img, base, b.created(), compression(b.plan.Image.Compression))
	if err != nil {
		return nil, err
	}
	for _, l := range layers {
		c.installed = append(c.installed, oci.Layer{Layer: l, CreatedBy: "slipway: packages"})
	}
	return oci.NewFileSystem(ctx, img)
}
