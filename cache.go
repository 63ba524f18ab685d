package slipway

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/slipway-ci/slipway/internal/attest/provenance"
	"github.com/slipway-ci/slipway/internal/attest/sbom"
	"github.com/slipway-ci/slipway/internal/build/gocache"
	"github.com/slipway-ci/slipway/internal/build/host"
	"github.com/slipway-ci/slipway/internal/build/results"
	"github.com/slipway-ci/slipway/internal/build/slot"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/registry"
)

// CacheMode says what is done with the caches that settings of images name.
type CacheMode = slot.Mode

// Modes of caches.
const (
	// CacheReadWrite takes from the cache what is there, and puts there what is not.
	CacheReadWrite = slot.ReadWrite
	// CacheRead takes from the cache.
	CacheRead = slot.Read
	// CacheRefresh builds everything, and puts it into the cache.
	CacheRefresh = slot.Refresh
)

// checkCache reports what is wrong with the cache of an image.
func (i *Image) checkCache() error {
	if i.Settings.Cache == "" {
		return nil
	}
	_, err := slot.Open(i.Settings.Cache, nil)
	return i.Settings.Located(err)
}

// cached returns what takes results from the caches of images; nil if they have none. What keeps it from working is a warning.
func (w *work) cached(ctx context.Context, images []*Image) *results.Engine {
	has := func(image *Image) bool { return image.Settings.Cache != "" }
	if !slices.ContainsFunc(images, has) {
		return nil
	}
	caches := make([]*results.Cache, len(images))
	for i, image := range images {
		if !has(image) || w.request.Fetch != nil && image.Plan.Source.Files == nil {
			continue
		}
		if err := w.request.fetch(ctx, image.Plan.Source.Files); err != nil {
			w.report.Warn(err.Error())
			return nil
		}
		repository, err := slot.Open(image.Settings.Cache, w.Client)
		if err != nil {
			w.report.Warn(err.Error())
			return nil
		}
		caches[i] = &results.Cache{Repository: repository, Name: image.Settings.Cache, Fetch: w.fetchesResults(image)}
	}
	behaviour, err := results.Behaviour(w.Bases.Cache)
	if err != nil {
		w.report.Warn("no cache is used, since this program cannot be read: " + err.Error())
		return nil
	}
	e := &results.Engine{
		Next: w.Engine, Bases: w.Bases, Cache: func(i int) *results.Cache { return caches[i] }, Mode: w.CacheMode,
		Results: &oci.Bases{Cache: w.Bases.Cache, Remote: upstream{w.Client}, Context: ctx},
		List:    lister(w.Engine), Behaviour: behaviour, Branches: provenance.ReadCI(w.Environ).Branches(), Several: w.request.All || len(w.request.Names) > 0,
	}
	if to, ok := w.request.To.(*Registry); ok {
		e.Key = to.Key
	}
	if engine, ok := w.Engine.(*host.Engine); ok && w.Bases.Cache != nil {
		w.packages = map[string]*gocache.Cache{}
		for _, c := range caches {
			if c != nil && w.packages[c.Name] == nil {
				w.packages[c.Name] = &gocache.Cache{
					Repository: c.Repository, Name: c.Name, Mode: e.Mode, Branches: e.Branches, Key: e.Key, Local: w.Bases.Cache, Warn: w.report.Warn,
				}
			}
		}
		e.Next = engine.Sharing(func(name string) *gocache.Cache {
			i := slices.IndexFunc(images, func(image *Image) bool { return image.Plan.Name == name })
			if caches[i] == nil || !caches[i].Reachable() {
				return nil
			}
			return w.packages[caches[i].Name]
		})
	}
	return e
}

// lister is what runs go list on an engine; nil if it has none.
func lister(engine Engine) results.List {
	switch engine := engine.(type) {
	case *host.Engine:
		return func(ctx context.Context, source string, p *Plan, c plan.Compile, args ...string) (out []byte, root string, err error) {
			if root, err = filepath.Abs(source); err == nil {
				out, err = engine.List(ctx, source, p, c, args...)
			}
			return out, root, err
		}
	case interface {
		List(ctx context.Context, source string, p *Plan, c plan.Compile, args ...string) (out []byte, root string, err error)
	}:
		return engine.List
	default:
		return nil
	}
}

// upstream gets images from registries and not from their mirrors.
type upstream struct{ *registry.Client }

func (u upstream) Get(ctx context.Context, ref name.Reference) (*remote.Descriptor, error) {
	return u.GetUpstream(ctx, ref)
}

// fetchesResults reports whether where the image goes needs what is in its layers: a registry takes them from a cache of its own, and a
// bill of materials is in the cache as well.
func (w *work) fetchesResults(image *Image) bool {
	switch to := w.request.To.(type) {
	case *Document:
		return false
	case *Registry:
		if to.Push != nil {
			return true
		}
		target, err1 := name.NewRepository(image.Target.Repository)
		cache, err2 := name.NewRepository(image.Settings.Cache)
		return err1 != nil || err2 != nil || strings.HasPrefix(image.Settings.Cache, "oci:") || target.RegistryStr() != cache.RegistryStr()
	default:
		return true
	}
}

// save puts what was built into its cache. It never fails a build. Once put is closed, the image is where it goes, so that a registry that has
// the cache, too, mounts its layers: they are uploaded once.
func (j *job) save(ctx context.Context, put <-chan struct{}) {
	if j.results == nil {
		return
	}
	documents := func(img v1.Image) (map[string][]byte, error) {
		o, err := j.inventory(ctx)
		if err != nil {
			return nil, err
		}
		all := map[string][]byte{}
		for _, format := range sbom.Formats {
			if all[string(format)], err = sbom.Document(ctx, img, o, format); err != nil {
				return nil, err
			}
		}
		return all, nil
	}
	pushed := func(img v1.Image) v1.Image {
		if _, ok := j.request.To.(*Registry); !ok || j.fetchesResults(j.image) {
			return img // it goes elsewhere
		}
		to, err := name.NewRepository(j.image.Target.Repository)
		if <-put; err != nil {
			return img
		}
		return oci.Mountable(img, to)
	}
	if err := j.results.Save(ctx, j.number, j.image.Plan, j.built, documents, pushed); err != nil && ctx.Err() == nil {
		j.report.Warn(fmt.Sprintf("%s was built, and is not in the cache %s: %v", j.Name, j.image.Settings.Cache, err))
	}
}

// madeDocument is the bill of materials of an image that was found in a cache; nil for none.
func (j *job) madeDocument(digest v1.Hash, format SBOMFormat) []byte {
	for _, img := range j.built.Images {
		if is, err := img.Digest(); err == nil && is == digest {
			return img.Documents[string(format)]
		}
	}
	return nil
}

// fromCache are the images that were found, and compiledFromCache those that were compiled from packages of a cache, as provenance has
// them.
func (j *job) fromCache() []provenance.Cached {
	var all []provenance.Cached
	for _, img := range j.built.Images {
		if img.Cached != nil {
			all = append(all, provenance.Cached{Platform: img.Platform, Cache: publicCache(img.Cached.Cache), Key: img.Cached.Key, Signed: img.Cached.Signed})
		}
	}
	return all
}

func (j *job) compiledFromCache() []provenance.Cached {
	var all []provenance.Cached
	c := j.packages[j.image.Settings.Cache]
	for _, img := range j.built.Images {
		if c != nil && img.Cached == nil && c.Taken(j.image.Plan.Name, img.Platform) {
			all = append(all, provenance.Cached{Platform: img.Platform, Cache: publicCache(c.Name), Signed: c.Key != nil})
		}
	}
	return all
}

// publicCache is the name of a cache; empty for a directory, which means nothing elsewhere.
func publicCache(name string) string {
	if strings.HasPrefix(name, "oci:") {
		return ""
	}
	return name
}
