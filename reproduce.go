package slipway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/slipway-ci/slipway/internal/attest"
	"github.com/slipway-ci/slipway/internal/attest/provenance"
	"github.com/slipway-ci/slipway/internal/config"
	"github.com/slipway-ci/slipway/internal/gitcommand"
	"github.com/slipway-ci/slipway/internal/plan"
)

// Recipe is what the provenance of a published image says of how it was built.
type Recipe struct {
	// Reference is that by digest.
	Reference name.Digest
	// Builder and Version are what built it: the identity of the engine, and the version of Slipway.
	Builder, Version string
	// Repository, Revision and Directory are where the source is; Repository is empty if nobody else can fetch it. Modified says that what
	// was built differed from the revision.
	Repository, Revision, Directory string
	Modified                        bool
	// Generates and Prebuilds say that building runs programs of the source.
	Generates, Prebuilds bool

	published v1.Descriptor
	recorded  *provenance.Recorded
}

// Recipe reads the provenance of a published image. With a verifier, only what that verifies counts; nil for any.
func (b *Builder) Recipe(ctx context.Context, ref name.Reference, verifier Verifier) (*Recipe, error) {
	found, err := b.Client.Get(ctx, ref)
	if err != nil {
		return nil, err
	}
	r := &Recipe{Reference: ref.Context().Digest(found.Digest.String()), published: v1.Descriptor{MediaType: found.MediaType, Digest: found.Digest, Size: found.Size}}
	predicate, err := attest.Provenance(ctx, b.Client, r.Reference, verifier)
	if err == nil {
		r.recorded, err = predicate.Recorded()
	}
	if err != nil {
		return nil, fmt.Errorf("reading the provenance of %s: %w", r.Reference, err)
	}
	r.Builder, r.Version = predicate.RunDetails.Builder.ID, r.recorded.Version
	from := r.recorded.Source
	r.Repository, r.Revision, r.Directory, r.Modified = from.Repository, from.Revision, from.Directory, from.Modified
	r.Generates, r.Prebuilds = r.recorded.Config.Generates(), r.recorded.Config.RunPrebuild
	return r, nil
}

// FetchSource fetches the revision of the source into the empty directory dir, and returns the directory in it that was built. environ is
// the caller's environment.
func (r *Recipe) FetchSource(ctx context.Context, environ []string, dir string) (string, error) {
	switch {
	case r.Modified:
		return "", fmt.Errorf("fetching the source: what was built differed from the commit %s, and nobody else has it: give it by --source", r.Revision)
	case r.Repository == "" || r.Revision == "":
		return "", errors.New("fetching the source: the provenance does not say where it is: give it by --source")
	case r.Directory != "" && !fs.ValidPath(r.Directory):
		return "", fmt.Errorf("fetching the source: the provenance says that it is in %q, which is not in the repository", r.Directory)
	}
	if err := gitcommand.Fetch(ctx, environ, r.Repository, r.Revision, dir, r.recorded.Config.BuildVCS); err != nil {
		problem, _ := gitcommand.Explain(err, "")
		return "", fmt.Errorf("fetching the source: %s of %s: %s: check that you may read the repository, or give the source by --source", r.Revision, r.Repository, problem)
	}
	return filepath.Join(dir, filepath.FromSlash(r.Directory)), nil
}

// Plan plans the image again from the source in dir: by the recorded settings, of which none of the source's slipway.yaml takes the place,
// the recorded version of Go, and the recorded digest of the base. engine is what the engine can do that is to carry the plan out.
func (r *Recipe) Plan(ctx context.Context, dir string, engine plan.Capabilities) ([]*Image, error) {
	request := &Request{Dir: dir, To: &rebuilt{recipe: r}, Engine: engine, recorded: r.recorded}
	request.Settings.Config = r.recorded.Config
	request.Settings.Surroundings = plan.Surroundings{}
	choose := func(*config.Project) ([]Settings, error) { return []Settings{{}}, nil }
	images, err := request.plan(ctx, choose, plan.ResolveAll)
	if err != nil {
		return nil, err
	}
	for _, image := range images {
		base := image.Plan.Image.Base
		digest := r.recorded.Base.Digest
		switch scheme, path, _ := strings.Cut(base, ":"); {
		case scheme == "oci" || scheme == "oci-archive":
			if !filepath.IsAbs(path) {
				path = filepath.Join(dir, path)
			}
			if _, err := os.Stat(path); err != nil {
				return nil, fmt.Errorf("finding the base %s: the source does not have it: put it there, and give the source by --source", base)
			}
			image.Plan.Image.Base = scheme + ":" + path
		case digest != "" && base != "":
			base, _, _ = strings.Cut(base, "@")
			image.Plan.Image.Base = base + "@" + digest
		}
	}
	return images, nil
}

// Reproduction is what became of building a published image again.
type Reproduction struct {
	// Reference is that of the published image by digest, and Rebuilt the digest of what was built.
	Reference string `json:"reference"`
	Rebuilt   string `json:"rebuilt"`
	// Equal says that they are the same, to the byte.
	Equal     bool              `json:"equal"`
	Platforms []RebuiltPlatform `json:"platforms"`
	// Difference is what differs from the published image to what was built; nil if nothing does.
	Difference *Difference `json:"difference,omitempty"`
}

// RebuiltPlatform has the digests of the published image and of what was built, for one platform. One that is empty says that there is none.
type RebuiltPlatform struct {
	Platform  string `json:"platform"`
	Published string `json:"published,omitempty"`
	Rebuilt   string `json:"rebuilt,omitempty"`
	Equal     bool   `json:"equal"`
}

// rebuilt compares an image with the published one, and keeps none.
type rebuilt struct{ recipe *Recipe }

func (*rebuilt) check(*Image, int) error { return nil }

func (s *rebuilt) put(ctx context.Context, j *job) error {
	r := &Reproduction{Reference: s.recipe.Reference.String(), Rebuilt: j.Digest, Equal: j.Digest == s.recipe.Reference.DigestStr()}
	j.Result.Reproduction = r
	return j.step("compare", func(io.Writer) error {
		if r.Equal {
			for _, img := range j.built.Images {
				digest, err := img.Digest()
				if err != nil {
					return err
				}
				r.Platforms = append(r.Platforms, RebuiltPlatform{img.Platform, digest.String(), digest.String(), true})
			}
			return nil
		}
		published, err := j.ContentsOf(ctx, r.Reference, r.Reference, nil)
		if err != nil {
			return err
		}
		own, err := j.contents(ctx)
		if err != nil {
			return err
		}
		own.Name = "what was built again"
		if r.Difference, err = j.Diff(ctx, published, own, ""); err != nil {
			return err
		}
		for _, d := range r.Difference.Platforms {
			r.Platforms = append(r.Platforms, RebuiltPlatform{d.Platform, d.Manifest.Before, d.Manifest.After, d.Manifest.Before == d.Manifest.After})
		}
		return nil
	})
}

// ReproductionType is the predicate type of a statement that somebody built an image again. docs/reproduce.md describes it.
const ReproductionType = "https://github.com/slipway-ci/slipway/reproduction/v1"

// reproductionPredicate has no time, so that the same verdict is the same statement.
type reproductionPredicate struct {
	// Verdict is "equal" or "different".
	Verdict   string                `json:"verdict"`
	Rebuilt   map[string]string     `json:"rebuilt"`
	Platforms []RebuiltPlatform     `json:"platforms"`
	Source    []provenance.Resource `json:"source,omitempty"`
	Builder   provenance.Builder    `json:"builder"`
}

// AttestReproduction signs the verdict, and attaches it to the published image. engine is what built it again.
func (b *Builder) AttestReproduction(ctx context.Context, recipe *Recipe, r *Reproduction, engine string, signer Signer, format SignatureFormat) error {
	repository := recipe.Reference.Context().Name()
	algorithm, hex, _ := strings.Cut(r.Rebuilt, ":")
	predicate := reproductionPredicate{
		Verdict: "different", Rebuilt: map[string]string{algorithm: hex}, Platforms: slices.Clone(r.Platforms),
		Builder: provenance.Builder{ID: provenance.BuilderPrefix + engine, Version: map[string]string{"slipway": b.Version}},
	}
	if r.Equal {
		predicate.Verdict = "equal"
	}
	if recipe.Repository != "" {
		predicate.Source = []provenance.Resource{{URI: "git+" + recipe.Repository, Digest: map[string]string{"gitCommit": recipe.Revision}}}
	}
	push, err := b.Client.Push(Target{Repository: repository})
	if err != nil {
		return err
	}
	rejected, err := attest.AttachStatement(ctx, push, signer, format, repository, recipe.published, ReproductionType, predicate)
	if err != nil {
		return fmt.Errorf("attesting what came of building %s again: %w", recipe.Reference, err)
	}
	if rejected != nil {
		b.reporter().Warn("the verdict is under a tag alone: " + rejected.Error())
	}
	return nil
}
