package cache

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/slipway-ci/slipway/internal/cache/filestate"
)

// assumed is a file whose digest somebody gave.
type assumed struct {
	info   fs.FileInfo
	digest string
}

// fileDigest is what is cached of a file.
type fileDigest struct {
	// State is the file's when it had the Digest.
	State  string `json:"state"`
	Digest string `json:"digest"`
}

// worthNoting is the size in bytes of files that take longer to read than a note of their digest.
const worthNoting = 256 << 10

func fileKey(name string) string { return "digest of the file " + name }

// FileDigest is the SHA-256 of a file of this machine in hexadecimal digits. A file is not read if its digest is assumed, nor if
// nothing has been done to it since this cache, in this process or another, read it. A nil cache reads all.
func (c *Cache) FileDigest(name string) (string, error) {
	if c == nil {
		return ReadFileDigest(name)
	}
	info, err := os.Stat(name)
	if err != nil {
		return "", err
	}
	if digest := c.assumedDigest(name, info); digest != "" {
		return digest, nil
	}
	digest, state := c.cachedDigest(name, info)
	if digest != "" {
		return digest, nil
	}
	if digest, err = ReadFileDigest(name); err != nil || state == "" {
		return digest, err
	}
	return digest, c.Put(fileKey(name), fileDigest{state, digest})
}

// CachedFileDigest is FileDigest where nothing has to be read for it; else empty.
func (c *Cache) CachedFileDigest(name string) string {
	info, err := os.Stat(name)
	if err != nil {
		return ""
	}
	digest, _ := c.cachedDigest(name, info)
	return digest
}

// cachedDigest is the cached digest of a file. Where it is empty, state may be the one to cache a digest with.
func (c *Cache) cachedDigest(name string, info fs.FileInfo) (digest, state string) {
	if info.Size() < worthNoting {
		return "", ""
	}
	// After an error, and if it has not settled, the file has to be read.
	is, err := filestate.Read(time.Now(), filestate.All, name)
	if err != nil || !is.Settled {
		return "", ""
	}
	var was fileDigest
	if c.Get(fileKey(name), &was) && was.State == is.Digest {
		return was.Digest, is.Digest
	}
	return "", is.Digest
}

// AssumeFileDigest has this process take digest for that of a file, as long as nothing else takes the file's place. Whoever reads the file
// compares.
func (c *Cache) AssumeFileDigest(name, digest string) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.assumed[name] = assumed{info, digest}
	return nil
}

// PutFileDigest returns a function that caches the digest of a file for other processes. Call it when enough time has passed that
// nobody can have changed the file without a trace. If it was changed, or too little time has passed, the function caches nothing.
// Only callers that exclude other writers may give the digest of a file that has just been written.
func (c *Cache) PutFileDigest(name, digest string) (later func() error, err error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	was, _ := filestate.Read(time.Now(), filestate.All, name) // without it, nothing is cached
	return func() error {
		cached, state := c.cachedDigest(name, info)
		if cached != "" || state == "" || state != was.Digest {
			return nil
		}
		return c.Put(fileKey(name), fileDigest{state, digest})
	}, nil
}

func (c *Cache) assumedDigest(name string, info fs.FileInfo) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	a, ok := c.assumed[name]
	if !ok || !os.SameFile(a.info, info) || a.info.Size() != info.Size() || !a.info.ModTime().Equal(info.ModTime()) {
		return ""
	}
	return a.digest
}

// ReadFileDigest reads a file, and returns its SHA-256 in hexadecimal digits.
func ReadFileDigest(name string) (digest string, err error) {
	info, err := os.Stat(name)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is not a regular file", name) // reading a pipe would wait for ever
	}
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	d := NewDigester(io.Discard)
	_, err = io.Copy(d, f)
	return d.Digest(), err
}
