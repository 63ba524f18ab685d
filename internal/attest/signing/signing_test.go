package signing_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/secure-systems-lab/go-securesystemslib/encrypted"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	lock "github.com/youmark/pkcs8"

	"github.com/slipway-ci/slipway/internal/attest/signing"
)

func block(kind string, content []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content})
}

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		require.NoError(t, err)
		return v
	}
}

func TestKeys(t *testing.T) {
	ec := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	big := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	r := must[*rsa.PrivateKey](t)(rsa.GenerateKey(rand.Reader, 2048))
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	bytes := must[[]byte](t)
	huge := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P521(), rand.Reader))
	t.Setenv("GODEBUG", "rsa1024min=0") // such keys are out there
	short := must[*rsa.PrivateKey](t)(rsa.GenerateKey(rand.Reader, 1024))
	pkcs8 := bytes(x509.MarshalPKCS8PrivateKey(ec))
	locked := bytes(lock.MarshalPrivateKey(ec, []byte("s3cret"), nil))
	curve := bytes(asn1.Marshal(asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 7})) // prime256v1, as openssl ecparam writes it
	secret := bytes(encrypted.Encrypt(pkcs8, []byte("s3cret")))
	for name, test := range map[string]struct {
		text     []byte
		password string
		public   crypto.PublicKey
		problem  string
	}{
		"cosign":         {block("ENCRYPTED SIGSTORE PRIVATE KEY", secret), "s3cret", ec.Public(), ""},
		"cosign before":  {block("ENCRYPTED COSIGN PRIVATE KEY", secret), "s3cret", ec.Public(), ""},
		"PKCS 8":         {block("PRIVATE KEY", pkcs8), "", ec.Public(), ""},
		"SEC 1":          {block("EC PRIVATE KEY", bytes(x509.MarshalECPrivateKey(ec))), "", ec.Public(), ""},
		"openssl":        {append(block("EC PARAMETERS", curve), block("EC PRIVATE KEY", bytes(x509.MarshalECPrivateKey(ec)))...), "", ec.Public(), ""},
		"parameters":     {block("EC PARAMETERS", curve), "", nil, "PEM"},
		"RSA":            {block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(r)), "", r.Public(), ""},
		"RSA, PKCS 8":    {block("PRIVATE KEY", bytes(x509.MarshalPKCS8PrivateKey(r))), "", r.Public(), ""},
		"wrong password": {block("ENCRYPTED SIGSTORE PRIVATE KEY", secret), "wr0ng", nil, "COSIGN_PASSWORD"},
		"no password":    {block("ENCRYPTED SIGSTORE PRIVATE KEY", secret), "", nil, "COSIGN_PASSWORD"},
		"PKCS 8, locked": {block("ENCRYPTED PRIVATE KEY", locked), "s3cret", ec.Public(), ""},
		"wrong lock":     {block("ENCRYPTED PRIVATE KEY", locked), "wr0ng", nil, "COSIGN_PASSWORD"},
		"no lock":        {block("ENCRYPTED PRIVATE KEY", locked), "", nil, "COSIGN_PASSWORD"},
		"P-384":          {block("PRIVATE KEY", bytes(x509.MarshalPKCS8PrivateKey(big))), "", big.Public(), ""},
		"P-384, SEC 1":   {block("EC PRIVATE KEY", bytes(x509.MarshalECPrivateKey(big))), "", big.Public(), ""},
		"P-521":          {block("PRIVATE KEY", bytes(x509.MarshalPKCS8PrivateKey(huge))), "", nil, "ECDSA on P-256"},
		"RSA, 1024 bits": {block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(short)), "", nil, "RSA of 2048 bits"},
		"Ed25519":        {block("PRIVATE KEY", bytes(x509.MarshalPKCS8PrivateKey(ed))), "", ed.Public(), ""},
		"public":         {block("PUBLIC KEY", bytes(x509.MarshalPKIXPublicKey(ec.Public()))), "", nil, `"PUBLIC KEY"`},
		"broken":         {block("PRIVATE KEY", pkcs8[:20]), "", nil, "cosign generate-key-pair"},
		"no PEM":         {[]byte("s3cret"), "", nil, "PEM"},
	} {
		t.Run(name, func(t *testing.T) {
			key, err := signing.ParseKey(test.text, []byte(test.password))
			if test.problem != "" {
				require.ErrorContains(t, err, test.problem)
				assert.NotContains(t, err.Error(), "s3cret")
				assert.NotContains(t, err.Error(), "wr0ng")
				return
			}
			require.NoError(t, err)
			verifier := must[*signing.Verifier](t)(signing.ParseVerifier(block("PUBLIC KEY", bytes(x509.MarshalPKIXPublicKey(test.public)))))
			assert.Equal(t, string(block("PUBLIC KEY", bytes(x509.MarshalPKIXPublicKey(test.public)))), must[string](t)(verifier.PEM()))
			signature := bytes(key.Sign([]byte("message")))
			require.NoError(t, verifier.Verify([]byte("message"), signature))
			require.NoError(t, key.Verifier().Verify([]byte("message"), signature))
			assert.ErrorIs(t, verifier.Verify([]byte("massage"), signature), signing.ErrSignature)
			signature[len(signature)/2] ^= 1
			assert.ErrorIs(t, verifier.Verify([]byte("message"), signature), signing.ErrSignature)
		})
	}
}

// What cosign 3 signs with keys for which it has another digest than the one that its verify expects.
func TestDigestsOfCosign3(t *testing.T) {
	big := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	public, ed, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	long, longer := sha512.Sum384([]byte("message")), sha512.Sum512([]byte("message"))
	for name, test := range map[string]struct {
		public    crypto.PublicKey
		signature []byte
	}{
		"P-384":   {big.Public(), must[[]byte](t)(ecdsa.SignASN1(rand.Reader, big, long[:]))},
		"Ed25519": {public, must[[]byte](t)(ed.Sign(nil, longer[:], crypto.SHA512))},
	} {
		t.Run(name, func(t *testing.T) {
			verifier := must[*signing.Verifier](t)(signing.ParseVerifier(block("PUBLIC KEY", must[[]byte](t)(x509.MarshalPKIXPublicKey(test.public)))))
			require.NoError(t, verifier.Verify([]byte("message"), test.signature))
			assert.ErrorIs(t, verifier.Verify([]byte("massage"), test.signature), signing.ErrSignature)
		})
	}
}

func TestVerifierRefuses(t *testing.T) {
	for name, text := range map[string][]byte{"nothing": nil, "a private key": block("PRIVATE KEY", nil), "rubbish": block("PUBLIC KEY", []byte("x"))} {
		t.Run(name, func(t *testing.T) {
			_, err := signing.ParseVerifier(text)
			assert.ErrorContains(t, err, "public key")
		})
	}
}

func newKey(t *testing.T) *signing.Key {
	t.Helper()
	ec := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	return must[*signing.Key](t)(signing.ParseKey(block("EC PRIVATE KEY", must[[]byte](t)(x509.MarshalECPrivateKey(ec))), nil))
}

func TestEnvelope(t *testing.T) {
	key := newKey(t)
	const kind = "application/vnd.in-toto+json"
	envelope := must[[]byte](t)(key.Wrap(t.Context(), kind, []byte(`{"a":1}`)))
	payload, err := key.Verifier().Open(envelope, kind)
	require.NoError(t, err)
	assert.Equal(t, `{"a":1}`, string(payload))

	_, err = newKey(t).Verifier().Open(envelope, kind)
	assert.ErrorIs(t, err, signing.ErrSignature, "another key")
	_, err = key.Verifier().Open([]byte(strings.Replace(string(envelope), "eyJhIjoxfQ==", "eyJhIjoyfQ==", 1)), kind)
	assert.ErrorIs(t, err, signing.ErrSignature, "another payload")
	_, err = key.Verifier().Open(envelope, "text/plain")
	assert.ErrorContains(t, err, kind)
	_, err = key.Verifier().Open([]byte("x"), kind)
	assert.Error(t, err)
}

func TestPayload(t *testing.T) {
	digest := v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("a", 64)}
	payload := must[[]byte](t)(signing.Payload("example.com/r", digest))
	assert.JSONEq(t, `{"critical": {"identity": {"docker-reference": "example.com/r"}, "image": {"docker-manifest-digest": "`+digest.String()+
		`"}, "type": "cosign container image signature"}, "optional": null}`, string(payload))
	require.NoError(t, signing.CheckPayload(payload, digest))
	assert.ErrorContains(t, signing.CheckPayload(payload, v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("b", 64)}), digest.String())
	assert.Error(t, signing.CheckPayload([]byte("{}"), digest))
}
