package main

import (
	"context"
	"errors"
	"os"
	"regexp"

	"github.com/sigstore/sigstore-go/pkg/root"

	"github.com/slipway-ci/slipway"
	"github.com/slipway-ci/slipway/internal/attest/keyless"
	"github.com/slipway-ci/slipway/internal/fault"
	"github.com/slipway-ci/slipway/internal/source"
)

// keylessSigner signs with the identity of this job.
func (a *app) keylessSigner() (slipway.Signer, error) {
	var faults fault.Faults
	if a.SignKey != "" {
		faults.Add("sign-keyless", "", "--sign-key signs, too", "choose one of them")
	}
	if a.SignFormat == string(slipway.TagSignatures) {
		faults.Add("signature-format", a.SignFormat, "what is signed keyless is in Sigstore bundles", "leave it out, or sign with --sign-key")
	}
	if (a.SignConfig == "") != (a.TrustedRoot == "") {
		faults.Add("signing-config", a.SignConfig, "a Sigstore of your own needs --signing-config and --trusted-root", "give both, or neither for the public one")
	}
	tokens, err := keyless.Tokens(a.variable)
	switch {
	case errors.Is(err, keyless.ErrNoToken):
		faults.Add("sign-keyless", "", err.Error(), "in GitHub Actions, give the job the permission id-token: write; in GitLab, an ID token "+keyless.GitLabToken+" for the audience sigstore")
	case err != nil:
		faults.Add("sign-keyless", "", err.Error(), "run it in a job of GitHub Actions or GitLab")
	}
	for _, name := range []string{keyless.RequestToken, keyless.GitLabToken} {
		a.secrets.Add(a.variable(name))
		if err := os.Unsetenv(name); err != nil { // no program that is started needs it
			return nil, err
		}
	}
	trusted, trustedErr := a.trustedRoot()
	services := keyless.PublicServices
	if a.SignConfig != "" {
		read, err := readSigstore("signing-config", a.SignConfig, func(text []byte) (*keyless.Services, error) { return keyless.ReadServices(text, trusted) })
		trustedErr = fault.Join(trustedErr, err)
		services = func() (*keyless.Services, error) { return read, nil }
	}
	if err := fault.Join(faults.Err(), trustedErr); err != nil {
		return nil, err
	}
	return keyless.NewSigner(func(ctx context.Context) (string, error) {
		token, err := tokens(ctx)
		a.secrets.Add(token)
		return token, err
	}, services), nil
}

// trustedRoot is the one that the flag names; nil without it.
func (a *app) trustedRoot() (root.TrustedMaterial, error) {
	if a.TrustedRoot == "" {
		return nil, nil
	}
	return readSigstore("trusted-root", a.TrustedRoot, keyless.ReadTrusted)
}

// readSigstore reads a file that describes a Sigstore.
func readSigstore[T any](field, file string, parse func([]byte) (T, error)) (value T, err error) {
	text, err := source.ReadFile(file)
	if err == nil {
		value, err = parse(text)
	}
	if err != nil {
		err = fault.Faults{{Field: field, Value: file, Problem: reason(err), Hint: "name the file that cosign " + field + " create wrote"}}
	}
	return value, err
}

// isKeyless reports whether the flags ask for signatures of an identity.
func (a *app) isKeyless() bool {
	return a.Identity != "" || a.Identities != "" || a.Issuer != "" || a.Issuers != ""
}

// signer is the identity that the flags name.
func (a *app) signer() (keyless.Who, error) {
	var faults fault.Faults
	if a.Key != "" {
		faults.Add("key", shownReference(a.Key), "--certificate-identity and --certificate-oidc-issuer say who signed, too", "choose the key or the identity")
	}
	one := func(flag, value, expression, example string) {
		switch _, err := regexp.Compile(expression); {
		case value == "" && expression == "":
			faults.Add(flag, "", "there is none", "a signature of anybody is worth nothing: give it, like "+example)
		case value != "" && expression != "":
			faults.Add(flag, value, "--"+flag+"-regexp is given, too", "choose one of them")
		case err != nil:
			faults.Add(flag+"-regexp", expression, err.Error(), "write a regular expression of Go")
		}
	}
	one("certificate-identity", a.Identity, a.Identities, "https://github.com/me/api/.github/workflows/release.yml@refs/tags/v1.2.3")
	one("certificate-oidc-issuer", a.Issuer, a.Issuers, "https://token.actions.githubusercontent.com")
	return keyless.Who{Identity: a.Identity, IdentityRegexp: a.Identities, Issuer: a.Issuer, IssuerRegexp: a.Issuers}, faults.Err()
}

// keylessVerifier is for what the identity of the flags signed.
func (a *app) keylessVerifier() (func() (slipway.Verifier, error), error) {
	who, whoErr := a.signer()
	trusted, trustedErr := a.trustedRoot()
	if err := fault.Join(whoErr, trustedErr); err != nil {
		return nil, err
	}
	return func() (slipway.Verifier, error) {
		if trusted == nil {
			var err error
			if trusted, err = keyless.PublicTrusted(); err != nil {
				return nil, err
			}
		}
		return keyless.NewVerifier(trusted, who)
	}, nil
}
