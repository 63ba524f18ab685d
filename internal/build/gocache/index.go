package gocache

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// blob is a layer with the contents of objects, one after the other, compressed.
type blob struct {
	layer   v1.Layer
	objects []object
}

// size is that of all objects in bytes.
func (b blob) size() (total int64) {
	for _, o := range b.objects {
		total += o.size
	}
	return total
}

// equal reports whether two blobs hold the same. Those of different objects may have the same content.
func (b blob) equal(other blob) bool {
	is, err1 := b.layer.Digest()
	was, err2 := other.layer.Digest()
	return errors.Join(err1, err2) == nil && is == was && slices.Equal(b.objects, other.objects)
}

// most is how many bytes the objects of a build may have: as many as the cache of this machine is limited to.
const most = 4 << 30

// encode writes the index of blobs: for each, how many objects it has, and their digests and sizes in their order.
func encode(blobs []blob) []byte {
	var text []byte
	for _, b := range blobs {
		text = binary.AppendUvarint(text, uint64(len(b.objects)))
		for _, o := range b.objects {
			text = append(text, o.action[:]...)
			text = append(text, o.output[:]...)
			text = binary.AppendUvarint(text, uint64(o.size))
		}
	}
	return text
}

var errIndex = errors.New("the index of compiled packages is damaged")

// decode reads an index, which may hold anything, of blobs that are these layers.
func decode(text []byte, layers []v1.Layer) ([]blob, error) {
	in := bytes.NewReader(text)
	var blobs []blob
	left := int64(most)
	for _, layer := range layers {
		n, err := binary.ReadUvarint(in)
		if err != nil || n > uint64(in.Len()) {
			return nil, errIndex
		}
		b := blob{layer: layer, objects: make([]object, 0, min(n, uint64(in.Len()/64)))}
		for range n {
			var o object
			_, err1 := io.ReadFull(in, o.action[:])
			_, err2 := io.ReadFull(in, o.output[:])
			size, err3 := binary.ReadUvarint(in)
			if errors.Join(err1, err2, err3) != nil || size > uint64(left) {
				return nil, errIndex
			}
			o.size = int64(size)
			left -= o.size
			b.objects = append(b.objects, o)
		}
		blobs = append(blobs, b)
	}
	if in.Len() > 0 {
		return nil, errIndex
	}
	return blobs, nil
}
