package attest

import (
	"context"
	"encoding/json"

	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/slipway-ci/slipway/internal/attest/provenance"
	"github.com/slipway-ci/slipway/internal/attest/signing"
)

// Format is a way of keeping signatures beside an image.
type Format string

// The formats: Sigstore bundles that refer to the image, as cosign 3 writes them; tags made of the image's digest, which
// earlier versions of cosign and other verifiers read.
const (
	FormatBundle Format = "bundle"
	FormatTags   Format = "tags"
	FormatBoth   Format = "both"
)

// Formats are all of them; the first is the default.
var Formats = []Format{FormatBoth, FormatBundle, FormatTags}

// Has reports whether f is format, or both. The zero value is both.
func (f Format) Has(format Format) bool { return f == format || f == FormatBoth || f == "" }

// SignatureType is the predicate type of a statement that signs an image and says nothing more. Source:
// https://github.com/sigstore/cosign/blob/v3.1.3/pkg/types/predicate.go
const SignatureType = "https://sigstore.dev/cosign/sign/v1"

// What cosign says of a bundle where attachments are listed. Source:
// https://github.com/sigstore/cosign/blob/v3.1.3/pkg/oci/remote/write.go
const (
	annotationContent    = "dev.sigstore.bundle.content"
	annotationBundleType = "dev.sigstore.bundle.predicateType"
	contentEnvelope      = "dsse-envelope"
)

// Signer signs in-toto statements in Sigstore bundles.
type Signer interface {
	// Identity is the same for signers whose signatures are worth the same.
	Identity(ctx context.Context) (string, error)
	Bundle(ctx context.Context, statement []byte) ([]byte, error)
}

// Verifier verifies what a [Signer] signed.
type Verifier interface {
	// OpenBundle returns the statement in a bundle that holds, and who signed it, which is empty for a key.
	OpenBundle(content []byte) (statement []byte, signer string, err error)
}

// Bundles are artifact and, if it is an index, each image in it, and the documents about them, in Sigstore bundles that are for
// [Attach], which signs those that are not there yet. A bundle has the same identity as one that the same signer made of the
// same, whose signature differs.
func Bundles(ctx context.Context, signer Signer, artifact remote.Taggable, documents []Document) ([]Document, error) {
	subjects, err := subjectsOf(artifact)
	if err != nil {
		return nil, err
	}
	identity, err := signer.Identity(ctx)
	if err != nil {
		return nil, err
	}
	var bundles []Document
	for _, s := range subjects {
		statement, err := s.statement("", SignatureType, struct{}{})
		if err != nil {
			return nil, err
		}
		all := []Document{{Subject: s.Descriptor, Statement: statement, PredicateType: SignatureType}}
		for _, d := range documents {
			if d.Subject.Digest == s.Digest {
				all = append(all, d)
			}
		}
		for _, d := range all {
			bundles = append(bundles, d.bundle(signer, identity))
		}
	}
	return bundles, nil
}

// bundle is the document's statement in a Sigstore bundle, which the signer of that identity signs when it is attached.
func (d Document) bundle(signer Signer, identity string) Document {
	return Document{
		Subject: d.Subject, MediaType: signing.BundleMediaType, PredicateType: d.PredicateType,
		Identity: identity + "\n" + d.PredicateType + "\n" + d.identity(),
		Make:     func(ctx context.Context) ([]byte, error) { return signer.Bundle(ctx, d.Statement) },
	}
}

// identity is the same for documents that say the same.
func (d Document) identity() string {
	if d.Identity != "" {
		return d.Identity
	}
	return digestOf(d.Statement).Hex
}

// annotations are what a document is listed with.
func (d Document) annotations() map[string]string {
	switch d.MediaType {
	case provenance.MediaType:
		return map[string]string{annotationPredicate: d.PredicateType}
	case signing.BundleMediaType:
		return map[string]string{annotationContent: contentEnvelope, annotationBundleType: d.PredicateType}
	}
	return nil
}

// statement is an in-toto statement whose predicate is to be read yet.
type statement struct {
	provenance.Statement
	Predicate json.RawMessage `json:"predicate"`
}
