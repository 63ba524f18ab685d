package keyless_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/testing/data"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/attest/keyless"
	"github.com/slipway-ci/slipway/internal/test/sigstoretest"
)

const statement = `{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"` +
	`e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}}],"predicateType":"https://sigstore.dev/cosign/sign/v1","predicate":{}}`

// services are the test's, without a trusted root, by which a signer verifies what it signed.
func services(t *testing.T, s *sigstoretest.Sigstore) func() (*keyless.Services, error) {
	t.Helper()
	config, err := root.NewSigningConfigFromPath(s.Config)
	require.NoError(t, err)
	return func() (*keyless.Services, error) { return &keyless.Services{Config: config}, nil }
}

func sign(t *testing.T, s *sigstoretest.Sigstore) []byte {
	t.Helper()
	bundle, err := keyless.NewSigner(s.ForJob, services(t, s)).Bundle(t.Context(), []byte(statement))
	require.NoError(t, err)
	return bundle
}

var job = keyless.Who{Identity: sigstoretest.Identity, Issuer: sigstoretest.Issuer}

func open(t *testing.T, s *sigstoretest.Sigstore, who keyless.Who, bundle []byte) ([]byte, string, error) {
	t.Helper()
	verifier, err := keyless.NewVerifier(s.Root, who)
	require.NoError(t, err)
	return verifier.OpenBundle(bundle)
}

func TestSignAndVerify(t *testing.T) {
	s := sigstoretest.Start(t)
	bundle := sign(t, s)
	for _, who := range []keyless.Who{
		job,
		{IdentityRegexp: `^https://github\.com/me/api/`, Issuer: sigstoretest.Issuer},
		{Identity: sigstoretest.Identity, IssuerRegexp: `githubusercontent\.com$`},
	} {
		content, signer, err := open(t, s, who, bundle)
		require.NoError(t, err)
		assert.Equal(t, statement, string(content))
		assert.Equal(t, sigstoretest.Identity+" (issuer "+sigstoretest.Issuer+")", signer)
	}
	for name, who := range map[string]keyless.Who{
		"identity":   {Identity: sigstoretest.Identity + "x", Issuer: sigstoretest.Issuer},
		"issuer":     {Identity: sigstoretest.Identity, Issuer: "https://example.com"},
		"expression": {IdentityRegexp: "^https://github.com/you/", Issuer: sigstoretest.Issuer},
	} {
		_, _, err := open(t, s, who, bundle)
		assert.ErrorContains(t, err, "it was signed by "+sigstoretest.Identity+" (issuer "+sigstoretest.Issuer+"), and not by ", name)
	}
	_, _, err := open(t, sigstoretest.Start(t), job, bundle)
	assert.ErrorContains(t, err, "does not hold", "other services")
}

// Nothing of a bundle can be left out or changed.
func TestForged(t *testing.T) {
	s := sigstoretest.Start(t)
	bundle := sign(t, s)
	at := func(b map[string]any, path ...string) map[string]any {
		for _, p := range path {
			switch v := b[p].(type) {
			case []any:
				b = v[0].(map[string]any)
			case map[string]any:
				b = v
			}
		}
		return b
	}
	flip := func(holder map[string]any, field string) {
		raw, err := base64.StdEncoding.DecodeString(holder[field].(string))
		require.NoError(t, err)
		raw[len(raw)/2] ^= 1
		holder[field] = base64.StdEncoding.EncodeToString(raw)
	}
	for name, forge := range map[string]func(b map[string]any){
		"statement":      func(b map[string]any) { flip(at(b, "dsseEnvelope"), "payload") },
		"signature":      func(b map[string]any) { flip(at(b, "dsseEnvelope", "signatures"), "sig") },
		"certificate":    func(b map[string]any) { flip(at(b, "verificationMaterial", "certificate"), "rawBytes") },
		"no certificate": func(b map[string]any) { delete(at(b, "verificationMaterial"), "certificate") },
		"a key": func(b map[string]any) {
			at(b, "verificationMaterial")["publicKey"] = map[string]any{"hint": "x"}
			delete(at(b, "verificationMaterial"), "certificate")
		},
		"no entry":          func(b map[string]any) { delete(at(b, "verificationMaterial"), "tlogEntries") },
		"body of the entry": func(b map[string]any) { flip(at(b, "verificationMaterial", "tlogEntries"), "canonicalizedBody") },
		"promise of the entry": func(b map[string]any) {
			flip(at(b, "verificationMaterial", "tlogEntries", "inclusionPromise"), "signedEntryTimestamp")
		},
		"proof of the entry": func(b map[string]any) {
			flip(at(b, "verificationMaterial", "tlogEntries", "inclusionProof"), "rootHash")
		},
		"every time": func(b map[string]any) {
			delete(at(b, "verificationMaterial", "tlogEntries"), "inclusionPromise")
			flip(at(b, "verificationMaterial", "timestampVerificationData", "rfc3161Timestamps"), "signedTimestamp")
		},
		"another type of thing": func(b map[string]any) { at(b, "dsseEnvelope")["payloadType"] = "text/plain" },
	} {
		t.Run(name, func(t *testing.T) {
			var b map[string]any
			require.NoError(t, json.Unmarshal(bundle, &b))
			forge(b)
			forged, err := json.Marshal(b)
			require.NoError(t, err)
			_, _, err = open(t, s, job, forged)
			require.Error(t, err)
			t.Log(err)
		})
	}
	_, _, err := open(t, s, job, []byte("{}"))
	assert.ErrorContains(t, err, "no Sigstore bundle")
}

// A certificate that was over when it signed, or that is in no log of certificates, is worth nothing; and a signer that knows the
// keys of the services does not let it out.
func TestCertificates(t *testing.T) {
	for name, spoil := range map[string]func(s *sigstoretest.Sigstore){
		"expired":  func(s *sigstoretest.Sigstore) { s.Expired = true },
		"unlogged": func(s *sigstoretest.Sigstore) { s.Unlogged = true },
	} {
		t.Run(name, func(t *testing.T) {
			s := sigstoretest.Start(t)
			spoil(s)
			_, _, err := open(t, s, job, sign(t, s))
			require.ErrorContains(t, err, "its signature, certificate or log entry does not hold")
			t.Log(err)
			if name == "expired" {
				known, err := services(t, s)()
				require.NoError(t, err)
				known.Trusted = s.Root
				_, err = keyless.NewSigner(s.ForJob, func() (*keyless.Services, error) { return known, nil }).Bundle(t.Context(), []byte(statement))
				assert.Error(t, err)
			}
		})
	}
}

// One certificate serves for all that a job signs, and its token is asked for once.
func TestOneCertificate(t *testing.T) {
	s := sigstoretest.Start(t)
	signer := keyless.NewSigner(s.ForJob, services(t, s))
	first, err := signer.Identity(t.Context())
	require.NoError(t, err)
	for range 3 {
		_, err := signer.Bundle(t.Context(), []byte(statement))
		require.NoError(t, err)
	}
	assert.Len(t, s.Tokens(), 1)
	assert.Equal(t, 1, s.Count("/api/v2/signingCert"))
	assert.Equal(t, 3, s.Count("/api/v1/log/entries"))
	assert.Equal(t, 3, s.Count("/timestamp"))

	again, err := keyless.NewSigner(s.ForJob, services(t, s)).Identity(t.Context())
	require.NoError(t, err)
	assert.Equal(t, first, again, "another token of the same job")
	s.Workflow = "me/api/.github/workflows/other.yml@refs/heads/main"
	other, err := keyless.NewSigner(s.ForJob, services(t, s)).Identity(t.Context())
	require.NoError(t, err)
	assert.NotEqual(t, first, other)
}

func TestTokens(t *testing.T) {
	s := sigstoretest.Start(t)
	environ := map[string]string{}
	variable := func(name string) string { return environ[name] }
	_, err := keyless.Tokens(variable)
	require.ErrorIs(t, err, keyless.ErrNoToken)

	environ["SIGSTORE_ID_TOKEN"] = "of GitLab"
	tokens, err := keyless.Tokens(variable)
	require.NoError(t, err)
	token, err := tokens(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "of GitLab", token)
	delete(environ, "SIGSTORE_ID_TOKEN")

	for _, pair := range s.Environ() {
		name, value, _ := strings.Cut(pair, "=")
		environ[name] = value
	}
	tokens, err = keyless.Tokens(variable)
	require.NoError(t, err)
	token, err = tokens(t.Context())
	require.NoError(t, err)
	assert.Equal(t, s.Tokens()[0], token)

	environ["ACTIONS_ID_TOKEN_REQUEST_TOKEN"] = "another secret"
	tokens, err = keyless.Tokens(variable)
	require.NoError(t, err)
	_, err = tokens(t.Context())
	require.ErrorContains(t, err, "401")
	assert.NotContains(t, err.Error(), "secret")
}

// No error has a token, whatever a server answers.
func TestTokensAreSecret(t *testing.T) {
	s := sigstoretest.Start(t)
	s.Refusal = "refused:"
	signer := keyless.NewSigner(s.ForJob, services(t, s))
	_, err := signer.Bundle(t.Context(), []byte(statement))
	require.ErrorContains(t, err, "refused:")
	assert.NotContains(t, err.Error(), s.Tokens()[0])
	for token, problem := range map[string]string{
		"s3cret":                              "no JSON Web Token",
		"a.s3cret.c":                          "no issuer and subject",
		s.Token(time.Now().Add(-time.Minute)): "expired at",
	} {
		_, err := keyless.NewSigner(func(context.Context) (string, error) { return token, nil }, services(t, s)).Identity(t.Context())
		require.ErrorContains(t, err, problem)
		assert.NotContains(t, err.Error(), token)
	}
}

// What Sigstore's public services signed, for a package of npm.
func TestPublicServices(t *testing.T) {
	trusted := data.TrustedRoot(t, "public-good.json")
	content, err := data.Bundle(t, "sigstore.js@2.0.0-provenance.sigstore.json").MarshalJSON()
	require.NoError(t, err)
	who := keyless.Who{Identity: "https://github.com/sigstore/sigstore-js/.github/workflows/release.yml@refs/heads/main", Issuer: sigstoretest.Issuer}
	verifier, err := keyless.NewVerifier(trusted, who)
	require.NoError(t, err)
	_, signer, err := verifier.OpenBundle(content)
	require.NoError(t, err)
	assert.Contains(t, signer, "sigstore-js")
	verifier, err = keyless.NewVerifier(trusted, job)
	require.NoError(t, err)
	_, _, err = verifier.OpenBundle(content)
	assert.ErrorContains(t, err, "and not by "+sigstoretest.Identity)
}
