package main

import (
	"cmp"
	"os"
	"strings"

	"github.com/slipway-ci/slipway"
	"github.com/slipway-ci/slipway/internal/fault"
	"github.com/slipway-ci/slipway/internal/secret"
	"github.com/slipway-ci/slipway/internal/source"
)

// privateKey is the key that signs; nil for none.
func (a *app) privateKey() (*slipway.PrivateKey, error) {
	if a.SignKey == "" {
		return nil, nil
	}
	text, err := a.readKey("sign-key", a.SignKey)
	if err != nil {
		return nil, err
	}
	key, err := slipway.ParsePrivateKey(text, []byte(a.variable(signPassword)))
	if err != nil {
		return nil, fault.Faults{{Field: "sign-key", Value: shownReference(a.SignKey), Problem: err.Error(), Hint: "give the key that signs"}}
	}
	return key, nil
}

// publicKey is the key that signed.
func (a *app) publicKey() (*slipway.PublicKey, error) {
	if a.Key == "" {
		return nil, fault.Faults{{Field: "key", Problem: "there is none", Hint: "name the public key by --key, such as cosign.pub, or the signer by --certificate-identity and --certificate-oidc-issuer"}}
	}
	text, err := a.readKey("key", a.Key)
	if err != nil {
		return nil, err
	}
	key, err := slipway.ParsePublicKey(text)
	if err != nil {
		return nil, fault.Faults{{Field: "key", Value: shownReference(a.Key), Problem: err.Error(), Hint: "give a public key"}}
	}
	return key, nil
}

// readKey reads a key's text. ref is a file, or "env:" with the name of a variable.
func (a *app) readKey(field, ref string) ([]byte, error) {
	wrong := func(problem, hint string) error {
		return fault.Faults{{Field: field, Value: shownReference(ref), Problem: problem, Hint: hint}}
	}
	if variable, found := strings.CutPrefix(ref, "env:"); found {
		value := a.variable(variable)
		if value == "" {
			return nil, wrong("the variable is not set", "set "+cmp.Or(secret.ShownVariable(variable), "it")+" to the key's text, or name a file")
		}
		addLines(a.secrets, value)
		if err := os.Unsetenv(variable); err != nil { // no program that is started needs it
			return nil, err
		}
		return []byte(value), nil
	}
	text, err := source.ReadFile(ref)
	if err != nil {
		return nil, wrong(reason(err), "name the key's file, or env:VARIABLE")
	}
	addLines(a.secrets, string(text))
	return text, nil
}
