package debian

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"pault.ag/go/debian/deb"

	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/oci"
)

// contents is what a package was found to hold.
type contents struct {
	// Control are the files of its control archive, by their names.
	Control map[string][]byte `json:"control"`
	// Data is the digest of its data archive, unpacked, which the cache has.
	Data string `json:"data"`
	// Files are in the archive's order.
	Files []entry `json:"files"`
}

// entry is a file of a package.
type entry struct {
	Path string      `json:"path"`
	Mode fs.FileMode `json:"mode"`
	UID  int         `json:"uid,omitempty"`
	GID  int         `json:"gid,omitempty"`
	Link string      `json:"link,omitempty"`
	// Offset is where the content of a regular file is in Data.
	Offset int64  `json:"offset,omitempty"`
	Size   int64  `json:"size,omitempty"`
	Digest string `json:"digest,omitempty"`
	// MD5 is that of a file of the configuration, which dpkg's database has.
	MD5 string `json:"md5,omitempty"`
}

// Limits on what a package unpacks to. The size in bytes depends on what it says itself of that.
const (
	memberLimit  = 16
	controlLimit = 16 << 20
	entryLimit   = 200_000
	namesLimit   = 64 << 20
)

// unpackedLimit is the most bytes that a package's files unpack to, if it says that they take so many KiB: each file is rounded up to a KiB
// there, and has headers in the archive.
func unpackedLimit(installed string) int64 {
	kib, err := strconv.ParseInt(installed, 10, 32)
	if err != nil || kib < 0 {
		kib = 0
	}
	return min(4*kib<<10+1<<20, 8<<30)
}

// unpack reads a package that was fetched, unless the cache says what it holds.
func (a *Archive) unpack(ctx context.Context, p Package) (*contents, error) {
	key := "package of Debian 1 " + p.SHA256
	unlock, err := a.Cache.Lock(ctx, key)
	if err != nil {
		return nil, err
	}
	defer unlock()
	found := &contents{}
	if a.Cache.Get(key, found) && a.has(found.Data) {
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

func (a *Archive) readPackage(p Package) (_ *contents, err error) {
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
	if err := a.readData(data, found, unpackedLimit(fields["Installed-Size"])); err != nil {
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

// open unpacks a member, up to limit bytes and one more.
func open(member *deb.ArEntry, limit int64) (*io.LimitedReader, io.Closer, error) {
	plain, err := decompress(member.Data, strings.TrimPrefix(path.Ext(member.Name), ".tar"))
	if err != nil {
		return nil, nil, err
	}
	return &io.LimitedReader{R: plain, N: limit + 1}, plain, nil
}

func tooBig(limit int64) error {
	return fmt.Errorf("it unpacks to more than the %d bytes that it may", limit)
}

func readControl(member *deb.ArEntry) (files map[string][]byte, err error) {
	plain, closer, err := open(member, controlLimit)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closer.Close()) }()
	files = map[string][]byte{}
	for archive := tar.NewReader(plain); ; {
		h, err := archive.Next()
		switch {
		case plain.N <= 0:
			return nil, tooBig(controlLimit)
		case err == io.EOF:
			return files, nil
		case err != nil:
			return nil, err
		case h.Typeflag != tar.TypeReg:
			continue
		}
		content, err := io.ReadAll(archive)
		if plain.N <= 0 {
			return nil, tooBig(controlLimit)
		}
		if err != nil {
			return nil, err
		}
		files[strings.TrimPrefix(h.Name, "./")] = content
	}
}

// readData unpacks the data archive into the cache, and takes note of what is where.
func (a *Archive) readData(member *deb.ArEntry, found *contents, limit int64) (err error) {
	plain, closer, err := open(member, limit)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closer.Close()) }()
	conffiles := conffilesOf(found.Control)
	found.Data, _, err = a.Cache.PutBlob("", func(w io.Writer) error {
		stream := io.TeeReader(plain, w)
		at := func() int64 { return limit + 1 - plain.N }
		seen := map[string]entry{}
		names := 0
		for archive := tar.NewReader(stream); ; {
			h, err := archive.Next()
			if plain.N <= 0 {
				return tooBig(limit)
			}
			if err == io.EOF {
				break
			}
			if err != nil {
				return err
			}
			if names += len(h.Name) + len(h.Linkname); names > namesLimit || len(found.Files) == entryLimit {
				return errors.New("it has too many files")
			}
			e, err := entryOf(h, seen)
			if err != nil {
				return err
			}
			if h.Typeflag == tar.TypeReg {
				e.Offset = at()
				digester := cache.NewDigester(io.Discard)
				into, sum := io.Writer(digester), hash.Hash(nil)
				if slices.Contains(conffiles, e.Path) {
					sum = md5.New() // dpkg's database has no other
					into = io.MultiWriter(digester, sum)
				}
				if _, err := io.Copy(into, archive); err != nil {
					if plain.N <= 0 {
						return tooBig(limit)
					}
					return err
				}
				e.Digest = digester.Digest()
				if sum != nil {
					e.MD5 = hex.EncodeToString(sum.Sum(nil))
				}
			}
			if _, twice := seen[e.Path]; twice {
				return fmt.Errorf("%s is there twice", e.Path)
			}
			seen[e.Path] = e
			found.Files = append(found.Files, e)
		}
		_, err := io.Copy(io.Discard, stream)
		if err == nil && plain.N <= 0 {
			err = tooBig(limit)
		}
		return err
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

// entryOf is a file of a data archive, but for its content. seen are those before it, which a hard link may be to.
func entryOf(h *tar.Header, seen map[string]entry) (entry, error) {
	name := strings.TrimSuffix(strings.TrimPrefix(h.Name, "./"), "/")
	if name == "" || name == "." {
		name = "."
	}
	if !localPath(name) {
		return entry{}, fmt.Errorf("the path %q leads out of the image, or is not clean", h.Name)
	}
	e := entry{Path: path.Join("/", name), UID: h.Uid, GID: h.Gid}
	permissions := h.FileInfo().Mode() & (fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky)
	switch h.Typeflag {
	case tar.TypeReg:
		e.Mode, e.Size = permissions, h.Size
	case tar.TypeDir:
		e.Mode = fs.ModeDir | permissions
	case tar.TypeSymlink:
		e.Mode, e.Link = fs.ModeSymlink|fs.ModePerm, h.Linkname
	case tar.TypeLink:
		target, ok := seen[path.Join("/", strings.TrimPrefix(h.Linkname, "./"))]
		if !ok || !target.Mode.IsRegular() {
			return entry{}, fmt.Errorf("%s is a hard link to %q, which is no file before it", e.Path, h.Linkname)
		}
		name, e := e.Path, target
		e.Path, e.MD5 = name, ""
		return e, nil
	default: // sparse files are among them
		return entry{}, fmt.Errorf("%s is neither file, directory nor link, but of the type %q: devices and pipes are refused", e.Path, h.Typeflag)
	}
	return e, nil
}

// file is the entry for an image.
func (e entry) file(c *cache.Cache, data string) oci.File {
	f := oci.File{Path: e.Path, Mode: e.Mode, UID: e.UID, GID: e.GID, Size: e.Size, ID: e.Digest, Link: e.Link}
	if e.Mode.IsRegular() {
		f.Open = func() (io.ReadCloser, error) {
			content, err := c.GetBlob(data)
			if err != nil {
				return nil, fmt.Errorf("reading a package that is gone from the cache (run it again): %w", err)
			}
			return struct {
				io.Reader
				io.Closer
			}{io.NewSectionReader(content, e.Offset, e.Size), content}, nil // whoever makes a layer compares the digest
		}
	}
	return f
}
