package unpack

import (
	"archive/tar"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/oci"
)

// Entry is a file of a package.
type Entry struct {
	Path string      `json:"path"`
	Mode fs.FileMode `json:"mode"`
	UID  int         `json:"uid,omitempty"`
	GID  int         `json:"gid,omitempty"`
	Link string      `json:"link,omitempty"`
	// Offset is where the content of a regular file is in the archive.
	Offset int64  `json:"offset,omitempty"`
	Size   int64  `json:"size,omitempty"`
	Digest string `json:"digest,omitempty"`
	// Sum is the digest that the distribution's database has of the file, in hexadecimal digits.
	Sum string `json:"sum,omitempty"`
	// User and Group are the names of the owners; empty for root.
	User  string `json:"user,omitempty"`
	Group string `json:"group,omitempty"`
	// Xattrs are extended attributes.
	Xattrs map[string][]byte `json:"xattrs,omitempty"`
}

// Limits on what a package unpacks to.
const (
	bytesLimit = 8 << 30
	entryLimit = 200_000
	namesLimit = 64 << 20
)

// Limit is the most bytes that a package's files unpack to, if it says that they take so many: each file is rounded up there, and has headers
// in the archive.
func Limit(installed int64) int64 {
	return min(4*min(max(installed, 0), bytesLimit)+1<<20, bytesLimit)
}

// TooBig is the error of an archive that unpacks to more than it may.
func TooBig(limit int64) error {
	return fmt.Errorf("it unpacks to more than the %d bytes that it may", limit)
}

// Files puts an archive of a package's files into the cache, if it has no more bytes than the limit, and takes note of what is where, in the
// archive's order. sum makes the hash that [Entry.Sum] of a regular file is of; nil for none.
func Files(c *cache.Cache, archive io.Reader, limit int64, sum func(path string) hash.Hash) (digest string, files []Entry, err error) {
	plain := &io.LimitedReader{R: archive, N: limit + 1}
	digest, _, err = c.PutBlob("", func(w io.Writer) error {
		r := reader{stream: io.TeeReader(plain, w), at: func() int64 { return limit + 1 - plain.N }, sum: sum, seen: map[string]Entry{}}
		err := r.read()
		if err == nil {
			_, err = io.Copy(io.Discard, r.stream)
		}
		if plain.N <= 0 {
			err = TooBig(limit)
		}
		files = r.files
		return err
	})
	return digest, files, err
}

// reader reads an archive.
type reader struct {
	stream io.Reader
	at     func() int64
	sum    func(path string) hash.Hash
	files  []Entry
	seen   map[string]Entry
}

func (r *reader) read() error {
	names := 0
	for archive := tar.NewReader(r.stream); ; {
		h, err := archive.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if names += len(h.Name) + len(h.Linkname); names > namesLimit || len(r.files) == entryLimit {
			return errors.New("it has too many files")
		}
		e, err := entryOf(h, r.seen)
		if err != nil {
			return err
		}
		if h.Typeflag == tar.TypeReg {
			e.Offset = r.at()
			digester := cache.NewDigester(io.Discard)
			into, sum := io.Writer(digester), r.sum(e.Path)
			if sum != nil {
				into = io.MultiWriter(digester, sum)
			}
			if _, err := io.Copy(into, archive); err != nil {
				return err
			}
			e.Digest = digester.Digest()
			if sum != nil {
				e.Sum = hex.EncodeToString(sum.Sum(nil))
			}
		}
		if _, twice := r.seen[e.Path]; twice {
			return fmt.Errorf("%s is there twice", e.Path)
		}
		r.seen[e.Path] = e
		r.files = append(r.files, e)
	}
}

// xattrPrefix begins the names of records with extended attributes.
const xattrPrefix = "SCHILY.xattr."

// entryOf is a file of an archive, but for its content. seen are those before it, which a hard link may be to.
func entryOf(h *tar.Header, seen map[string]Entry) (Entry, error) {
	name := strings.TrimSuffix(strings.TrimPrefix(h.Name, "./"), "/")
	if name == "" || name == "." {
		name = "."
	}
	if !fs.ValidPath(name) {
		return Entry{}, fmt.Errorf("the path %q leads out of the image, or is not clean", h.Name)
	}
	e := Entry{Path: path.Join("/", name), UID: h.Uid, GID: h.Gid}
	if h.Uname != "root" {
		e.User = h.Uname
	}
	if h.Gname != "root" {
		e.Group = h.Gname
	}
	for key, value := range h.PAXRecords {
		if attribute, ok := strings.CutPrefix(key, xattrPrefix); ok {
			if e.Xattrs == nil {
				e.Xattrs = map[string][]byte{}
			}
			e.Xattrs[attribute] = []byte(value)
		}
	}
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
			return Entry{}, fmt.Errorf("%s is a hard link to %q, which is no file before it", e.Path, h.Linkname)
		}
		target.Path = e.Path
		return target, nil
	default: // sparse files are among them
		return Entry{}, fmt.Errorf("%s is neither file, directory nor link, but of the type %q: devices and pipes are refused", e.Path, h.Typeflag)
	}
	return e, nil
}

// File is the entry for an image. archive is the digest of the archive that it is from.
func (e Entry) File(c *cache.Cache, archive string) oci.File {
	f := oci.File{Path: e.Path, Mode: e.Mode, UID: e.UID, GID: e.GID, Size: e.Size, ID: e.Digest, Link: e.Link}
	for attribute, value := range e.Xattrs {
		if f.Xattrs == nil {
			f.Xattrs = map[string]string{}
		}
		f.Xattrs[attribute] = string(value)
	}
	if e.Mode.IsRegular() {
		f.Open = func() (io.ReadCloser, error) {
			content, err := c.GetBlob(archive)
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
