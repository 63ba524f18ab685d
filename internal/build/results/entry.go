package results

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/slipway-ci/slipway/internal/attest/sbom"
	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/build/slot"
	"github.com/slipway-ci/slipway/internal/distro"
	"github.com/slipway-ci/slipway/internal/plan"
)

// entryType is the type of the artifact with an entry.
const entryType = "application/vnd.slipway.result.v1+json"

// entry is what is known of an image besides itself.
type entry struct {
	Key   string  `json:"key"`
	Image v1.Hash `json:"image"`
	// BinarySize and UnpackedSize are those of [build.Image].
	BinarySize   int64 `json:"binarySize"`
	UnpackedSize int64 `json:"unpackedSize"`
	// Packages are those of a distribution that were installed.
	Packages []distro.Package `json:"packages,omitempty"`
	// Documents are the bills of materials, by their formats.
	Documents map[string][]byte `json:"documents"`
}

// signed is what a key signs of an entry.
func signed(document []byte) []byte { return append([]byte("slipway result\n"), document...) }

// most is how many bytes an image may have that is taken from a cache or put there: as many as the cache of this machine is limited to.
const most = 4 << 30

// get finds a result; nil if there is none. What is in the cache may be anything: an error says why it is not taken.
func (e *Engine) get(ctx context.Context, c *Cache, p *plan.Plan, platform plan.Platform, key string) (*build.Image, error) {
	slots := make([]*slot.Slot, len(e.Branches))
	failures := make([]error, len(e.Branches))
	var group errgroup.Group
	asking, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for i, branch := range e.Branches {
		group.Go(func() error {
			slots[i], failures[i] = c.Repository.Get(asking, slot.Entry{Kind: slot.Result, Image: p.Name, Platform: platform.String(), Branch: branch}.Name())
			failures[i] = answered(failures[i])
			return nil
		})
	}
	_ = group.Wait()
	for i, s := range slots {
		if s == nil || s.Index.Annotations[slot.AnnotationKey] != key {
			continue
		}
		var image *build.Image
		if image, failures[i] = e.open(ctx, c, s, platform, key); image != nil {
			return image, nil
		}
	}
	for _, err := range failures {
		if err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// open opens the result in a slot.
func (e *Engine) open(ctx context.Context, c *Cache, s *slot.Slot, platform plan.Platform, key string) (*build.Image, error) {
	artifact, ok := s.Artifact(entryType)
	if !ok {
		return nil, errors.New("the result has no entry")
	}
	var document []byte
	var img v1.Image
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		document, err = s.Document(groupCtx, artifact)
		return err
	})
	group.Go(func() error {
		if s.Manifest != nil && e.Results.Cache != nil { // it is not asked for again
			if _, _, err := e.Results.Cache.PutBlob(s.Digest.Hex, func(w io.Writer) error {
				_, err := w.Write(s.Manifest)
				return err
			}); err != nil {
				return err
			}
		}
		found, err := e.Results.Resolve(groupCtx, s.Ref)
		if err != nil {
			return err
		}
		if found.Digest != s.Digest {
			return errors.New("the result was replaced meanwhile")
		}
		if img, err = found.Image(v1.Platform{OS: platform.OS, Architecture: platform.Architecture, Variant: platform.Variant}); err != nil {
			return err
		}
		if err := check(img, platform); err != nil {
			return err
		}
		return e.layers(groupCtx, img, s, c.Fetch)
	})
	if err := group.Wait(); err != nil {
		return nil, err
	}
	cached := &build.Cached{Key: "sha256:" + key, Cache: c.Name}
	if e.Key != nil {
		signature, err := base64.StdEncoding.DecodeString(s.Index.Annotations[slot.AnnotationSignature])
		if err != nil || e.Key.Verifier().Verify(signed(document), signature) != nil {
			return nil, errors.New("the result is not signed by this key")
		}
		cached.Signed = true
	}
	var known entry
	if err := json.Unmarshal(document, &known); err != nil {
		return nil, fmt.Errorf("the result's entry: %w", err)
	}
	digest, err := img.Digest()
	if err != nil {
		return nil, err
	}
	for _, format := range sbom.Formats {
		if known.Documents[string(format)] == nil {
			return nil, errors.New("the result has no bill of materials")
		}
	}
	if known.Key != key || known.Image != digest {
		return nil, errors.New("the result's entry is that of another")
	}
	return &build.Image{
		Image: img, Platform: platform.String(), BinarySize: known.BinarySize, UnpackedSize: known.UnpackedSize,
		Packages: known.Packages, Documents: known.Documents, Cached: cached,
	}, nil
}

// check checks what an image says of itself.
func check(img v1.Image, platform plan.Platform) error {
	config, err := img.ConfigFile()
	if err != nil {
		return err
	}
	if config.OS != platform.OS || config.Architecture != platform.Architecture || config.Variant != platform.Variant {
		return fmt.Errorf("the result is for %s", config.Platform())
	}
	layers, err := img.Layers()
	if err != nil {
		return err
	}
	left := int64(most)
	for _, l := range layers {
		size, err := l.Size()
		if err != nil {
			return err
		}
		if left -= size; size < 0 || left < 0 {
			return errors.New("the result is too large")
		}
	}
	return nil
}

// layers makes sure that the layers of an image can be had, and fetches them if need be.
func (e *Engine) layers(ctx context.Context, img v1.Image, s *slot.Slot, fetch bool) error {
	layers, err := img.Layers()
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, l := range layers {
		group.Go(func() error {
			if !fetch {
				digest, err := l.Digest()
				if err != nil {
					return err
				}
				has, err := s.Has(ctx, digest)
				if err == nil && !has {
					err = fmt.Errorf("the repository lacks the layer %s", digest)
				}
				return err
			}
			content, err := l.Compressed() // which fetches and verifies all of it
			if err != nil {
				return err
			}
			return content.Close()
		})
	}
	return group.Wait()
}
