package signing

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/slipway-ci/slipway/internal/attest/provenance"
)

// BundleMediaType is that of a Sigstore bundle of version 0.3. Source:
// https://github.com/sigstore/protobuf-specs/blob/v0.5.1/protos/sigstore_bundle.proto
const BundleMediaType = "application/vnd.dev.sigstore.bundle.v0.3+json"

// bundleTypes is how the media types of all versions begin.
const bundleTypes = "application/vnd.dev.sigstore.bundle"

// IsBundle reports whether a media type is one of a Sigstore bundle.
func IsBundle(mediaType string) bool { return strings.HasPrefix(mediaType, bundleTypes) }

type bundle struct {
	MediaType            string          `json:"mediaType"`
	VerificationMaterial material        `json:"verificationMaterial"`
	Envelope             json.RawMessage `json:"dsseEnvelope"`
}

type material struct {
	PublicKey struct {
		Hint string `json:"hint"`
	} `json:"publicKey"`
}

// Bundle signs an in-toto statement in a Sigstore bundle. It has no entry of a transparency log and no timestamp: those who
// verify it have the key.
func (k *Key) Bundle(ctx context.Context, statement []byte) ([]byte, error) {
	envelope, err := k.Wrap(ctx, provenance.MediaType, statement)
	if err != nil {
		return nil, err
	}
	b := bundle{MediaType: BundleMediaType, Envelope: envelope}
	if b.VerificationMaterial.PublicKey.Hint, err = k.Hint(); err != nil {
		return nil, err
	}
	return json.Marshal(b)
}

// Hint names the key in bundles, as cosign does: the digest of its public half.
func (k *Key) Hint() (string, error) {
	public, err := x509.MarshalPKIXPublicKey(k.signer.Public())
	if err != nil {
		return "", err
	}
	digest := sha256.Sum256(public)
	return base64.StdEncoding.EncodeToString(digest[:]), nil
}

// Identity is the [Key.Hint].
func (k *Key) Identity(context.Context) (string, error) { return k.Hint() }

// OpenBundle returns the statement in a bundle if the key signed it, however the bundle says that it is to be verified. Keys have no
// signer's name.
func (v *Verifier) OpenBundle(content []byte) (statement []byte, signer string, err error) {
	var b bundle
	if err := json.Unmarshal(content, &b); err != nil || !IsBundle(b.MediaType) || b.Envelope == nil {
		return nil, "", fmt.Errorf("it is no Sigstore bundle of a statement (media type %q)", b.MediaType)
	}
	statement, err = v.Open(b.Envelope, provenance.MediaType)
	return statement, "", err
}

// Extensions of a certificate of Fulcio: the issuer as a string of DER, and in older ones as bare text. Source:
// https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md
var (
	issuerOID    = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 8}
	oldIssuerOID = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 1}
)

// ClaimedSigner is whom the certificate of a bundle names, and who says so, of which nothing was verified; both are empty if it has no
// certificate that can be read, as one that a key signed.
func ClaimedSigner(content []byte) (identity, issuer string) {
	var b struct {
		Material struct {
			Certificate struct {
				Raw []byte `json:"rawBytes"`
			} `json:"certificate"`
		} `json:"verificationMaterial"`
	}
	if json.Unmarshal(content, &b) != nil {
		return "", ""
	}
	certificate, err := x509.ParseCertificate(b.Material.Certificate.Raw)
	if err != nil {
		return "", ""
	}
	for _, e := range certificate.Extensions {
		switch {
		case e.Id.Equal(issuerOID):
			if _, err := asn1.Unmarshal(e.Value, &issuer); err != nil {
				return "", ""
			}
		case e.Id.Equal(oldIssuerOID) && issuer == "":
			issuer = string(e.Value)
		}
	}
	switch {
	case issuer == "":
		return "", ""
	case len(certificate.URIs) > 0:
		return certificate.URIs[0].String(), issuer
	case len(certificate.EmailAddresses) > 0:
		return certificate.EmailAddresses[0], issuer
	}
	return "", ""
}

// ClaimedType is the type of the statement that a bundle claims to have, for messages; empty if it cannot be read.
func ClaimedType(content []byte) string {
	var b struct {
		Envelope struct {
			Payload []byte `json:"payload"`
		} `json:"dsseEnvelope"`
	}
	var s struct{ PredicateType string }
	if json.Unmarshal(content, &b) != nil || json.Unmarshal(b.Envelope.Payload, &s) != nil {
		return ""
	}
	return s.PredicateType
}
