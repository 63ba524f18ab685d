package oci

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Store is a directory of blobs, each in the file blobs/sha256/DIGEST. Any number of goroutines and processes may share it.
// Blobs appear in it whole or not at all, and one that has been damaged since counts as absent.
type Store struct {
	dir string

	mu sync.Mutex
	// busy has a channel for each digest that somebody has locked; it is closed at the end of that.
	busy map[v1.Hash]chan struct{}
	// known are the sums of files of this machine, by their names.
	known map[string]known
}

// OpenStore opens the store in the directory dir, which is made if need be.
func OpenStore(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("opening the blob store: %w", err)
	}
	for _, own := range []string{"blobs", "blobs/sha256"} {
		if err := MakeDir(filepath.Join(dir, filepath.FromSlash(own))); err != nil {
			return nil, fmt.Errorf("opening the blob store: %w", err)
		}
	}
	return &Store{dir: dir, busy: map[v1.Hash]chan struct{}{}, known: map[string]known{}}, nil
}

// open reads a blob, all of which has been checked before. The error is fs.ErrNotExist if the store lacks it.
func (s *Store) open(digest v1.Hash) (*os.File, error) {
	name, err := s.name(digest)
	if err != nil {
		return nil, err
	}
	f, err := openEntry(name)
	if err != nil {
		return nil, err
	}
	sum, err := s.FileSum(name)
	if err == nil && sum == digest.Hex {
		return f, nil
	}
	if err == nil {
		err = errors.Join(s.removeDamaged(f, name), &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist})
	}
	return nil, errors.Join(err, f.Close())
}

// read is open for who reads all of it. What the store holds may have been damaged without a trace since it was last read: then the
// end of it is an error, and the store lacks the blob.
func (s *Store) read(digest v1.Hash) (*checkedBlob, error) {
	f, err := s.open(digest)
	if err != nil {
		return nil, err
	}
	return &checkedBlob{file: f, store: s, want: digest, sum: sha256.New()}, nil
}

type checkedBlob struct {
	file  *os.File
	store *Store
	want  v1.Hash
	sum   hash.Hash
}

func (b *checkedBlob) Read(p []byte) (int, error) {
	n, err := b.file.Read(p)
	b.sum.Write(p[:n])
	if err == io.EOF && hex.EncodeToString(b.sum.Sum(nil)) != b.want.Hex {
		return n, errors.Join(fmt.Errorf("the cached blob %s: %w", b.want, errDamaged), b.store.removeDamaged(b.file, b.file.Name()))
	}
	return n, err
}

func (b *checkedBlob) Close() error { return b.file.Close() }

// removeDamaged removes the blob that f has open, unless a sound one took its name in the meantime.
func (s *Store) removeDamaged(f *os.File, name string) error {
	was, err := f.Stat()
	if err != nil {
		return err
	}
	is, err := os.Stat(name)
	if err == nil && os.SameFile(was, is) {
		err = os.Remove(name)
	}
	if failure := os.Remove(s.note(sumKey(name))); failure != nil && !errors.Is(failure, fs.ErrNotExist) {
		err = errors.Join(err, failure)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// write keeps what fill writes, if want, where it is not zero, is its digest.
func (s *Store) write(want v1.Hash, fill func(io.Writer) error) (digest v1.Hash, size int64, err error) {
	sum := &summed{hash: sha256.New()}
	part, err := writePart(s.dir, func(w io.Writer) error {
		sum.Writer = w
		if err := fill(sum); err != nil {
			return err
		}
		if digest = sum.digest(); want != (v1.Hash{}) && digest != want {
			return fmt.Errorf("the content has the digest %s instead of %s: %w", digest, want, errDamaged)
		}
		return nil
	})
	if err != nil {
		return v1.Hash{}, 0, err
	}
	name, err := s.name(digest)
	if err != nil {
		return v1.Hash{}, 0, errors.Join(err, part.Discard())
	}
	if err := commitEntry(part, name); err != nil {
		// Windows keeps a file that another process reads from being replaced. Its content is the same.
		content, there := s.open(digest)
		if there != nil {
			return v1.Hash{}, 0, err
		}
		return digest, sum.size, content.Close()
	}
	return digest, sum.size, nil
}

// lock waits until nobody else in this process has the digest locked. It keeps content from being fetched twice.
func (s *Store) lock(ctx context.Context, digest v1.Hash) (unlock func(), err error) {
	for {
		s.mu.Lock()
		other, locked := s.busy[digest]
		if !locked {
			mine := make(chan struct{})
			s.busy[digest] = mine
			s.mu.Unlock()
			return func() {
				s.mu.Lock()
				defer s.mu.Unlock()
				delete(s.busy, digest)
				close(mine)
			}, nil
		}
		s.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (s *Store) name(digest v1.Hash) (string, error) {
	name, err := blobName(digest)
	return filepath.Join(s.dir, filepath.FromSlash(name)), err
}

// blobName is the name of a blob's file, relative to its store or OCI layout.
func blobName(digest v1.Hash) (string, error) {
	if digest.Algorithm != "sha256" || len(digest.Hex) != hex.EncodedLen(sha256.Size) {
		return "", fmt.Errorf("the digest %q is not one of SHA-256, the only kind in use", digest)
	}
	return "blobs/sha256/" + digest.Hex, nil
}

// errDamaged says that content does not match its digest.
var errDamaged = errors.New("it is damaged or was tampered with")

// verify reads all of content, compares its digest and, unless negative, its size, and rewinds it.
func verify(content io.ReadSeeker, want v1.Hash, size int64) error {
	got, n, err := v1.SHA256(content)
	if err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("the blob %s has the digest %s: %w", want, got, errDamaged)
	}
	if size >= 0 && n != size {
		return sizeError(want, n, size)
	}
	_, err = content.Seek(0, io.SeekStart)
	return err
}

// sizeError says that a manifest has a false size of a blob.
func sizeError(digest v1.Hash, is, said int64) error {
	return fmt.Errorf("the blob %s has %d bytes, and its manifest says %d: the image is damaged or forged", digest, is, said)
}

// summed knows the digest and the size of what was written to it.
type summed struct {
	io.Writer
	hash hash.Hash
	size int64
}

func (w *summed) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	w.hash.Write(p[:n])
	w.size += int64(n)
	return n, err
}

func (w *summed) digest() v1.Hash {
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(w.hash.Sum(nil))}
}

// sha256Of is the digest of content.
func sha256Of(content []byte) v1.Hash {
	sum := sha256.Sum256(content)
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum[:])}
}
