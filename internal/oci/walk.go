package oci

import (
	"archive/tar"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Entry is a regular file of a layer.
type Entry struct {
	// Path is absolute and clean.
	Path string
	Mode fs.FileMode
	Size int64
	// Compressed is about how many bytes of the compressed layer the file takes up. It is known when Walk is over.
	Compressed int64
}

// Walked is what a layer was found to have.
type Walked struct {
	// Files are in the order of the layer. Those that say what of the layers below is gone are not among them.
	Files []Entry
	// Compressed and Unpacked are the sizes in bytes of the layer. What no file takes up of them is the archive's.
	Compressed, Unpacked int64
}

// Walk reads a whole layer. visit is called for each regular file, and may read its content.
func Walk(ctx context.Context, l v1.Layer, visit func(Entry, io.Reader) error) (_ *Walked, err error) {
	digest, err := l.Digest()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("reading the layer %s: %w", digest, err)
		}
	}()
	packed, err := compressed(ctx, l)
	if err != nil {
		return nil, err
	}
	taken := &counter{ReadCloser: packed}
	content, err := inflate(taken)
	if err != nil {
		return nil, errors.Join(err, packed.Close())
	}
	defer func() { err = errors.Join(err, content.Close()) }()
	limited := &io.LimitedReader{R: contextReader{ctx, content}, N: unpackedLimit + 1}
	plain := &pace{r: limited, taken: taken}
	walked := &Walked{}
	var begins []int64 // of files' content, in the unpacked layer
	archive := tar.NewReader(plain)
	for count := 0; ; count++ {
		h, err := archive.Next()
		if err == io.EOF {
			break
		}
		if err != nil && limited.N > 0 {
			return nil, err
		}
		if limited.N <= 0 || count >= entryLimit {
			return nil, errTooMany
		}
		e, err := entryOf(h)
		if err != nil {
			return nil, err
		}
		if _, _, is := Whiteout(e.path); is || e.kind != tar.TypeReg {
			continue
		}
		file := Entry{Path: e.path, Mode: h.FileInfo().Mode(), Size: e.size}
		walked.Files, begins = append(walked.Files, file), append(begins, plain.unpacked)
		if err := visit(file, archive); err != nil {
			return nil, fmt.Errorf("%s: %w", e.path, err)
		}
	}
	if _, err := io.CopyBuffer(io.Discard, struct{ io.Reader }{plain}, make([]byte, copyBuffer)); err != nil {
		return nil, err
	}
	if limited.N <= 0 {
		return nil, errTooMany
	}
	walked.Compressed, walked.Unpacked = taken.count, plain.unpacked
	for i, f := range walked.Files {
		walked.Files[i].Compressed = plain.compressed(begins[i]+f.Size) - plain.compressed(begins[i])
	}
	return walked, nil
}

// counter counts what is read.
type counter struct {
	io.ReadCloser
	count int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.count += int64(n)
	return n, err
}

// pace notes how far a compressed stream was read for how much of what is unpacked.
type pace struct {
	r        io.Reader
	taken    *counter
	unpacked int64
	steps    []step
}

type step struct{ unpacked, compressed int64 }

func (p *pace) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	p.unpacked += int64(n)
	last := len(p.steps) - 1
	if last < 0 || p.steps[last].compressed < p.taken.count {
		p.steps = append(p.steps, step{})
		last++
	}
	p.steps[last] = step{p.unpacked, p.taken.count}
	return n, err
}

// compressed is about how many compressed bytes stand for the first so many unpacked ones: between two steps, it goes by proportion.
func (p *pace) compressed(unpacked int64) int64 {
	i, _ := slices.BinarySearchFunc(p.steps, unpacked, func(s step, at int64) int { return cmp.Compare(s.unpacked, at) })
	if i == len(p.steps) {
		return p.taken.count
	}
	before := step{}
	if i > 0 {
		before = p.steps[i-1]
	}
	to := p.steps[i]
	if to.unpacked == before.unpacked {
		return to.compressed
	}
	share := float64(unpacked-before.unpacked) / float64(to.unpacked-before.unpacked)
	return before.compressed + int64(share*float64(to.compressed-before.compressed))
}
