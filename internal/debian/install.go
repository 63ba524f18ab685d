package debian

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/oci"
)

// Files are what packages put into an image: their files, what matters of what their scripts would have set up, and the database. taken is
// when the packages were chosen. Those that the cache lacks are fetched.
func (a *Archive) Files(ctx context.Context, packages []Package, taken time.Time, base *System) ([]oci.File, error) {
	if err := a.fetched(ctx, packages, taken); err != nil {
		return nil, err
	}
	all := make([]*contents, len(packages))
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(fetchers)
	for i, p := range packages {
		group.Go(func() (err error) {
			if all[i], err = a.unpack(groupCtx, p); err != nil {
				return err
			}
			return checkScripts(p, all[i])
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	t := &tree{base: base, cache: a.Cache, files: map[string]oci.File{}, from: map[string]string{}, links: map[string]string{}}
	t.merge(a.Release, all)
	for i, p := range packages {
		for _, e := range all[i].Files {
			if err := t.install(p.Name, e.file(a.Cache, all[i].Data)); err != nil {
				return nil, err
			}
		}
	}
	for _, p := range packages {
		if err := t.set(p.Name); err != nil {
			return nil, fmt.Errorf("setting up the package %s: %w", p.Name, err)
		}
	}
	if err := t.record(packages, all); err != nil {
		return nil, fmt.Errorf("writing the package database: %w", err)
	}
	var files []oci.File
	for _, f := range t.files {
		files = append(files, f)
	}
	slices.SortFunc(files, func(a, b oci.File) int { return strings.Compare(a.Path, b.Path) })
	return files, nil
}

// tree is what comes into an image.
type tree struct {
	base  *System
	cache *cache.Cache
	files map[string]oci.File
	// from is which package a file is from.
	from map[string]string
	// links are the directories at the top that are links, such as /lib to usr/lib.
	links map[string]string
}

// merged are the directories at the top that are links to those below usr. Before Debian 13, no package has the links.
// Source: https://wiki.debian.org/UsrMerge
var merged = []string{"bin", "lib", "lib64", "sbin"}

// merge finds the links at the top, which packages may have files below. A base has its own.
func (t *tree) merge(release Release, all []*contents) {
	for _, found := range all {
		for _, e := range found.Files {
			if e.Link != "" && path.Dir(e.Path) == "/" {
				t.links[e.Path] = e.Link
			}
		}
	}
	if release.Number != "12" || !t.base.empty() {
		return
	}
	for _, name := range merged {
		link := oci.File{Path: "/" + name, Mode: fs.ModeSymlink | fs.ModePerm, Link: "usr/" + name}
		t.links[link.Path] = link.Link
		t.put(link)
		t.put(oci.File{Path: "/usr/" + name, Mode: fs.ModeDir | 0o755})
	}
}

// install adds a file of a package.
func (t *tree) install(name string, f oci.File) error {
	if f.Path == "/" {
		return nil
	}
	if top, rest, below := strings.Cut(f.Path[1:], "/"); below && t.links["/"+top] != "" {
		f.Path = path.Join("/", t.links["/"+top], rest)
	} else if !below && f.Mode.IsDir() && t.links[f.Path] != "" {
		return nil
	}
	was, twice := t.files[f.Path]
	if twice && f.Mode.IsDir() && was.Mode.IsDir() {
		return nil
	}
	if twice {
		return fmt.Errorf("the packages %s and %s both have %s (leave one out)", t.from[f.Path], name, f.Path)
	}
	if !f.Mode.IsDir() && t.base.files != nil {
		there, err := t.base.files.Stat(f.Path)
		switch {
		case err == nil && !there.Mode.IsDir():
			return fmt.Errorf("the package %s has %s, and so has the base (leave the package out, or choose another base)", name, f.Path)
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return err
		}
	}
	t.put(f)
	t.from[f.Path] = name
	return nil
}

func (t *tree) put(f oci.File) { t.files[f.Path] = f }

// add adds a file unless there is one.
func (t *tree) add(f oci.File) {
	if _, there := t.files[f.Path]; there || t.base.has(f.Path) {
		return
	}
	t.put(f)
}

// link puts a symbolic link in the place of a directory of a package.
func (t *tree) link(name, target string) {
	if t.base.has(name) {
		return
	}
	t.put(oci.File{Path: name, Mode: fs.ModeSymlink | fs.ModePerm, Link: target})
}
