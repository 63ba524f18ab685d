package oci

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// madeLayer is what a store knows of a layer that was made in it.
type madeLayer struct {
	MediaType types.MediaType `json:"mediaType"`
	Digest    v1.Hash         `json:"digest"`
	Size      int64           `json:"size"`
	DiffID    v1.Hash         `json:"diffID"`
	// Unpacked is the size in bytes of the archive that was compressed.
	Unpacked int64 `json:"unpacked"`
}

func (m madeLayer) layer(store *Store) *layer {
	return &layer{
		descriptor: v1.Descriptor{MediaType: m.MediaType, Digest: m.Digest, Size: m.Size},
		diffID:     m.DiffID,
		unpacked:   m.Unpacked,
		open: func(context.Context) (io.ReadCloser, error) {
			content, err := store.read(m.Digest)
			if err != nil {
				return nil, fmt.Errorf("reading a layer that was made before: %w", err)
			}
			return content, nil
		},
	}
}

// packing is part of every recipe. It has to change when the same files are to give another layer.
const packing = "1: tar PAX, klauspost/compress"

// recipeOf names all that a layer is made of; empty if the content of a file is not known.
func recipeOf(files []File, when time.Time, c Compression) string {
	c = c.normal()
	recipe := fmt.Appendf(nil, "%s\n%v %d %d\n", packing, c.Zstd, c.Level, when.Unix())
	for _, f := range files {
		if f.Mode.IsRegular() && f.ID == "" {
			return ""
		}
		recipe = append(append(recipe, f.ID...), '\t')
		recipe = append(recipe, f.entry().line()...)
	}
	return sha256Of(recipe).Hex
}

// recall finds the layer that was made by the recipe; nil if there is none, or if it or what is known of it has been damaged.
func (s *Store) recall(recipe string) *layer {
	var made madeLayer
	if recipe == "" || !s.Recall(recipe, &made) {
		return nil
	}
	content, err := s.open(made.Digest) // which checks it: an upload must not be what finds out
	if err != nil {
		return nil
	}
	if name, err := s.name(made.Digest); err == nil {
		Touch(name)
	}
	if content.Close() != nil {
		return nil
	}
	return made.layer(s)
}

// note is what the file of a note holds. Sum is that of the key and What, so that a damaged note counts as absent.
type note struct {
	What json.RawMessage `json:"what"`
	Sum  string          `json:"sum"`
}

func noteSum(key string, what []byte) string { return sha256Of(slices.Concat([]byte(key), what)).Hex }

// Remember keeps what is known of something that key stands for. It is written as JSON.
func (s *Store) Remember(key string, what any) error {
	text, err := json.Marshal(what)
	if err != nil {
		return err
	}
	text, err = json.Marshal(note{What: text, Sum: noteSum(key, text)})
	if err != nil {
		return err
	}
	return WriteEntry(s.note(key), text)
}

// Recall reads what Remember kept. It is false, and into undefined, if there is nothing, or if it has been damaged.
func (s *Store) Recall(key string, into any) bool {
	name := s.note(key)
	text, err := ReadEntry(name)
	if err != nil {
		return false
	}
	var n note
	if json.Unmarshal(text, &n) != nil || n.Sum != noteSum(key, n.What) || json.Unmarshal(n.What, into) != nil {
		return false
	}
	Touch(name)
	return true
}

func (s *Store) note(key string) string {
	return filepath.Join(s.dir, "notes", sha256Of([]byte(key)).Hex)
}

// Touch notes that a file of the store is in use, so that it stays when others go. It does so but rarely: that changes the file, as
// far as its fingerprint tells, so that the next one who wants its sum has to read it.
func Touch(name string) {
	now := time.Now()
	if info, err := os.Stat(name); err != nil || now.Sub(info.ModTime()) < recent/2 {
		return
	}
	_ = os.Chtimes(name, now, now) // without the right to, it is forgotten too soon and made again
}
