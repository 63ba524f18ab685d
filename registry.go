package slipway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"golang.org/x/sync/errgroup"

	"github.com/slipway-ci/slipway/internal/attest"
	"github.com/slipway-ci/slipway/internal/attest/provenance"
	"github.com/slipway-ci/slipway/internal/attest/vex"
	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/gitcommand"
	"github.com/slipway-ci/slipway/internal/registry"
)

// Registry pushes images to the repositories that settings name, with attestations beside them.
type Registry struct {
	// SBOM is the format of the bills of materials to attach; empty for none.
	SBOM SBOMFormat
	// Provenance attaches where the image comes from: source, settings, builder, time.
	Provenance bool
	// Predicate is attached in place of that, for an image that was built elsewhere.
	Predicate json.RawMessage
	// VEX are statements about vulnerabilities, to attach in place of those that the source suppresses; nil for those.
	VEX []VEXStatement
	// Key signs the image and what is attached; nil for no signatures. Signatures is where they go.
	Key        *PrivateKey
	Signatures SignatureFormat
	// Keyless signs in place of Key, in bundles; nil for none.
	Keyless Signer
	// Push pushes an image and its tags instead, and returns the reference by digest; nil for none.
	Push func(ctx context.Context, image *Image, built *Built) (string, error)
}

// VEXStatement says that a vulnerability does not concern an image.
type VEXStatement = vex.Statement

// check: targets are filled in when the image is planned.
func (*Registry) check(*Image, int) error { return nil }

func (g *Registry) put(ctx context.Context, j *job) error {
	target := j.image.Target
	if g.Push != nil {
		return j.step("push", func(io.Writer) (err error) {
			if j.Reference, err = g.Push(ctx, j.image, j.built); err == nil {
				j.Tags = target.Tags
			}
			return err
		})
	}
	push, err := j.Client.Push(target)
	if err != nil {
		return err
	}
	repository, err := name.NewRepository(target.Repository)
	if err != nil {
		return err
	}
	var ref name.Digest
	var documents []attest.Document
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return build.Do(j.report, j.lane, "push", func(step build.Step) (err error) {
			ref, err = push.Content(build.Transfer(groupCtx, step, 0), j.built.Artifact)
			return err
		})
	})
	group.Go(func() (err error) {
		documents, err = g.documents(groupCtx, j, repository.Name())
		return err
	})
	if err := group.Wait(); err != nil {
		return err
	}
	if err := g.attach(ctx, j, push, repository, documents); err != nil {
		return err
	}
	j.Reference = ref.String()
	if len(target.Tags) > 0 {
		j.tag = func(ctx context.Context) error {
			err := j.step("tag", func(io.Writer) error { return push.Tag(ctx) })
			if err == nil {
				j.Tags = target.Tags
			}
			return err
		}
	}
	return nil
}

// documents makes what is attached.
func (g *Registry) documents(ctx context.Context, j *job, repository string) (documents []attest.Document, err error) {
	o := attest.Options{Repository: repository, SBOM: g.SBOM, VEX: j.valid(j.image.vex), Author: provenance.BuilderPrefix + j.engine()}
	if o.Provenance, err = g.provenance(ctx, j); err != nil || o.SBOM == "" && o.Provenance == nil && len(o.VEX) == 0 {
		return nil, err
	}
	err = j.step("attest", func(io.Writer) (err error) {
		if o.SBOM != "" {
			if o.Inventory, err = j.inventory(ctx); err != nil {
				return err
			}
		}
		documents, err = attest.Documents(ctx, j.built.Artifact, o)
		return err
	})
	return documents, err
}

// provenance makes predicates. It is nil if there are to be none, or nothing is known of the build.
func (g *Registry) provenance(ctx context.Context, j *job) (func(provenance.Image) (any, error), error) {
	switch {
	case g.Predicate != nil:
		return func(provenance.Image) (any, error) { return g.Predicate, nil }, nil
	case j.image.Plan == nil || !g.Provenance:
		return nil, nil
	}
	build := provenance.Build{
		Plan: j.image.Plan, Config: j.image.Settings.Config, Engine: j.engine(), Version: j.Version,
		Cached: j.fromCache(), Compiled: j.compiledFromCache(), CI: provenance.ReadCI(j.Environ), Started: j.begun, Finished: time.Now(),
		Source: provenance.Source{Revision: j.image.Settings.Revision, Directory: j.request.Directory},
	}
	for _, img := range j.built.Images {
		build.Packages = append(build.Packages, img.Packages...)
	}
	if j.request.Fetch == nil {
		build.Source = j.provenanceSource(ctx)
	}
	if j.BuilderImage != nil {
		for _, part := range j.image.Plan.Parts() {
			builder, err := j.BuilderImage(ctx, part)
			if err != nil {
				return nil, err
			}
			build.BuilderImages = append(build.BuilderImages, builder)
		}
	}
	return func(base provenance.Image) (any, error) { return build.Predicate(base) }, nil
}

// provenanceSource is the origin of the source. Where git refuses to read the repository, it is empty, with one warning.
func (w *work) provenanceSource(ctx context.Context) provenance.Source {
	source, err := w.source()
	if err != nil && ctx.Err() == nil {
		problem, hint := gitcommand.Explain(err, "publish with --provenance=false")
		w.warnOnce("the provenance does not name the commit of the source: " + problem + ": " + hint)
	}
	return source
}

// attach puts documents and signatures beside the image, before any tag leads to it. What refers to the image goes there at once, so that
// the list of it is written once. What is under tags of its own is written at the same time.
func (g *Registry) attach(ctx context.Context, j *job, push *registry.Push, repository name.Repository, documents []attest.Document) error {
	attached := documents
	signer, tags := g.Keyless, false
	if g.Key != nil {
		signer, tags = g.Key, g.Signatures.Has(TagSignatures)
	}
	if signer != nil && (g.Key == nil || g.Signatures.Has(BundleSignatures)) {
		bundles, err := attest.Bundles(ctx, signer, j.built.Artifact, documents)
		if err != nil {
			return err
		}
		attached = slices.Concat(documents, bundles)
	}
	if signer != nil && j.image.Plan == nil && g.Predicate == nil {
		j.report.Warn("an archive is signed without provenance, which slipway verify asks for: give it by --predicate")
	}
	group, ctx := errgroup.WithContext(ctx)
	if len(attached) > 0 {
		group.Go(func() error {
			return j.step("attach", func(io.Writer) error {
				err := attest.Attach(ctx, push, attached)
				var rejected *registry.RejectedError
				switch {
				case !errors.As(err, &rejected):
				case signer != nil && !tags:
					return fmt.Errorf("attaching the signatures: %w: sign under tags by --signature-format tags, which needs --sign-key", errors.Join(rejected.Unwrap()...))
				default:
					j.report.Warn(rejected.Error())
					return nil
				}
				j.sboms = map[string][]byte{}
				for _, d := range documents {
					if d.MediaType == g.SBOM.MediaType() {
						j.sboms[d.Subject.Digest.String()] = d.Content
					}
				}
				return err
			})
		})
	}
	if tags {
		group.Go(func() error {
			return j.step("sign", func(io.Writer) error {
				return attest.Sign(ctx, push, g.Key, repository.Name(), j.built.Artifact, documents)
			})
		})
	}
	return group.Wait()
}
