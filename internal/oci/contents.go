package oci

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/slipway-ci/slipway/internal/cache"
)

// Limits on what is read of an image, which bound time and memory: bytes that a layer unpacks to, entries of all layers, and bytes of
// their names.
const (
	unpackedLimit = 32 << 30
	entryLimit    = 500_000
	listingLimit  = 64 << 20
)

var errTooMany = fmt.Errorf("it has more than %d GiB, %d files or %d MiB of names, and is refused", unpackedLimit>>30, entryLimit, listingLimit>>20)

// contents is what a layer was found to hold.
type contents struct {
	// Size in bytes of the layer as it is compressed.
	Size   int64   `json:"size"`
	DiffID v1.Hash `json:"diffID"`
	// Unpacked is the size in bytes of the archive.
	Unpacked int64 `json:"unpacked"`
	// MediaType is that of the compression that was found.
	MediaType types.MediaType `json:"mediaType"`
	// Listing has a line for each entry, as entry.line writes them.
	Listing []byte `json:"listing"`
}

// entry is a file of a layer, without its content. It holds what makes one entry of a layer another.
type entry struct {
	path     string // absolute and clean
	kind     byte   // a type flag of package tar
	mode     int64  // permissions and special bits
	uid, gid int
	size     int64
	time     time.Time
	link     string
	xattrs   map[string]string
}

// xattrPrefix begins the names of PAX records with extended attributes.
const xattrPrefix = "SCHILY.xattr."

func entryOf(h *tar.Header) (entry, error) {
	name := strings.TrimLeft(h.Name, "/")
	if clean := path.Clean(name); clean == ".." || strings.HasPrefix(clean, "../") {
		return entry{}, fmt.Errorf("the entry %q leads out of the image", h.Name)
	}
	e := entry{
		path: path.Clean("/" + name), kind: h.Typeflag, mode: h.Mode & 0o7777, uid: h.Uid, gid: h.Gid, size: h.Size, time: h.ModTime, link: h.Linkname,
	}
	if e.kind == tar.TypeGNUSparse || e.kind == tar.TypeCont {
		e.kind = tar.TypeReg // as every reader takes them
	}
	for key, value := range h.PAXRecords {
		if attribute, ok := strings.CutPrefix(key, xattrPrefix); ok {
			if e.xattrs == nil {
				e.xattrs = map[string]string{}
			}
			e.xattrs[attribute] = value
		}
	}
	return e, nil
}

// entry is the file in a layer. A zero time stands for the layer's.
func (f File) entry() entry {
	e := entry{
		path: f.Path, kind: tar.TypeReg, mode: f.Permissions(), uid: f.UID, gid: f.GID, size: f.Size, time: f.Time, link: f.Link, xattrs: f.Xattrs,
	}
	switch f.Mode.Type() {
	case 0:
	case fs.ModeDir:
		e.kind = tar.TypeDir
	case fs.ModeSymlink:
		e.kind = tar.TypeSymlink
	default:
		e.kind = tar.TypeFifo // or a device, of a base: nobody reads it
	}
	return e
}

// line writes the entry for a listing, whatever bytes are in its names.
func (e entry) line() []byte {
	line := fmt.Appendf(nil, "%q\t%c\t%o\t%d\t%d\t%d\t%d\t%d\t%q", e.path, e.kind, e.mode, e.uid, e.gid, e.size, e.time.Unix(), e.time.Nanosecond(), e.link)
	for _, attribute := range slices.Sorted(maps.Keys(e.xattrs)) {
		line = fmt.Appendf(line, "\t%q\t%q", attribute, e.xattrs[attribute])
	}
	return append(line, '\n')
}

func parseEntry(line string) (e entry, err error) {
	fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
	if len(fields) < 9 || len(fields[1]) != 1 {
		return e, errors.New("a line of a listing is damaged")
	}
	number := func(i, base int) int64 {
		n, failure := strconv.ParseInt(fields[i], base, 64)
		err = errors.Join(err, failure)
		return n
	}
	text := func(i int) string {
		s, failure := strconv.Unquote(fields[i])
		err = errors.Join(err, failure)
		return s
	}
	e = entry{
		path: text(0), kind: fields[1][0], mode: number(2, 8), uid: int(number(3, 10)), gid: int(number(4, 10)), size: number(5, 10),
		time: time.Unix(number(6, 10), number(7, 10)), link: text(8),
	}
	for i := 9; i+1 < len(fields); i += 2 {
		if e.xattrs == nil {
			e.xattrs = map[string]string{}
		}
		e.xattrs[text(i)] = text(i + 1)
	}
	return e, err
}

// entries are the entries of the layer, in their order.
func (c *contents) entries() ([]entry, error) {
	all := make([]entry, 0, bytes.Count(c.Listing, []byte("\n")))
	for line := range strings.Lines(string(c.Listing)) {
		e, err := parseEntry(line)
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}

// verifiedContents is contentsOf for a layer of which all bytes are read: what is cached by its digest says nothing of a damaged copy.
func verifiedContents(ctx context.Context, l v1.Layer) (*contents, error) {
	if own := own(l); own != nil && own.cache != nil && own.cache.Get(contentsKey(own.descriptor.Digest), &contents{}) {
		content, err := own.open(ctx) // which compares the digest
		if err != nil {
			return nil, err
		}
		_, err = copyAll(ctx, io.Discard, content)
		if err = errors.Join(err, content.Close()); err != nil {
			return nil, err
		}
	}
	return contentsOf(ctx, l)
}

// contentsOf reads a whole layer, unless its contents are cached. A layer that does not unpack to the digest in its image is an error.
func contentsOf(ctx context.Context, l v1.Layer) (*contents, error) {
	digest, err1 := l.Digest()
	diffID, err2 := l.DiffID()
	size, err3 := l.Size()
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	var known *cache.Cache
	if own := own(l); own != nil {
		known = own.cache
	}
	key := contentsKey(digest)
	found := &contents{}
	if known == nil || !known.Get(key, found) {
		var err error
		if found, err = readContents(ctx, l); err != nil {
			return nil, fmt.Errorf("reading the layer %s: %w", digest, err)
		}
		found.Size = size // what reads it has compared that
		if known != nil {
			if err := known.Put(key, found); err != nil {
				return nil, fmt.Errorf("caching what the layer %s holds: %w", digest, err)
			}
		}
	}
	if found.Size != size {
		return nil, sizeError(digest, found.Size, size)
	}
	if found.DiffID != diffID {
		return nil, fmt.Errorf("the layer %s unpacks to %s, and the image's configuration says %s: the image is damaged or forged", digest, found.DiffID, diffID)
	}
	return found, nil
}

func contentsKey(digest v1.Hash) string { return "contents 1 of the layer " + digest.String() }

// putContents caches what a layer of these files holds, so that it is not read again in an archive.
func putContents(c *cache.Cache, made madeLayer, files []File, when time.Time) error {
	found := contents{Size: made.Size, DiffID: made.DiffID, Unpacked: made.Unpacked, MediaType: made.MediaType}
	for _, f := range files {
		if f.Time.IsZero() {
			f.Time = when.Truncate(time.Second)
		}
		found.Listing = append(found.Listing, f.entry().line()...)
	}
	return c.Put(contentsKey(made.Digest), found)
}

func readContents(ctx context.Context, l v1.Layer) (found *contents, err error) {
	packed, err := compressed(ctx, l)
	if err != nil {
		return nil, err
	}
	content, err := inflate(packed)
	if err != nil {
		return nil, errors.Join(err, packed.Close())
	}
	defer func() { err = errors.Join(err, content.Close()) }()
	digester := cache.NewDigester(io.Discard)
	// One byte more than the limit says that there is more.
	limited := &io.LimitedReader{R: contextReader{ctx, content}, N: unpackedLimit + 1}
	stream := io.TeeReader(limited, digester)
	var listing []byte
	archive := tar.NewReader(stream)
	for count := 0; ; count++ {
		h, err := archive.Next()
		if err == io.EOF {
			break
		}
		if err != nil && limited.N > 0 {
			return nil, err
		}
		if limited.N <= 0 || count >= entryLimit || len(listing) > listingLimit {
			return nil, errTooMany
		}
		e, err := entryOf(h)
		if err != nil {
			return nil, err
		}
		listing = append(listing, e.line()...)
	}
	// What follows the archive's end is part of the layer.
	if _, err := io.CopyBuffer(io.Discard, struct{ io.Reader }{stream}, make([]byte, copyBuffer)); err != nil {
		return nil, err
	}
	if limited.N <= 0 {
		return nil, errTooMany
	}
	return &contents{DiffID: hashOf(digester.Digest()), Unpacked: digester.Size, MediaType: content.mediaType, Listing: listing}, nil
}
