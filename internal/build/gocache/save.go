package gocache

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"

	"github.com/slipway-ci/slipway/internal/build/slot"
	"github.com/slipway-ci/slipway/internal/cache/temporary"
)

// mostBlobs is how many blobs a slot has: each costs its reader a request.
const mostBlobs = 6

// arrange decides which blobs stay, and which of the objects that were used get into a new one. A blob stays if three quarters of its
// bytes were used; of too many, the smallest go.
func arrange(used []usedObject, blobs []blob) (stay []blob, rest []usedObject) {
	outputs := map[id]id{}
	for _, o := range used {
		outputs[o.action] = o.output
	}
	live := func(o object) bool { return outputs[o.action] == o.output }
	for _, b := range blobs {
		var bytes int64
		for _, o := range b.objects {
			if live(o) {
				bytes += o.size
			}
		}
		if bytes > 0 && bytes*4 >= b.size()*3 {
			stay = append(stay, b)
		}
	}
	slices.SortStableFunc(stay, func(a, b blob) int { return cmp.Compare(b.size(), a.size()) })
	stay = stay[:min(len(stay), mostBlobs-1)]
	has := map[id]bool{}
	for _, b := range stay {
		for _, o := range b.objects {
			if live(o) {
				has[o.action] = true
			}
		}
	}
	return stay, slices.DeleteFunc(slices.Clone(used), func(o usedObject) bool { return has[o.action] })
}

// save has the slots of the images hold the objects that were used.
func (s *Session) save(ctx context.Context, used []usedObject) error {
	var total int64
	for _, o := range used {
		total += o.size
	}
	if total > most {
		return fmt.Errorf("they have %d bytes, and at most %d are cached", total, int64(most))
	}
	stay, rest := arrange(used, s.fetched.sound())
	images := s.Images
	if len(rest) == 0 && len(stay) == len(s.fetched.blobs) {
		images = slices.DeleteFunc(slices.Clone(images), func(image string) bool { return s.fetched.images[image] })
	}
	if len(images) == 0 {
		return nil
	}
	err := s.replace(ctx, images, stay, rest)
	if err != nil && len(stay) > 0 && ctx.Err() == nil { // the blobs may not be there any more
		err = s.replace(ctx, images, nil, used)
	}
	return err
}

// replace has the slots of images hold the blobs that stay, and one of the rest.
func (s *Session) replace(ctx context.Context, images []string, blobs []blob, rest []usedObject) (err error) {
	if len(rest) > 0 {
		made, err := pack(ctx, rest)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, made.file.Discard()) }()
		objects := make([]object, len(rest))
		for i, o := range rest {
			objects[i] = o.object
		}
		blobs = append(slices.Clone(blobs), blob{made, objects})
	}
	return s.write(ctx, images, blobs)
}

// write has the slots of images hold blobs.
func (s *Session) write(ctx context.Context, images []string, blobs []blob) error {
	index := encode(blobs)
	var layers []v1.Layer
	total := int64(len(index))
	for _, b := range blobs {
		size, err := b.layer.Size()
		if err != nil {
			return err
		}
		total += size
		layers = append(layers, opaque{b.layer})
	}
	var signature string
	if key := s.cache.Key; key != nil {
		made, err := key.Sign(s.signed(index))
		if err != nil {
			return err
		}
		signature = base64.StdEncoding.EncodeToString(made)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(sideBySide)
	for _, image := range images {
		group.Go(func() error {
			into := s.entry(image, s.cache.Branches[0])
			into.Size = total
			annotations := into.Annotations(s.form())
			if signature != "" {
				annotations[slot.AnnotationSignature] = signature
			}
			content, err := slot.New(annotations)
			if err != nil {
				return err
			}
			if content, err = slot.Add(content, artifactType, index, layers...); err != nil {
				return err
			}
			return s.cache.Repository.Put(ctx, into.Name(), content)
		})
	}
	return group.Wait()
}

// opaque is a layer that nobody has to unpack to know what it is.
type opaque struct{ v1.Layer }

func (o opaque) DiffID() (v1.Hash, error) { return o.Digest() }

// packed is a blob in a file, as a layer.
type packed struct {
	file   *temporary.Part
	digest v1.Hash
	size   int64
}

func (p packed) Digest() (v1.Hash, error)             { return p.digest, nil }
func (p packed) DiffID() (v1.Hash, error)             { return p.digest, nil }
func (p packed) Size() (int64, error)                 { return p.size, nil }
func (p packed) MediaType() (types.MediaType, error)  { return artifactType + "+zstd", nil }
func (p packed) Compressed() (io.ReadCloser, error)   { return os.Open(p.file.Name()) }
func (p packed) Uncompressed() (io.ReadCloser, error) { return p.Compressed() }

// pack compresses objects into a file, which the caller discards.
func pack(ctx context.Context, objects []usedObject) (packed, error) {
	hash := sha256.New()
	file, err := temporary.Fill(os.TempDir(), func(w io.Writer) error {
		return slot.Compress(ctx, io.MultiWriter(w, hash), func(z io.Writer) error {
			for _, o := range objects {
				if err := errors.Join(ctx.Err(), o.copyTo(z)); err != nil {
					return err
				}
			}
			return nil
		})
	})
	if err != nil {
		return packed{}, err
	}
	p := packed{file: file, digest: v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(hash.Sum(nil))}}
	p.size, err = file.Seek(0, io.SeekCurrent)
	if err != nil {
		return packed{}, errors.Join(err, file.Discard())
	}
	return p, nil
}

// copyTo copies the content of an object. What is in its file may have changed: nobody takes it then.
func (o usedObject) copyTo(w io.Writer) error {
	f, err := os.Open(o.file)
	if err != nil {
		return err
	}
	_, err = io.CopyN(w, f, o.size)
	return errors.Join(err, f.Close())
}
