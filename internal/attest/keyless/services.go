package keyless

import (
	"fmt"

	"github.com/sigstore/sigstore-go/pkg/root"
)

// ReadTrusted reads a trusted root, as cosign trusted-root create writes it.
func ReadTrusted(text []byte) (root.TrustedMaterial, error) {
	trusted, err := root.NewTrustedRootFromJSON(text)
	if err != nil {
		return nil, fmt.Errorf("it is no trusted root of Sigstore: %w", err)
	}
	return trusted, nil
}

// ReadServices reads a signing configuration, as cosign signing-config create writes it, for services with that trusted root.
func ReadServices(text []byte, trusted root.TrustedMaterial) (*Services, error) {
	config, err := root.NewSigningConfigFromJSON(text)
	if err != nil {
		return nil, fmt.Errorf("it is no signing configuration of Sigstore: %w", err)
	}
	return &Services{config, trusted}, nil
}

// PublicTrusted fetches the trusted root of Sigstore's public services, or takes it from the cache that other tools of Sigstore
// use, too (~/.sigstore/root).
func PublicTrusted() (root.TrustedMaterial, error) {
	trusted, err := root.FetchTrustedRoot()
	if err != nil {
		return nil, fmt.Errorf("fetching the trusted root of Sigstore: %w (--trusted-root takes it from a file)", err)
	}
	return trusted, nil
}

// PublicServices are Sigstore's public ones.
func PublicServices() (*Services, error) {
	trusted, err := PublicTrusted()
	if err != nil {
		return nil, err
	}
	config, err := root.FetchSigningConfig()
	if err != nil {
		return nil, fmt.Errorf("fetching the signing configuration of Sigstore: %w (--signing-config takes it from a file)", err)
	}
	return &Services{config, trusted}, nil
}
