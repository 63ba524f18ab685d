package alpine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/slipway-ci/slipway/internal/distro"
	"github.com/slipway-ci/slipway/internal/distro/unpack"
	"github.com/slipway-ci/slipway/internal/oci"
)

// Files are what packages put into the base: their files, what matters of what their scripts would have set up, and the database. names are what
// was asked for. Packages that the cache lacks are fetched.
func (a *Archive) Files(ctx context.Context, chosen []distro.Package, names []string) ([]oci.File, error) {
	all := make([]*contents, len(chosen))
	err := unpack.Each(ctx, chosen, func(ctx context.Context, i int, p distro.Package) (err error) {
		if err := a.fetch(ctx, p); err != nil {
			return err
		}
		all[i], err = a.unpack(ctx, p)
		return err
	})
	if err != nil {
		return nil, err
	}
	triggers, err := a.Base.optional(ctx, a.Base.dir+"/triggers")
	if err != nil {
		return nil, err
	}
	users, err := a.Base.readAccounts(ctx)
	if err != nil {
		return nil, err
	}
	t := unpack.NewTree(a.Base.files)
	of := map[string]*contents{}
	for i, p := range chosen {
		of[p.Name] = all[i]
	}
	ofBase := func(name string) (oci.File, bool) {
		f, err := a.Base.files.Stat(name)
		return f, err == nil
	}
	unpacked := map[string]oci.File{}
	for _, found := range all {
		for _, e := range found.Files {
			unpacked[e.Path] = e.File(a.Cache, found.Data)
		}
	}
	ofAll := func(name string) (oci.File, bool) {
		if f, ok := unpacked[name]; ok {
			return f, true
		}
		return ofBase(name)
	}
	if err := errors.Join(users.runScripts(ofBase, chosen, all, "pre-install"), users.runScripts(ofAll, chosen, all, "post-install", "trigger")); err != nil {
		return nil, err
	}
	for i, p := range chosen {
		if err := a.Base.checkTriggers(triggers, p, all[i].dirs()); err != nil {
			return nil, err
		}
		for j, e := range all[i].Files {
			f := e.File(a.Cache, all[i].Data)
			users.own(e, &f)
			all[i].Files[j].UID, all[i].Files[j].GID = f.UID, f.GID // which the database has as well
			if a.keeps(f) {
				f.Path += ".apk-new"
			}
			err := t.Install(p.Name, f, func(other string) bool { return a.overwrites(f.Path, all[i], of[other]) })
			if err != nil {
				return nil, err
			}
		}
	}
	users.put(t)
	a.busyboxLinks(t, all)
	if err := t.AddCertificates(a.Cache); err != nil {
		return nil, err
	}
	if err := a.record(ctx, t, chosen, all, names, triggers); err != nil {
		return nil, fmt.Errorf("writing the package database: %w", err)
	}
	return t.Files(), nil
}

// dirs are the directories of a package's files.
func (c *contents) dirs() []string {
	var dirs []string
	for _, e := range c.Files {
		dirs = append(dirs, path.Dir(e.Path))
	}
	slices.Sort(dirs)
	return slices.Compact(dirs)
}

// keeps reports whether the base has a file of its configuration in the place of a package's, which apk leaves there.
func (a *Archive) keeps(f oci.File) bool {
	if f.Mode.IsDir() || !strings.HasPrefix(f.Path, "/etc/") || a.Base.owners[f.Path] != nil {
		return false
	}
	there, err := a.Base.files.Stat(f.Path)
	return err == nil && !there.Mode.IsDir()
}

// overwrites reports whether a file of a package takes the place of another package's, or, if that is nil, of one that the base has: it is of
// the same source, or says that it replaces the other, or nobody owns the file, as the links of busybox. Source: apk-package(5)
func (a *Archive) overwrites(file string, by, other *contents) bool {
	var c candidate
	switch owner := a.Base.owners[file]; {
	case other != nil:
		v, err := parseVersion(other.one("pkgver"))
		if err != nil {
			return false
		}
		c = candidate{name: other.one("pkgname"), version: v, origin: other.one("origin")}
	case owner != nil:
		c = *owner
	default:
		return true
	}
	if c.origin != "" && c.origin == by.one("origin") {
		return true
	}
	return slices.ContainsFunc(by.Info["replaces"], func(text string) bool {
		d, err := parseDependency(text)
		return err == nil && d.satisfiedBy(&c)
	})
}

// busyboxPaths is where packages of busybox list the links that their programs have.
const busyboxPaths = "/etc/busybox-paths.d/"

// busyboxLinks makes the links of programs of busybox that packages bring, unless there is something in their places.
func (a *Archive) busyboxLinks(t *unpack.Tree, all []*contents) {
	for _, found := range all {
		for _, e := range found.Files {
			program := "/bin/" + path.Base(e.Path)
			if !strings.HasPrefix(e.Path, busyboxPaths) || !t.Has(program) || !e.Mode.IsRegular() {
				continue
			}
			f, ok := t.File(e.Path)
			if !ok {
				continue
			}
			text, err := unpack.Read(f)
			if err != nil {
				continue // whoever makes a layer of the file reports it
			}
			for line := range strings.Lines(string(text)) {
				name := strings.TrimSpace(line)
				if fs.ValidPath(name) && name != "." {
					t.Add(oci.File{Path: "/" + name, Mode: fs.ModeSymlink | fs.ModePerm, Link: program})
				}
			}
		}
	}
}
