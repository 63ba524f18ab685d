package image

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Names that delete files of lower layers. Source: https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md#whiteouts
const (
	whiteout = ".wh."
	opaque   = ".wh..wh..opq"
)

// readLimit is the size in bytes of the biggest file that ReadFile reads.
const readLimit = 1 << 20

// maxLinks is how many symbolic links are followed, as on Linux.
const maxLinks = 40

// ReadFile reads a regular file of at most 1 MiB from the file system that the layers of img make up. Symbolic links
// are followed within the image. The error is fs.ErrNotExist if there is no such file.
func ReadFile(img v1.Image, name string) ([]byte, error) {
	var data []byte
	_, err := lookup(img, name, func(h *tar.Header, content io.Reader) (err error) {
		if h.Typeflag != tar.TypeReg {
			return errors.New("it is not a regular file")
		}
		if h.Size > readLimit {
			return fmt.Errorf("it has %d bytes, more than the %d that are read", h.Size, readLimit)
		}
		data, err = io.ReadAll(content)
		return err
	})
	return data, err
}

// Stat describes a file or folder of the file system that the layers of img make up. Symbolic links are followed within
// the image. The error is fs.ErrNotExist if no layer has an entry for it.
func Stat(img v1.Image, name string) (fs.FileInfo, error) {
	h, err := lookup(img, name, func(*tar.Header, io.Reader) error { return nil })
	if err != nil {
		return nil, err
	}
	return h.FileInfo(), nil
}

// lookup finds a file and shows it to visit. It reads no further than it must.
func lookup(img v1.Image, name string, visit func(*tar.Header, io.Reader) error) (*tar.Header, error) {
	fail := func(err error) (*tar.Header, error) {
		return nil, fmt.Errorf("looking for %s in an image: %w", name, err)
	}
	layers, err := img.Layers()
	if err != nil {
		return fail(err)
	}
	target := path.Clean("/" + name)
	for range maxLinks {
		s := search{target: target, visit: visit}
		for i := len(layers) - 1; i >= 0 && !s.done; i-- {
			if err := s.layer(layers[i]); err != nil {
				return fail(err)
			}
		}
		if s.found != nil {
			return s.found, nil
		}
		if s.redirect == "" {
			return fail(fs.ErrNotExist)
		}
		target = s.redirect
	}
	return fail(errors.New("too many symbolic links, perhaps in a circle"))
}

// search looks for one path, from the top layer to the lowest.
type search struct {
	target string
	visit  func(*tar.Header, io.Reader) error

	// done says that lower layers do not matter any more.
	done bool
	// found is the file itself; redirect is what to look for instead, since a link was on the way.
	found    *tar.Header
	redirect string
}

func (s *search) layer(l v1.Layer) (err error) {
	content, err := l.Uncompressed()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, content.Close()) }()
	archive := tar.NewReader(content)
	hidden := false
	for {
		h, err := archive.Next()
		if err == io.EOF {
			// What a layer hides is in lower layers; the rest of the layer itself still counted.
			s.done = s.done || hidden
			return nil
		}
		if err != nil {
			return err
		}
		entry := path.Clean("/" + h.Name)
		switch dir, base := path.Split(entry); {
		case base == opaque:
			hidden = hidden || within(s.target, path.Clean(dir)) && s.target != path.Clean(dir)
		case strings.HasPrefix(base, whiteout):
			hidden = hidden || within(s.target, path.Join(dir, strings.TrimPrefix(base, whiteout)))
		case within(s.target, entry):
			if err := s.entry(entry, h, archive); err != nil || s.found != nil || s.redirect != "" {
				s.done = true
				return err
			}
		}
	}
}

// entry looks at an entry of the target or of a folder above it.
func (s *search) entry(name string, h *tar.Header, content io.Reader) error {
	rest := strings.TrimPrefix(s.target, name)
	switch {
	case h.Typeflag == tar.TypeSymlink && path.IsAbs(h.Linkname):
		s.redirect = path.Join(h.Linkname, rest)
	case h.Typeflag == tar.TypeSymlink:
		s.redirect = path.Join(path.Dir(name), h.Linkname, rest)
	case rest == "" && h.Typeflag == tar.TypeLink:
		s.redirect = path.Clean("/" + h.Linkname)
	case rest == "":
		s.found = h
		return s.visit(h, content)
	case h.Typeflag != tar.TypeDir:
		return fs.ErrNotExist
	}
	return nil
}

// within reports whether name is dir or below it.
func within(name, dir string) bool {
	return name == dir || dir == "/" || strings.HasPrefix(name, dir+"/")
}
