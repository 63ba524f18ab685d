// Package attest gives a published image what a reviewer asks for: bills of materials, provenance, and signatures over
// both and over the image. It makes them, puts them beside the image, and verifies them.
//
// It takes images and references: which engine built an image does not matter to it.
package attest

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/slipway-ci/slipway/internal/attest/provenance"
	"github.com/slipway-ci/slipway/internal/attest/sbom"
	"github.com/slipway-ci/slipway/internal/attest/signing"
	"github.com/slipway-ci/slipway/internal/attest/vex"
	"github.com/slipway-ci/slipway/internal/oci/graph"
	"github.com/slipway-ci/slipway/internal/registry"
)

// Options say which documents are made.
type Options struct {
	// Repository that the image is published to, which statements name.
	Repository string
	// SBOM is the format of bills of materials; empty for none. What they say besides comes from Inventory.
	SBOM      sbom.Format
	Inventory sbom.Options
	// Provenance makes the predicate of the provenance of an image that names the given base; nil for none.
	Provenance func(base provenance.Image) (any, error)
	// VEX are statements of Author about vulnerabilities that do not concern the image.
	VEX    []vex.Statement
	Author string
}

// Document says something about an image or index.
type Document struct {
	Subject v1.Descriptor
	// MediaType is that of Content, which is attached as it is.
	MediaType string
	Content   []byte
	// Make makes Content where it is nil, if the document is not there yet: the Identity says so.
	Make func(context.Context) ([]byte, error)
	// Statement is the in-toto statement that is signed, of the type PredicateType.
	Statement     []byte
	PredicateType string
	// Identity is that of [registry.Attachment].
	Identity string
}

// Documents makes the documents about artifact, a v1.Image or a v1.ImageIndex: a bill of materials for each image,
// provenance and a document of OpenVEX for each and for the index.
func Documents(ctx context.Context, artifact remote.Taggable, o Options) ([]Document, error) {
	subjects, err := subjectsOf(artifact)
	if err != nil {
		return nil, err
	}
	made := make([][]Document, len(subjects))
	group, ctx := errgroup.WithContext(ctx)
	for i, s := range subjects {
		group.Go(func() (err error) {
			made[i], err = s.documents(ctx, o)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return slices.Concat(made...), nil
}

// subject is an image, or an index if image is nil.
type subject struct {
	v1.Descriptor
	image v1.Image
	base  provenance.Image
	// images are those of an index.
	images []v1.Image
}

// subjectsOf are the artifact itself and, after it, the images of an index.
func subjectsOf(artifact remote.Taggable) ([]subject, error) {
	images, err := graph.Images(artifact)
	if err != nil {
		return nil, err
	}
	var all []subject
	if index, ok := artifact.(v1.ImageIndex); ok {
		descriptor, err := partial.Descriptor(index)
		if err != nil {
			return nil, err
		}
		all = append(all, subject{Descriptor: *descriptor, images: images})
	}
	for i, img := range images {
		s, err := imageSubject(img)
		if err != nil {
			return nil, err
		}
		if i == 0 && all != nil {
			all[0].base = s.base // all have the same
		}
		all = append(all, s)
	}
	return all, nil
}

func imageSubject(img v1.Image) (subject, error) {
	descriptor, err := partial.Descriptor(img)
	if err != nil {
		return subject{}, err
	}
	manifest, err := img.Manifest()
	if err != nil {
		return subject{}, err
	}
	base := provenance.Image{
		Name:   manifest.Annotations[ocispec.AnnotationBaseImageName],
		Digest: manifest.Annotations[ocispec.AnnotationBaseImageDigest],
	}
	return subject{Descriptor: *descriptor, image: img, base: base}, nil
}

func (s subject) documents(ctx context.Context, o Options) ([]Document, error) {
	var all []Document
	if o.SBOM != "" && s.image != nil {
		content, err := sbom.Document(ctx, s.image, o.Inventory, o.SBOM)
		if err != nil {
			return nil, err
		}
		statement, err := s.statement(o.Repository, o.SBOM.PredicateType(), json.RawMessage(content))
		if err != nil {
			return nil, err
		}
		all = append(all, Document{Subject: s.Descriptor, MediaType: o.SBOM.MediaType(), Content: content, Statement: statement, PredicateType: o.SBOM.PredicateType()})
	}
	if o.Provenance != nil {
		predicate, err := o.Provenance(s.base)
		if err != nil {
			return nil, err
		}
		statement, err := s.statement(o.Repository, provenance.PredicateType, predicate)
		if err != nil {
			return nil, err
		}
		text, err := json.Marshal(predicate)
		if err != nil {
			return nil, err
		}
		all = append(all, Document{
			Subject: s.Descriptor, MediaType: provenance.MediaType, Content: statement, Statement: statement, PredicateType: provenance.PredicateType, Identity: provenance.Identity(text),
		})
	}
	if len(o.VEX) > 0 {
		document, err := s.vex(o)
		if err != nil {
			return nil, err
		}
		statement, err := s.statement(o.Repository, vex.PredicateType, document)
		if err != nil {
			return nil, err
		}
		all = append(all, Document{
			Subject: s.Descriptor, MediaType: provenance.MediaType, Content: statement, Statement: statement, PredicateType: vex.PredicateType,
		})
	}
	return all, nil
}

// vex is the document about an image, with its time; or about an index and the images in it, with that of the first.
func (s subject) vex(o Options) (vex.Document, error) {
	images := s.images
	if s.image != nil {
		images = []v1.Image{s.image}
	}
	digests := []v1.Hash{s.Digest}
	for _, img := range s.images {
		digest, err := img.Digest()
		if err != nil {
			return vex.Document{}, err
		}
		digests = append(digests, digest)
	}
	var products []string
	for _, digest := range digests {
		products = append(products, sbom.ImagePURL(o.Repository, digest.String(), ""))
	}
	var created time.Time
	if len(images) > 0 {
		config, err := images[0].ConfigFile()
		if err != nil {
			return vex.Document{}, err
		}
		created = config.Created.Time
	}
	return vex.New(o.VEX, products, o.Author, created)
}

func (s subject) statement(name, predicateType string, predicate any) ([]byte, error) {
	return json.Marshal(provenance.NewStatement(name, s.Digest.String(), predicateType, predicate))
}

// annotationPredicate names a statement's type where attachments are listed, as BuildKit does.
const annotationPredicate = "in-toto.io/predicate-type"

// Attach puts the documents beside what they are about. The error is a [registry.RejectedError] if the registry takes none.
func Attach(ctx context.Context, push *registry.Push, documents []Document) error {
	var attachments []registry.Attachment
	for _, d := range documents {
		attachments = append(attachments, registry.Attachment{
			Subject: d.Subject, MediaType: d.MediaType, Content: d.Content, Make: d.Make, Annotations: d.annotations(), Identity: d.Identity,
		})
	}
	return push.Attach(ctx, attachments)
}

// How cosign keeps signatures and signed statements: as layers of an image, under a tag made of the digest. Sources:
// https://github.com/sigstore/cosign/blob/v3.1.3/specs/SIGNATURE_SPEC.md and ATTESTATION_SPEC.md
const (
	signatureSuffix   = ".sig"
	attestationSuffix = ".att"

	signatureMediaType = "application/vnd.dev.cosign.simplesigning.v1+json"
	envelopeMediaType  = "application/vnd.dsse.envelope.v1+json"

	annotationSignature     = "dev.cosignproject.cosign/signature"
	annotationPredicateType = "predicateType"
)

// Sign signs artifact and, if it is an index, each image in it, and the documents about them, under tags. Signatures of other keys that
// are there stay; statements that the same key signed before are replaced by those of their type.
func Sign(ctx context.Context, push *registry.Push, key *signing.Key, repository string, artifact remote.Taggable, documents []Document) error {
	subjects, err := subjectsOf(artifact)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, s := range subjects {
		group.Go(func() error {
			payload, err := signing.Payload(repository, s.Digest)
			if err != nil {
				return err
			}
			has := func(listed []v1.Descriptor) bool {
				return slices.ContainsFunc(listed, func(d v1.Descriptor) bool { return signs(d, key, payload) })
			}
			return push.Rewrite(ctx, graph.TagFor(s.Digest, signatureSuffix), has, func(old []registry.Layer) ([]registry.Layer, error) {
				signature, err := key.Sign(payload)
				if err != nil {
					return nil, err
				}
				return append(slices.Clone(old), registry.Layer{
					MediaType: signatureMediaType, Content: payload, Annotations: map[string]string{annotationSignature: base64.StdEncoding.EncodeToString(signature)},
				}), nil
			})
		})
		about := slices.DeleteFunc(slices.Clone(documents), func(d Document) bool { return d.Subject.Digest != s.Digest })
		if len(about) == 0 {
			continue
		}
		group.Go(func() error {
			return (&statements{key: key, documents: about}).rewrite(ctx, push, s.Digest)
		})
	}
	return group.Wait()
}

// signs reports whether a layer that is listed is the key's signature of a payload.
func signs(d v1.Descriptor, key *signing.Key, payload []byte) bool {
	signature, err := base64.StdEncoding.DecodeString(d.Annotations[annotationSignature])
	return err == nil && d.Digest == digestOf(payload) && key.Verifier().Verify(payload, signature) == nil
}

// statements are documents that are signed once.
type statements struct {
	key       *signing.Key
	documents []Document
	signed    []registry.Layer // of documents; nil before the first call
}

func digestOf(content []byte) v1.Hash {
	sum := sha256.Sum256(content)
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum[:])}
}

// annotationClaim is the key's signature of what a statement's layer holds, so that whoever has the key need not read it to learn that it
// says the same as a statement at hand.
const annotationClaim = "io.github.slipway-ci.claim"

// claim is what is signed of a statement in an envelope with this digest.
func claim(d Document, envelope v1.Hash) []byte {
	return []byte(strings.Join([]string{"slipway statement", d.Subject.Digest.String(), envelope.String(), d.PredicateType, d.identity()}, "\n"))
}

// rewrite adds the statements to those under the tag of an image's or index's digest.
func (s *statements) rewrite(ctx context.Context, push *registry.Push, subject v1.Hash) error {
	return push.Rewrite(ctx, graph.TagFor(subject, attestationSuffix), s.in, func(old []registry.Layer) ([]registry.Layer, error) {
		return s.with(ctx, old)
	})
}

// in reports whether the layers that are listed have all statements.
func (s *statements) in(listed []v1.Descriptor) bool {
	return !slices.ContainsFunc(s.documents, func(d Document) bool {
		return !slices.ContainsFunc(listed, func(l v1.Descriptor) bool {
			signature, err := base64.StdEncoding.DecodeString(l.Annotations[annotationClaim])
			return err == nil && l.Annotations[annotationPredicateType] == d.PredicateType && s.key.Verifier().Verify(claim(d, l.Digest), signature) == nil
		})
	})
}

// with adds the statements to the layers. The first time it replaces those of the same types that the key signed before, but for
// those that say the same.
// After that it leaves them: they are of somebody who publishes with the same key at the same time.
func (s *statements) with(ctx context.Context, old []registry.Layer) ([]registry.Layer, error) {
	layers := slices.Clone(old)
	again := s.signed != nil
	if !again {
		s.signed = make([]registry.Layer, len(s.documents))
	}
	for i, d := range s.documents {
		there := false
		layers = slices.DeleteFunc(layers, func(l registry.Layer) bool {
			payload, err := s.key.Verifier().Open(l.Content, provenance.MediaType)
			if err != nil || l.Annotations[annotationPredicateType] != d.PredicateType {
				return false
			}
			if !there && (again || sayTheSame(payload, d.Statement)) {
				there = true
				return false
			}
			return !again
		})
		if there {
			continue
		}
		if s.signed[i].Content == nil {
			envelope, err := s.key.Wrap(ctx, provenance.MediaType, d.Statement)
			if err != nil {
				return nil, err
			}
			signature, err := s.key.Sign(claim(d, digestOf(envelope)))
			if err != nil {
				return nil, err
			}
			s.signed[i] = registry.Layer{
				MediaType: envelopeMediaType, Content: envelope,
				Annotations: map[string]string{
					annotationSignature:     "", // which cosign wants to be there
					annotationPredicateType: d.PredicateType,
					annotationClaim:         base64.StdEncoding.EncodeToString(signature),
				},
			}
		}
		layers = append(layers, s.signed[i])
	}
	return layers, nil
}

// sayTheSame reports whether two in-toto statements differ at most in the run that they were made by.
func sayTheSame(a, b []byte) bool {
	if string(a) == string(b) {
		return true
	}
	var one, other statement
	if json.Unmarshal(a, &one) != nil || json.Unmarshal(b, &other) != nil || !reflect.DeepEqual(one.Statement, other.Statement) {
		return false
	}
	identity := provenance.Identity(one.Predicate)
	return identity != "" && identity == provenance.Identity(other.Predicate)
}
