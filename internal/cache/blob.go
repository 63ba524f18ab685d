package cache

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/slipway-ci/slipway/internal/cache/ownfile"
	"github.com/slipway-ci/slipway/internal/cache/temporary"
)

// ErrDamaged says that content does not have its digest.
var ErrDamaged = errors.New("it is damaged or was tampered with")

// GetBlob opens the content with a digest, a SHA-256 in hexadecimal digits. The error is fs.ErrNotExist if the cache lacks it.
func (c *Cache) GetBlob(digest string) (*Blob, error) {
	name := c.blob(digest)
	f, err := ownfile.Open(name)
	if err != nil {
		return nil, err
	}
	is, err := c.FileDigest(name)
	if err == nil && is != digest {
		err = errors.Join(c.removeDamaged(f, name), &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist})
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	Used(name)
	return &Blob{file: f, cache: c, want: digest, digester: NewDigester(io.Discard)}, nil
}

// Blob is content of a cache, all of which was checked before. It may have been damaged without a trace since. Then the end of it is an
// error, and the cache lacks it.
type Blob struct {
	file     *os.File
	cache    *Cache
	want     string
	digester *Digester
}

func (b *Blob) Read(p []byte) (int, error) {
	n, err := b.file.Read(p)
	_, _ = b.digester.Write(p[:n]) // which does not fail
	if err == io.EOF && b.digester.Digest() != b.want {
		return n, errors.Join(fmt.Errorf("the cached blob sha256:%s: %w", b.want, ErrDamaged), b.cache.removeDamaged(b.file, b.file.Name()))
	}
	return n, err
}

// ReadAt reads a part of the content. Only who knows the digest of the part can see that it was damaged since all was checked.
func (b *Blob) ReadAt(p []byte, offset int64) (int, error) { return b.file.ReadAt(p, offset) }

// Size is the size of the content in bytes.
func (b *Blob) Size() (int64, error) {
	info, err := b.file.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// Close closes the blob.
func (b *Blob) Close() error { return b.file.Close() }

// removeDamaged removes the blob that f has open, unless a sound one took its name in the meantime.
func (c *Cache) removeDamaged(f *os.File, name string) error {
	was, err := f.Stat()
	if err != nil {
		return err
	}
	is, err := os.Stat(name)
	if err == nil && os.SameFile(was, is) {
		err = os.Remove(name)
	}
	if failure := os.Remove(c.note(fileKey(name))); failure != nil && !errors.Is(failure, fs.ErrNotExist) {
		err = errors.Join(err, failure)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// PutBlob stores what fill writes, if its digest is want, or want is empty.
func (c *Cache) PutBlob(want string, fill func(io.Writer) error) (digest string, size int64, err error) {
	var written *Digester
	part, err := temporary.Fill(c.dir, func(w io.Writer) error {
		written = NewDigester(w)
		if err := fill(written); err != nil {
			return err
		}
		if digest = written.Digest(); want != "" && digest != want {
			return fmt.Errorf("the content has the digest sha256:%s instead of sha256:%s: %w", digest, want, ErrDamaged)
		}
		return nil
	})
	if err != nil {
		return "", 0, err
	}
	if err := ownfile.Commit(part, c.blob(digest)); err != nil {
		// Windows keeps a file that another process reads from being replaced. Its content is the same.
		there, absent := c.GetBlob(digest)
		if absent != nil {
			return "", 0, err
		}
		return digest, written.Size, there.Close()
	}
	return digest, written.Size, nil
}

func (c *Cache) blob(digest string) string { return filepath.Join(c.dir, "blobs", "sha256", digest) }

// Digester passes on what is written to it, and knows its size and digest.
type Digester struct {
	Size int64
	to   io.Writer
	hash hash.Hash
}

// NewDigester makes a Digester in front of w.
func NewDigester(w io.Writer) *Digester { return &Digester{to: w, hash: sha256.New()} }

func (d *Digester) Write(p []byte) (int, error) {
	n, err := d.to.Write(p)
	d.hash.Write(p[:n])
	d.Size += int64(n)
	return n, err
}

// Digest is the SHA-256 of what was written, in hexadecimal digits.
func (d *Digester) Digest() string { return hex.EncodeToString(d.hash.Sum(nil)) }

// DigestOf is the SHA-256 of content in hexadecimal digits.
func DigestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}
