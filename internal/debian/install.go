package debian

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"time"

	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/distro"
	"github.com/slipway-ci/slipway/internal/distro/unpack"
	"github.com/slipway-ci/slipway/internal/oci"
)

// Files are what packages put into an image: their files, what matters of what their scripts would have set up, and the database. taken is
// when the packages were chosen. Those that the cache lacks are fetched.
func (a *Archive) Files(ctx context.Context, chosen []distro.Package, taken time.Time, base *System) ([]oci.File, error) {
	all := make([]*contents, len(chosen))
	err := unpack.Each(ctx, chosen, func(ctx context.Context, i int, p distro.Package) (err error) {
		if err := a.fetch(ctx, p, taken); err != nil {
			return err
		}
		all[i], err = a.unpack(ctx, p)
		return err
	})
	if err != nil {
		return nil, err
	}
	t := newTree(base, a.Cache)
	t.merge(a.Release, all)
	for i, p := range chosen {
		for _, e := range all[i].Files {
			if err := t.Install(p.Name, e.File(a.Cache, all[i].Data), nil); err != nil {
				return nil, err
			}
		}
	}
	before := t.runScripts(chosen, all, "preinst")
	for _, p := range chosen {
		if err := t.set(p.Name); err != nil {
			return nil, fmt.Errorf("setting up the package %s: %w", p.Name, err)
		}
	}
	if err := errors.Join(before, t.runScripts(chosen, all, "postinst")); err != nil {
		return nil, err
	}
	t.putAlternatives()
	if err := t.record(chosen, all); err != nil {
		return nil, fmt.Errorf("writing the package database: %w", err)
	}
	return t.Files(), nil
}

// tree is what comes into an image.
type tree struct {
	*unpack.Tree
	base  *System
	cache *cache.Cache
	// choices are the alternatives, by their names.
	choices map[string]*alternative
}

func newTree(base *System, c *cache.Cache) *tree {
	return &tree{unpack.NewTree(base.files), base, c, map[string]*alternative{}}
}

// merged are the directories at the top that are links to those below usr. Before Debian 13, no package has the links.
// Source: https://wiki.debian.org/UsrMerge
var merged = []string{"bin", "lib", "lib64", "sbin"}

// merge finds the links at the top, which packages may have files below. A base has its own.
func (t *tree) merge(release Release, all []*contents) {
	for _, found := range all {
		for _, e := range found.Files {
			if e.Link != "" && path.Dir(e.Path) == "/" {
				t.LinkTop(e.Path, e.Link)
			}
		}
	}
	if release.Number != "12" || !t.base.empty() {
		return
	}
	for _, name := range merged {
		link := oci.File{Path: "/" + name, Mode: fs.ModeSymlink | fs.ModePerm, Link: "usr/" + name}
		t.LinkTop(link.Path, link.Link)
		t.Put(link)
		t.Put(oci.File{Path: "/usr/" + name, Mode: fs.ModeDir | 0o755})
	}
}
