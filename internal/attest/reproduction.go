package attest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/slipway-ci/slipway/internal/attest/provenance"
	"github.com/slipway-ci/slipway/internal/attest/signing"
	"github.com/slipway-ci/slipway/internal/registry"
)

// Provenance is what the provenance of the image or index says that was attached last. With a verifier, only what it verifies counts;
// without, anybody who can push may have written it.
func Provenance(ctx context.Context, client registry.Reader, subject name.Digest, verifier Verifier) (provenance.Predicate, error) {
	digest, err := v1.NewHash(subject.DigestStr())
	if err != nil {
		return provenance.Predicate{}, err
	}
	var e *evidence
	if verifier != nil {
		e = gather(ctx, client, subject, digest, verifier)
	} else {
		e = hearsay(ctx, client, subject, digest)
	}
	all := e.found[provenance.PredicateType]
	if len(all) > 0 {
		return latest(all)
	}
	faults := append(e.statements, e.unread...)
	if len(faults) > 0 {
		return provenance.Predicate{}, errors.Join(faults...)
	}
	if verifier != nil {
		return provenance.Predicate{}, errors.New("no provenance of it is signed as asked: publish it with --sign-key or --sign-keyless, or ask for no signature")
	}
	return provenance.Predicate{}, errors.New("no provenance is attached to it: publish it without --provenance=false, an archive with --predicate, and by the Dagger module with a login or with-attestations")
}

// hearsay reads the statements about the digest, whoever signed them or did not.
func hearsay(ctx context.Context, client registry.Reader, subject name.Digest, digest v1.Hash) *evidence {
	e := &evidence{digest: digest, found: map[string][]json.RawMessage{}}
	layers, err := registry.Referring(ctx, client, subject, func(d v1.Descriptor) bool {
		return d.ArtifactType == provenance.MediaType || d.ArtifactType == "" || d.ArtifactType == registry.EmptyType
	})
	e.cannotRead(err)
	for _, l := range layers {
		if l.MediaType == provenance.MediaType {
			e.statement(l.Content, false, "")
		}
	}
	if len(e.found) > 0 {
		return e
	}
	// A copy may have the tags alone.
	e.tag(ctx, client, subject.Context(), attestationSuffix, func(l registry.Layer) {
		var envelope struct {
			Payload string `json:"payload"`
		}
		payload, err := []byte(nil), json.Unmarshal(l.Content, &envelope)
		if err == nil {
			payload, err = base64.StdEncoding.DecodeString(envelope.Payload)
		}
		if err != nil {
			e.refuse(l.Annotations[annotationPredicateType], err)
			return
		}
		e.statement(payload, false, "")
	})
	return e
}

// AttachStatement signs an in-toto statement about an image or index and puts it there in a form, beside those that were signed before. Under
// tags there is what a key signs alone. It does not sign the image. If the registry takes no bundle, what is under the tag is all there
// is, and rejected says why.
func AttachStatement(
	ctx context.Context, push *registry.Push, signer Signer, format Format, repository string, subject v1.Descriptor, predicateType string, predicate any,
) (rejected *registry.RejectedError, err error) {
	text, err := json.Marshal(provenance.NewStatement(repository, subject.Digest.String(), predicateType, predicate))
	if err != nil {
		return nil, err
	}
	document := Document{Subject: subject, Statement: text, PredicateType: predicateType}
	key, isKey := signer.(*signing.Key)
	if format.Has(FormatBundle) || !isKey {
		identity, err := signer.Identity(ctx)
		if err != nil {
			return nil, err
		}
		err = Attach(ctx, push, []Document{document.bundle(signer, identity)})
		if err != nil && (!errors.As(err, &rejected) || !format.Has(FormatTags) || !isKey) {
			return nil, fmt.Errorf("attaching the statement: %w", err)
		}
	}
	if !format.Has(FormatTags) || !isKey {
		return nil, nil
	}
	return rejected, (&statements{key: key, documents: []Document{document}}).rewrite(ctx, push, subject.Digest)
}
