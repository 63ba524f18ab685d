package keyless

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"

	"github.com/slipway-ci/slipway/internal/attest/provenance"
)

// Who is whose signatures count: whom a certificate has to name, and who has to have said so, each exactly or by a regular expression.
type Who struct{ Identity, IdentityRegexp, Issuer, IssuerRegexp string }

// Verifier verifies what somebody signed keyless.
type Verifier struct {
	who      Who
	identity verify.PolicyOption
	verifier *verify.Verifier
}

// NewVerifier makes a verifier by the keys of the services that were used. It wants an entry of the log, a time by the log or by a
// timestamp authority, and where the root has logs of certificates, an entry there.
func NewVerifier(trusted root.TrustedMaterial, who Who) (*Verifier, error) {
	identity, err := verify.NewShortCertificateIdentity(who.Issuer, who.IssuerRegexp, who.Identity, who.IdentityRegexp)
	if err != nil {
		return nil, err
	}
	options := []verify.VerifierOption{verify.WithTransparencyLog(1), verify.WithObserverTimestamps(1)}
	if len(trusted.CTLogs()) > 0 {
		options = append(options, verify.WithSignedCertificateTimestamps(1))
	}
	verifier, err := verify.NewVerifier(trusted, options...)
	if err != nil {
		return nil, err
	}
	return &Verifier{who, verify.WithCertificateIdentity(identity), verifier}, nil
}

// OpenBundle returns the statement in a bundle that holds, and whom its certificate names.
func (v *Verifier) OpenBundle(content []byte) (statement []byte, signer string, err error) {
	var b bundle.Bundle
	if err := b.UnmarshalJSON(content); err != nil {
		return nil, "", fmt.Errorf("it is no Sigstore bundle that can be read: %w", err)
	}
	envelope := b.GetDsseEnvelope()
	if envelope == nil || envelope.GetPayloadType() != provenance.MediaType {
		return nil, "", errors.New("it is no Sigstore bundle of a statement")
	}
	signed, err := b.VerificationContent()
	if err != nil {
		return nil, "", fmt.Errorf("its verification material cannot be read: %w", err)
	}
	if signed.Certificate() == nil {
		return nil, "", errors.New("a key signed it: verify it by --key")
	}
	// What a statement is about is compared later, as it is for keys.
	result, err := v.verifier.Verify(&b, verify.NewPolicy(verify.WithoutArtifactUnsafe(), v.identity))
	var other *verify.ErrNoMatchingCertificateIdentity
	if errors.As(err, &other) {
		is, summaryErr := certificate.SummarizeCertificate(signed.Certificate())
		if summaryErr != nil {
			return nil, "", summaryErr
		}
		return nil, "", fmt.Errorf("it was signed by %s, and not by %s", named(is.SubjectAlternativeName, is.Issuer), v.who)
	}
	if err != nil {
		return nil, "", fmt.Errorf("its signature, certificate or log entry does not hold: %w", err)
	}
	is := result.Signature.Certificate
	return envelope.GetPayload(), named(is.SubjectAlternativeName, is.Issuer), nil
}

func named(identity, issuer string) string { return fmt.Sprintf("%s (issuer %s)", identity, issuer) }

func (w Who) String() string {
	return named(cmp.Or(w.Identity, w.IdentityRegexp), cmp.Or(w.Issuer, w.IssuerRegexp))
}
