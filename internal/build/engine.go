// Package build is what carries plans out.
//
// A plan (package plan) holds every decision. An engine only does what it says: it downloads and verifies
// modules, compiles, guards and assembles. Package enginetest holds the tests that every engine passes.
package build

import (
	"context"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/slipway-ci/slipway/internal/distro"
	"github.com/slipway-ci/slipway/internal/plan"
)

// Engine carries plans out.
type Engine interface {
	// Build does everything that the plans say, up to finished images, reading the source tree below the directory source, which
	// all of them are made for. It never writes to that tree. Plans that compile in the same way are compiled together.
	// Progress goes to report.
	//
	// done is called once for each plan, by its number, as soon as its image is there or has failed; several calls may go on
	// at once. An error leaves nothing behind and does not stop the others; with a result, the caller calls Close on it when
	// its images have been written or pushed. Build returns when all calls have.
	Build(ctx context.Context, source string, plans []*plan.Plan, report Reporter, done func(i int, r *Result, err error))
}

// BuildOne carries one plan out.
func BuildOne(ctx context.Context, e Engine, source string, p *plan.Plan, report Reporter) (result *Result, err error) {
	e.Build(ctx, source, []*plan.Plan{p}, report, func(_ int, r *Result, e error) { result, err = r, e })
	return result, err
}

// Result is what an engine built.
type Result struct {
	// Artifact is the image, a v1.Image, when the plan has one platform, and a v1.ImageIndex of all when it has more.
	Artifact Artifact
	// Images are the images of the platforms, in the plan's order.
	Images []Image
	// Close releases the files that the images read from.
	Close func() error
}

// Artifact is what an image and an index of images have in common.
type Artifact interface {
	remote.Taggable
	Digest() (v1.Hash, error)
}

var (
	_ Artifact = v1.Image(nil)
	_ Artifact = v1.ImageIndex(nil)
)

// Image is the image of one platform.
type Image struct {
	v1.Image
	// Platform in the usual notation, such as "linux/arm/v7".
	Platform string
	// BinarySize is the size of the program in bytes; of all programs together where the image has several.
	BinarySize int64
	// Packages of a distribution were installed in it.
	Packages []distro.Package

	// Cached says where the image was found; nil for one that was built. UnpackedSize is its size on a node's disk, and Documents are its
	// bills of materials, by their formats, of an image that was found.
	Cached       *Cached
	UnpackedSize int64
	Documents    map[string][]byte
}

// Cached says which cache an image comes from.
type Cached struct {
	// Cache is the repository, and Key the digest of everything that decided the image.
	Cache string `json:"cache"`
	Key   string `json:"key"`
	// Signed says that the key that signs this image has signed the result, too.
	Signed bool `json:"signed,omitempty"`
}

// Reporter learns how the work goes. Its methods are called from many goroutines.
type Reporter interface {
	// Step begins a step. lane is the platform that it works for, with the image's name before it where there are several, or
	// "" for work that all of them share. name says what is done, such as "compile".
	Step(lane, name string) Step
}

// Step is one step under way.
type Step interface {
	// Write takes the output of what runs, as it comes: lines may arrive in pieces.
	io.Writer
	// Progress says how far the step is.
	Progress(Progress)
	// Part says that a part of the step, such as a package that was compiled, is done; before the step ends, and only of those that took long.
	Part(Part)
	// Skip says why there is nothing to do, before the step ends.
	Skip(Skipped)
	// End says that the step is over, well if err is nil. It is called once.
	End(err error)
}

// Do reports what f does as a step.
func Do(report Reporter, lane, name string, f func(Step) error) error {
	step := report.Step(lane, name)
	err := f(step)
	step.End(err)
	return err
}

// Discard is a Reporter that reports nothing.
var Discard Reporter = discard{}

type discard struct{}

func (discard) Step(string, string) Step    { return discard{} }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) Progress(Progress)           {}
func (discard) Part(Part)                   {}
func (discard) Skip(Skipped)                {}
func (discard) End(error)                   {}
