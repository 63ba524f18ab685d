package slipway

import (
	"github.com/slipway-ci/slipway/internal/attest"
	"github.com/slipway-ci/slipway/internal/attest/sbom"
	"github.com/slipway-ci/slipway/internal/attest/signing"
)

// PrivateKey signs, and PublicKey verifies what it signed. Both are as cosign writes them.
type (
	PrivateKey = signing.Key
	PublicKey  = signing.Verifier
)

// Signer signs statements about images in Sigstore bundles, and Verifier verifies what it signed. A [PrivateKey] and a [PublicKey] are
// such.
type (
	Signer   = attest.Signer
	Verifier = attest.Verifier
)

// ParsePrivateKey reads a private key in PEM, which password decrypts.
func ParsePrivateKey(text, password []byte) (*PrivateKey, error) {
	return signing.ParseKey(text, password)
}

// ParsePublicKey reads a public key in PEM.
func ParsePublicKey(text []byte) (*PublicKey, error) { return signing.ParseVerifier(text) }

// SBOMFormat is a format of bills of materials.
type SBOMFormat = sbom.Format

// Formats of bills of materials, in JSON.
const (
	CycloneDX = sbom.CycloneDX
	SPDX      = sbom.SPDX
)

// SBOMFormats are all of them; the first is the default.
var SBOMFormats = sbom.Formats

// SignatureFormat is a way of keeping signatures beside an image. The zero value is both.
type SignatureFormat = attest.Format

// Formats of signatures: Sigstore bundles that refer to the image, tags made of its digest, and both.
const (
	BundleSignatures = attest.FormatBundle
	TagSignatures    = attest.FormatTags
)

// SignatureFormats are all of them; the first is the default.
var SignatureFormats = attest.Formats
