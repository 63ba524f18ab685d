package oci

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	oci "github.com/opencontainers/image-spec/specs-go/v1"
)

// files opens a file of an OCI layout by its name, with slashes, relative to the layout.
type files func(name string) (io.ReadSeekCloser, error)

// layoutSource reads an OCI layout, be it a directory or an archive.
type layoutSource struct{ open files }

// resolveLayout finds a base in a layout.
func resolveLayout(ctx context.Context, ref string, open func(path string) (files, error)) (*Base, error) {
	layout, entry, err := chooseEntry(ref, open)
	if err != nil {
		return nil, err
	}
	source := layoutSource{layout}
	if entry.chosen == nil {
		// Some tools write the index of a multi-platform image as index.json itself.
		return newBase(source, sha256Of(entry.raw), entry.raw)
	}
	raw, err := source.manifest(ctx, entry.chosen.Digest)
	if err != nil {
		return nil, err
	}
	return newBase(source, entry.chosen.Digest, raw)
}

// layoutEntry is what a reference to a layout chooses: an entry of its index.json, or the file itself.
type layoutEntry struct {
	chosen *v1.Descriptor // nil for the file itself
	raw    []byte         // of index.json
	index  v1.IndexManifest
}

// chooseEntry opens a layout. Its reference is a path, with ":" and a name or not.
func chooseEntry(ref string, open func(path string) (files, error)) (files, *layoutEntry, error) {
	location, refName := SplitLayout(ref)
	layout, err := open(location)
	if err != nil {
		return nil, nil, err
	}
	e := &layoutEntry{}
	if e.raw, err = readLayoutIndex(layout, location); err != nil {
		return nil, nil, err
	}
	if err := json.Unmarshal(e.raw, &e.index); err != nil {
		return nil, nil, fmt.Errorf("index.json: %w", err)
	}
	images := slices.DeleteFunc(slices.Clone(e.index.Manifests), isAttached)
	if len(images) == 0 {
		images = e.index.Manifests
	}
	chosen, names := images, []string(nil)
	for _, d := range images {
		if entry := d.Annotations[oci.AnnotationRefName]; entry != "" {
			names = append(names, entry)
		}
	}
	if refName != "" {
		chosen = slices.DeleteFunc(slices.Clone(chosen), func(d v1.Descriptor) bool { return d.Annotations[oci.AnnotationRefName] != refName })
	}
	switch {
	case len(chosen) == 1:
		e.chosen = &chosen[0]
	case len(images) == 0:
		return nil, nil, errors.New("there is no image in it")
	case len(chosen) == 0:
		return nil, nil, fmt.Errorf("there is no image named %q in it, only %q", refName, names)
	case len(names) > 0:
		return nil, nil, fmt.Errorf("there are several images in it: add one of the names %q after a colon", names)
	}
	return layout, e, nil
}

// SplitLayout takes the name of an entry off a reference to a layout. A path may have a colon, as on Windows: the one of an existing file is
// not taken apart.
func SplitLayout(ref string) (location, refName string) {
	if _, err := os.Stat(ref); err == nil {
		return ref, ""
	}
	i := strings.LastIndexByte(ref, ':')
	if i < 0 || strings.ContainsAny(ref[i:], `/\`) {
		return ref, ""
	}
	return ref[:i], ref[i+1:]
}

func readLayoutIndex(layout files, location string) ([]byte, error) {
	f, err := layout("index.json")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is not an OCI layout, it has no index.json: %w", location, err)
	}
	if err != nil {
		return nil, err
	}
	return readDocument(f)
}

func (s layoutSource) place(l *layer) v1.Layer { return l }

func (s layoutSource) manifest(ctx context.Context, digest v1.Hash) ([]byte, error) {
	f, err := s.blob(ctx, v1.Hash{}, v1.Descriptor{Digest: digest, Size: -1})
	if err != nil {
		return nil, err
	}
	return readDocument(f)
}

func (s layoutSource) blob(_ context.Context, _ v1.Hash, blob v1.Descriptor) (io.ReadCloser, error) {
	name, err := blobName(blob.Digest)
	if err != nil {
		return nil, err
	}
	f, err := s.open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the layout lacks the blob %s: copy the image into it again, with all platforms: %w", blob.Digest, err)
	}
	if err != nil {
		return nil, err
	}
	if err := verify(f, blob.Digest, blob.Size); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// openDirectory opens an OCI layout that is a directory.
func openDirectory(dir string) (files, error) {
	return func(name string) (io.ReadSeekCloser, error) {
		return openRegular(filepath.Join(dir, filepath.FromSlash(name)))
	}, nil
}

// openRegular opens a file, and no pipe, which would keep the caller waiting.
func openRegular(name string) (*os.File, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errors.New("not a regular file")}
	}
	return os.Open(name)
}

// openArchive opens an OCI layout that is a tar file, which is read once for where its files are.
func openArchive(name string) (files, error) {
	f, err := openRegular(name)
	if err != nil {
		return nil, err
	}
	parts, err := indexArchive(f)
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("%s cannot be read as a tar file: %w", name, err)
	}
	return func(file string) (io.ReadSeekCloser, error) {
		at, ok := parts[file]
		if !ok {
			return nil, &fs.PathError{Op: "open", Path: name + ":" + file, Err: fs.ErrNotExist}
		}
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		return struct {
			io.ReadSeeker
			io.Closer
		}{io.NewSectionReader(f, at.offset, at.size), f}, nil
	}, nil
}

// part is where in a file a file of the archive is.
type part struct{ offset, size int64 }

// archiveLimit is the most files of an archive of images.
const archiveLimit = 100_000

// indexArchive finds the regular files of a tar file. Where there are several of one name, the last one counts.
func indexArchive(f io.ReadSeeker) (map[string]part, error) {
	parts := map[string]part{}
	archive := tar.NewReader(f)
	for count := 0; ; count++ {
		h, err := archive.Next()
		if err == io.EOF {
			return parts, nil
		}
		if err != nil {
			return nil, err
		}
		if count == archiveLimit {
			return nil, fmt.Errorf("it has more than %d files, and is refused", archiveLimit)
		}
		if h.Typeflag != tar.TypeReg || h.Size < 0 {
			continue
		}
		// The reader of package tar never reads ahead, so the file stands where the content begins.
		offset, err := f.Seek(0, io.SeekCurrent)
		if err != nil {
			return nil, err
		}
		parts[path.Clean(h.Name)] = part{offset, h.Size}
	}
}
