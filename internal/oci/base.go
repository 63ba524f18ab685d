package oci

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/slipway-ci/slipway/internal/cache"
)

// Remote fetches from registries.
type Remote interface {
	// Get fetches the manifest that ref names. What the result fetches later may depend on ctx, too.
	Get(ctx context.Context, ref name.Reference) (*remote.Descriptor, error)
	// Download has read read the bytes of a layer of what Get fetched, as they are in the registry. If they break midway, it begins anew and
	// calls read again. The end of ctx ends it.
	Download(ctx context.Context, layer v1.Layer, read func(io.Reader) error) error
}

// Bases finds the images to build upon.
type Bases struct {
	// Cache has what came from registries.
	Cache *cache.Cache
	// Remote fetches what Cache lacks.
	Remote Remote
	// Fetch fetches what else images are made of, such as packages; nil for nothing else. See [Remote.Download] for how it reads. The
	// error is fs.ErrNotExist if there is nothing at an address.
	Fetch func(ctx context.Context, address string, read func(io.Reader) error) error
	// Dir is the directory that paths of layouts and archives are relative to; empty for the current one.
	Dir string
	// Pulling is called for each blob that Cache lacks, and calls pull; nil for nobody. The bytes are metered in the context that it gives.
	Pulling func(ctx context.Context, blob v1.Descriptor, pull func(context.Context) error) error
	// Context ends all fetching, that for images of bases as well, which know no contexts; nil for none.
	Context context.Context
}

// Base is an image to build upon, for one or more platforms.
type Base struct {
	// Name is the full reference, such as "docker.io/library/alpine:3.22", without the digest where there is a tag, too; empty
	// for a base that is a file or directory of this machine, whose path means nothing elsewhere.
	Name string
	// Digest is that of the index, or of the manifest where there is no index.
	Digest v1.Hash

	// given is the reference in the words of the caller, for errors.
	given     string
	source    source
	cache     *cache.Cache // nil for none
	manifests []v1.Descriptor

	mu     sync.Mutex
	images map[string]func() (v1.Image, error)
}

// source is where a base's content comes from. Everything that it gives has been checked against its digest.
type source interface {
	manifest(ctx context.Context, digest v1.Hash) ([]byte, error)
	// blob reads a blob that the manifest of the given digest names.
	blob(ctx context.Context, manifest v1.Hash, blob v1.Descriptor) (io.ReadCloser, error)
	// place makes the layer known as one of the source.
	place(*layer) v1.Layer
}

// Schemes of references that name no registry.
const (
	layoutScheme  = "oci:"
	archiveScheme = "oci-archive:"
)

// Resolve finds the base that ref names: "oci:PATH" for an OCI layout directory, "oci-archive:PATH" for a tar file of one,
// both with ":NAME" at the end where there are several images in it, and anything else for an image in a registry, by
// tag or digest.
//
// A tag costs one request, that for its manifest. A digest costs none once its content has been fetched. The base's
// images may be used after the end of ctx.
func (b *Bases) Resolve(ctx context.Context, ref string) (*Base, error) {
	var base *Base
	var err error
	switch {
	case strings.HasPrefix(ref, layoutScheme):
		base, err = resolveLayout(ctx, b.path(ref, layoutScheme), openDirectory)
	case strings.HasPrefix(ref, archiveScheme):
		base, err = resolveLayout(ctx, b.path(ref, archiveScheme), openArchive)
	default:
		base, err = b.resolveRegistry(ctx, ref)
	}
	if err != nil {
		return nil, fmt.Errorf("finding the base %s: %w", ref, err)
	}
	base.given, base.cache, base.images = ref, b.Cache, map[string]func() (v1.Image, error){}
	return base, nil
}

// path is the path that a reference of that scheme names.
func (b *Bases) path(ref, scheme string) string {
	name := strings.TrimPrefix(ref, scheme)
	if b.Dir == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(b.Dir, name)
}

// Image is the base's image for a platform. Where there is none with the very variant, the nearest older one is taken,
// which runs there as well: linux/amd64 for linux/amd64/v3. The error lists the platforms that the base has.
//
// Layers are fetched when they are read, and not before. They have the media types of OCI, whatever the base says.
func (b *Base) Image(platform v1.Platform) (v1.Image, error) {
	b.mu.Lock()
	load, ok := b.images[platform.String()]
	if !ok {
		load = sync.OnceValues(func() (v1.Image, error) {
			img, err := b.load(platform)
			if err != nil {
				return nil, fmt.Errorf("reading the base %s: %w", b.given, err)
			}
			return img, nil
		})
		b.images[platform.String()] = load
	}
	b.mu.Unlock()
	return load()
}

func (b *Base) load(want v1.Platform) (v1.Image, error) {
	// A v1.Image knows no contexts; what is fetched here is small.
	ctx := context.Background()
	var best *content
	var bestPlatform v1.Platform
	var chosen v1.Descriptor
	target := newTarget(want)
	var offers []string
	for _, m := range b.manifests {
		platform, img, err := b.platformOf(ctx, m)
		if err != nil {
			return nil, err
		}
		if platform.OS == "unknown" {
			continue // an attestation, as BuildKit adds them to its indexes
		}
		offers = append(offers, (&v1.Platform{OS: platform.OS, Architecture: platform.Architecture, Variant: platform.Variant}).String())
		if target.runs(*platform) && (best == nil || target.prefers(*platform, bestPlatform)) {
			if img == nil {
				var err error
				if img, err = b.open(ctx, m); err != nil {
					return nil, err
				}
			}
			best, bestPlatform, chosen = img, *platform, m
		}
	}
	if len(offers) == 0 {
		return nil, errors.New("there is no image in it")
	}
	if best == nil {
		offers = slices.Compact(offers)
		if len(offers) > offersShown {
			offers = append(offers[:offersShown], "…")
		}
		return nil, fmt.Errorf("it has no image for %s, only for %s: leave the platform out or choose another base",
			want, strings.Join(offers, ", "))
	}
	config, err := best.ConfigFile()
	if err != nil {
		return nil, err
	}
	// The configuration is part of the image, and what an index calls it is not. It may leave things open.
	is := v1.Platform{OS: config.OS, Architecture: config.Architecture, Variant: config.Variant}
	if p := chosen.Platform; p != nil {
		is = v1.Platform{OS: cmp.Or(is.OS, p.OS), Architecture: cmp.Or(is.Architecture, p.Architecture), Variant: cmp.Or(is.Variant, p.Variant)}
	}
	if !target.runs(is) {
		return nil, mislabelled(chosen, config)
	}
	return best, nil
}

// platformOf is the platform of an image, which is opened if its index does not say that.
func (b *Base) platformOf(ctx context.Context, d v1.Descriptor) (*v1.Platform, *content, error) {
	if d.Platform != nil {
		return d.Platform, nil, nil
	}
	img, err := b.open(ctx, d)
	if err != nil {
		return nil, nil, err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, nil, err
	}
	return &v1.Platform{OS: config.OS, Architecture: config.Architecture, Variant: config.Variant}, img, nil
}

// Platforms are the images of the base: their digests and platforms.
func (b *Base) Platforms(ctx context.Context) ([]v1.Descriptor, error) {
	var all []v1.Descriptor
	for _, m := range b.manifests {
		platform, _, err := b.platformOf(ctx, m)
		if err != nil {
			return nil, fmt.Errorf("reading the base %s: %w", b.given, err)
		}
		if platform.OS != "unknown" {
			m.Platform = platform
			all = append(all, m)
		}
	}
	return all, nil
}

// offersShown is how many platforms of a base an error lists.
const offersShown = 20

func mislabelled(d v1.Descriptor, config *v1.ConfigFile) error {
	return fmt.Errorf("the index says that %s is for %s, and its configuration says %s: the image is mislabelled, choose another", d.Digest, d.Platform, config.Platform())
}

// open reads the manifest and the configuration of an image.
func (b *Base) open(ctx context.Context, d v1.Descriptor) (*content, error) {
	raw, err := b.source.manifest(ctx, d.Digest)
	if err != nil {
		return nil, err
	}
	if d.Size != int64(len(raw)) {
		return nil, fmt.Errorf("the manifest %s has %d bytes, and its index says %d: the index is damaged or forged", d.Digest, len(raw), d.Size)
	}
	manifest, err := parseManifest(raw)
	if err != nil {
		return nil, fmt.Errorf("the manifest %s: %w", d.Digest, err)
	}
	if manifest.Manifests != nil {
		return nil, fmt.Errorf("%s is an index within an index, which is not supported: name the inner one by its digest", d.Digest)
	}
	config, err := b.config(ctx, d.Digest, manifest.Config)
	if err != nil {
		return nil, fmt.Errorf("the configuration %s: %w", manifest.Config.Digest, err)
	}
	var file v1.ConfigFile
	if err := json.Unmarshal(config, &file); err != nil {
		return nil, fmt.Errorf("the configuration %s: %w", manifest.Config.Digest, err)
	}
	if len(manifest.Layers) != len(file.RootFS.DiffIDs) {
		return nil, fmt.Errorf("the manifest %s has %d layers and its configuration %d",
			d.Digest, len(manifest.Layers), len(file.RootFS.DiffIDs))
	}
	img := &content{config: config}
	for i := range manifest.Layers {
		manifest.Layers[i].MediaType = ociType(manifest.Layers[i].MediaType)
		blob := manifest.Layers[i]
		img.layers = append(img.layers, b.source.place(&layer{
			descriptor: blob,
			diffID:     file.RootFS.DiffIDs[i],
			cache:      b.cache,
			open:       func(ctx context.Context) (io.ReadCloser, error) { return b.source.blob(ctx, d.Digest, blob) },
		}))
	}
	manifest.MediaType = types.OCIManifestSchema1
	manifest.Config.MediaType = types.OCIConfigJSON
	if img.manifest, err = json.Marshal(manifest.Manifest); err != nil {
		return nil, err
	}
	return img, nil
}

func (b *Base) config(ctx context.Context, manifest v1.Hash, d v1.Descriptor) ([]byte, error) {
	if !d.MediaType.IsConfig() {
		return nil, fmt.Errorf("its media type is %q: the base is not a container image", d.MediaType)
	}
	content, err := b.source.blob(ctx, manifest, d)
	if err != nil {
		return nil, err
	}
	return readDocument(content)
}

// anyManifest is an index if it has Manifests, else the manifest of an image.
type anyManifest struct {
	v1.Manifest
	Manifests []v1.Descriptor `json:"manifests,omitempty"`
}

// parseManifest goes by what a document holds: not every registry and layout gives the right media type. One that could
// be read as either kind is refused, as the specification asks for. Source:
// https://github.com/opencontainers/image-spec/security/advisories/GHSA-77vh-xpmg-72qh
func parseManifest(raw []byte) (*anyManifest, error) {
	var m anyManifest
	if err := json.NewDecoder(bytes.NewReader(raw)).Decode(&m); err != nil {
		return nil, err
	}
	isImage := m.Config.Digest != (v1.Hash{})
	switch {
	case m.SchemaVersion == 1:
		return nil, errors.New("it is in Docker's old format, schema 1: push the image again with a current tool")
	case m.Manifests == nil && !isImage:
		return nil, fmt.Errorf("it is neither an image nor an index (media type %q)", m.MediaType)
	case m.Manifests != nil && (isImage || m.Layers != nil), m.MediaType.IsIndex() && isImage, m.MediaType.IsImage() && !isImage:
		return nil, fmt.Errorf("it could be an image as well as an index (media type %q), and is refused", m.MediaType)
	}
	return &m, nil
}

// newBase is the base whose manifest or index is raw.
func newBase(source source, digest v1.Hash, raw []byte) (*Base, error) {
	manifest, err := parseManifest(raw)
	if err != nil {
		return nil, fmt.Errorf("the manifest %s: %w", digest, err)
	}
	base := &Base{Digest: digest, source: source, manifests: manifest.Manifests}
	if manifest.Manifests == nil {
		base.manifests = []v1.Descriptor{{Digest: digest, Size: int64(len(raw))}}
	}
	if len(base.manifests) > manifestLimit {
		return nil, fmt.Errorf("the index %s has %d manifests, more than the %d that are read", digest, len(base.manifests), manifestLimit)
	}
	return base, nil
}

// manifestLimit is the most images of an index.
const manifestLimit = 1000

// ociType is OCI's media type for the same format of a layer.
func ociType(t types.MediaType) types.MediaType {
	switch t {
	case types.DockerLayer:
		return types.OCILayer
	case types.DockerUncompressedLayer:
		return types.OCIUncompressedLayer
	case types.DockerForeignLayer:
		return types.OCIRestrictedLayer
	}
	return t
}

// documentLimit is the size in bytes of the biggest manifest or configuration that is read: as much as registries take.
const documentLimit = 4 << 20

// readDocument reads and closes a manifest or configuration.
func readDocument(content io.ReadCloser) (raw []byte, err error) {
	defer func() { err = errors.Join(err, content.Close()) }()
	raw, err = io.ReadAll(io.LimitReader(content, documentLimit+1))
	if err == nil && len(raw) > documentLimit {
		return nil, fmt.Errorf("it has more than %d bytes", documentLimit)
	}
	return raw, err
}
