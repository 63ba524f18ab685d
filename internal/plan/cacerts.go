package plan

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/slipway-ci/slipway/internal/fault"
)

// CABundle is where root certificates are in images, and in builder containers. Go, OpenSSL and git find them there.
// Source: https://go.dev/src/crypto/x509/root_linux.go
const CABundle = "/etc/ssl/certs/ca-certificates.crt"

// Bundles are the files that distributions have root certificates in, in the order in which Go tries them. Some are links to
// others.
var Bundles = []string{
	// Debian, Alpine
	CABundle,
	// Fedora, Red Hat
	"/etc/pki/tls/certs/ca-bundle.crt",
	// SUSE
	"/etc/ssl/ca-bundle.pem",
	// OpenELEC
	"/etc/pki/tls/cacert.pem",
	// CentOS
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
	// Alpine's OpenSSL
	"/etc/ssl/cert.pem",
}

// ParseCACerts reads root certificates in PEM, and writes them again without what may stand between them. It does not
// read the clock: whether one has expired matters where it is used.
func ParseCACerts(text string) (string, error) {
	var all bytes.Buffer
	rest := []byte(text)
	for n := 1; ; n++ {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil {
			break
		}
		// Text that is no certificate may be a secret, so no error shows it.
		if block.Type != "CERTIFICATE" {
			return "", fmt.Errorf("block %d is a %s: give certificates alone", n, block.Type)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return "", fmt.Errorf("certificate %d cannot be read: %w: give the root as the authority published it", n, err)
		}
		// The rule of crypto/x509 for who may sign.
		if cert.Version == 3 && !cert.BasicConstraintsValid || cert.BasicConstraintsValid && !cert.IsCA {
			return "", fmt.Errorf("certificate %d, of %s, is not that of an authority: give the root that signed it", n, cert.Subject)
		}
		encoded := pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes})
		if !bytes.Contains(all.Bytes(), encoded) {
			all.Write(encoded)
		}
	}
	switch {
	case bytes.Contains(rest, []byte("-----BEGIN")):
		return "", errors.New("the last block is not complete: give the whole file")
	case all.Len() == 0:
		return "", errors.New("holds no certificate in PEM: openssl x509 -inform der turns other forms into it")
	}
	return all.String(), nil
}

var caCertsSetting = Setting{
	Flag: "ca-cert", Content: true, Value: "FILE", Help: "root certificates, in PEM, that the image and the build trust besides the public ones",
	Field: "CACerts",
	read:  func(c Config, s *settings, f *fault.Faults) { s.caCerts = c.readCACerts(f) },
}

func (c Config) readCACerts(f *fault.Faults) string {
	if strings.TrimSpace(c.CACerts) == "" {
		return ""
	}
	certs, err := ParseCACerts(c.CACerts)
	if err != nil {
		f.Add("ca-cert", "", err.Error(), "")
	}
	return certs
}

// caCerts counts certificates for people.
func caCerts(pem string) string {
	n := strings.Count(pem, "-----BEGIN CERTIFICATE-----")
	if n == 1 {
		return "1 certificate"
	}
	return fmt.Sprintf("%d certificates", n)
}

// Bundle is a bundle with f's certificates at its end, as far as it lacks them. public are those that Slipway carries.
func (f File) Bundle(bundle, public string) string {
	if f.Certificates {
		bundle = addCertificates(bundle, public)
	}
	return addCertificates(bundle, f.CACerts)
}

// addCertificates leaves what is in the bundle as it is, whatever stands between the certificates.
func addCertificates(bundle, more string) string {
	if more == "" || more == bundle { // most builds: no need to decode the public ones, for each platform
		return bundle
	}
	has := map[string]bool{}
	for block := range blocks(bundle) {
		has[string(block.Bytes)] = true
	}
	var added bytes.Buffer
	for block := range blocks(more) {
		if der := string(block.Bytes); !has[der] {
			has[der] = true
			added.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: block.Bytes}))
		}
	}
	if added.Len() > 0 && bundle != "" && !strings.HasSuffix(bundle, "\n") {
		bundle += "\n"
	}
	return bundle + added.String()
}

// blocks are the certificates of a bundle.
func blocks(bundle string) iter.Seq[*pem.Block] {
	return func(yield func(*pem.Block) bool) {
		for block, rest := pem.Decode([]byte(bundle)); block != nil; block, rest = pem.Decode(rest) {
			if block.Type == "CERTIFICATE" && !yield(block) {
				return
			}
		}
	}
}
