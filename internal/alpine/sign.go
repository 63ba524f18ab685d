package alpine

import (
	"archive/tar"
	"bufio"
	"bytes"
	"crypto"
	"crypto/rsa"
	_ "crypto/sha1" //nolint:gosec // Alpine signs with it
	_ "crypto/sha256"
	_ "crypto/sha512"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
)

// keys are the public keys that a base trusts, by the names of their files.
type keys map[string]*rsa.PublicKey

// signatures are the hashes of kinds of signatures. Source: apk-v2(5)
var signatures = map[string]crypto.Hash{"RSA": crypto.SHA1, "RSA256": crypto.SHA256, "RSA512": crypto.SHA512}

// span is where something is in a file.
type span struct{ from, to int64 }

// Limits in bytes on what a member of signatures, and one of a package's control files, unpack to.
const (
	signatureLimit = 1 << 20
	controlLimit   = 16 << 20
)

// parseKey reads a public key; nil for one of another kind than RSA, which no signature of this format is of.
func parseKey(text []byte) (*rsa.PublicKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("it is no key in PEM")
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	public, _ := key.(*rsa.PublicKey)
	return public, nil
}

// verify returns where what one of the keys has signed is: all that follows the first member of a file, which has the signatures. In a package
// it is one member, and signs what follows by its digest; so it is what the caller gives as the file that ends there.
func (k keys) verify(file io.ReaderAt, size int64) (span, error) {
	first, err := memberAt(file, 0, size, signatureLimit)
	if err != nil {
		return span{}, err
	}
	signed := span{first.to, size}
	entries := tar.NewReader(bytes.NewReader(first.plain))
	known := 0
	for {
		h, err := entries.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return span{}, err
		}
		kind, name, ok := strings.Cut(strings.TrimPrefix(h.Name, ".SIGN."), ".")
		if !strings.HasPrefix(h.Name, ".SIGN.") || !ok {
			break // it is not signed
		}
		known++
		key, hash := k[name], signatures[kind]
		if key == nil || hash == 0 {
			continue
		}
		signature, err := io.ReadAll(entries)
		if err != nil {
			return span{}, err
		}
		digest := hash.New()
		if _, err := io.Copy(digest, io.NewSectionReader(file, signed.from, signed.to-signed.from)); err != nil {
			return span{}, err
		}
		if err := rsa.VerifyPKCS1v15(key, hash, digest.Sum(nil), signature); err != nil {
			return span{}, fmt.Errorf("its signature of the key %s does not hold: it was tampered with", name)
		}
		return signed, nil
	}
	if known == 0 {
		return span{}, errors.New("it is not signed")
	}
	return span{}, errors.New("it is signed by none of the keys that the base has in " + keysDir)
}

// member is a gzip member of a file.
type member struct {
	span
	plain []byte
}

// memberAt unpacks the member that begins at from, which may unpack to so many bytes.
func memberAt(file io.ReaderAt, from, size, limit int64) (member, error) {
	counted := &counter{in: bufio.NewReader(io.NewSectionReader(file, from, size-from))}
	unpacked, err := gzip.NewReader(counted)
	if err != nil {
		return member{}, fmt.Errorf("it is not compressed as packages of Alpine are: %w", err)
	}
	unpacked.Multistream(false)
	plain, err := io.ReadAll(io.LimitReader(unpacked, limit+1))
	if err != nil {
		return member{}, err
	}
	if int64(len(plain)) > limit {
		return member{}, tooBig(limit)
	}
	return member{span{from, from + counted.n}, plain}, nil
}

// counter counts what is read, byte for byte.
type counter struct {
	in *bufio.Reader
	n  int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	c.n += int64(n)
	return n, err
}

func (c *counter) ReadByte() (byte, error) {
	b, err := c.in.ReadByte()
	if err == nil {
		c.n++
	}
	return b, err
}

// readMember are the regular files of a gzip member, or of several, and when the last of them was changed.
func readMember(packed io.Reader, limit int64) (files map[string][]byte, last time.Time, err error) {
	unpacked, err := gzip.NewReader(packed)
	if err != nil {
		return nil, last, err
	}
	plain := &io.LimitedReader{R: unpacked, N: limit + 1}
	files = map[string][]byte{}
	for archive := tar.NewReader(plain); ; {
		h, err := archive.Next()
		switch {
		case plain.N <= 0:
			return nil, last, tooBig(limit)
		case err == io.EOF:
			return files, last, nil
		case err != nil:
			return nil, last, err
		case h.Typeflag != tar.TypeReg:
			continue
		}
		content, err := io.ReadAll(archive)
		if plain.N <= 0 {
			return nil, last, tooBig(limit)
		}
		if err != nil {
			return nil, last, err
		}
		if _, twice := files[h.Name]; twice {
			return nil, last, fmt.Errorf("%s is there twice", h.Name)
		}
		files[h.Name] = content
		if h.ModTime.After(last) {
			last = h.ModTime
		}
	}
}
