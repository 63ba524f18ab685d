package assemble

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/debian"
	"github.com/slipway-ci/slipway/internal/distro"
	"github.com/slipway-ci/slipway/internal/distro/unpack"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/plan"
)

// debian makes a layer of the packages of Debian that the plan installs for the platform with that number, and adds them to the base's files.
func (c *contents) debian(ctx context.Context, number int, base *oci.FileSystem) error {
	b := c.execution
	request := b.plan.PackageRequests()[number]
	return build.Do(b.report, b.lane(request.Platform.String()), "install", func(build.Step) error {
		s, err := openSystem(ctx, b.cache, b.bases.bases.Fetch, request, base)
		if err != nil {
			return err
		}
		var chosen distro.Selection
		if locked := b.plan.Image.Debian.Locked; locked != nil {
			chosen = locked[number]
		} else if chosen, err = s.choose(ctx, request, nil); err != nil {
			return err
		}
		files, err := s.archive.Files(ctx, chosen.Packages, chosen.Taken(), s.installed)
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
		c.installed = append(c.installed, oci.Layer{Layer: made, CreatedBy: "slipway: packages"})
		return nil
	})
}

// ChoosePackages chooses the newest packages for a request. base is the image that it names, by digest if it has one by now. notBefore are
// the dates that the suites had when packages were last chosen: an archive that is older is refused.
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
	return s.choose(ctx, request, notBefore)
}

// system is what packages are installed in, and where they are from.
type system struct {
	installed *debian.System
	archive   *debian.Archive
}

// openSystem finds out of which release of Debian the packages of a request are, and which the base's files say are there.
func openSystem(ctx context.Context, c *cache.Cache, fetch unpack.Fetch, request plan.PackageRequest, files *oci.FileSystem) (_ *system, err error) {
	if fetch == nil {
		return nil, errors.New("installing packages: nothing can be fetched from Debian's archive here")
	}
	s := &system{installed: &debian.System{}, archive: &debian.Archive{Store: unpack.Store{Cache: c, Fetch: fetch}}}
	if request.Base == "" {
		s.archive.Release, err = debian.Find(request.Release)
		return s, err
	}
	if s.installed, err = debian.ReadSystem(ctx, files); err == nil {
		s.archive.Release, err = s.installed.Release(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("installing packages in the base %s: %w", request.Base, err)
	}
	return s, nil
}

// choose chooses the packages of a request.
func (s *system) choose(ctx context.Context, request plan.PackageRequest, notBefore map[string]time.Time) (distro.Selection, error) {
	selection, err := s.archive.Resolve(ctx, debian.Request{
		Architecture: plan.DebianArchitecture(request.Platform), Names: request.Names, Installed: s.installed.Installed, NotBefore: notBefore,
	})
	if err != nil {
		return distro.Selection{}, fmt.Errorf("choosing packages of Debian %s: %w", s.archive.Release.Number, err)
	}
	return *selection, nil
}
