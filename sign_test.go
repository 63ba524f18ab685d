package slipway_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway"
	"github.com/slipway-ci/slipway/internal/test/registrytest"
)

// What is under tags of its own is signed while what refers to the image is attached: neither waits for the other.
func TestSignsWhileAttaching(t *testing.T) {
	signing, once := make(chan struct{}), sync.Once{}
	registry := registrytest.StartReferrers(
		t,
		registrytest.Fault{When: registrytest.On("", "/referrers/"), Before: func(http.ResponseWriter, *http.Request) {
			select {
			case <-signing:
			case <-time.After(30 * time.Second):
				t.Error("nothing was signed under tags before attachments were listed")
			}
		}},
		registrytest.Fault{When: func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, ".sig") }, Before: func(http.ResponseWriter, *http.Request) {
			once.Do(func() { close(signing) })
		}},
	)
	_, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	key, err := slipway.ParsePrivateKey(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil)
	require.NoError(t, err)
	images := planned(t, shop(t, ""), &slipway.Registry{Provenance: true, Key: key, Signatures: "both"}, func(r *slipway.Request) {
		r.All, r.Settings.Packages = false, []string{"./api"}
		r.Settings.Repository = registry.Host + "/signed"
	})
	results := builder(t).Build(t.Context(), images)
	require.NoError(t, slipway.Failures(results))
	assert.NotEmpty(t, results[0].Reference)
}
