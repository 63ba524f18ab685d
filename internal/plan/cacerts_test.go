package plan

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func certificate(t *testing.T, ca bool) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	// It expired long ago: no plan depends on the clock.
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Example Root"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1, 0), IsCA: ca, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func TestParseCACerts(t *testing.T) {
	one, two := certificate(t, true), certificate(t, true)
	got, err := ParseCACerts("# the company's\n" + one + "\n# twice\n" + strings.ReplaceAll(one, "\n", "\r\n") + two)
	require.NoError(t, err)
	assert.Equal(t, one+two, got, "no comments, none twice, in their order")

	const secret = "c2VjcmV0"
	for text, want := range map[string]string{
		"":                    "holds no certificate",
		"nothing":             "holds no certificate",
		certificate(t, false): "certificate 1, of CN=Example Root, is not that of an authority",
		one + "-----BEGIN PRIVATE KEY-----\n" + secret + "\n-----END PRIVATE KEY-----\n": "block 2 is a PRIVATE KEY",
		one + two[:len(two)/2]: "not complete",
		"-----BEGIN CERTIFICATE-----\n" + secret + "\n-----END CERTIFICATE-----\n": "certificate 1 cannot be read",
	} {
		_, err := ParseCACerts(text)
		require.ErrorContains(t, err, want)
		assert.NotContains(t, err.Error(), secret)
	}
}

// A bundle keeps everything that is in it, and gets each certificate that it lacks once.
func TestBundleAdds(t *testing.T) {
	certificate := func(der string) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte(der)}))
	}
	own, one, two, three := certificate("own"), certificate("one"), certificate("two"), certificate("three")
	commented := "# theirs\n" + strings.ReplaceAll(own, "\n", "\r\n") + "# end"
	for _, test := range []struct {
		file                 File
		bundle, public, want string
	}{
		{File{Certificates: true}, commented, one + two, commented + "\n" + one + two},
		{File{Certificates: true, CACerts: two + three}, own, one + two, own + one + two + three},
		{File{Certificates: true, CACerts: own}, own + two, two, own + two},
		{File{CACerts: three}, own, one, own + three},
		{File{CACerts: own}, commented, one, commented},
		{File{CACerts: three}, one, one, one + three},
		{File{Certificates: true}, "", "# Slipway's\n" + one + one, one},
	} {
		assert.Equal(t, test.want, test.file.Bundle(test.bundle, test.public))
	}
}

func TestBundleDoesNotDecodeWhatNothingIsAddedTo(t *testing.T) {
	public := certificate(t, true)
	for name, f := range map[string]File{"the public ones": {Certificates: true}, "none": {}} {
		assert.Zero(t, testing.AllocsPerRun(5, func() { f.Bundle(public, public) }), name)
	}
}
