//go:build unix

package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// hostileBase is a base that no tool makes by mistake.
type hostileBase struct {
	name string
	// layer is the content of its layer, before compression unless raw; nil for an ordinary one.
	layer func(*trial) []byte
	raw   bool
	// zeros is how many zero bytes follow. This process must stay small: what it has counts as the command's at first.
	zeros int64
	// config changes its configuration, and spoil what is in the layout.
	config func(*v1.ConfigFile)
	spoil  func(t *trial, dir string) error
	// refuse says that no image can be right.
	refuse bool
}

// bomb is the size in bytes of what a bomb unpacks to, of which the command may hold no large part.
const bomb = 1 << 30

// memoryLimit is what the command may take of memory in bytes, the compiler excluded.
const memoryLimit = 256 << 20

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func archive(headers ...tar.Header) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		_ = w.WriteHeader(&h) // what cannot be written is not in the archive
	}
	_ = w.Flush()
	return b.Bytes()
}

var hostileBases = []hostileBase{
	{name: "a bomb", zeros: bomb},
	{name: "a bomb for /etc/passwd", zeros: bomb, layer: func(*trial) []byte { return archive(tar.Header{Name: "etc/passwd", Mode: 0o644, Size: bomb}) }},
	{name: "names that lead out", layer: func(t *trial) []byte {
		escape := strings.TrimPrefix(filepath.Join(t.room, "escaped"), "/")
		return archive(
			tar.Header{Name: "../../../../../../" + escape, Mode: 0o644}, tar.Header{Name: "/" + escape, Mode: 0o644},
			tar.Header{Name: "etc", Typeflag: tar.TypeSymlink, Linkname: t.room}, tar.Header{Name: "etc/escaped", Mode: 0o644},
		)
	}},
	{name: "links in a circle", layer: func(*trial) []byte {
		return archive(tar.Header{Name: "etc", Typeflag: tar.TypeSymlink, Linkname: "tmp"}, tar.Header{Name: "tmp", Typeflag: tar.TypeSymlink, Linkname: "etc"})
	}},
	{name: "half a layer", layer: func(*trial) []byte { return archive(tar.Header{Name: "etc/passwd", Mode: 0o644, Size: 1 << 40}) }},
	{name: "a layer that is none", raw: true, layer: func(*trial) []byte { return []byte("no layer") }},
	{name: "another platform", refuse: true, config: func(c *v1.ConfigFile) { c.Architecture = "s390x" }},
	{name: "another DiffID", config: func(c *v1.ConfigFile) { c.RootFS.DiffIDs[0].Hex = strings.Repeat("0", 64) }},
	{name: "a blob that is missing", refuse: true, spoil: func(t *trial, dir string) error {
		return t.anyBlob(dir, os.Remove)
	}},
	{name: "a blob that is another", refuse: true, spoil: func(t *trial, dir string) error {
		return t.anyBlob(dir, func(name string) error { return os.WriteFile(name, []byte("{}"), 0o644) })
	}},
	{name: "an endless index", refuse: true, spoil: func(_ *trial, dir string) error {
		return errors.Join(os.WriteFile(filepath.Join(dir, "index.json"), []byte("{"), 0o644), os.Truncate(filepath.Join(dir, "index.json"), 8<<30))
	}},
}

func (t *trial) anyBlob(dir string, do func(string) error) error {
	blobs, err := filepath.Glob(filepath.Join(dir, "blobs", "sha256", "*"))
	if err != nil || len(blobs) == 0 {
		return fmt.Errorf("the layout %s has no blobs: %v", dir, err)
	}
	return do(blobs[t.IntN(len(blobs))])
}

// hostile builds on a hostile base, or publishes an archive that somebody changed.
func hostile(t *trial) verdict {
	choice := t.IntN(len(hostileBases) + 3)
	if choice >= len(hostileBases) {
		return t.changedArchive()
	}
	base := hostileBases[choice]
	dir := filepath.Join(t.room, "base")
	if err := base.write(t, dir); err != nil {
		return isWrong("%s: %v", base.name, err)
	}
	args := t.build(t.stamp, filepath.Join(t.out, "x.tar"), "--runtime=", "--base", "oci:"+dir)
	first := t.run(args...)
	v := verdict{right, ""}
	switch {
	case first.err == errEndless || first.crashed():
		v = isWrong("%s", first.last())
	case first.maxMemory > memoryLimit:
		v = isWrong("it takes %d MB of memory", first.maxMemory>>20)
	case first.err != nil:
		v = verdict{refused, first.last()}
	case base.refuse:
		v = isWrong("it is taken")
	default:
		if again := t.run(args...); again.digest != first.digest {
			v = isWrong("two runs give %s and %s", first.digest, again.digest)
		}
	}
	if _, err := os.Lstat(filepath.Join(t.room, "escaped")); err == nil {
		v = isWrong("a file outside was written")
	}
	v.why = base.name + ": " + v.why
	return t.afterwards(v)
}

func (b hostileBase) write(t *trial, dir string) error {
	content := archive(tar.Header{Name: "etc/passwd", Mode: 0o644})
	if b.layer != nil {
		content = b.layer(t)
	}
	if !b.raw {
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		_, err1 := w.Write(content)
		_, err2 := io.CopyN(w, zeros{}, b.zeros)
		if err := errors.Join(err1, err2, w.Close()); err != nil {
			return err
		}
		content = packed.Bytes()
	}
	img, err := mutate.AppendLayers(mutate.MediaType(empty.Image, types.OCIManifestSchema1), static.NewLayer(content, types.OCILayer))
	if err != nil {
		return err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", "amd64"
	if b.config != nil {
		b.config(config)
	}
	if img, err = mutate.ConfigFile(img, config); err != nil {
		return err
	}
	index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}})
	if _, err := layout.Write(dir, index); err != nil || b.spoil == nil {
		return err
	}
	return b.spoil(t, dir)
}

// changedArchive publishes an archive in which a few bytes were changed or its end is missing. What is taken has to be what was built.
func (t *trial) changedArchive() verdict {
	s := serve(nil)
	defer s.close()
	name := filepath.Join(t.out, "x.tar")
	if got := t.run(t.build(t.stamp, name)...); got.err != nil {
		return isWrong("building the archive: %s", got.last())
	}
	content, err := os.ReadFile(name)
	if err != nil {
		return isWrong("%v", err)
	}
	what := "an archive's end is missing"
	if t.IntN(2) == 0 {
		what = "an archive has other bytes"
		for range 1 + t.IntN(3) {
			content[t.IntN(len(content))] ^= 1 << t.IntN(8)
		}
	} else {
		content = content[:t.IntN(len(content))]
	}
	if err := os.WriteFile(name, content, 0o644); err != nil {
		return isWrong("%v", err)
	}
	got := t.run("publish", "--json", "--repository", s.repository(), "--tag", "v1", name)
	v := t.judge(got, t.stamp)
	if p := t.published(s, v.outcome == right); p.outcome == wrong {
		v = p
	}
	v.why = what + ": " + v.why
	return t.afterwards(v)
}
