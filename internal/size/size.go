// Package size reports where the bytes of an image are: in which layers, files, packages of a distribution, and in the programs by module,
// package and function (package program).
package size

import (
	"cmp"
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/slipway-ci/slipway/internal/cache/temporary"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/size/program"
)

// Report says where the bytes of an image are, for each platform.
type Report struct {
	// Name is how the image was named: a reference, an archive, a program, or a name in slipway.yaml.
	Name      string      `json:"name"`
	Platforms []*Platform `json:"platforms"`
}

// Platform is the image of one platform, or a program that is in no image. Sizes are in bytes.
type Platform struct {
	Platform string `json:"platform"`
	Digest   string `json:"digest,omitempty"`
	// Compressed is the size of the layers as they are pulled, Unpacked as they are on disk.
	Compressed int64    `json:"compressed,omitempty"`
	Unpacked   int64    `json:"unpacked"`
	Layers     []*Layer `json:"layers,omitempty"`
	// Installed are the packages of the distribution, the biggest first, with the sizes of their files.
	Installed []Installed `json:"installed,omitempty"`
	Programs  []*Program  `json:"programs"`
}

// Layer is a layer of an image. Archive and the sizes of its files add up to Unpacked.
type Layer struct {
	// Name is "base" for a layer of the base, and else what Slipway placed in it, such as "programs". It is empty for a layer that
	// Slipway did not make.
	Name       string `json:"name,omitempty"`
	Digest     string `json:"digest"`
	Compressed int64  `json:"compressed"`
	Unpacked   int64  `json:"unpacked"`
	// Archive is what the headers and the padding of the layer's archive take up.
	Archive int64 `json:"archive"`
	// Files are in the order of the layer, with files that a layer above replaces or removes.
	Files []File `json:"files"`
}

// File is a regular file of a layer.
type File struct {
	Path string `json:"path"`
	Size int64  `json:"size"`
	// Compressed is about how many bytes of the compressed layer the file takes up.
	Compressed int64 `json:"compressed"`
	// Package is the package of the distribution that the file is from.
	Package string `json:"package,omitempty"`
}

// Installed is a package of a distribution.
type Installed struct {
	Name string `json:"name"`
	Size int64  `json:"size"`
}

// Program is a program by its path in the image, or on this machine.
type Program struct {
	Path string `json:"path"`
	*program.Program
}

// base is the name of layers of the base.
const base = "base"

// Of reads an image.
func Of(ctx context.Context, img v1.Image) (_ *Platform, err error) {
	config, err1 := img.ConfigFile()
	layers, err2 := img.Layers()
	digest, err3 := img.Digest()
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	p := &Platform{Platform: config.Platform().String(), Digest: digest.String(), Programs: []*Program{}}
	r := reader{platform: p, owners: owners{}}
	defer func() { err = errors.Join(err, r.spool.Close()) }()
	names := layerNames(config.History, len(layers))
	for i, l := range layers {
		layer, err := r.layer(ctx, l)
		if err != nil {
			return nil, err
		}
		layer.Name = names[i]
		p.Layers = append(p.Layers, layer)
		p.Compressed += layer.Compressed
		p.Unpacked += layer.Unpacked
	}
	r.own()
	return p, nil
}

// OfProgram reads a program that is a file of this machine.
func OfProgram(name string) (_ *Platform, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	read, err := program.Read(f, info.Size())
	if err != nil {
		return nil, fmt.Errorf("reading the program %s: %w", name, err)
	}
	built, err := buildinfo.Read(f)
	if err != nil {
		return nil, err
	}
	settings := map[string]string{}
	for _, s := range built.Settings {
		settings[s.Key] = s.Value
	}
	return &Platform{
		Platform: settings["GOOS"] + "/" + settings["GOARCH"], Unpacked: read.Size, Programs: []*Program{{name, read}},
	}, nil
}

// IsProgram reports whether a file of this machine is an ELF file.
func IsProgram(name string) bool {
	f, err := os.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	magic := make([]byte, len(elfMagic))
	_, err = io.ReadFull(f, magic)
	return err == nil && string(magic) == elfMagic
}

const elfMagic = "\x7fELF"

// layerNames are the names of so many layers, by what Slipway writes into an image's history. All below its own are the base's.
func layerNames(history []v1.History, layers int) []string {
	var created []string
	for _, h := range history {
		if !h.EmptyLayer {
			created = append(created, h.CreatedBy)
		}
	}
	names := make([]string, layers)
	if len(created) != layers {
		return names
	}
	own := false
	for i := layers - 1; i >= 0; i-- {
		name, is := strings.CutPrefix(created[i], oci.Placed)
		switch {
		case is:
			names[i], own = name, true
		case own:
			names[i] = base
		}
	}
	return names
}

// reader reads the layers of an image.
type reader struct {
	platform *Platform
	owners   owners
	spool    temporary.Spool
}

func (r *reader) layer(ctx context.Context, l v1.Layer) (*Layer, error) {
	digest, err := l.Digest()
	if err != nil {
		return nil, err
	}
	walked, err := oci.Walk(ctx, l, r.file)
	if err != nil {
		return nil, err
	}
	layer := &Layer{Digest: digest.String(), Compressed: walked.Compressed, Unpacked: walked.Unpacked, Archive: walked.Unpacked, Files: []File{}}
	for _, f := range walked.Files {
		layer.Files = append(layer.Files, File{Path: f.Path, Size: f.Size, Compressed: f.Compressed})
		layer.Archive -= f.Size
	}
	return layer, nil
}

// programLimit is the size in bytes of the biggest program that is read, so that no image can ask for any amount of disk.
const programLimit = 1 << 30

// file reads what is of interest in a file: the programs, and what says which packages are installed.
func (r *reader) file(e oci.Entry, content io.Reader) error {
	if isOwnership(e.Path) && e.Size <= textLimit {
		text, err := io.ReadAll(content)
		r.owners.read(e.Path, string(text))
		return err
	}
	if e.Mode&0o111 == 0 || e.Size > programLimit {
		return nil
	}
	start := make([]byte, len(elfMagic))
	if n, err := io.ReadFull(content, start); n < len(start) || string(start) != elfMagic {
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			err = nil
		}
		return err
	}
	if err := r.spool.Reset(); err != nil {
		return err
	}
	if _, err := io.Copy(r.spool, io.MultiReader(strings.NewReader(elfMagic), content)); err != nil {
		return err
	}
	read, err := program.Read(r.spool, e.Size)
	switch {
	case errors.Is(err, program.ErrNotGo):
		return nil // a file like any other
	case err != nil:
		if _, notGo := buildinfo.Read(r.spool); notGo != nil {
			return nil
		}
		return err
	}
	r.platform.Programs = slices.DeleteFunc(r.platform.Programs, func(p *Program) bool { return p.Path == e.Path }) // of a layer below
	r.platform.Programs = append(r.platform.Programs, &Program{e.Path, read})
	return nil
}

// own says which packages files are from.
func (r *reader) own() {
	sizes := map[string]int64{}
	for _, l := range r.platform.Layers {
		for i, f := range l.Files {
			if owner := r.owners[f.Path]; owner != "" {
				l.Files[i].Package = owner
				sizes[owner] += f.Size
			}
		}
	}
	for name, size := range sizes {
		r.platform.Installed = append(r.platform.Installed, Installed{name, size})
	}
	slices.SortFunc(r.platform.Installed, func(a, b Installed) int { return cmp.Or(cmp.Compare(b.Size, a.Size), cmp.Compare(a.Name, b.Name)) })
}
