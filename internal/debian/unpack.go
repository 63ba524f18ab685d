package debian

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"hash"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"

	"pault.ag/go/debian/deb"

	"github.com/slipway-ci/slipway/internal/distro"
	"github.com/slipway-ci/slipway/internal/distro/unpack"
)

// contents is what a package was found to hold.
type contents struct {
	// Control are the files of its control archive, by their names.
	Control map[string][]byte `json:"control"`
	// Data is the digest of its data archive, unpacked, which the cache has.
	Data string `json:"data"`
	// Files are in the archive's order.
	Files []unpack.Entry `json:"files"`
}

// Limits on a package, besides that on what its files unpack to.
const (
	memberLimit  = 16
	controlLimit = 16 << 20
)

// unpack reads a package that was fetched, unless the cache says what it holds.
func (a *Archive) unpack(ctx context.Context, p distro.Package) (*contents, error) {
	key := "package of Debian 2 " + p.SHA256
	unlock, err := a.Cache.Lock(ctx, key)
	if err != nil {
		return nil, err
	}
	defer unlock()
	found := &contents{}
	if a.Cache.Get(key, found) && a.Has(found.Data) {
		return found, nil
	}
	found, err = a.readPackage(p)
	if err == nil {
		err = a.Cache.Put(key, found)
	}
	if err != nil {
		return nil, fmt.Errorf("unpacking the package %s %s: %w", p.Name, p.Version, err)
	}
	return found, nil
}

func (a *Archive) readPackage(p distro.Package) (_ *contents, err error) {
	file, err := a.Cache.GetBlob(p.SHA256)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	control, data, err := members(file)
	if err != nil {
		return nil, err
	}
	found := &contents{}
	if found.Control, err = readControl(control); err != nil {
		return nil, fmt.Errorf("%s: %w", control.Name, err)
	}
	is, fields, err := parseControl(found.Control["control"])
	if err != nil {
		return nil, fmt.Errorf("its control file: %w", err)
	}
	if is.Name != p.Name || is.Version != p.Version {
		return nil, fmt.Errorf("it is %s %s", is.Name, is.Version)
	}
	installed, err := strconv.ParseInt(fields["Installed-Size"], 10, 32)
	if err != nil {
		installed = 0
	}
	if err := a.readData(data, found, unpack.Limit(installed<<10)); err != nil {
		return nil, fmt.Errorf("%s: %w", data.Name, err)
	}
	return found, nil
}

// members are the two archives in a package. Source: deb(5)
func members(file io.ReaderAt) (control, data *deb.ArEntry, err error) {
	archive, err := deb.LoadAr(file)
	if err != nil {
		return nil, nil, err
	}
	for count := 0; ; count++ {
		member, err := archive.Next()
		if err == io.EOF {
			break
		}
		switch {
		case err != nil:
			return nil, nil, err
		case count == memberLimit: // the size of one may lead back to it
			return nil, nil, errors.New("its members are not those of a package")
		case count == 0:
			version := make([]byte, 4)
			if _, err := io.ReadFull(member.Data, version); err != nil || member.Name != "debian-binary" || string(version) != "2.0\n" {
				return nil, nil, errors.New("its format is not 2.0")
			}
		case strings.HasPrefix(member.Name, "control.tar") && control == nil && data == nil:
			control = member
		case strings.HasPrefix(member.Name, "data.tar") && control != nil && data == nil:
			data = member
		case !strings.HasPrefix(member.Name, "_"):
			return nil, nil, fmt.Errorf("the member %s is not where the format has it", member.Name)
		}
	}
	if data == nil {
		return nil, nil, errors.New("it has no files")
	}
	return control, data, nil
}

// extensionOf says how a member is compressed.
func extensionOf(member *deb.ArEntry) string {
	return strings.TrimPrefix(path.Ext(member.Name), ".tar")
}

func readControl(member *deb.ArEntry) (files map[string][]byte, err error) {
	unpacked, err := decompress(member.Data, extensionOf(member))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unpacked.Close()) }()
	plain := &io.LimitedReader{R: unpacked, N: controlLimit + 1}
	files = map[string][]byte{}
	for archive := tar.NewReader(plain); ; {
		h, err := archive.Next()
		switch {
		case plain.N <= 0:
			return nil, unpack.TooBig(controlLimit)
		case err == io.EOF:
			return files, nil
		case err != nil:
			return nil, err
		case h.Typeflag != tar.TypeReg:
			continue
		}
		content, err := io.ReadAll(archive)
		if plain.N <= 0 {
			return nil, unpack.TooBig(controlLimit)
		}
		if err != nil {
			return nil, err
		}
		files[strings.TrimPrefix(h.Name, "./")] = content
	}
}

// readData unpacks the data archive into the cache, and takes note of what is where.
func (a *Archive) readData(member *deb.ArEntry, found *contents, limit int64) (err error) {
	plain, err := decompress(member.Data, extensionOf(member))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, plain.Close()) }()
	conffiles := conffilesOf(found.Control)
	found.Data, found.Files, err = unpack.Files(a.Cache, plain, limit, func(name string) hash.Hash {
		if slices.Contains(conffiles, name) {
			return md5.New() // dpkg's database has no other
		}
		return nil
	})
	return err
}

// conffilesOf are the paths of a package's configuration.
func conffilesOf(control map[string][]byte) []string {
	var all []string
	for line := range bytes.Lines(control["conffiles"]) {
		if words := strings.Fields(string(line)); len(words) == 1 { // others have a flag, such as remove-on-upgrade
			all = append(all, words[0])
		}
	}
	return all
}
