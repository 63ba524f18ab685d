package signing_test

import (
	"crypto/ed25519"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"math/big"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/attest/signing"
)

// What a certificate claims is read from both forms of the issuer, and nothing from what has no identity, no issuer or no form.
func TestClaimedSigner(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	job, err := url.Parse("https://github.com/me/api/.github/workflows/release.yml@refs/tags/v1")
	require.NoError(t, err)
	der, err := asn1.Marshal("https://issuer.example.com")
	require.NoError(t, err)
	issuer := func(last int, value string) pkix.Extension {
		return pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, last}, Value: []byte(value)}
	}
	for name, test := range map[string]struct {
		certificate      x509.Certificate
		identity, issuer string
	}{
		"a job":       {x509.Certificate{URIs: []*url.URL{job}, ExtraExtensions: []pkix.Extension{issuer(1, "https://old.example.com"), issuer(8, string(der))}}, job.String(), "https://issuer.example.com"},
		"a person":    {x509.Certificate{EmailAddresses: []string{"me@example.com"}, ExtraExtensions: []pkix.Extension{issuer(1, "https://old.example.com")}}, "me@example.com", "https://old.example.com"},
		"no issuer":   {x509.Certificate{EmailAddresses: []string{"me@example.com"}}, "", ""},
		"no identity": {x509.Certificate{ExtraExtensions: []pkix.Extension{issuer(8, string(der))}}, "", ""},
		"no DER":      {x509.Certificate{URIs: []*url.URL{job}, ExtraExtensions: []pkix.Extension{issuer(8, "x")}}, "", ""},
	} {
		test.certificate.SerialNumber = big.NewInt(1)
		raw, err := x509.CreateCertificate(nil, &test.certificate, &test.certificate, public, private)
		require.NoError(t, err, name)
		identity, by := signing.ClaimedSigner([]byte(`{"verificationMaterial":{"certificate":{"rawBytes":"` + base64.StdEncoding.EncodeToString(raw) + `"}}}`))
		assert.Equal(t, [2]string{test.identity, test.issuer}, [2]string{identity, by}, name)
	}
	for _, content := range []string{"", "{}", `{"verificationMaterial":{"publicKey":{"hint":"x"}}}`, `{"verificationMaterial":{"certificate":{"rawBytes":"AAAA"}}}`} {
		identity, by := signing.ClaimedSigner([]byte(content))
		assert.Empty(t, identity+by, content)
	}
}
