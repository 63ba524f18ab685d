package sbom

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// contents is what the file system of an image holds.
type contents struct {
	files    []fileEntry
	programs []programEntry
	// texts are files that say what is installed, by their paths.
	texts map[string][]byte
}

type fileEntry struct{ path, sha1, sha256 string }

type programEntry struct {
	fileEntry
	info *buildinfo.BuildInfo
}

// Sizes in bytes of the biggest program and text that are opened, so that no image can ask for any amount of memory.
const (
	programLimit = 1 << 30
	textLimit    = 64 << 20
)

// Names that delete files of lower layers. Source: https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md#whiteouts
const (
	whiteout = ".wh."
	opaque   = ".wh..wh..opq"
)

// scan reads all regular files that can be seen in the image. Hard links to them are not listed on their own.
func scan(ctx context.Context, img v1.Image) (*contents, error) {
	layers, err := img.Layers()
	if err != nil {
		return nil, err
	}
	s := scanner{contents: contents{texts: map[string][]byte{}}, taken: map[string]bool{}, hidden: map[string]bool{}}
	for i := len(layers) - 1; i >= 0; i-- {
		if err := s.layer(ctx, layers[i]); err != nil {
			return nil, fmt.Errorf("reading layer %d of %d: %w", i+1, len(layers), err)
		}
	}
	return &s.contents, nil
}

// scanner goes from the top layer to the lowest.
type scanner struct {
	contents
	// taken are the paths that a layer above has something at; hidden are the folders whose lower content is gone.
	taken, hidden map[string]bool
}

func (s *scanner) layer(ctx context.Context, l v1.Layer) (err error) {
	content, err := l.Uncompressed()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, content.Close()) }()
	// What this layer has and hides counts for those below it.
	taken, hidden := map[string]bool{}, map[string]bool{}
	archive := tar.NewReader(content)
	for {
		h, err := archive.Next()
		if err == io.EOF {
			break
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		name := path.Clean("/" + h.Name)
		switch dir, last := path.Split(name); {
		case last == opaque:
			hidden[path.Clean(dir)] = true
		case strings.HasPrefix(last, whiteout):
			gone := path.Join(dir, strings.TrimPrefix(last, whiteout))
			taken[gone], hidden[gone] = true, true
		case s.visible(name):
			taken[name] = true
			if h.Typeflag != tar.TypeDir {
				hidden[name] = true // a folder of that name below is no more
			}
			if h.Typeflag == tar.TypeReg {
				if err := s.file(name, h, archive); err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
			}
		}
	}
	for name := range taken {
		s.taken[name] = true
	}
	for name := range hidden {
		s.hidden[name] = true
	}
	return nil
}

// visible says whether no layer above has the path or hides it.
func (s *scanner) visible(name string) bool {
	if s.taken[name] {
		return false
	}
	for dir := path.Dir(name); ; dir = path.Dir(dir) {
		if s.hidden[dir] {
			return false
		}
		if dir == "/" {
			return true
		}
	}
}

func (s *scanner) file(name string, h *tar.Header, content io.Reader) error {
	sum1, sum256 := sha1.New(), sha256.New() // SPDX asks for SHA-1
	var kept bytes.Buffer
	all := io.MultiWriter(sum1, sum256)
	start := make([]byte, 4)
	n, err := io.ReadFull(content, start)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return err
	}
	start = start[:n]
	isText := isDatabase(name) && h.Size <= textLimit
	isELF := string(start) == "\x7fELF" && h.Mode&0o111 != 0 && h.Size <= programLimit
	if isText || isELF {
		kept.Grow(int(min(h.Size, 32<<20))) // what a header says may not be there
		all = io.MultiWriter(sum1, sum256, &kept)
	}
	if _, err := io.Copy(all, io.MultiReader(bytes.NewReader(start), content)); err != nil {
		return err
	}
	entry := fileEntry{name, hex.EncodeToString(sum1.Sum(nil)), hex.EncodeToString(sum256.Sum(nil))}
	if isText {
		s.texts[name] = kept.Bytes()
	}
	if isELF {
		// An error means that Go has not made the program: it is a file like any other.
		if info, err := buildinfo.Read(bytes.NewReader(kept.Bytes())); err == nil {
			s.programs = append(s.programs, programEntry{entry, info})
			return nil
		}
	}
	s.files = append(s.files, entry)
	return nil
}

func (c *contents) fileComponents() []component {
	var all []component
	for _, f := range c.files {
		all = append(all, component{kind: file, ref: "file:" + f.path, name: f.path, sha1: f.sha1, sha256: f.sha256})
	}
	return all
}
