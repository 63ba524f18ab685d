package assemble

import (
	"context"
	"fmt"
	"time"

	"github.com/slipway-ci/slipway/internal/alpine"
	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/debian"
	"github.com/slipway-ci/slipway/internal/distro"
	"github.com/slipway-ci/slipway/internal/distro/unpack"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/plan"
)

// install makes a layer of the packages that the plan installs for the platform with that number, and adds them to the base's files.
func (c *contents) install(ctx context.Context, number int, base *oci.FileSystem) error {
	b := c.execution
	request := b.plan.PackageRequests()[number]
	return build.Do(b.report, b.lane(request.Platform.String()), "install", func(step build.Step) error {
		ctx := build.Transfer(ctx, step, 0)
		s, err := openSystem(ctx, b.cache, b.bases.bases.Fetch, request, base)
		if err != nil {
			return err
		}
		var chosen distro.Selection
		if locked := b.plan.Image.Distribution.Locked; locked != nil {
			chosen = locked[number]
		} else if chosen, err = s.choose(ctx, nil); err != nil {
			return err
		}
		c.packages = chosen.Packages
		files, err := s.files(ctx, chosen)
		if err != nil || len(files) == 0 {
			return err
		}
		placed, err := base.Place(files)
		if err != nil {
			return err
		}
		made, err := oci.NewLayer(ctx, b.cache, placed, b.created(), compression(b.plan.Image.Compression))
		if err != nil {
			return err
		}
		c.installed = append(c.installed, oci.Layer{Layer: made, CreatedBy: oci.Placed + "packages"})
		return nil
	})
}

// ChoosePackages chooses the newest packages for a request. base is the image that it names, by digest if it has one by now. notBefore are
// the dates that the lists of packages had when packages were last chosen: one that is older is refused.
func ChoosePackages(ctx context.Context, bases *oci.Bases, request plan.PackageRequest, base string, notBefore map[string]time.Time) (distro.Selection, error) {
	var files *oci.FileSystem
	if base != "" {
		found, err := bases.Resolve(ctx, base)
		if err != nil {
			return distro.Selection{}, err
		}
		img, err := found.Image(ociPlatform(request.Platform))
		if err != nil {
			return distro.Selection{}, err
		}
		if files, err = oci.NewFileSystem(ctx, img); err != nil {
			return distro.Selection{}, fmt.Errorf("reading the base %s for %s: %w", base, request.Platform, err)
		}
	}
	s, err := openSystem(ctx, bases.Cache, bases.Fetch, request, files)
	if err != nil {
		return distro.Selection{}, err
	}
	return s.choose(ctx, notBefore)
}

// system is what packages are installed in, and where they are from.
type system interface {
	// choose chooses the newest packages of the request.
	choose(ctx context.Context, notBefore map[string]time.Time) (distro.Selection, error)
	// files are what packages put into the base.
	files(ctx context.Context, chosen distro.Selection) ([]oci.File, error)
}

// openSystem finds out where the packages of a request are from, and which the base's files say are there.
func openSystem(ctx context.Context, c *cache.Cache, fetch unpack.Fetch, request plan.PackageRequest, files *oci.FileSystem) (s system, err error) {
	store, err := newStore(c, fetch, "installing packages")
	if err != nil {
		return nil, err
	}
	if request.Distribution == "alpine" {
		s, err = openAlpine(ctx, store, request, files)
	} else {
		s, err = openDebian(ctx, store, request, files)
	}
	if err != nil && request.Base != "" {
		err = fmt.Errorf("installing packages in the base %s: %w", request.Base, err)
	}
	return s, err
}

// debianSystem is a system of Debian.
type debianSystem struct {
	request   plan.PackageRequest
	installed *debian.System
	archive   *debian.Archive
}

func openDebian(ctx context.Context, store unpack.Store, request plan.PackageRequest, files *oci.FileSystem) (_ system, err error) {
	s := &debianSystem{request, &debian.System{}, &debian.Archive{Store: store}}
	if request.Base == "" {
		s.archive.Release, err = debian.Find(request.Release)
		return s, err
	}
	if s.installed, err = debian.ReadSystem(ctx, files); err != nil {
		return nil, err
	}
	s.archive.Release, err = s.installed.Release(ctx)
	return s, err
}

func (s *debianSystem) choose(ctx context.Context, notBefore map[string]time.Time) (distro.Selection, error) {
	selection, err := s.archive.Resolve(ctx, debian.Request{
		Architecture: s.request.Architecture(), Names: s.request.Names, Installed: s.installed.Installed, NotBefore: notBefore,
	})
	if err != nil {
		return distro.Selection{}, fmt.Errorf("choosing packages of Debian %s: %w", s.archive.Release.Number, err)
	}
	return *selection, nil
}

func (s *debianSystem) files(ctx context.Context, chosen distro.Selection) ([]oci.File, error) {
	return s.archive.Files(ctx, chosen.Packages, chosen.Taken(), s.installed)
}

// alpineSystem is a system of Alpine.
type alpineSystem struct {
	names   []string
	archive *alpine.Archive
}

func openAlpine(ctx context.Context, store unpack.Store, request plan.PackageRequest, files *oci.FileSystem) (system, error) {
	base, err := alpine.ReadSystem(ctx, files)
	return &alpineSystem{request.Names, &alpine.Archive{Store: store, Base: base, Architecture: request.Architecture()}}, err
}

func (s *alpineSystem) choose(ctx context.Context, notBefore map[string]time.Time) (distro.Selection, error) {
	selection, err := s.archive.Resolve(ctx, s.names, notBefore)
	if err != nil {
		return distro.Selection{}, fmt.Errorf("choosing packages of Alpine: %w", err)
	}
	return *selection, nil
}

func (s *alpineSystem) files(ctx context.Context, chosen distro.Selection) ([]oci.File, error) {
	return s.archive.Files(ctx, chosen.Packages, s.names)
}
