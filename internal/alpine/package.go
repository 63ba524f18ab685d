package alpine

import (
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // the digest that apk's database has
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip"

	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/distro"
	"github.com/slipway-ci/slipway/internal/distro/unpack"
)

var tooBig = unpack.TooBig

// contents is what a package was found to hold.
type contents struct {
	// Info is its .PKGINFO: the values of each key.
	Info map[string][]string `json:"info"`
	// Digest is that of its control part, as indexes have it.
	Digest string `json:"digest"`
	// Scripts are by their names, such as post-install.
	Scripts map[string][]byte `json:"scripts"`
	// Data is the digest of its data, unpacked, which the cache has.
	Data string `json:"data"`
	// Files are in the archive's order.
	Files []unpack.Entry `json:"files"`
}

// one is the first value of a key.
func (c *contents) one(key string) string {
	if values := c.Info[key]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// first makes sure that the cache has a package whose control part has a digest, and returns the digest of the file. It is signed, as the index is.
func (a *Archive) first(ctx context.Context, p distro.Package, digest string) (sha256 string, err error) {
	if err := unpack.CheckSize(p.Name, p.Size); err != nil {
		return "", err
	}
	key := fmt.Sprintf("file of a package of Alpine 1 %s %s %d", p.Path, digest, p.Size)
	unlock, err := a.Cache.Lock(ctx, key)
	if err != nil {
		return "", err
	}
	defer unlock()
	if a.Cache.Get(key, &sha256) && a.Has(sha256) {
		return sha256, nil
	}
	sha256, err = a.Put(ctx, "https://"+p.Path, "", p.Size)
	if err == nil {
		err = a.checkFirst(sha256, p.Size, digest)
	}
	if err == nil {
		err = a.Cache.Put(key, sha256)
	}
	if err != nil {
		return "", fmt.Errorf("fetching the package %s %s: %w", p.Name, p.Version, err)
	}
	return sha256, nil
}

// checkFirst verifies a file that was fetched.
func (a *Archive) checkFirst(sha256 string, size int64, digest string) (err error) {
	file, err := a.Cache.GetBlob(sha256)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	control, err := controlOf(file, size)
	if err != nil {
		return err
	}
	is, err := control.digest(file)
	if err != nil {
		return err
	}
	if is != digest {
		return fmt.Errorf("it is not what the index says: %w", cache.ErrDamaged)
	}
	_, err = a.Base.keys.verify(file, control.to)
	return err
}

// controlOf is the control part of a package: the member behind the signatures.
func controlOf(file io.ReaderAt, size int64) (member, error) {
	signatures, err := memberAt(file, 0, size, signatureLimit)
	if err != nil {
		return member{}, err
	}
	return memberAt(file, signatures.to, size, controlLimit)
}

// digest is that of a member, as indexes have it.
func (m member) digest(file io.ReaderAt) (string, error) {
	sum := sha1.New() //nolint:gosec // indexes have no other
	if _, err := io.Copy(sum, io.NewSectionReader(file, m.from, m.to-m.from)); err != nil {
		return "", err
	}
	return "Q1" + base64.StdEncoding.EncodeToString(sum.Sum(nil)), nil
}

// fetch makes sure that the cache has a package of a lock.
func (a *Archive) fetch(ctx context.Context, p distro.Package) error {
	if err := unpack.CheckSize(p.Name, p.Size); err != nil {
		return err
	}
	err := a.Blob(ctx, "https://"+p.Path, p.SHA256, p.Size)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: the repository has replaced it, and keeps no older packages (run slipway pin, or name a mirror that has it with --mirror)", err)
	}
	if err != nil {
		return fmt.Errorf("fetching the package %s %s: %w", p.Name, p.Version, err)
	}
	return nil
}

// unpack reads a package that was fetched, unless the cache says what it holds.
func (a *Archive) unpack(ctx context.Context, p distro.Package) (*contents, error) {
	key := "package of Alpine 1 " + p.SHA256
	unlock, err := a.Cache.Lock(ctx, key)
	if err != nil {
		return nil, err
	}
	defer unlock()
	found := &contents{}
	if !a.Cache.Get(key, found) || !a.Has(found.Data) {
		if found, err = a.readPackage(p); err == nil {
			err = a.Cache.Put(key, found)
		}
	}
	switch arch := found.one("arch"); {
	case err != nil:
	case found.one("pkgname") != p.Name || found.one("pkgver") != p.Version:
		err = fmt.Errorf("it is %s %s", found.one("pkgname"), found.one("pkgver"))
	case arch != a.Architecture && arch != "noarch":
		err = fmt.Errorf("it is for %s, and not for %s", arch, a.Architecture)
	}
	if err != nil {
		return nil, fmt.Errorf("unpacking the package %s %s: %w", p.Name, p.Version, err)
	}
	return found, nil
}

func (a *Archive) readPackage(p distro.Package) (_ *contents, err error) {
	found := &contents{Scripts: map[string][]byte{}}
	file, err := a.Cache.GetBlob(p.SHA256)
	if err != nil {
		return found, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	control, err := controlOf(file, p.Size)
	if err != nil {
		return found, err
	}
	if found.Digest, err = control.digest(file); err != nil {
		return found, err
	}
	files, _, err := readMember(io.NewSectionReader(file, control.from, control.to-control.from), controlLimit)
	if err != nil {
		return found, fmt.Errorf("its control files: %w", err)
	}
	for name, text := range files {
		if script, ok := strings.CutPrefix(name, "."); ok && slices.Contains(scripts, script) {
			found.Scripts[script] = text
		}
	}
	found.Info = parseInfo(files[".PKGINFO"])
	return found, a.readData(found, io.NewSectionReader(file, control.to, p.Size-control.to))
}

// parseInfo reads a .PKGINFO.
func parseInfo(text []byte) map[string][]string {
	info := map[string][]string{}
	for line := range bytes.Lines(text) {
		key, value, ok := strings.Cut(strings.TrimSpace(string(line)), " = ")
		if ok && !strings.HasPrefix(key, "#") {
			info[key] = append(info[key], value)
		}
	}
	return info
}

// readData unpacks the data, which must have the digest that the control part has.
func (a *Archive) readData(found *contents, data *io.SectionReader) error {
	sum := cache.NewDigester(io.Discard)
	packed := io.TeeReader(data, sum)
	unpacked, err := gzip.NewReader(packed)
	if err != nil {
		return fmt.Errorf("its files: %w", err)
	}
	unpacked.Multistream(false) // apk takes no other member
	size, err := strconv.ParseInt(found.one("size"), 10, 64)
	if err != nil {
		size = 0
	}
	sha1Of := func(string) hash.Hash { return sha1.New() } //nolint:gosec // the database has no other
	if found.Data, found.Files, err = unpack.Files(a.Cache, unpacked, unpack.Limit(size), sha1Of); err != nil {
		return fmt.Errorf("its files: %w", err)
	}
	if _, err := io.Copy(io.Discard, packed); err != nil {
		return err
	}
	if sum.Digest() != found.one("datahash") {
		return fmt.Errorf("its files do not have the digest that it says: %w", cache.ErrDamaged)
	}
	found.Files = slices.DeleteFunc(found.Files, func(e unpack.Entry) bool { return strings.HasPrefix(e.Path, "/.") }) // which apk leaves out
	for i, e := range found.Files {
		if e.Link != "" && e.Mode&fs.ModeSymlink != 0 {
			link := sha1.Sum([]byte(e.Link)) //nolint:gosec // as above
			found.Files[i].Sum = hex.EncodeToString(link[:])
		}
	}
	return nil
}
