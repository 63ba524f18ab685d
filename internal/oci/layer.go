package oci

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/slipway-ci/slipway/internal/cache"
)

// Compression says how a layer is compressed. Another one gives a layer another digest. The zero value is gzip.
type Compression struct {
	// Zstd takes the place of gzip.
	Zstd bool
	// Level is that of the gzip or zstd command, 1 to 9 or 1 to 22; 0 is the default. For zstd there are four in fact: 1 and 2,
	// 3 to 5, 6 to 9, and those above are the same.
	Level int
}

// Levels by default. With gzip, programs get hardly smaller above it, and the time that it takes doubles.
const (
	gzipLevel = 6
	zstdLevel = 3
)

// normal is c with its level.
func (c Compression) normal() Compression {
	switch {
	case c.Level != 0:
	case c.Zstd:
		c.Level = zstdLevel
	default:
		c.Level = gzipLevel
	}
	return c
}

func (c Compression) mediaType() types.MediaType {
	if c.Zstd {
		return types.OCILayerZStd
	}
	return types.OCILayer
}

// writer compresses into w. The same content always gives the same bytes.
func (c Compression) writer(w io.Writer) (io.WriteCloser, error) {
	c = c.normal()
	if c.Zstd {
		// One at a time: what several make of a stream may depend on who is first, and each needs its memory.
		return zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(c.Level)), zstd.WithEncoderConcurrency(1))
	}
	packed, err := gzip.NewWriterLevel(w, c.Level)
	if err != nil {
		return nil, err
	}
	packed.ModTime = time.Unix(0, 0) // which the format has for no time; klauspost's zero value writes an odd number
	return packed, nil
}

// NewLayer makes a layer of the files, in any order, and of the directories above them, which are root's with the mode 0755
// unless they are listed. Everything in it has the time when, in whole seconds. The layer is cached and read from there. A layer that was
// made before of files with the same content is found again, and nothing is compressed.
//
// A path that is there twice, and a file with more or fewer bytes than its Size, are errors. The content of files is
// streamed: little memory is used, however big they are.
func NewLayer(ctx context.Context, c *cache.Cache, files []File, when time.Time, compression Compression) (v1.Layer, error) {
	files, err := tree(files)
	if err != nil {
		return nil, err
	}
	recipe := recipeOf(files, when, compression)
	if recipe != "" {
		// One of several that make the same makes it.
		unlock, err := c.Lock(ctx, recipe)
		if err != nil {
			return nil, err
		}
		defer unlock()
	}
	made := cachedLayer(c, recipe)
	if made == nil {
		var err error
		if made, err = makeLayer(ctx, c, recipe, files, when, compression); err != nil {
			return nil, err
		}
	}
	made.files = files
	cached := made.open
	made.open = func(ctx context.Context) (io.ReadCloser, error) {
		content, err := cached(ctx)
		if !errors.Is(err, fs.ErrNotExist) {
			return content, err
		}
		if _, err := makeLayer(ctx, c, recipe, files, when, compression); err != nil {
			return nil, fmt.Errorf("making a layer again that is gone from the cache: %w", err)
		}
		return cached(ctx)
	}
	return made, nil
}

// makeLayer packs and caches a layer.
func makeLayer(ctx context.Context, c *cache.Cache, recipe string, files []File, when time.Time, compression Compression) (*layer, error) {
	made, err := writeLayer(c, compression, func(archive *tar.Writer) error {
		for _, f := range files {
			if err := f.pack(ctx, archive, when); err != nil {
				return fmt.Errorf("adding %s to a layer: %w", f.Path, err)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if recipe != "" {
		err := c.Put(recipe, made)
		if err == nil {
			err = putContents(c, made, files, when)
		}
		if err != nil {
			return nil, fmt.Errorf("caching a layer: %w", err)
		}
	}
	return made.layer(c), nil
}

// writeLayer compresses and caches a layer that fill writes.
func writeLayer(c *cache.Cache, compression Compression, fill func(*tar.Writer) error) (madeLayer, error) {
	diffID := cache.NewDigester(io.Discard)
	digest, size, err := c.PutBlob("", func(w io.Writer) error {
		packed, err := compression.writer(w)
		if err != nil {
			return err
		}
		archive := tar.NewWriter(io.MultiWriter(diffID, packed))
		if err := fill(archive); err != nil {
			return err
		}
		return errors.Join(archive.Close(), packed.Close())
	})
	return madeLayer{MediaType: compression.mediaType(), Digest: hashOf(digest), Size: size, DiffID: hashOf(diffID.Digest()), Unpacked: diffID.Size}, err
}

// Files are what [NewLayer] made l of, with the directories above them, in the layer's order; nil for another layer. They can be read as
// long as the files that NewLayer was given.
func Files(l v1.Layer) []File {
	if own := own(l); own != nil {
		return own.files
	}
	return nil
}

// ErrAltered says that a file is not what its Size and ID say.
var ErrAltered = errors.New("it has changed: it must not change while it is read")

// pack adds the file to a layer.
func (f File) pack(ctx context.Context, archive *tar.Writer, when time.Time) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := archive.WriteHeader(f.header(when)); err != nil || !f.Mode.IsRegular() {
		return err
	}
	content, err := f.Open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, content.Close()) }()
	digester := cache.NewDigester(archive)
	n, err := copyAll(ctx, digester, io.LimitReader(content, f.Size))
	if err != nil {
		return err
	}
	if n < f.Size {
		return fmt.Errorf("it has %d bytes instead of %d: %w", n, f.Size, ErrAltered)
	}
	var more [1]byte
	switch _, err := io.ReadFull(content, more[:]); err {
	case io.EOF:
		if f.ID != "" && digester.Digest() != f.ID {
			return ErrAltered
		}
		return nil
	case nil:
		return fmt.Errorf("it has more than %d bytes: %w", f.Size, ErrAltered)
	default:
		return err
	}
}

// specialBits are the bits of a mode besides the permissions, in tar's numbers.
var specialBits = map[int64]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky}

// Permissions are the permissions and special bits in the numbers of chmod and tar.
func (f File) Permissions() int64 {
	mode := int64(f.Mode.Perm())
	for bit, in := range specialBits {
		if f.Mode&in != 0 {
			mode |= bit
		}
	}
	return mode
}

func (f File) header(when time.Time) *tar.Header {
	h := &tar.Header{
		// In the PAX format, only names and numbers that do not fit make a header longer than a plain one.
		Format:   tar.FormatPAX,
		Typeflag: tar.TypeReg,
		Name:     strings.TrimPrefix(f.Path, "/"),
		Mode:     f.Permissions(),
		Uid:      f.UID,
		Gid:      f.GID,
		ModTime:  when.Truncate(time.Second),
	}
	if !f.Time.IsZero() {
		h.ModTime = f.Time
	}
	for attribute, value := range f.Xattrs {
		if h.PAXRecords == nil {
			h.PAXRecords = map[string]string{}
		}
		h.PAXRecords[xattrPrefix+attribute] = value
	}
	switch f.Mode.Type() {
	case fs.ModeDir:
		h.Typeflag, h.Name = tar.TypeDir, h.Name+"/"
	case fs.ModeSymlink:
		h.Typeflag, h.Linkname, h.Mode = tar.TypeSymlink, f.Link, 0o777
	default:
		h.Size = f.Size
	}
	return h
}

// layer is a v1.Layer whose compressed bytes are somewhere else.
type layer struct {
	descriptor v1.Descriptor
	diffID     v1.Hash
	open       func(context.Context) (io.ReadCloser, error)
	// unpacked is the size in bytes of what is compressed; 0 if it is not known. cache, unless nil, is for it then.
	unpacked int64
	cache    *cache.Cache
	// files are what it was made of; nil if that is not known.
	files []File
}

var _ v1.Layer = (*layer)(nil)

func (l *layer) Digest() (v1.Hash, error)            { return l.descriptor.Digest, nil }
func (l *layer) DiffID() (v1.Hash, error)            { return l.diffID, nil }
func (l *layer) Size() (int64, error)                { return l.descriptor.Size, nil }
func (l *layer) MediaType() (types.MediaType, error) { return l.descriptor.MediaType, nil }
func (l *layer) Compressed() (io.ReadCloser, error)  { return l.open(context.Background()) }
func (l *layer) Descriptor() (*v1.Descriptor, error) { d := l.descriptor; return &d, nil }
func (l *layer) Uncompressed() (io.ReadCloser, error) {
	content, err := l.Compressed()
	if err != nil {
		return nil, err
	}
	plain, err := inflate(content)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("decompressing the layer %s: %w", l.descriptor.Digest, err), content.Close())
	}
	return plain, nil
}

// compressed is l.Compressed, and where the bytes have to be fetched first, the end of ctx ends that.
func compressed(ctx context.Context, l v1.Layer) (io.ReadCloser, error) {
	if own := own(l); own != nil {
		return own.open(ctx)
	}
	return l.Compressed()
}

// own is the layer of this package in l; nil if there is none.
func own(l v1.Layer) *layer {
	if mountable, ok := l.(*remote.MountableLayer); ok {
		l = mountable.Layer
	}
	own, _ := l.(*layer)
	return own
}

// inflate decompresses what gzip or zstd has compressed. Other content comes as it is: media types are not always right.
func inflate(content io.ReadCloser) (*inflated, error) {
	buffered := bufio.NewReader(content)
	magic, err := buffered.Peek(4)
	if err != nil && err != io.EOF {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		plain, err := gzip.NewReader(buffered)
		if err != nil {
			return nil, err
		}
		return &inflated{plain, types.OCILayer, func() error { return errors.Join(plain.Close(), content.Close()) }}, nil
	case bytes.Equal(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		plain, err := zstd.NewReader(buffered, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(zstdWindow))
		if err != nil {
			return nil, err
		}
		return &inflated{plain, types.OCILayerZStd, func() error { plain.Close(); return content.Close() }}, nil
	}
	return &inflated{buffered, types.OCIUncompressedLayer, content.Close}, nil
}

// zstdWindow is the most memory in bytes that a zstd stream may ask for: what the zstd command grants.
const zstdWindow = 128 << 20

// inflated is what is decompressed, with the media type of a layer that is compressed so.
type inflated struct {
	io.Reader
	mediaType types.MediaType
	close     func() error
}

func (i *inflated) Close() error { return i.close() }
