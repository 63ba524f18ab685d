package sbom

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/package-url/packageurl-go"
)

// Format is a notation for bills of materials.
type Format string

// The formats, by their names in settings.
const (
	CycloneDX Format = "cyclonedx"
	SPDX      Format = "spdx"
)

// Formats are all formats, the default first.
var Formats = []Format{CycloneDX, SPDX}

// MediaType is that of a document, as registered with the IANA.
func (f Format) MediaType() string {
	if f == SPDX {
		return "application/spdx+json"
	}
	return "application/vnd.cyclonedx+json"
}

// PredicateType is what in-toto statements call a document. Source:
// https://github.com/in-toto/attestation/tree/main/spec/predicates
func (f Format) PredicateType() string {
	if f == SPDX {
		return "https://spdx.dev/Document"
	}
	return "https://cyclonedx.org/bom"
}

// Options are what an image does not say itself.
type Options struct {
	// Name of the image, such as "server". Empty: the image is called by its digest.
	Name string
	// Version of Slipway, which documents name as their maker.
	Version string
	// Modules looks up licences and requirements; nil for neither.
	Modules *Modules
	// Cache says what is in layers that were read before, by their digests: nobody may give an image whose layers do not have
	// the digests that it says. Nil: all are read.
	Cache Cache
	// Made has the documents of images that were made before, by somebody who is trusted; nil for none.
	Made func(image v1.Hash, format Format) []byte
}

// Inventory is what an image consists of.
type Inventory struct {
	created time.Time
	version string // Slipway's
	// components has the image first, and the others by kind and ref.
	components []component
}

// Encode writes the inventory down.
func (i *Inventory) Encode(format Format) ([]byte, error) {
	switch format {
	case CycloneDX:
		return i.cycloneDX()
	case SPDX:
		return i.spdx()
	default:
		return nil, fmt.Errorf("there is no format %q for bills of materials", format)
	}
}

// Document takes the inventory of an image and writes it down. Where Options.Cache has what was written of this image with these
// options before, that is it: the licences of modules are those that were found then.
func Document(ctx context.Context, img v1.Image, o Options, format Format) (document []byte, err error) {
	make := func() ([]byte, error) {
		inventory, err := Read(ctx, img, o)
		if err != nil {
			return nil, err
		}
		return inventory.Encode(format)
	}
	digest, err := img.Digest()
	if err != nil {
		return nil, err
	}
	if o.Made != nil {
		if document := o.Made(digest, format); document != nil {
			return document, nil
		}
	}
	if o.Cache == nil {
		return make()
	}
	key := fmt.Sprintf("%sdocument %q", cacheVersion, []string{digest.String(), string(format), o.Name, o.Version, o.Modules.key()})
	if o.Cache.Get(key, &document) {
		return document, nil
	}
	if document, err = make(); err != nil {
		return nil, err
	}
	return document, o.Cache.Put(key, document)
}

// kind says what a component is.
type kind int

const (
	container kind = iota
	base
	system
	program
	module
	osPackage
	file
)

// component is one thing in the inventory; both formats are made of these.
type component struct {
	kind          kind
	ref           string // unique in the inventory
	name, version string
	purl          string
	licence       licence
	// Digests in hexadecimal. That of a module is the one of go.sum, which is over its files and not over its zip file.
	sha1, sha256 string
	properties   []property
	// needs are the refs of what it depends on; what an image, its base and its system consist of is among that.
	needs []string
}

type property struct{ name, value string }

// Read takes the inventory of an image. It reads all layers that Options.Cache does not know, those of the base too. Of a layer that
// the package image made, it reads the files.
func Read(ctx context.Context, img v1.Image, o Options) (*Inventory, error) {
	inventory, err := read(ctx, img, o)
	if err != nil {
		return nil, fmt.Errorf("taking the inventory of an image: %w", err)
	}
	return inventory, nil
}

func read(ctx context.Context, img v1.Image, o Options) (*Inventory, error) {
	digest, err1 := img.Digest()
	config, err2 := img.ConfigFile()
	manifest, err3 := img.Manifest()
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	found, err := scan(ctx, img, o.Cache)
	if err != nil {
		return nil, err
	}

	whole := component{kind: container, name: o.Name, version: digest.String(), sha256: digest.Hex}
	if whole.name == "" {
		whole.name = digest.String()
	}
	whole.purl = ImagePURL(o.Name, digest.String(), config.Architecture)
	whole.ref = "image:" + digest.String()
	for _, p := range []property{{"os", config.OS}, {"architecture", config.Architecture}, {"variant", config.Variant}} {
		if p.value != "" {
			whole.properties = append(whole.properties, property{"slipway:platform:" + p.name, p.value})
		}
	}

	rest := found.goComponents(o.Modules)
	for _, c := range rest {
		if c.kind == program {
			whole.needs = append(whole.needs, c.ref)
		}
	}
	packages := found.packages()
	// What the packages belong to: the system, that to the base, and that to the image, as far as these are known.
	top := refs(packages)
	if os := found.systemComponent(); os != nil {
		os.needs, top = top, []string{os.ref}
		rest = append(rest, *os)
	}
	if below := baseComponent(manifest.Annotations); below != nil {
		below.needs, top = top, []string{below.ref}
		rest = append(rest, *below)
	}
	whole.needs = append(whole.needs, top...)
	rest = append(rest, packages...)
	if len(packages) == 0 {
		rest = append(rest, found.fileComponents()...)
	}
	slices.SortStableFunc(rest, func(a, b component) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), strings.Compare(a.ref, b.ref))
	})
	return &Inventory{created: config.Created.UTC(), version: o.Version, components: append([]component{whole}, rest...)}, nil
}

func refs(components []component) []string {
	var refs []string
	for _, c := range components {
		refs = append(refs, c.ref)
	}
	return refs
}

// ImagePURL is an image's package URL. Without a name there is none. Source:
// https://github.com/package-url/purl-spec/blob/main/types-doc/oci-definition.md
func ImagePURL(name, digest, architecture string) string {
	if name == "" {
		return ""
	}
	var qualifiers packageurl.Qualifiers
	if architecture != "" {
		qualifiers = packageurl.QualifiersFromMap(map[string]string{"arch": architecture})
	}
	return packageurl.NewPackageURL(packageurl.TypeOCI, "", strings.ToLower(path.Base(name)), digest, qualifiers, "").ToString()
}

func baseComponent(annotations map[string]string) *component {
	digest, err := v1.NewHash(annotations[ocispec.AnnotationBaseImageDigest])
	if err != nil {
		return nil
	}
	c := &component{kind: base, name: annotations[ocispec.AnnotationBaseImageName], version: digest.String(), sha256: digest.Hex}
	c.ref = "base:" + digest.String()
	if c.name == "" {
		c.name = digest.String()
		return c
	}
	repository, _, _ := strings.Cut(c.name, "@")
	if colon := strings.LastIndex(repository, ":"); colon > strings.LastIndex(repository, "/") {
		repository = repository[:colon]
	}
	qualifiers := packageurl.QualifiersFromMap(map[string]string{"repository_url": repository})
	c.purl = packageurl.NewPackageURL(packageurl.TypeOCI, "", strings.ToLower(path.Base(repository)), digest.String(), qualifiers, "").ToString()
	return c
}
