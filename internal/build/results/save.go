package results

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/mod/module"
	"golang.org/x/sync/errgroup"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/build/modcache"
	"github.com/slipway-ci/slipway/internal/build/slot"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/source"
)

// Save puts the images of the plan with that number, which were built and not found, into its cache. documents are the bills of materials
// of an image, by their formats, and pushed returns the image as it is to be pushed to the cache; it may wait.
func (e *Engine) Save(
	ctx context.Context, i int, p *plan.Plan, built *build.Result, documents func(v1.Image) (map[string][]byte, error), pushed func(v1.Image) v1.Image,
) error {
	c := e.Cache(i)
	e.mu.Lock()
	keys := e.keys[p]
	e.mu.Unlock()
	if c == nil || e.Mode == slot.Read || e.List == nil || c.unreachable.Load() || len(keys) == 0 {
		return nil
	}
	var images []build.Image
	for _, image := range built.Images {
		if key := keys[image.Platform]; key != "" && image.Cached == nil && (e.Mode == slot.Refresh || !e.known(c, key)) {
			images = append(images, image)
		}
	}
	if len(images) == 0 {
		return nil
	}
	if err := e.verify(ctx, p, images, keys); err != nil {
		return err
	}
	var group errgroup.Group
	for _, image := range images {
		group.Go(func() error { return e.put(ctx, c, p, image, keys[image.Platform], documents, pushed) })
	}
	return group.Wait()
}

// verify makes sure that the keys name all that the images were made of: that the source is as it was, and that the Go command used nothing
// else of it.
func (e *Engine) verify(ctx context.Context, p *plan.Plan, images []build.Image, keys map[string]string) (err error) {
	tree, err := source.Open(e.source)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tree.Close()) }()
	inputs := plan.NewInputs(tree)
	now, err := e.Keys(ctx, p, inputs)
	if err != nil {
		return err
	}
	compiled, err := inputs.Digests(p)
	if err != nil {
		return err
	}
	sums, err := pinned(tree, p)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(images, func(image build.Image) bool { return now[image.Platform] != keys[image.Platform] }) {
		return errors.New("the source changed while it was built")
	}
	var group errgroup.Group
	group.SetLimit(sideBySide)
	for _, image := range images {
		n := slices.IndexFunc(p.Compile, func(c plan.Compile) bool { return c.Platform.String() == image.Platform })
		for _, part := range p.Parts() {
			group.Go(func() error {
				out, root, err := e.List(ctx, e.source, part, part.Compile[n], listArgs...)
				if err != nil {
					return err
				}
				return checkUsed(out, root, part, compiled, sums)
			})
		}
	}
	return group.Wait()
}

// listArgs make go list say what goPackage holds.
var listArgs = []string{"-deps", "-json=ImportPath,Dir,Standard,Module,GoFiles,CgoFiles,CFiles,CXXFiles,MFiles,HFiles,FFiles,SFiles,SwigFiles,SwigCXXFiles,SysoFiles,EmbedFiles"}

// goPackage is a package as go list prints it.
type goPackage struct {
	ImportPath, Dir string
	Standard        bool
	Module          *goModule

	GoFiles, CgoFiles, CFiles, CXXFiles, MFiles, HFiles, FFiles, SFiles, SwigFiles, SwigCXXFiles, SysoFiles, EmbedFiles []string
}

type goModule struct {
	Path, Version string
	Replace       *goModule
}

// checkUsed makes sure that go list names no file of the source but those that are known, and no module that no go.sum has.
func checkUsed(out []byte, root string, p *plan.Plan, known map[string]string, sums map[module.Version]bool) error {
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var one goPackage
		if err := decoder.Decode(&one); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("reading the output of go list: %w", err)
		}
		m := one.Module
		if m != nil && m.Replace != nil {
			m = m.Replace
		}
		switch {
		case one.Standard:
			continue
		case !p.Source.Vendor && m != nil && m.Version != "":
			if !sums[module.Version{Path: m.Path, Version: m.Version}] {
				return fmt.Errorf("no go.sum of the source has %s %s", m.Path, m.Version)
			}
			continue
		}
		dir, err := filepath.Rel(root, one.Dir)
		if err != nil {
			return err
		}
		for _, name := range slices.Concat(one.GoFiles, one.CgoFiles, one.CFiles, one.CXXFiles, one.MFiles, one.HFiles, one.FFiles, one.SFiles,
			one.SwigFiles, one.SwigCXXFiles, one.SysoFiles, one.EmbedFiles) {
			if file := path.Join(filepath.ToSlash(dir), name); known[file] == "" {
				return fmt.Errorf("%s, of %s, was not known to be part of the program", file, one.ImportPath)
			}
		}
	}
}

// pinned are the modules whose content the source's files say.
func pinned(tree *source.Tree, p *plan.Plan) (map[module.Version]bool, error) {
	sums := map[module.Version]bool{}
	for _, name := range p.ModuleFiles() {
		if path.Ext(name) != ".sum" {
			continue
		}
		text, err := tree.ReadFile(name)
		if err != nil {
			return nil, err
		}
		for v := range modcache.Lines(string(text)) {
			sums[v] = true
		}
	}
	return sums, nil
}

// put puts an image into its slot.
func (e *Engine) put(
	ctx context.Context, c *Cache, p *plan.Plan, image build.Image, key string, documents func(v1.Image) (map[string][]byte, error), pushed func(v1.Image) v1.Image,
) error {
	size, unpacked, err := oci.Sizes(image.Image)
	if err != nil {
		return err
	}
	if size > most {
		return fmt.Errorf("the image has %d bytes, and at most %d are cached", size, int64(most))
	}
	made := entry{Key: key, BinarySize: image.BinarySize, UnpackedSize: unpacked, Packages: image.Packages}
	if made.Image, err = image.Digest(); err != nil {
		return err
	}
	if made.Documents, err = documents(image.Image); err != nil {
		return err
	}
	document, err := json.Marshal(made)
	if err != nil {
		return err
	}
	into := slot.Entry{Kind: slot.Result, Image: p.Name, Platform: image.Platform, Branch: e.Branches[0], Size: size}
	annotations := into.Annotations(key)
	if e.Key != nil {
		signature, err := e.Key.Sign(signed(document))
		if err != nil {
			return err
		}
		annotations[slot.AnnotationSignature] = base64.StdEncoding.EncodeToString(signature)
	}
	index, err := slot.New(annotations, pushed(image.Image))
	if err != nil {
		return err
	}
	if index, err = slot.Add(index, entryType, document); err != nil {
		return err
	}
	if err := c.Repository.Put(ctx, into.Name(), index); err != nil {
		return err
	}
	if e.Bases.Cache == nil {
		return nil
	}
	return e.Bases.Cache.Put(e.noted(c, key), true)
}
