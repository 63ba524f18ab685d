package alpine

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // the digest that apk's database has
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/slipway-ci/slipway/internal/distro"
	"github.com/slipway-ci/slipway/internal/distro/unpack"
	"github.com/slipway-ci/slipway/internal/oci"
)

// record writes down what was installed, as apk does: the packages and their files, their scripts and triggers, and what was asked for.
func (a *Archive) record(ctx context.Context, t *unpack.Tree, chosen []distro.Package, all []*contents, names []string, triggers []byte) error {
	database := bytes.Clone(bytes.TrimRight(a.Base.database, "\n"))
	if len(database) > 0 {
		database = append(database, "\n\n"...)
	}
	var scripts []*contents
	for i, p := range chosen {
		database = append(database, all[i].paragraph(p)...)
		if watched := strings.Join(all[i].Info["triggers"], " "); watched != "" {
			triggers = fmt.Appendf(bytes.Clone(triggers), "%s %s\n", all[i].Digest, watched)
		}
		if len(all[i].Scripts) > 0 {
			scripts = append(scripts, all[i])
		}
	}
	if len(chosen) > 0 {
		a.write(t, a.Base.dir+"/installed", database)
	}
	if len(triggers) > 0 {
		a.write(t, a.Base.dir+"/triggers", triggers)
	}
	world := strings.Fields(string(a.Base.world))
	for _, name := range names {
		world = slices.DeleteFunc(world, func(word string) bool { return nameOf(word) == nameOf(name) })
		world = append(world, name)
	}
	slices.Sort(world)
	a.write(t, worldFile, []byte(strings.Join(world, "\n")+"\n"))
	if len(scripts) == 0 {
		return nil
	}
	return a.recordScripts(ctx, t, scripts)
}

// nameOf is the name in a dependency of the world.
func nameOf(word string) string {
	if at := strings.IndexAny(word, "<>=~@"); at >= 0 {
		return word[:at]
	}
	return word
}

// write has a file with the mode and owner that the base's has.
func (a *Archive) write(t *unpack.Tree, name string, content []byte) {
	f := oci.FromBytes(name, 0o644, content)
	if was, err := a.Base.files.Stat(name); err == nil && was.Mode.IsRegular() {
		f.Mode, f.UID, f.GID = was.Mode, was.UID, was.GID
	}
	t.Put(f)
}

// fields are those of the database that are from a package's .PKGINFO, in apk's order.
var fields = []struct {
	letter byte
	key    string
	always bool
}{
	{'A', "arch", false},
	{'S', "", true},
	{'I', "size", true},
	{'T', "pkgdesc", true},
	{'U', "url", true},
	{'L', "license", true},
	{'o', "origin", false},
	{'m', "maintainer", false},
	{'t', "builddate", false},
	{'c', "commit", false},
	{'k', "provider_priority", false},
	{'D', "depend", false},
	{'p', "provides", false},
	{'i', "install_if", false},
	{'r', "replaces", false},
	{'q', "replaces_priority", false},
}

// paragraph is a package in apk's database. Source: apk_db_fdb_write in
// https://gitlab.alpinelinux.org/alpine/apk-tools/-/blob/v3.0.6/src/database.c
func (c *contents) paragraph(p distro.Package) []byte {
	text := fmt.Appendf(nil, "C:%s\nP:%s\nV:%s\n", c.Digest, p.Name, p.Version)
	for _, f := range fields {
		value := strings.Join(c.Info[f.key], " ")
		if f.letter == 'S' {
			value = fmt.Sprint(p.Size)
		}
		if value != "" || f.always {
			text = fmt.Appendf(text, "%c:%s\n", f.letter, value)
		}
	}
	entries := map[string]unpack.Entry{}
	files := map[string][]unpack.Entry{}
	var dirs []string
	for _, e := range c.Files {
		dir := e.Path
		if !e.Mode.IsDir() {
			dir = path.Dir(e.Path)
			files[dir] = append(files[dir], e)
		}
		if !slices.Contains(dirs, dir) && dir != "/" || dir == "/" && len(files["/"]) == 1 && !e.Mode.IsDir() {
			dirs = append(dirs, dir)
		}
		if e.Mode.IsDir() {
			entries[dir] = e
		}
	}
	for _, dir := range dirs {
		text = fmt.Appendf(text, "F:%s\n", strings.TrimPrefix(dir, "/"))
		if e, ok := entries[dir]; ok {
			text = append(text, ownership('M', e, 0o755)...)
		}
		for _, e := range files[dir] {
			text = fmt.Appendf(text, "R:%s\n%s", path.Base(e.Path), ownership('a', e, 0o644))
			if sum, err := hex.DecodeString(e.Sum); err == nil && len(sum) > 0 {
				text = fmt.Appendf(text, "Z:Q1%s\n", base64.StdEncoding.EncodeToString(sum))
			}
		}
	}
	return append(text, '\n')
}

// ownership is the line with a file's owner, mode and extended attributes; empty for what is usual.
func ownership(letter byte, e unpack.Entry, usual int64) []byte {
	permissions := oci.File{Mode: e.Mode}.Permissions()
	if e.UID == 0 && e.GID == 0 && permissions == usual && len(e.Xattrs) == 0 {
		return nil
	}
	line := fmt.Appendf(nil, "%c:%d:%d:%o", letter, e.UID, e.GID, permissions)
	if len(e.Xattrs) > 0 {
		sum := sha1.New() //nolint:gosec // as apk
		for _, name := range slices.Sorted(maps.Keys(e.Xattrs)) {
			for _, part := range [][]byte{[]byte(name), e.Xattrs[name]} {
				sum.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part)))) //nolint:gosec // of an archive's header
				sum.Write(part)
			}
		}
		line = fmt.Appendf(line, ":Q1%s", base64.StdEncoding.EncodeToString(sum.Sum(nil)))
	}
	return append(line, '\n')
}

// recordScripts adds scripts to the archive of those of the base. Newer versions of apk have it compressed.
func (a *Archive) recordScripts(ctx context.Context, t *unpack.Tree, all []*contents) error {
	name := a.Base.dir + "/scripts.tar"
	packed, err := a.Base.optional(ctx, name)
	if err == nil && packed == nil {
		var compressed []byte
		if compressed, err = a.Base.optional(ctx, name+".gz"); compressed != nil {
			name += ".gz"
			if packed, err = gunzip(compressed); err != nil {
				return fmt.Errorf("reading %s of the base: %w", name, err)
			}
		}
	}
	if err != nil {
		return err
	}
	var made bytes.Buffer
	archive := tar.NewWriter(&made)
	for old := tar.NewReader(bytes.NewReader(packed)); ; {
		h, err := old.Next()
		if err == io.EOF {
			break
		}
		if err == nil {
			err = archive.WriteHeader(h)
		}
		if err == nil {
			_, err = io.Copy(archive, old) //nolint:gosec // it is as long as what is read
		}
		if err != nil {
			return fmt.Errorf("reading %s of the base: %w", name, err)
		}
	}
	for _, c := range all {
		for _, script := range scripts {
			text, ok := c.Scripts[script]
			if !ok {
				continue
			}
			h := &tar.Header{
				Name: c.one("pkgname") + "-" + c.one("pkgver") + "." + c.Digest + "." + script, Mode: 0o755, Size: int64(len(text)), Typeflag: tar.TypeReg,
				ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR,
			}
			if err := archive.WriteHeader(h); err != nil {
				return err
			}
			if _, err := archive.Write(text); err != nil {
				return err
			}
		}
	}
	if err := archive.Close(); err != nil {
		return err
	}
	if !strings.HasSuffix(name, ".gz") {
		a.write(t, name, made.Bytes())
		return nil
	}
	var compressed bytes.Buffer
	w := gzip.NewWriter(&compressed)
	if _, err := w.Write(made.Bytes()); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	a.write(t, name, compressed.Bytes())
	return nil
}

// gunzip unpacks what is as long as the control files of a package at most.
func gunzip(packed []byte) (_ []byte, err error) {
	unpacked, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unpacked.Close()) }()
	plain, err := io.ReadAll(io.LimitReader(unpacked, controlLimit+1))
	if err == nil && len(plain) > controlLimit {
		err = tooBig(controlLimit)
	}
	return plain, err
}
