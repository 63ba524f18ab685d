package modcache

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/module"

	"github.com/slipway-ci/slipway/internal/build/slot"
)

// A set is a compressed sequence of frames, each a length and that many bytes of JSON: a header, and then a part for each module, which is
// followed by the content of its files.
type header struct {
	Platforms []string `json:"platforms"`
	Modules   int      `json:"modules"`
	GoMods    []goMod  `json:"goMods"`
}

type goMod struct {
	Path    string `json:"path"`
	Version string `json:"version"`
	Text    []byte `json:"text"`
}

// Package is a package of a module, by its import path.
type Package struct {
	Module     module.Version
	ImportPath string
}

// Pack makes the set of packages, from a module cache that has the whole of their modules. It is nil if it is larger than a slot takes.
func Pack(ctx context.Context, modules string, packages []Package, on []string, sums Sums) ([]byte, error) {
	parts := map[module.Version]*part{}
	add := func(v module.Version) *part {
		if parts[v] == nil {
			parts[v] = &part{Path: v.Path, Version: v.Version}
		}
		return parts[v]
	}
	inDir := os.DirFS(modules)
	for _, p := range packages {
		if m, dir := add(p.Module), directory(p.ImportPath, p.Module.Path); !slices.Contains(m.Packages, dir) {
			m.Packages = append(m.Packages, dir)
		}
	}
	// The Go command looks for a package in every module whose path its own begins with.
	for v := range sums {
		_, dir, err := Names(v)
		if err != nil || strings.HasSuffix(v.Version, goModSuffix) {
			continue
		}
		if info, err := fs.Stat(inDir, dir); err != nil || !info.IsDir() {
			continue
		}
		if slices.ContainsFunc(packages, func(p Package) bool {
			return strings.HasPrefix(p.ImportPath+"/", v.Path+"/") && p.Module.Path != v.Path
		}) {
			add(v)
		}
	}
	head := header{Platforms: on, Modules: len(parts)}
	for _, v := range sorted(maps.Keys(sums)) {
		if version, ok := strings.CutSuffix(v.Version, goModSuffix); ok {
			download, _, err := Names(module.Version{Path: v.Path, Version: version})
			if err != nil {
				return nil, err
			}
			if text, err := fs.ReadFile(inDir, download+".mod"); err == nil {
				head.GoMods = append(head.GoMods, goMod{v.Path, version, text})
			} else if !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
		}
	}
	var out bytes.Buffer
	known := newPlatforms(on)
	err := slot.Compress(ctx, &out, func(z io.Writer) error {
		if err := writeFrame(z, head); err != nil {
			return err
		}
		for _, v := range sorted(maps.Keys(parts)) {
			if err := ctx.Err(); err != nil || out.Len() > slot.MostDocument {
				return err
			}
			if err := parts[v].pack(z, inDir, known, sums); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if out.Len() > slot.MostDocument {
		return nil, nil
	}
	return out.Bytes(), nil
}

func sorted(versions func(func(module.Version) bool)) []module.Version {
	return slices.SortedFunc(versions, func(a, b module.Version) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Version, b.Version))
	})
}

// pack writes a module's frame, and its files.
func (p *part) pack(w io.Writer, modules fs.FS, on *platforms, sums Sums) error {
	_, dir, err := Names(p.version())
	if err != nil {
		return err
	}
	slices.Sort(p.Packages)
	embedding := map[string]bool{}
	err = fs.WalkDir(modules, dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		content := newReading()
		size, err := copyFile(content, modules, name)
		f := file{Name: strings.TrimPrefix(name, dir+"/"), Sum: content.sum.Sum(nil), Size: &size}
		p.Files = append(p.Files, f)
		p.noteEmbedding(f.Name, content, on, embedding)
		return err
	})
	if err != nil {
		return err
	}
	slices.SortFunc(p.Files, func(a, b file) int { return cmp.Compare(a.Name, b.Name) })
	if p.hash() != sums[p.version()] {
		return fmt.Errorf("%s is not what go.sum says", p.version())
	}
	for i, f := range p.Files {
		if !p.needs(f.Name, on, embedding) {
			p.Files[i].Size = nil
		}
	}
	err = writeFrame(w, p)
	for _, f := range p.Files {
		if err == nil && f.Size != nil {
			_, err = copyFile(w, modules, path.Join(dir, f.Name))
		}
	}
	return err
}

func copyFile(w io.Writer, from fs.FS, name string) (n int64, err error) {
	f, err := from.Open(name)
	if err != nil {
		return 0, err
	}
	n, err = io.Copy(w, f)
	return n, errors.Join(err, f.Close())
}

func writeFrame(w io.Writer, content any) error {
	text, err := json.Marshal(content)
	if err == nil {
		_, err = w.Write(append(binary.AppendUvarint(nil, uint64(len(text))), text...))
	}
	return err
}

// Lacks reports whether a module cache lacks one of these modules.
func Lacks(modules string, required []module.Version) bool {
	return slices.ContainsFunc(required, func(v module.Version) bool {
		_, dir, err := Names(v)
		if err == nil {
			_, err = os.Stat(filepath.Join(modules, filepath.FromSlash(dir)))
		}
		return err != nil
	})
}
