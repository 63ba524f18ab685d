package publish

import (
	"io"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// meter counts the bytes of blobs that are in the repository. go-containerregistry's own progress goes through a
// channel, and stops an upload whose reader has gone.
type meter struct {
	mu              sync.Mutex
	complete, total int64
	progress        Progress
}

func newMeter(blobs []blob, progress Progress) *meter {
	m := &meter{progress: progress}
	for _, b := range blobs {
		m.total += b.size
	}
	return m
}

// add is called with the meter locked.
func (m *meter) add(n int64) {
	m.complete += n
	if m.progress != nil && n != 0 {
		m.progress(m.complete, m.total)
	}
}

// measure returns b as a layer that counts while it is uploaded, and what to call when it is in the repository.
func (m *meter) measure(b blob) (layer v1.Layer, done func()) {
	// Only a layer of this very type is mounted, so the counting goes inside.
	if mountable, ok := b.Layer.(*remote.MountableLayer); ok {
		counted := &measured{Layer: mountable.Layer, meter: m, size: b.size}
		return &remote.MountableLayer{Layer: counted, Reference: mountable.Reference}, counted.done
	}
	counted := &measured{Layer: b.Layer, meter: m, size: b.size}
	return counted, counted.done
}

// measured is a layer whose last reader is counted: an upload that begins again opens the layer once more, while
// net/http may still be reading what it opened before.
type measured struct {
	v1.Layer
	meter *meter
	size  int64

	// The meter's lock guards these.
	counted int64
	current *measuredReader
}

func (l *measured) Compressed() (io.ReadCloser, error) {
	content, err := l.Layer.Compressed()
	if err != nil {
		return nil, err
	}
	l.meter.mu.Lock()
	defer l.meter.mu.Unlock()
	l.meter.add(-l.counted)
	l.counted = 0
	l.current = &measuredReader{ReadCloser: content, layer: l}
	return l.current, nil
}

// done counts the rest of the blob: all of it if it was there before or could be mounted.
func (l *measured) done() {
	l.meter.mu.Lock()
	defer l.meter.mu.Unlock()
	l.meter.add(l.size - l.counted)
	l.counted, l.current = l.size, nil
}

type measuredReader struct {
	io.ReadCloser
	layer *measured
}

func (r *measuredReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	meter := r.layer.meter
	meter.mu.Lock()
	defer meter.mu.Unlock()
	if r.layer.current == r {
		r.layer.counted += int64(n)
		meter.add(int64(n))
	}
	return n, err
}
