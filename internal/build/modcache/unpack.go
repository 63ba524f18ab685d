package modcache

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"

	"golang.org/x/mod/module"

	"github.com/slipway-ci/slipway/internal/build/slot"
)

// Bounds of what a set may ask for, in bytes: the memory for a frame, and the disk for all files.
const (
	mostFrame = 8 << 20
	mostFiles = 1 << 30
)

var errSet = errors.New("the packages' files are damaged, or not those that go.sum says")

// Unpack makes the empty directory dir a module cache with what a set has, for a build on these platforms. An error says that
// the set is not what it has to be: nothing in the directory may be used then.
func Unpack(set []byte, dir string, on []string, sums Sums) (err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	z, err := slot.Decompress(bytes.NewReader(set))
	if err != nil {
		return err
	}
	defer z.Close()
	u := &unpacker{in: bufio.NewReader(z), root: root, sums: sums, left: mostFiles, whole: map[string]map[string]bool{}, taken: map[string]string{}}
	var head header
	if err := u.frame(&head); err != nil {
		return err
	}
	for _, platform := range on {
		if !slices.Contains(head.Platforms, platform) {
			return fmt.Errorf("the packages' files are not for %s", platform)
		}
	}
	for _, m := range head.GoMods {
		if err := u.goMod(m); err != nil {
			return err
		}
	}
	known := newPlatforms(head.Platforms)
	for range head.Modules {
		var p part
		if err := u.frame(&p); err != nil {
			return err
		}
		if err := u.part(&p, known); err != nil {
			return err
		}
	}
	return u.ambiguous()
}

// unpacker reads a set.
type unpacker struct {
	in   *bufio.Reader
	root *os.Root
	sums Sums
	left int64
	// whole has the directories with Go files of all modules, by the modules' paths, and taken the modules' paths of those in the set, by
	// their import paths.
	whole map[string]map[string]bool
	taken map[string]string
}

func (u *unpacker) frame(into any) error {
	n, err := binary.ReadUvarint(u.in)
	if err != nil || n > mostFrame {
		return errors.Join(errSet, err)
	}
	text, err := io.ReadAll(io.LimitReader(u.in, int64(n)))
	if err == nil && uint64(len(text)) < n {
		err = io.ErrUnexpectedEOF
	}
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		return errors.Join(errSet, err)
	}
	return nil
}

func (u *unpacker) goMod(m goMod) error {
	hash, err := hashGoMod(m.Text)
	if err != nil || hash != u.sums[module.Version{Path: m.Path, Version: m.Version + goModSuffix}] {
		return errors.Join(errSet, err)
	}
	download, _, err := Names(module.Version{Path: m.Path, Version: m.Version})
	if err != nil {
		return err
	}
	return u.write(download+".mod", m.Text)
}

func (u *unpacker) write(name string, text []byte) error {
	return u.create(name, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
}

func (u *unpacker) create(name string, fill func(io.Writer) error) error {
	if err := u.root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := u.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	return errors.Join(fill(f), f.Close())
}

// part proves that a module's list is what go.sum has, and then that the set has of its files those that it has to have.
func (u *unpacker) part(p *part, on *platforms) error {
	v := p.version()
	for i, f := range p.Files {
		if module.CheckFilePath(f.Name) != nil || i > 0 && f.Name <= p.Files[i-1].Name || len(f.Sum) != sha256.Size {
			return errSet
		}
	}
	if hash := u.sums[v]; hash == "" || p.hash() != hash {
		return errSet
	}
	download, dir, err := Names(v)
	if err != nil {
		return err
	}
	if err := u.root.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	embedding, goDirs := map[string]bool{}, map[string]bool{}
	for _, f := range p.Files {
		in := path.Dir(f.Name)
		if path.Ext(f.Name) == ".go" {
			goDirs[in] = true
		}
		if f.Size == nil {
			continue
		}
		if path.Ext(f.Name) == ".go" {
			u.taken[path.Join(p.Path, in)] = p.Path
		}
		content, err := u.file(path.Join(dir, f.Name), f)
		if err != nil {
			return err
		}
		p.noteEmbedding(f.Name, content, on, embedding)
	}
	for _, f := range p.Files {
		if p.needs(f.Name, on, embedding) != (f.Size != nil) {
			return errSet
		}
	}
	if u.whole[p.Path] == nil {
		u.whole[p.Path] = map[string]bool{}
	}
	for dir := range goDirs {
		u.whole[p.Path][dir] = true
	}
	// The Go command asks for both: for the hash when it takes a module, and for the version when it lists one.
	version, err := json.Marshal(struct{ Version string }{p.Version})
	if err != nil {
		return err
	}
	return errors.Join(u.write(download+".ziphash", []byte(u.sums[v])), u.write(download+".info", version))
}

// file writes a file that has to have the digest of the list.
func (u *unpacker) file(name string, f file) (*reading, error) {
	if u.left -= *f.Size; *f.Size < 0 || u.left < 0 {
		return nil, errSet
	}
	content := newReading()
	err := u.create(name, func(w io.Writer) error {
		_, err := io.CopyN(io.MultiWriter(content, w), u.in, *f.Size)
		return err
	})
	if err != nil || !bytes.Equal(content.sum.Sum(nil), f.Sum) {
		return nil, errors.Join(errSet, err)
	}
	return content, nil
}

// ambiguous faults an import path that two modules have a directory for, as the Go command does with whole modules.
func (u *unpacker) ambiguous() error {
	for importPath, own := range u.taken {
		for other := importPath; other != "."; other = path.Dir(other) {
			if dirs := u.whole[other]; other != own && dirs[directory(importPath, other)] {
				return fmt.Errorf("two modules have %s: %w", importPath, errSet)
			}
		}
	}
	return nil
}
