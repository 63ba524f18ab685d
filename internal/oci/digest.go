package oci

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/slipway-ci/slipway/internal/cache"
)

// sha256Of is the digest of content.
func sha256Of(content []byte) v1.Hash { return hashOf(cache.DigestOf(content)) }

// hashOf is the digest with these hexadecimal digits.
func hashOf(digest string) v1.Hash { return v1.Hash{Algorithm: "sha256", Hex: digest} }

// digitsOf are the hexadecimal digits of a digest.
func digitsOf(digest v1.Hash) (string, error) {
	if digest.Algorithm != "sha256" || len(digest.Hex) != hex.EncodedLen(sha256.Size) {
		return "", fmt.Errorf("the digest %q is not one of SHA-256, the only kind in use", digest)
	}
	return digest.Hex, nil
}

// blobName is the name of a blob's file, relative to its OCI layout.
func blobName(digest v1.Hash) (string, error) {
	digits, err := digitsOf(digest)
	return "blobs/sha256/" + digits, err
}

// getBlob opens a cached blob. The error is fs.ErrNotExist if the cache lacks it.
func getBlob(c *cache.Cache, digest v1.Hash) (*cache.Blob, error) {
	digits, err := digitsOf(digest)
	if err != nil {
		return nil, err
	}
	return c.GetBlob(digits)
}

// putBlob caches what fill writes, whose digest has to be want.
func putBlob(c *cache.Cache, want v1.Hash, fill func(io.Writer) error) error {
	digits, err := digitsOf(want)
	if err != nil {
		return err
	}
	_, _, err = c.PutBlob(digits, fill)
	return err
}

// verify reads all of content, compares its digest and, unless negative, its size, and rewinds it.
func verify(content io.ReadSeeker, want v1.Hash, size int64) error {
	got, n, err := v1.SHA256(content)
	if err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("the blob %s has the digest %s: %w", want, got, cache.ErrDamaged)
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
