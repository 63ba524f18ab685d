package pipeline

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// CABundle is where root certificates are in images, and in builder containers. Go, OpenSSL and git find them there.
// Source: https://go.dev/src/crypto/x509/root_linux.go
const CABundle = "/etc/ssl/certs/ca-certificates.crt"

// ParseCACerts reads root certificates in PEM, and writes them again without what may stand between them. It does not
// look at the clock: whether one has expired is found out where it is used.
func ParseCACerts(text string) (string, error) {
	var all bytes.Buffer
	rest := []byte(text)
	for n := 1; ; n++ {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil {
			break
		}
		// What is no certificate may be a secret, so no error shows it.
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

func (c Config) readCACerts(f *faulty) string {
	if strings.TrimSpace(c.CACerts) == "" {
		return ""
	}
	certs, err := ParseCACerts(c.CACerts)
	if err != nil {
		f.add("ca-cert", "", err.Error(), "")
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

// Bundle is the content of a file with CACerts, when bundle is what they are added to.
func (f File) Bundle(bundle string) string {
	if bundle != "" && !strings.HasSuffix(bundle, "\n") {
		bundle += "\n"
	}
	return bundle + f.CACerts
}
