package host

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/slipway-ci/slipway/internal/oci/roots"
)

// bundles are where systems keep their root certificates. Source: https://go.dev/src/crypto/x509/root_linux.go
var bundles = []string{
	"/etc/ssl/certs/ca-certificates.crt",
	"/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/ssl/ca-bundle.pem",
	"/etc/pki/tls/cacert.pem",
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
	"/etc/ssl/cert.pem",
}

// trust writes the bundle that commands are to trust, where the plan has certificates: the caller's, else the
// system's, else the public ones that Slipway carries, and then the plan's. The Go command reads it on all systems but macOS
// and Windows, which ask their own stores; git reads it everywhere.
func (c *compiler) trust() error {
	if c.plan.CACerts == "" {
		return nil
	}
	var bundle bytes.Buffer
	for _, name := range []string{c.caller["SSL_CERT_FILE"], c.caller["GIT_SSL_CAINFO"]} {
		if name == "" {
			continue
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		bundle.Write(append(content, '\n'))
	}
	for _, name := range bundles {
		if bundle.Len() > 0 {
			break
		}
		content, err := os.ReadFile(name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		bundle.Write(content)
	}
	if bundle.Len() == 0 {
		bundle.Write(roots.PEM())
	}
	bundle.WriteString("\n" + c.plan.CACerts)
	c.bundle = filepath.Join(c.dir, "ca-certificates.pem")
	return os.WriteFile(c.bundle, bundle.Bytes(), 0o600)
}
