package attest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/slipway-ci/slipway/internal/attest/provenance"
	"github.com/slipway-ci/slipway/internal/attest/sbom"
	"github.com/slipway-ci/slipway/internal/attest/signing"
	"github.com/slipway-ci/slipway/internal/oci/graph"
	"github.com/slipway-ci/slipway/internal/registry"
)

// evidence is what the signer says of one image or index.
type evidence struct {
	verifier Verifier
	// key is the verifier if it is a key: under tags there is nothing else.
	key    *signing.Verifier
	digest v1.Hash
	// forms are those in which there is a signature that holds; seen counts the signatures of all keys.
	forms []Format
	seen  int
	// found has the statements that hold, by their type.
	found map[string][]json.RawMessage
	// signers are whom the certificates of signatures name that hold.
	signers []string
	// What does not hold: signatures, statements, and what cannot be read.
	signatures, statements, unread []error
}

// gather reads what is attached to the digest in either form.
func gather(ctx context.Context, client registry.Reader, subject name.Digest, digest v1.Hash, verifier Verifier) *evidence {
	e := &evidence{verifier: verifier, digest: digest, found: map[string][]json.RawMessage{}}
	bundles, err := registry.Referring(ctx, client, subject, func(d v1.Descriptor) bool {
		// Registries that do not know artifact types list the configuration's.
		return signing.IsBundle(d.ArtifactType) || d.ArtifactType == "" || d.ArtifactType == registry.EmptyType
	})
	e.cannotRead(err)
	for _, l := range bundles {
		if signing.IsBundle(l.MediaType) {
			e.bundle(l.Content)
		}
	}
	var isKey bool
	if e.key, isKey = verifier.(*signing.Verifier); !isKey {
		return e
	}
	e.tag(ctx, client, subject.Context(), signatureSuffix, e.signature)
	e.tag(ctx, client, subject.Context(), attestationSuffix, e.envelope)
	return e
}

func (e *evidence) tag(ctx context.Context, client registry.Getter, repository name.Repository, suffix string, take func(registry.Layer)) {
	layers, err := registry.Layers(ctx, client, repository.Tag(graph.TagFor(e.digest, suffix)))
	e.cannotRead(err)
	for _, l := range layers {
		take(l)
	}
}

func (e *evidence) cannotRead(err error) {
	if err != nil {
		e.unread = append(e.unread, err)
	}
}

func (e *evidence) bundle(content []byte) {
	claimed := signing.ClaimedType(content)
	isSignature := claimed == SignatureType
	if isSignature {
		e.seen++
	}
	payload, signer, err := e.verifier.OpenBundle(content)
	switch {
	case err != nil && isSignature:
		e.signatures = append(e.signatures, err)
	case err != nil:
		e.refuse(claimed, err)
	default:
		e.statement(payload, isSignature, signer)
	}
}

func (e *evidence) signature(l registry.Layer) {
	e.seen++
	err := verifyLayer(l, e.key)
	if err == nil {
		err = signing.CheckPayload(l.Content, e.digest)
	}
	if err != nil {
		e.signatures = append(e.signatures, err)
		return
	}
	e.signed(FormatTags, "")
}

func (e *evidence) signed(form Format, signer string) {
	if signer != "" && !slices.Contains(e.signers, signer) {
		e.signers = append(e.signers, signer)
		slices.Sort(e.signers)
	}
	if !slices.Contains(e.forms, form) {
		e.forms = append(e.forms, form)
		slices.Sort(e.forms)
	}
}

func verifyLayer(l registry.Layer, verifier *signing.Verifier) error {
	signature, err := base64.StdEncoding.DecodeString(l.Annotations[annotationSignature])
	if err != nil || l.MediaType != signatureMediaType {
		return errors.New("it is no signature in cosign's form")
	}
	return verifier.Verify(l.Content, signature)
}

func (e *evidence) envelope(l registry.Layer) {
	payload, err := e.key.Open(l.Content, provenance.MediaType)
	if err != nil {
		e.refuse(l.Annotations[annotationPredicateType], err)
		return
	}
	e.statement(payload, false, "")
}

func (e *evidence) refuse(predicateType string, err error) {
	e.statements = append(e.statements, fmt.Errorf("its statement of type %q: %w", predicateType, err))
}

// statement takes one that was signed, of whatever.
func (e *evidence) statement(payload []byte, isSignature bool, signer string) {
	faults := &e.statements
	if isSignature {
		faults = &e.signatures
	}
	var s statement
	if err := json.Unmarshal(payload, &s); err != nil || s.Type != provenance.StatementType {
		*faults = append(*faults, errors.New("one of its statements is no in-toto statement"))
		return
	}
	about := func(r provenance.Resource) bool { return r.Digest[e.digest.Algorithm] == e.digest.Hex }
	switch {
	case !slices.ContainsFunc(s.Subject, about):
		*faults = append(*faults, fmt.Errorf("its statement of type %q is about something else", s.PredicateType))
	case s.PredicateType == SignatureType:
		e.signed(FormatBundle, signer)
	default:
		e.found[s.PredicateType] = append(e.found[s.PredicateType], s.Predicate)
	}
}

// judge wants a signature, provenance by Slipway and, for an image, its bill of materials, and writes them down.
func (e *evidence) judge(v *Verified) error {
	if len(e.forms) == 0 {
		switch faults := slices.Concat(e.signatures, e.unread); {
		case len(faults) == 0:
			return errors.New("it is not signed: publish it with --sign-key or --sign-keyless")
		case e.seen == 0:
			return errors.Join(faults...)
		default:
			return fmt.Errorf("none of its signatures (%d) holds: %w", e.seen, errors.Join(faults...))
		}
	}
	v.Signatures, v.Signers = e.forms, e.signers
	faults := slices.Concat(e.statements, e.unread)
	missing := func(what, hint string) error {
		return errors.Join(append(faults, errors.New("no signed "+what+": publish it with --sign-key or --sign-keyless and without "+hint))...)
	}
	all := e.found[provenance.PredicateType]
	if len(all) == 0 {
		return missing("provenance", "--provenance=false, or an archive with --predicate")
	}
	var err error
	if v.Provenance, err = latest(all); err != nil {
		return err
	}
	if v.Platform == "" {
		return nil
	}
	for _, format := range sbom.Formats {
		if _, ok := e.found[format.PredicateType()]; ok {
			v.SBOM = format
			return nil
		}
	}
	return missing("bill of materials", "--sbom none")
}

// latest is the provenance by Slipway whose build ended last: an image may have been built more than once.
func latest(all []json.RawMessage) (last provenance.Predicate, err error) {
	ended := func(p provenance.Predicate) time.Time {
		if m := p.RunDetails.Metadata; m != nil && m.FinishedOn != nil {
			return *m.FinishedOn
		}
		return time.Time{}
	}
	found := false
	for _, raw := range all {
		var p provenance.Predicate
		if failure := json.Unmarshal(raw, &p); failure != nil {
			err = fmt.Errorf("its provenance cannot be read: %w", failure)
			continue
		}
		if id := p.RunDetails.Builder.ID; !strings.HasPrefix(id, provenance.BuilderPrefix) {
			err = fmt.Errorf("it was built by %q, which is not Slipway", id)
			continue
		}
		if !found || ended(p).After(ended(last)) {
			last, found = p, true
		}
	}
	if found {
		err = nil
	}
	return last, err
}
