// Package sigstoretest runs doubles of Sigstore's services on loopback: a certificate authority, a log of certificates, a log of
// signatures, a timestamp authority, and the server of GitHub that makes tokens for jobs. They are made of the parts of Sigstore's own
// modules, and what they sign is verified by any tool of Sigstore with the trusted root here.
package sigstoretest

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	prototrustroot "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"
	"github.com/stretchr/testify/require"
)

// The issuer of the tokens and the identity that certificates name for them.
const (
	Issuer   = "https://token.actions.githubusercontent.com"
	Workflow = "me/api/.github/workflows/release.yml@refs/tags/v1"
	Identity = "https://github.com/" + Workflow
)

// RequestToken is the secret by which a job asks for tokens.
const RequestToken = "the-secret-of-the-job" //nolint:gosec // of a test

// Sigstore is all the services.
type Sigstore struct {
	*httptest.Server
	// Trusted and Config are files for users of the services.
	Trusted, Config string
	// Root is what Trusted has.
	Root *root.TrustedRoot

	t testing.TB
	// Workflow is whom tokens are for; Expired makes certificates that ended an hour ago; Unlogged leaves out the entry of the log of
	// certificates.
	Workflow          string
	Expired, Unlogged bool
	// Refusal is what the certificate authority answers, if it is set.
	Refusal string

	mu     sync.Mutex
	counts map[string]int
	tokens []string

	issuer, authority            *x509.Certificate
	issuerKey, authorityKey      *ecdsa.PrivateKey
	certificateLog, signatureLog *ecdsa.PrivateKey
}

// Start runs the services.
func Start(t testing.TB) *Sigstore {
	t.Helper()
	s := &Sigstore{t: t, Workflow: Workflow, counts: map[string]int{}}
	rootCert, rootKey, err := ca.GenerateRootCa()
	require.NoError(t, err)
	s.issuer, s.issuerKey, err = ca.GenerateFulcioIntermediate(rootCert, rootKey)
	require.NoError(t, err)
	stamps, stampsKey, err := ca.GenerateTSAIntermediate(rootCert, rootKey)
	require.NoError(t, err)
	s.authorityKey, s.certificateLog, s.signatureLog = newKey(t), newKey(t), newKey(t)
	s.authority, err = ca.GenerateTSALeafCert(time.Now().Add(-5*time.Minute), s.authorityKey, stamps, stampsKey)
	require.NoError(t, err)

	mux := http.NewServeMux()
	mux.HandleFunc("GET /token", s.makeToken)
	mux.HandleFunc("POST /api/v2/signingCert", s.certify)
	mux.HandleFunc("POST /api/v1/log/entries", s.logEntry)
	mux.HandleFunc("POST /timestamp", s.stamp)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.counts[r.URL.Path]++
		s.mu.Unlock()
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)

	begin, end := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	log := func(key *ecdsa.PrivateKey) map[string]*root.TransparencyLog {
		id := keyID(t, key.Public())
		return map[string]*root.TransparencyLog{hex.EncodeToString(id): {
			BaseURL: "https://" + logName, ID: id, ValidityPeriodStart: begin, ValidityPeriodEnd: end, HashFunc: crypto.SHA256, PublicKey: key.Public(), SignatureHashFunc: crypto.SHA256,
		}}
	}
	s.Root, err = root.NewTrustedRoot(root.TrustedRootMediaType01,
		[]root.CertificateAuthority{&root.FulcioCertificateAuthority{Root: rootCert, Intermediates: []*x509.Certificate{s.issuer}, ValidityPeriodStart: begin.Add(-time.Hour), ValidityPeriodEnd: end}},
		log(s.certificateLog),
		[]root.TimestampingAuthority{&root.SigstoreTimestampingAuthority{
			Root: rootCert, Intermediates: []*x509.Certificate{stamps}, Leaf: s.authority, ValidityPeriodStart: begin, ValidityPeriodEnd: end,
		}}, log(s.signatureLog))
	require.NoError(t, err)
	service := func(path string) []root.Service {
		return []root.Service{{URL: s.URL + path, MajorAPIVersion: 1, ValidityPeriodStart: begin, ValidityPeriodEnd: end, Operator: "test"}}
	}
	any := root.ServiceConfiguration{Selector: prototrustroot.ServiceSelector_ANY}
	config, err := root.NewSigningConfig(root.SigningConfigMediaType02, service(""), service("/oidc"), service(""), any, service("/timestamp"), any)
	require.NoError(t, err)
	s.Trusted, s.Config = s.file("trusted_root.json", s.Root), s.file("signing_config.json", config)
	return s
}

func (s *Sigstore) file(name string, content json.Marshaler) string {
	text, err := content.MarshalJSON()
	require.NoError(s.t, err)
	file := filepath.Join(s.t.TempDir(), name)
	require.NoError(s.t, os.WriteFile(file, text, 0o600))
	return file
}

// Environ has the variables by which a job of GitHub gets its tokens.
func (s *Sigstore) Environ() []string {
	return []string{"ACTIONS_ID_TOKEN_REQUEST_URL=" + s.URL + "/token?api-version=2.0", "ACTIONS_ID_TOKEN_REQUEST_TOKEN=" + RequestToken}
}

// Count is how often a path of the services was asked for.
func (s *Sigstore) Count(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts[path]
}

// Tokens are those that were made.
func (s *Sigstore) Tokens() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tokens
}

// Token makes one for a job.
func (s *Sigstore) Token(expires time.Time) string {
	claims, err := json.Marshal(map[string]any{"iss": Issuer, "sub": "repo:me/api:ref:refs/tags/v1", "aud": "sigstore", "job_workflow_ref": s.Workflow, "exp": expires.Unix()})
	require.NoError(s.t, err)
	random := make([]byte, 32)
	_, _ = rand.Read(random)
	encode := base64.RawURLEncoding.EncodeToString
	token := encode([]byte(`{"alg":"none"}`)) + "." + encode(claims) + "." + encode(random)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens = append(s.tokens, token)
	return token
}

func (s *Sigstore) makeToken(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer "+RequestToken || r.URL.Query().Get("audience") != "sigstore" || r.URL.Query().Get("api-version") != "2.0" {
		http.Error(w, "this is no job: "+r.Header.Get("Authorization"), http.StatusUnauthorized)
		return
	}
	answer(w, http.StatusOK, map[string]string{"value": s.Token(time.Now().Add(5 * time.Minute))})
}

func answer(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value)
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return key
}

// keyID is how logs are named.
func keyID(t testing.TB, public crypto.PublicKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	require.NoError(t, err)
	id := sha256.Sum256(der)
	return id[:]
}

// ForJob makes a token for a signer in this process.
func (s *Sigstore) ForJob(context.Context) (string, error) {
	return s.Token(time.Now().Add(5 * time.Minute)), nil
}
