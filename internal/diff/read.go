// Package diff finds what changed between two images: their base and its packages, the Go version, settings, modules, programs, files
// and sizes.
package diff

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/slipway-ci/slipway/internal/attest/sbom"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/size"
)

// Image is what was read of an image, for all platforms that are to be compared.
type Image struct {
	// Name is how the image was named.
	Name string
	// Digest is that of the index, or of the manifest where there is none.
	Digest    string
	Platforms []*Platform
}

// Platform is what was read of the image for one platform.
type Platform struct {
	Platform, Digest string
	// Sizes say where its bytes are.
	Sizes *size.Platform

	config      *v1.ConfigFile
	annotations map[string]string
	found       *sbom.Found
	files       map[string]File
}

// File is a file of an image. It has everything that makes it another one.
type File struct {
	// Kind is empty for a regular file, or "directory", "link" or "other".
	Kind string `json:"kind,omitempty"`
	Mode string `json:"mode"`
	// Owner is UID:GID.
	Owner string `json:"owner"`
	Size  int64  `json:"size,omitempty"`
	// SHA256 is the digest of the content, in hexadecimal. Hard links have none.
	SHA256 string `json:"sha256,omitempty"`
	// Link is where a link leads.
	Link string `json:"link,omitempty"`
	Time string `json:"time,omitempty"`
	// Attributes are extended ones, like those with capabilities.
	Attributes string `json:"attributes,omitempty"`
}

// Read reads an image whose digest is known. cache has what was found in layers before; nil for nothing.
func Read(ctx context.Context, img v1.Image, digest v1.Hash, cache sbom.Cache) (*Platform, error) {
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	manifest, err := img.Manifest()
	if err != nil {
		return nil, err
	}
	p := &Platform{Platform: config.Platform().String(), Digest: digest.String(), config: config, annotations: manifest.Annotations}
	if p.Sizes, err = size.Of(ctx, img); err != nil {
		return nil, err
	}
	if p.found, err = sbom.Scan(ctx, img, cache); err != nil {
		return nil, err
	}
	tree, err := oci.NewFileSystem(ctx, img)
	if err != nil {
		return nil, err
	}
	p.files = map[string]File{}
	for f := range tree.All() {
		p.files[f.Path] = fileOf(f, p.found.Digests[f.Path])
	}
	return p, nil
}

func fileOf(f oci.File, digest string) File {
	described := File{
		Mode: fmt.Sprintf("%04o", f.Permissions()), Owner: fmt.Sprintf("%d:%d", f.UID, f.GID), Size: f.Size, SHA256: digest, Link: f.Link,
	}
	if !f.Time.IsZero() {
		described.Time = f.Time.UTC().Format(time.RFC3339Nano)
	}
	switch f.Mode.Type() {
	case 0:
		described.Link = "" // a hard link is the file that it leads to
	case fs.ModeDir:
		described.Kind = "directory"
	case fs.ModeSymlink:
		described.Kind = "link"
	default:
		described.Kind = "other"
	}
	var attributes []string
	for name, value := range f.Xattrs {
		attributes = append(attributes, fmt.Sprintf("%s=%x", name, value))
	}
	slices.Sort(attributes)
	described.Attributes = strings.Join(attributes, " ")
	return described
}

// PackageDatabase stands for the package of files that say which packages are installed.
const PackageDatabase = "the database of packages"

// packageOf are the packages of the distribution that files are from, by their paths.
func (p *Platform) packageOf() map[string]string {
	owners := map[string]string{}
	for _, l := range p.Sizes.Layers {
		for _, f := range l.Files {
			if f.Package != "" {
				owners[f.Path] = f.Package
			}
		}
	}
	for name := range p.files {
		switch dir := path.Dir(name); {
		case dir == "/var/lib/dpkg/status.d": // a package's own entry, as in distroless
			owners[name] = strings.TrimSuffix(path.Base(name), ".md5sums")
		case dir == "/var/lib/dpkg" || dir == "/lib/apk/db" || dir == "/usr/lib/apk/db":
			owners[name] = PackageDatabase
		}
	}
	return owners
}
