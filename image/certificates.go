package image

import (
	"bytes"
	"encoding/pem"
	"sync"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// RootCertificates are the root certificates that Mozilla trusts for web servers, in PEM, as of the version of the
// module golang.org/x/crypto/x509roots/fallback that this program was compiled with. PEM cannot say that a root is
// trusted only for certificates up to some date; such roots are in it, as they are in the bundles of distributions.
func RootCertificates() []byte { return bytes.Clone(rootCertificates()) }

var rootCertificates = sync.OnceValue(func() []byte {
	var all bytes.Buffer
	for root := range bundle.Roots() {
		all.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}))
	}
	return all.Bytes()
})
