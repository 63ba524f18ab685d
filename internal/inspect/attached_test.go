package inspect_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/slipway-ci/slipway/internal/inspect"
)

func TestRunCommandRunsNothingOfAnImage(t *testing.T) {
	assert.Equal(t, "docker run --rm --publish 80:80 --publish 53:53/udp r@sha256:1", inspect.RunCommand("r@sha256:1", []string{"80/tcp", "53/udp"}))
	assert.Equal(t, "podman run --rm --publish '$(reboot):$(reboot)' oci:layout", inspect.RunCommand("oci:layout", []string{"$(reboot)"}))
	assert.Empty(t, inspect.RunCommand("r@sha256:1", []string{"80\n"}))
}

// Anybody can attach a certificate that claims anything.
func TestVerifyCommandRunsNothingOfACertificate(t *testing.T) {
	for identity, want := range map[string]string{
		"https://github.com/me/api/.github/workflows/release.yml@refs/tags/v1": "--certificate-identity https://github.com/me/api/.github/workflows/release.yml@refs/tags/v1 --certificate-oidc-issuer https://issuer.example.com",
		"$(reboot)":    "--certificate-identity '$(reboot)' --certificate-oidc-issuer https://issuer.example.com",
		"a; reboot":    "--certificate-identity 'a; reboot' --certificate-oidc-issuer https://issuer.example.com",
		"a'\n`reboot`": "--key cosign.pub",
	} {
		r := inspect.Report{Reference: "r@sha256:1", Signers: []inspect.Signer{{Identity: identity, Issuer: "https://issuer.example.com"}}}
		assert.Equal(t, "slipway verify "+want+" r@sha256:1", r.VerifyCommand())
	}
	assert.Equal(t, "slipway verify --key cosign.pub r@sha256:1", (&inspect.Report{Reference: "r@sha256:1"}).VerifyCommand())
}
