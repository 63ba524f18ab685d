package slipway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/slipway-ci/slipway/internal/attest/provenance"
	"github.com/slipway-ci/slipway/internal/attest/sbom"
	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/build/gocache"
	"github.com/slipway-ci/slipway/internal/build/results"
	"github.com/slipway-ci/slipway/internal/fault"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/registry"
)

// Engine compiles plans, checks the programs and assembles images of them.
type Engine = build.Engine

// Built is an image that was built, or opened from an archive.
type Built = build.Result

// Reporter shows progress.
type Reporter interface {
	build.Reporter
	// Note and Warn show a line beside the steps.
	Note(text string)
	Warn(text string)
}

// Builder builds images and takes each to the sink of its request.
type Builder struct {
	// Engine builds, with images from Bases; nil for a builder that only reads what was built before.
	Engine Engine
	// Client pushes, and Bases has images to build on and the cache.
	Client *registry.Client
	Bases  *oci.Bases
	// Environ is the caller's environment, as a list of KEY=VALUE. It says where the module cache is, and what runs the build.
	Environ []string
	// Report is where progress goes; nil for nowhere.
	Report Reporter
	// Version is Slipway's, which documents name as their maker.
	Version string
	// BuilderImage says which image compiles for a plan; nil for an engine that uses none.
	BuilderImage func(ctx context.Context, p *Plan) (provenance.Image, error)
	// CacheMode says what is done with the caches of images; empty for [CacheReadWrite].
	CacheMode CacheMode
	// Modules looks up licences for a plan; nil for the module cache of this machine.
	Modules func(ctx context.Context, p *Plan, goMods [][]byte) (*sbom.Modules, error)
}

// Result is the outcome of building one image.
type Result struct {
	Name string `json:"name"`
	// Digest is that of the index, or of the manifest where there is one platform.
	Digest string `json:"digest"`
	// Output is the archive or layout that has the image, Loaded its name in the local container runtime.
	Output string `json:"output,omitempty"`
	Loaded string `json:"loaded,omitempty"`
	// Reference is that in a registry, by digest, and Tags have moved to it.
	Reference string          `json:"reference,omitempty"`
	Tags      []string        `json:"tags,omitempty"`
	Platforms []PlatformImage `json:"platforms"`
	// Document is a bill of materials.
	Document []byte `json:"-"`
	// Sizes say where the image's bytes are, if it was built for that.
	Sizes *SizeReport `json:"-"`
	// Contents are what was read of the image, if it was built to be compared.
	Contents *Contents `json:"-"`
	// Reproduction is how it compares with a published image, if it was built for that.
	Reproduction *Reproduction `json:"-"`
	// Err is why there is no such image, or why it is not where it should be.
	Err error `json:"-"`

	// waiting says that its tags could move.
	waiting bool
}

// PlatformImage is the image of one platform. Sizes are in bytes: of the programs, of the image as it is pulled, and as it is on a
// node's disk.
type PlatformImage struct {
	Platform     string `json:"platform"`
	Digest       string `json:"digest"`
	BinarySize   int64  `json:"binarySize"`
	ImageSize    int64  `json:"imageSize"`
	UnpackedSize int64  `json:"unpackedSize"`
	// SBOM is the bill of materials that was attached; nil for none.
	SBOM []byte `json:"-"`
	// Cached says that the image comes from a cache, and nothing was built.
	Cached bool `json:"cached,omitempty"`
}

// sideBySide bounds how many images are written or pushed at a time.
const sideBySide = 4

// Build builds images of one request and takes each to the request's sink as soon as it is built. Tags move last, when all images are
// up; if an image failed, none moves. An image that fails does not stop the others. The results are in the images' order.
func (b *Builder) Build(ctx context.Context, images []*Image) []*Result {
	if len(images) == 0 {
		return nil
	}
	request := images[0].request
	w := newWork(ctx, b, request)
	if to, pushes := request.To.(*Registry); pushes && to.Provenance && request.Fetch == nil {
		go func() { _, _ = w.source() }() // git takes as long as a build without changes
	}
	plans := make([]*Plan, len(images))
	all := make([]*job, len(images))
	for i, image := range images {
		plans[i] = image.Plan
		all[i] = w.job(image, image.Plan.Name)
		all[i].number = i
		if request.All || len(request.Names) > 0 {
			all[i].lane = image.Plan.Name
		}
	}
	if err := request.fetchPlaced(ctx, images); err != nil {
		for _, j := range all {
			j.Err = err
		}
		return finish(ctx, all)
	}
	engine := b.Engine
	if w.results = w.cached(ctx, images); w.results != nil {
		engine = w.results
	}
	slots := make(chan struct{}, sideBySide)
	engine.Build(ctx, request.Dir, plans, w.report, func(i int, built *Built, err error) {
		j := all[i]
		if j.built, j.Err = built, err; err != nil {
			return
		}
		if _, root := plans[i].Image.Labels[plan.RootLabel]; root {
			w.report.Warn(cmp.Or(j.lane, "the program") + " runs as root, since --allow-root permits it; the image says so in the label " + plan.RootLabel)
		}
		slots <- struct{}{}
		j.run(ctx)
		<-slots
	})
	return finish(ctx, all)
}

// work is shared by the images of one call.
type work struct {
	*Builder
	request *Request
	report  Reporter
	begun   time.Time
	// source is where the source came from, which git is asked once.
	source func() (provenance.Source, error)
	// warned has the warnings that concern all images.
	warned sync.Map
	// results takes images from caches; nil for none. packages are the caches of compiled packages, by their names.
	results  *results.Engine
	packages map[string]*gocache.Cache
}

func newWork(ctx context.Context, b *Builder, request *Request) *work {
	w := &work{Builder: b, request: request, report: b.reporter(), begun: time.Now()}
	w.source = sync.OnceValues(func() (provenance.Source, error) {
		return provenance.ReadSource(ctx, request.Dir, request.outputs().Has)
	})
	return w
}

// warnOnce warns of what may concern several images.
func (w *work) warnOnce(text string) {
	if _, again := w.warned.LoadOrStore(text, true); !again {
		w.report.Warn(text)
	}
}

// engine is what builds, as provenance names it.
func (b *Builder) engine() string {
	if b.BuilderImage != nil {
		return "dagger"
	}
	return "host"
}

func (b *Builder) reporter() Reporter {
	if b.Report == nil {
		return Warnings(func(string) {})
	}
	return b.Report
}

// Warnings returns a reporter that passes on warnings alone.
func Warnings(warn func(text string)) Reporter { return warnings{build.Discard, warn} }

type warnings struct {
	build.Reporter
	warn func(text string)
}

func (warnings) Note(string)        {}
func (w warnings) Warn(text string) { w.warn(text) }

func (w *work) job(image *Image, name string) *job {
	for _, tag := range image.Skipped {
		w.report.Note(fmt.Sprintf("%s gets no tag of %q: it is empty when filled in", name, tag))
	}
	if image.Skipped != nil && image.Target.Tags == nil {
		w.report.Note(name + " is found by its digest alone")
	}
	return &job{work: w, image: image, Result: &Result{Name: name}}
}

// job takes one image to its sink.
type job struct {
	*work
	*Result
	image *Image
	// number is that of the image among those of the call.
	number int
	built  *Built
	// lane is what its steps are reported under.
	lane string
	// tag moves the tags of what has been pushed; nil where none are moved.
	tag func(ctx context.Context) error
	// sboms are the bills of materials that were attached, by the digests of their images.
	sboms map[string][]byte
}

// run takes the image to its sink.
func (j *job) run(ctx context.Context) {
	put, saved := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(saved)
		j.save(ctx, put)
	}()
	err := j.put(ctx)
	close(put)
	<-saved
	j.Err = errors.Join(err, j.built.Close())
}

func (j *job) put(ctx context.Context) error {
	digest, err := j.built.Artifact.Digest()
	if err != nil {
		return err
	}
	j.Digest = digest.String()
	if err := j.checkBudgets(ctx); err != nil {
		return err
	}
	if err := j.request.To.put(ctx, j); err != nil {
		return err
	}
	for _, img := range j.built.Images {
		one := PlatformImage{Platform: img.Platform, BinarySize: img.BinarySize}
		digest, err := img.Image.Digest()
		if err != nil {
			return err
		}
		one.Digest = digest.String()
		one.SBOM = j.sboms[one.Digest]
		if one.ImageSize, one.UnpackedSize, err = sizes(img); err != nil {
			return err
		}
		one.Cached = img.Cached != nil
		j.Platforms = append(j.Platforms, one)
	}
	return nil
}

// sizes are those of an image in bytes, as it is pulled and as it is on a node's disk. The layers of one from a cache are not read for it.
func sizes(img build.Image) (compressed, unpacked int64, err error) {
	if img.Cached == nil {
		return oci.Sizes(img.Image)
	}
	manifest, err := img.Manifest()
	if err != nil {
		return 0, 0, err
	}
	for _, l := range manifest.Layers {
		compressed += l.Size
	}
	return compressed, img.UnpackedSize, nil
}

// step runs f as a step that is reported.
func (j *job) step(name string, f func(io.Writer) error) error {
	return build.Do(j.report, j.lane, name, func(step build.Step) error { return f(step) })
}

// finish moves the tags of all images, if all images are up. After a tag that could not be moved, those of other images stay.
func finish(ctx context.Context, all []*job) []*Result {
	results := make([]*Result, len(all))
	for i, j := range all {
		results[i] = j.Result
		j.waiting = j.tag != nil
	}
	if slices.ContainsFunc(results, func(r *Result) bool { return r.Err != nil }) {
		return results
	}
	var stopped atomic.Bool
	var group errgroup.Group
	group.SetLimit(sideBySide)
	for _, j := range all {
		if j.tag == nil {
			continue
		}
		group.Go(func() error {
			if stopped.Load() {
				return nil
			}
			if j.Err = j.tag(ctx); j.Err != nil {
				stopped.Store(true)
			}
			return nil
		})
	}
	_ = group.Wait() // each has its error
	return results
}

// Failures returns an error that names the images that failed, by their reasons, and those whose tags have not moved; nil if none
// failed. For a single image it is the image's error.
func Failures(results []*Result) error {
	switch {
	case !slices.ContainsFunc(results, func(r *Result) bool { return r.Err != nil }):
		return nil
	case len(results) == 1:
		return results[0].Err
	default:
		return failures(results)
	}
}

// failures is the error of several images, of which one or more failed.
type failures []*Result

func (f failures) Error() string { return f.text(error.Error) }

// Reword implements [fault.Reworder].
func (f failures) Reword(words func(string) string) string {
	return f.text(func(err error) string { return fault.Reword(err, words) })
}

// text names the images that failed, and why, as reason writes it.
func (f failures) text(reason func(error) string) string {
	var reasons, failed []string
	names := map[string][]string{}
	for _, r := range f {
		if r.Err == nil {
			continue
		}
		failed = append(failed, r.Name)
		reason := reason(r.Err)
		if names[reason] == nil {
			reasons = append(reasons, reason)
		}
		names[reason] = append(names[reason], r.Name)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%d of %d images failed: %s", len(failed), len(f), strings.Join(failed, ", "))
	for _, reason := range reasons {
		fmt.Fprintf(&text, "\n%s: %s", strings.Join(names[reason], ", "), reason)
	}
	return text.String() + untagged(f)
}

// untagged names the images that are up and whose tags have not moved, since another image failed.
func untagged(results []*Result) string {
	var moved, waiting []string
	for _, r := range results {
		switch {
		case r.Tags != nil:
			moved = append(moved, r.Name)
		case r.waiting && r.Err == nil:
			waiting = append(waiting, r.Name)
		}
	}
	switch {
	case waiting == nil:
		return ""
	case moved == nil:
		return fmt.Sprintf("\nno tag has moved, since tags move when all images are up; these are up, by their digests: %s", strings.Join(waiting, ", "))
	default:
		return fmt.Sprintf("\ntags have moved of %s, and not of %s", strings.Join(moved, ", "), strings.Join(waiting, ", "))
	}
}
