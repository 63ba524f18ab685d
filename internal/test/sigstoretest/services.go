package sigstoretest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/digitorus/timestamp"
	"github.com/go-openapi/runtime"
	ct "github.com/google/certificate-transparency-go"
	"github.com/google/certificate-transparency-go/tls"
	"github.com/google/certificate-transparency-go/x509util"
	"github.com/sigstore/rekor/pkg/generated/models"
	"github.com/sigstore/rekor/pkg/types"
	"github.com/sigstore/rekor/pkg/util"
	"github.com/sigstore/sigstore/pkg/signature"
)

// certify issues a certificate for a token, as Fulcio does: the one who asks has signed the token's subject by the key.
func (s *Sigstore) certify(w http.ResponseWriter, r *http.Request) {
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	if s.Refusal != "" || !slices.Contains(s.Tokens(), token) {
		http.Error(w, s.Refusal+" the token is not good: "+token, http.StatusUnauthorized)
		return
	}
	certificate, err := s.issue(token, r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	chain := []string{encode(certificate), encode(s.issuer.Raw)}
	answer(w, http.StatusOK, map[string]any{"signedCertificateEmbeddedSct": map[string]any{"chain": map[string]any{"certificates": chain}}})
}

func encode(certificate []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}))
}

func (s *Sigstore) issue(token string, body io.Reader) ([]byte, error) {
	var request struct {
		PublicKeyRequest struct {
			PublicKey         struct{ Content string }
			ProofOfPossession []byte
		}
	}
	if err := json.NewDecoder(body).Decode(&request); err != nil {
		return nil, err
	}
	text, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		return nil, err
	}
	var claims struct {
		Issuer   string `json:"iss"`
		Subject  string `json:"sub"`
		Workflow string `json:"job_workflow_ref"`
	}
	if err := json.Unmarshal(text, &claims); err != nil {
		return nil, err
	}
	block, _ := pem.Decode([]byte(request.PublicKeyRequest.PublicKey.Content))
	if block == nil {
		return nil, errors.New("no key")
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256([]byte(claims.Subject))
	if !ecdsa.VerifyASN1(public.(*ecdsa.PublicKey), digest[:], request.PublicKeyRequest.ProofOfPossession) {
		return nil, errors.New("the key is not shown to be the caller's")
	}
	identity, err := url.Parse("https://github.com/" + claims.Workflow)
	if err != nil {
		return nil, err
	}
	issuer, err := asn1.MarshalWithParams(claims.Issuer, "utf8")
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	begin := time.Now().Add(-time.Minute).Truncate(time.Second)
	if s.Expired {
		begin = begin.Add(-time.Hour)
	}
	template := &x509.Certificate{
		SerialNumber: serial, URIs: []*url.URL{identity}, NotBefore: begin, NotAfter: begin.Add(10 * time.Minute),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
		ExtraExtensions: []pkix.Extension{
			{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 1}, Value: []byte(claims.Issuer)},
			{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 8}, Value: issuer},
		},
	}
	bare, err := x509.CreateCertificate(rand.Reader, template, s.issuer, public, s.issuerKey)
	if err != nil || s.Unlogged {
		return bare, err
	}
	logged, err := s.logged(bare)
	if err != nil {
		return nil, err
	}
	template.ExtraExtensions = append(template.ExtraExtensions, logged)
	return x509.CreateCertificate(rand.Reader, template, s.issuer, public, s.issuerKey)
}

// logged is the extension in which a log of certificates promises to have one. Source: RFC 6962, sections 3.2 and 3.3
func (s *Sigstore) logged(bare []byte) (extension pkix.Extension, err error) {
	certificate, err := x509.ParseCertificate(bare)
	if err != nil {
		return extension, err
	}
	sct := ct.SignedCertificateTimestamp{SCTVersion: ct.V1, LogID: ct.LogID{KeyID: [32]byte(keyID(s.t, s.certificateLog.Public()))}, Timestamp: uint64(time.Now().UnixMilli())}
	input, err := ct.SerializeSCTSignatureInput(sct, ct.LogEntry{Leaf: ct.MerkleTreeLeaf{TimestampedEntry: &ct.TimestampedEntry{
		EntryType:    ct.PrecertLogEntryType,
		PrecertEntry: &ct.PreCert{IssuerKeyHash: sha256.Sum256(s.issuer.RawSubjectPublicKeyInfo), TBSCertificate: certificate.RawTBSCertificate},
	}}})
	if err != nil {
		return extension, err
	}
	signed, err := tls.CreateSignature(*s.certificateLog, tls.SHA256, input)
	if err != nil {
		return extension, err
	}
	sct.Signature = ct.DigitallySigned(signed)
	list, err := x509util.MarshalSCTsIntoSCTList([]*ct.SignedCertificateTimestamp{&sct})
	if err != nil {
		return extension, err
	}
	raw, err := tls.Marshal(*list)
	if err != nil {
		return extension, err
	}
	value, err := asn1.Marshal(raw)
	return pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 2}, Value: value}, err
}

// logName is the name that the log of signatures has in its checkpoints.
const logName = "rekor.localhost"

// logEntry records a signature as Rekor does, in a log that has nothing else.
func (s *Sigstore) logEntry(w http.ResponseWriter, r *http.Request) {
	entry, id, err := s.entry(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("ETag", id)
	w.Header().Set("Location", "/api/v1/log/entries/"+id)
	answer(w, http.StatusCreated, map[string]models.LogEntryAnon{id: *entry})
}

func (s *Sigstore) entry(r *http.Request) (*models.LogEntryAnon, string, error) {
	proposed, err := models.UnmarshalProposedEntry(r.Body, runtime.JSONConsumer())
	if err != nil {
		return nil, "", err
	}
	versioned, err := types.CreateVersionedEntry(proposed)
	if err != nil {
		return nil, "", err
	}
	body, err := types.CanonicalizeEntry(r.Context(), versioned)
	if err != nil {
		return nil, "", err
	}
	signer, err := signature.LoadECDSASigner(s.signatureLog, crypto.SHA256)
	if err != nil {
		return nil, "", err
	}
	leaf := sha256.Sum256(append([]byte{0}, body...))
	checkpoint, err := util.CreateAndSignCheckpoint(r.Context(), logName, 1, 1, leaf[:], signer)
	if err != nil {
		return nil, "", err
	}
	now, index, size := time.Now().Unix(), int64(0), int64(1)
	id, hash, text := hex.EncodeToString(keyID(s.t, s.signatureLog.Public())), hex.EncodeToString(leaf[:]), string(checkpoint)
	encoded := base64.StdEncoding.EncodeToString(body)
	promised := sha256.Sum256(fmt.Appendf(nil, `{"body":%q,"integratedTime":%d,"logID":%q,"logIndex":%d}`, encoded, now, id, index))
	promise, err := ecdsa.SignASN1(rand.Reader, s.signatureLog, promised[:])
	return &models.LogEntryAnon{
		Body: encoded, IntegratedTime: &now, LogID: &id, LogIndex: &index,
		Verification: &models.LogEntryAnonVerification{
			SignedEntryTimestamp: promise,
			InclusionProof:       &models.InclusionProof{Checkpoint: &text, Hashes: []string{}, LogIndex: &index, RootHash: &hash, TreeSize: &size},
		},
	}, hash, err
}

// stamp says when it has seen a signature. Source: RFC 3161
func (s *Sigstore) stamp(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err == nil {
		var request *timestamp.Request
		if request, err = timestamp.ParseRequest(body); err == nil {
			stamp := timestamp.Timestamp{
				HashAlgorithm: request.HashAlgorithm, HashedMessage: request.HashedMessage, Time: time.Now(), Nonce: request.Nonce,
				Policy: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 2}, AddTSACertificate: request.Certificates,
			}
			body, err = stamp.CreateResponseWithOpts(s.authority, s.authorityKey, crypto.SHA256)
		}
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write(body)
}
