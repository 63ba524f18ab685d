// Package roots carries the public root certificates, for images without a base that has them.
package roots

import (
	"bytes"
	"encoding/pem"
	"sync"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// PEM are the root certificates that Mozilla trusts for web servers, in PEM, as of the version of the
// module golang.org/x/crypto/x509roots/fallback that this program was compiled with. PEM cannot say that a root is
// trusted only for certificates up to some date; such roots are in it, as they are in the bundles of distributions.
func PEM() []byte { return bytes.Clone(all()) }

var all = sync.OnceValue(func() []byte {
	var text bytes.Buffer
	for root := range bundle.Roots() {
		text.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}))
	}
	return text.Bytes()
})
