// Package keyless signs statements with the identity of a CI job in place of a key, and verifies such signatures, as cosign does:
// a certificate authority (Fulcio) certifies a key that lives for minutes for the job's OIDC token, and a public log (Rekor)
// records what it signed. It is apart from the package signing for what its libraries weigh.
package keyless

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/sign"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/slipway-ci/slipway/internal/attest/provenance"
)

// Services are a deployment of Sigstore.
type Services struct {
	// Config names its servers.
	Config *root.SigningConfig
	// Trusted has its keys, by which a signature is verified before anybody else sees it.
	Trusted root.TrustedMaterial
}

// Signer signs with certificates for tokens.
type Signer struct {
	tokens   func(context.Context) (string, error)
	services func() (*Services, error)

	mu      sync.Mutex
	token   string
	claims  claims
	key     *sign.EphemeralKeypair
	issued  []byte // the certificate of key
	renewal time.Time
}

// NewSigner makes a signer. It asks for tokens when it needs them, and for the services when it first signs.
func NewSigner(tokens func(context.Context) (string, error), services func() (*Services, error)) *Signer {
	return &Signer{tokens: tokens, services: sync.OnceValues(services)}
}

// claims are those parts of a token that decide whom its certificate names. Source: https://github.com/sigstore/fulcio/blob/main/docs/oidc.md
type claims struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub"`
	Workflow string `json:"job_workflow_ref,omitempty"`
	Config   string `json:"ci_config_ref_uri,omitempty"`
	Expires  int64  `json:"exp,omitempty"`
}

// What is left of a token or certificate when it is renewed.
const (
	tokenMargin       = 30 * time.Second
	certificateMargin = 2 * time.Minute
	lifetime          = 10 * time.Minute // of certificates of Fulcio
)

// Identity is the same for jobs whose certificates name the same.
func (s *Signer) Identity(ctx context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.renewToken(ctx); err != nil {
		return "", err
	}
	who := s.claims
	who.Expires = 0
	text, err := json.Marshal(who)
	return string(text), err
}

func (s *Signer) renewToken(ctx context.Context) error {
	if s.token != "" && time.Now().Add(tokenMargin).Before(time.Unix(s.claims.Expires, 0)) {
		return nil
	}
	token, err := s.tokens(ctx)
	if err != nil {
		return err
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return errors.New("signing keyless: the OIDC token is no JSON Web Token")
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	var c claims
	if err != nil || json.Unmarshal(text, &c) != nil || c.Issuer == "" || c.Subject == "" {
		return errors.New("signing keyless: the OIDC token has no issuer and subject")
	}
	if !time.Now().Before(time.Unix(c.Expires, 0)) {
		return fmt.Errorf("signing keyless: the OIDC token expired at %s (the job may have taken too long)", time.Unix(c.Expires, 0).UTC().Format(time.RFC3339))
	}
	s.token, s.claims = token, c
	return nil
}

// Bundle signs an in-toto statement in a Sigstore bundle, with the certificate, the entry of the log and, where the services have an
// authority for them, a timestamp.
func (s *Signer) Bundle(ctx context.Context, statement []byte) ([]byte, error) {
	services, err := s.services()
	if err != nil {
		return nil, err
	}
	o, err := services.options(ctx)
	if err != nil {
		return nil, err
	}
	key, issued, err := s.certified(ctx, o.CertificateProvider)
	if err != nil {
		return nil, err
	}
	o.CertificateProvider = issued
	bundle, err := sign.Bundle(&sign.DSSEData{Data: statement, PayloadType: provenance.MediaType}, key, o)
	if err != nil {
		return nil, fmt.Errorf("signing keyless: %w", err)
	}
	return protojson.Marshal(bundle)
}

// certified is a key with a certificate that is valid for some minutes still. One serves for all that is signed meanwhile.
func (s *Signer) certified(ctx context.Context, authority sign.CertificateProvider) (*sign.EphemeralKeypair, existing, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.issued != nil && time.Now().Before(s.renewal) {
		return s.key, s.issued, nil
	}
	if err := s.renewToken(ctx); err != nil {
		return nil, nil, err
	}
	key, err := sign.NewEphemeralKeypair(nil)
	if err != nil {
		return nil, nil, err
	}
	begun := time.Now()
	issued, err := authority.GetCertificate(ctx, key, &sign.CertificateProviderOptions{IDToken: s.token})
	if err != nil {
		return nil, nil, fmt.Errorf("signing keyless: getting a certificate for the job: %s", strings.ReplaceAll(err.Error(), s.token, "…"))
	}
	s.key, s.issued, s.renewal = key, issued, begun.Add(lifetime-certificateMargin)
	return s.key, s.issued, nil
}

// existing is a certificate that is there already.
type existing []byte

func (c existing) GetCertificate(context.Context, sign.Keypair, *sign.CertificateProviderOptions) ([]byte, error) {
	return c, nil
}

// timeout is for each request to a service; a request that failed on the server's side is repeated that often.
const (
	timeout = 30 * time.Second
	retries = 2
)

// options are those of signing, with the servers that are to be used now.
func (s *Services) options(ctx context.Context) (o sign.BundleOptions, err error) {
	o = sign.BundleOptions{Context: ctx, TrustedRoot: s.Trusted}
	now := time.Now()
	fulcio, err := root.SelectService(s.Config.FulcioCertificateAuthorityURLs(), sign.FulcioAPIVersions, now)
	if err != nil {
		return o, fmt.Errorf("signing keyless: choosing a certificate authority from the signing configuration: %w", err)
	}
	o.CertificateProvider = sign.NewFulcio(&sign.FulcioOptions{BaseURL: fulcio.URL, Timeout: timeout, Retries: retries})
	logs, err := root.SelectServices(s.Config.RekorLogURLs(), s.Config.RekorLogURLsConfig(), sign.RekorAPIVersions, now)
	if err != nil {
		return o, fmt.Errorf("signing keyless: choosing a log from the signing configuration: %w", err)
	}
	for _, l := range logs {
		o.TransparencyLogs = append(o.TransparencyLogs, sign.NewRekor(&sign.RekorOptions{BaseURL: l.URL, Timeout: timeout, Retries: retries, Version: l.MajorAPIVersion}))
	}
	if len(s.Config.TimestampAuthorityURLs()) == 0 {
		return o, nil
	}
	authorities, err := root.SelectServices(s.Config.TimestampAuthorityURLs(), s.Config.TimestampAuthorityURLsConfig(), sign.TimestampAuthorityAPIVersions, now)
	if err != nil {
		return o, fmt.Errorf("signing keyless: choosing a timestamp authority from the signing configuration: %w", err)
	}
	for _, a := range authorities {
		o.TimestampAuthorities = append(o.TimestampAuthorities, sign.NewTimestampAuthority(&sign.TimestampAuthorityOptions{URL: a.URL, Timeout: timeout, Retries: retries}))
	}
	return o, nil
}
