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
	"io/fs"
	"maps"
	"os"
	"path"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/slipway-ci/slipway/internal/cache/temporary"
	"github.com/slipway-ci/slipway/internal/oci"
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

// Sizes in bytes of the biggest program and text that are opened, so that no image can ask for any amount of disk or memory.
const (
	programLimit = 1 << 30
	textLimit    = 64 << 20
)

// Cache has what was found in layers before.
type Cache interface {
	// Get reads what was put under the key; false if there is nothing.
	Get(key string, value any) bool
	Put(key string, value any) error
}

// found is an entry of a layer, as it is cached.
type found struct {
	// Path is absolute and clean.
	Path string `json:"path"`
	Dir  bool   `json:"dir,omitempty"`
	// SHA1 and SHA256 are of regular files alone.
	SHA1   string `json:"sha1,omitempty"`
	SHA256 string `json:"sha256,omitempty"`
	// Text is the content of a file that says what is installed, or the licences of a package, a line each.
	Text []byte `json:"text,omitempty"`
	// Program is what Go says of a program that it made.
	Program *buildinfo.BuildInfo `json:"program,omitempty"`
}

// cacheVersion is part of every key. It has to change when other things are to be found.
const cacheVersion = "sbom 2: "

// scan reads all regular files that can be seen in the image. Hard links to them are not listed on their own. cache, unless
// nil, has the layers that need not be read.
func scan(ctx context.Context, img v1.Image, cache Cache) (*contents, error) {
	layers, err := img.Layers()
	if err != nil {
		return nil, err
	}
	s := scanner{contents: contents{texts: map[string][]byte{}}, taken: map[string]bool{}, hidden: map[string]bool{}}
	for i := len(layers) - 1; i >= 0; i-- {
		entries, err := entriesOf(ctx, layers[i], cache)
		if err != nil {
			return nil, fmt.Errorf("reading layer %d of %d: %w", i+1, len(layers), err)
		}
		s.layer(entries)
	}
	return &s.contents, nil
}

// scanner goes from the top layer to the lowest.
type scanner struct {
	contents
	// taken are the paths that a layer above has something at; hidden are the directories whose lower content is gone.
	taken, hidden map[string]bool
}

func (s *scanner) layer(entries []found) {
	// The files and whiteouts of this layer hide those of layers below.
	taken, hidden := map[string]bool{}, map[string]bool{}
	for _, e := range entries {
		switch gone, emptied, whiteout := oci.Whiteout(e.Path); {
		case emptied != "":
			hidden[emptied] = true
		case gone != "":
			taken[gone], hidden[gone] = true, true
		case whiteout:
		case s.visible(e.Path):
			taken[e.Path] = true
			if !e.Dir {
				hidden[e.Path] = true // a directory of that name below is no more
			}
			if e.SHA256 != "" {
				s.file(e)
			}
		}
	}
	maps.Copy(s.taken, taken)
	maps.Copy(s.hidden, hidden)
}

// visible reports whether no layer above has the path or hides it.
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

func (s *scanner) file(e found) {
	entry := fileEntry{e.Path, e.SHA1, e.SHA256}
	if isDatabase(e.Path) || isCopyright(e.Path) {
		s.texts[e.Path] = e.Text
	}
	if e.Program != nil {
		s.programs = append(s.programs, programEntry{entry, e.Program})
		return
	}
	s.files = append(s.files, entry)
}

// entriesOf are the entries of a layer, in their order.
func entriesOf(ctx context.Context, l v1.Layer, cache Cache) ([]found, error) {
	if cache == nil {
		return readEntries(ctx, l)
	}
	digest, err := l.Digest()
	if err != nil {
		return nil, err
	}
	key := cacheVersion + digest.String()
	var entries []found
	if cache.Get(key, &entries) {
		return entries, nil
	}
	if entries, err = readEntries(ctx, l); err != nil {
		return nil, err
	}
	return entries, cache.Put(key, entries)
}

// readEntries reads the files that a layer was made of, where it knows them, and else what it consists of.
func readEntries(ctx context.Context, l v1.Layer) (entries []found, err error) {
	var programs temporary.Spool
	defer func() { err = errors.Join(err, programs.Close()) }()
	if files := oci.Files(l); files != nil {
		for _, f := range files {
			e := found{Path: f.Path, Dir: f.Mode.IsDir()}
			if err := e.readFile(ctx, f, &programs); err != nil {
				return nil, fmt.Errorf("%s: %w", e.Path, err)
			}
			entries = append(entries, e)
		}
		return entries, nil
	}
	content, err := l.Uncompressed()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, content.Close()) }()
	archive := tar.NewReader(content)
	for {
		h, err := archive.Next()
		if err == io.EOF {
			return entries, nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, err
		}
		e := found{Path: path.Clean("/" + h.Name), Dir: h.Typeflag == tar.TypeDir}
		if h.Typeflag == tar.TypeReg {
			if err := e.read(h.Size, h.FileInfo().Mode(), archive, &programs); err != nil {
				return nil, fmt.Errorf("%s: %w", e.Path, err)
			}
		}
		entries = append(entries, e)
	}
}

func (e *found) readFile(ctx context.Context, f oci.File, programs *temporary.Spool) (err error) {
	if err := ctx.Err(); err != nil || !f.Mode.IsRegular() {
		return err
	}
	content, err := f.Open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, content.Close()) }()
	if err := e.read(f.Size, f.Mode, content, programs); err != nil {
		return err
	}
	if f.ID != "" && e.SHA256 != f.ID {
		return errors.New("it has changed since it became part of the image")
	}
	return nil
}

// read reads the content of a regular file once. Programs that are in no file of this machine go to one meanwhile: what Go says of
// one is in the midst of it, and where, its end may show.
func (e *found) read(size int64, mode fs.FileMode, content io.Reader, programs *temporary.Spool) error {
	sum1, sum256 := sha1.New(), sha256.New() // SPDX asks for SHA-1
	sums := io.MultiWriter(sum1, sum256)
	all := sums
	start := make([]byte, 4)
	n, err := io.ReadFull(content, start)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return err
	}
	start = start[:n]
	isText := (isDatabase(e.Path) || isCopyright(e.Path)) && size <= textLimit
	isProgram := !isText && string(start) == "\x7fELF" && mode&0o111 != 0 && size <= programLimit
	onDisk, _ := content.(*os.File)
	var text bytes.Buffer
	switch {
	case isText:
		all = io.MultiWriter(sums, &text)
	case isProgram && onDisk == nil:
		if err := programs.Reset(); err != nil {
			return err
		}
		all = io.MultiWriter(sums, programs)
	}
	if _, err := io.CopyBuffer(struct{ io.Writer }{all}, struct{ io.Reader }{io.MultiReader(bytes.NewReader(start), content)}, make([]byte, copyBuffer)); err != nil {
		return err
	}
	e.SHA1, e.SHA256, e.Text = hex.EncodeToString(sum1.Sum(nil)), hex.EncodeToString(sum256.Sum(nil)), text.Bytes()
	if isCopyright(e.Path) {
		e.Text = []byte(strings.Join(copyrightLicences(e.Text), "\n"))
	}
	switch {
	case !isProgram:
	case onDisk != nil:
		e.Program = goProgram(onDisk)
	default:
		e.Program = goProgram(programs)
	}
	return nil
}

// goProgram is what Go says of a program; nil if Go has not made it, and it is a file like any other.
func goProgram(program io.ReaderAt) *buildinfo.BuildInfo {
	info, err := buildinfo.Read(program)
	if err != nil {
		return nil
	}
	return info
}

// copyBuffer is the size in bytes of what is held of a file while it is read.
const copyBuffer = 128 << 10

func (c *contents) fileComponents() []component {
	var all []component
	for _, f := range c.files {
		all = append(all, component{kind: file, ref: "file:" + f.path, name: f.path, sha1: f.sha1, sha256: f.sha256})
	}
	return all
}
