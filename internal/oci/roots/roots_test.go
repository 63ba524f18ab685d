package roots

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPEM(t *testing.T) {
	pool, count := x509.NewCertPool(), 0
	for rest := PEM(); len(rest) > 0; count++ {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		require.NotNil(t, block)
		require.Equal(t, "CERTIFICATE", block.Type)
		certificate, err := x509.ParseCertificate(block.Bytes)
		require.NoError(t, err)
		require.True(t, pool.AppendCertsFromPEM(pem.EncodeToMemory(block)), certificate.Subject)
	}
	assert.Greater(t, count, 100)
	PEM()[0] = 'x' // a copy
	assert.True(t, bytes.HasPrefix(PEM(), []byte("-----BEGIN CERTIFICATE-----\n")))
}
