// Package signing signs images and statements about them in the ways of cosign, and verifies such signatures. It knows no
// registries.
package signing

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"github.com/secure-systems-lab/go-securesystemslib/encrypted"
	"github.com/youmark/pkcs8"
)

// Types of PEM blocks. Source of those of cosign: https://github.com/sigstore/cosign/blob/v3.1.3/pkg/cosign/keys.go
const (
	sigstoreBlock = "ENCRYPTED SIGSTORE PRIVATE KEY"
	cosignBlock   = "ENCRYPTED COSIGN PRIVATE KEY" // before cosign 2.0
	pkcs8Block    = "PRIVATE KEY"
	lockedBlock   = "ENCRYPTED PRIVATE KEY" // PKCS #8, as openssl pkcs8 -topk8 writes it
	ecBlock       = "EC PRIVATE KEY"
	rsaBlock      = "RSA PRIVATE KEY"
	publicBlock   = "PUBLIC KEY"

	parametersBlock = "EC PARAMETERS"
)

// Key signs.
type Key struct{ signer crypto.Signer }

// Verifier verifies what the key that belongs to it signed.
type Verifier struct{ public crypto.PublicKey }

// ParseKey reads a private key in PEM form: one of cosign generate-key-pair or an encrypted one in PKCS #8, which password
// decrypts, or a plain one in PKCS #8, SEC 1 (EC) or PKCS #1 (RSA). Keys are ECDSA on P-256 or P-384, Ed25519, or RSA of 2048
// bits and more. No error says anything of the key or of the password.
func ParseKey(text, password []byte) (*Key, error) {
	block := keyBlock(text)
	if block == nil {
		return nil, errors.New("it is no key in PEM form: make one with cosign generate-key-pair")
	}
	var key any
	var err error
	switch block.Type {
	case sigstoreBlock, cosignBlock:
		plain, decryptErr := encrypted.Decrypt(block.Bytes, password)
		if decryptErr != nil {
			return nil, errors.New("the key cannot be decrypted: set COSIGN_PASSWORD to its password")
		}
		key, err = x509.ParsePKCS8PrivateKey(plain)
	case lockedBlock:
		plain, _, decryptErr := pkcs8.ParsePrivateKey(block.Bytes, password)
		if decryptErr != nil || len(password) == 0 {
			return nil, errors.New("the key cannot be decrypted: set COSIGN_PASSWORD to its password")
		}
		key = plain
	case pkcs8Block:
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case ecBlock:
		key, err = x509.ParseECPrivateKey(block.Bytes)
	case rsaBlock:
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	default:
		return nil, fmt.Errorf("it holds a %q, which is no private key that can be used: make one with cosign generate-key-pair", block.Type)
	}
	if err != nil {
		return nil, errors.New("it holds no private key that can be read: make one with cosign generate-key-pair")
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, unsupported(key)
	}
	if err := supported(signer.Public()); err != nil {
		return nil, err
	}
	return &Key{signer}, nil
}

// keyBlock is the first PEM block that can be a key, nil without one: openssl ecparam writes the name of the curve before
// it, which the key has, too.
func keyBlock(text []byte) *pem.Block {
	for {
		block, rest := pem.Decode(text)
		if block == nil || block.Type != parametersBlock {
			return block
		}
		text = rest
	}
}

// ParseVerifier reads a public key in PEM form.
func ParseVerifier(text []byte) (*Verifier, error) {
	block := keyBlock(text)
	if block == nil || block.Type != publicBlock {
		return nil, errors.New("it is no public key in PEM form: give the cosign.pub that belongs to the key that signed")
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("it holds no public key that can be read: %w", err)
	}
	if err := supported(public); err != nil {
		return nil, err
	}
	return &Verifier{public}, nil
}

// supported lets through the keys that cosign verifies with when it is given no more than the public key.
func supported(public crypto.PublicKey) error {
	switch public := public.(type) {
	case *ecdsa.PublicKey:
		if public.Curve == elliptic.P256() || public.Curve == elliptic.P384() {
			return nil
		}
	case ed25519.PublicKey:
		return nil
	case *rsa.PublicKey:
		if public.N.BitLen() >= 2048 {
			return nil
		}
	}
	return unsupported(public)
}

func unsupported(key any) error {
	return fmt.Errorf("its kind of key (%T) is not supported: use ECDSA on P-256, as cosign generate-key-pair makes it, ECDSA on P-384, Ed25519, or RSA of 2048 bits or more", key)
}

// PEM is the key in the form that [ParseVerifier] reads, without what other tools write around it.
func (v *Verifier) PEM() (string, error) {
	public, err := x509.MarshalPKIXPublicKey(v.public)
	return string(pem.EncodeToMemory(&pem.Block{Type: publicBlock, Bytes: public})), err
}

// Verifier is the public half.
func (k *Key) Verifier() *Verifier { return &Verifier{k.signer.Public()} }

// Sign signs a message: its SHA-256, or with Ed25519 the message itself, which is what cosign verify expects of every kind of
// key by default.
func (k *Key) Sign(message []byte) ([]byte, error) {
	if _, ok := k.signer.Public().(ed25519.PublicKey); ok {
		return k.signer.Sign(nil, message, crypto.Hash(0))
	}
	digest := sha256.Sum256(message)
	return k.signer.Sign(rand.Reader, digest[:], crypto.SHA256)
}

// ErrSignature is the error of a signature that another key made, or over something else.
var ErrSignature = errors.New("the signature is not one of this key for this content")

// Verify verifies a signature of [Key.Sign], or one that cosign 3 made: it signs SHA-384 with P-384, and SHA-512 with Ed25519
// (RFC 8032, Ed25519ph).
func (v *Verifier) Verify(message, signature []byte) error {
	digest := sha256.Sum256(message)
	holds := false
	switch public := v.public.(type) {
	case *ecdsa.PublicKey:
		holds = ecdsa.VerifyASN1(public, digest[:], signature)
		if long := sha512.Sum384(message); !holds && public.Curve == elliptic.P384() {
			holds = ecdsa.VerifyASN1(public, long[:], signature)
		}
	case ed25519.PublicKey:
		long := sha512.Sum512(message)
		holds = ed25519.Verify(public, message, signature) ||
			ed25519.VerifyWithOptions(public, long[:], signature, &ed25519.Options{Hash: crypto.SHA512}) == nil
	case *rsa.PublicKey:
		holds = rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], signature) == nil
	}
	if !holds {
		return ErrSignature
	}
	return nil
}

// envelopeSigner makes a key one of the library's.
type envelopeSigner struct{ key *Key }

func (s envelopeSigner) Sign(_ context.Context, data []byte) ([]byte, error) { return s.key.Sign(data) }

// KeyID is empty, as cosign leaves it: it is a hint and nothing that is signed.
func (s envelopeSigner) KeyID() (string, error) { return "", nil }

// Wrap signs a payload in a DSSE envelope. Source: https://github.com/secure-systems-lab/dsse/blob/v1.0.0/envelope.md
func (k *Key) Wrap(ctx context.Context, payloadType string, payload []byte) ([]byte, error) {
	signer, err := dsse.NewEnvelopeSigner(envelopeSigner{k})
	if err != nil {
		return nil, err
	}
	envelope, err := signer.SignPayload(ctx, payloadType, payload)
	if err != nil {
		return nil, err
	}
	return json.Marshal(envelope)
}

// Open returns the payload of a DSSE envelope if one of its signatures is the key's.
func (v *Verifier) Open(envelope []byte, payloadType string) ([]byte, error) {
	var e dsse.Envelope
	if err := json.Unmarshal(envelope, &e); err != nil {
		return nil, fmt.Errorf("it is no DSSE envelope: %w", err)
	}
	if e.PayloadType != payloadType {
		return nil, fmt.Errorf("its payload is a %q and not a %q", e.PayloadType, payloadType)
	}
	payload, err := e.DecodeB64Payload()
	if err != nil {
		return nil, fmt.Errorf("it is no DSSE envelope: %w", err)
	}
	for _, s := range e.Signatures {
		signature, err := base64.StdEncoding.DecodeString(s.Sig)
		if err == nil && v.Verify(dsse.PAE(e.PayloadType, payload), signature) == nil {
			return payload, nil
		}
	}
	return nil, ErrSignature
}

// simple is a payload in the simple signing format. Source:
// https://github.com/sigstore/cosign/blob/v3.1.3/specs/SIGNATURE_SPEC.md#simple-signing
type simple struct {
	Critical struct {
		Identity struct {
			DockerReference string `json:"docker-reference"`
		} `json:"identity"`
		Image struct {
			DockerManifestDigest string `json:"docker-manifest-digest"`
		} `json:"image"`
		Type string `json:"type"`
	} `json:"critical"`
	Optional map[string]any `json:"optional"`
}

const simpleType = "cosign container image signature"

// Payload is what is signed for an image or index of that repository.
func Payload(repository string, digest v1.Hash) ([]byte, error) {
	var p simple
	p.Critical.Identity.DockerReference = repository
	p.Critical.Image.DockerManifestDigest = digest.String()
	p.Critical.Type = simpleType
	return json.Marshal(p)
}

// CheckPayload says what is wrong with a payload that was signed for digest.
func CheckPayload(payload []byte, digest v1.Hash) error {
	var p simple
	if err := json.NewDecoder(bytes.NewReader(payload)).Decode(&p); err != nil || p.Critical.Type != simpleType {
		return errors.New("it is no signature of an image")
	}
	if p.Critical.Image.DockerManifestDigest != digest.String() {
		return fmt.Errorf("it was signed for %s and not for %s", p.Critical.Image.DockerManifestDigest, digest)
	}
	return nil
}
