package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/test/registrytest"
	"github.com/slipway-ci/slipway/internal/test/sigstoretest"
	"github.com/slipway-ci/slipway/internal/test/testtool"
)

// A job signs by its identity, once: Slipway and cosign verify it, and refuse another identity. Nothing prints a token.
func TestKeyless(t *testing.T) {
	registrytest.NoLogin(t)
	s, host := sigstoretest.Start(t), registrytest.StartReferrers(t).Host
	source := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module example.com/hello\n\ngo 1.26.0\n", "main.go": "package main\n\nfunc main() {}\n"} {
		require.NoError(t, os.WriteFile(filepath.Join(source, name), []byte(text), 0o600))
	}
	repository := host + "/app/keyless"
	var printed bytes.Buffer
	publish := func(environ []string, args ...string) error {
		args = slices.Concat([]string{"publish", "--runtime", "scratch", "--platform", "linux/amd64", "--sign-keyless", "--signing-config", s.Config, "--trusted-root", s.Trusted, "--repository", repository, "--tag", "v1"}, args)
		cmd := slipwayCommand(t, append([]string{sharedCache}, environ...), append(args, source)...)
		out, err := cmd.CombinedOutput()
		printed.Write(out)
		return err
	}
	require.NoError(t, publish(s.Environ()), "%s", &printed)
	signed := s.Count("/api/v1/log/entries")
	assert.Equal(t, 3, signed, "the image, its provenance and its bill of materials")
	assert.Equal(t, 1, s.Count("/api/v2/signingCert"))
	require.NoError(t, publish(s.Environ()), "%s", &printed)
	assert.Equal(t, signed, s.Count("/api/v1/log/entries"), "the same again signs nothing")
	require.NoError(t, publish([]string{"SIGSTORE_ID_TOKEN=" + s.Tokens()[0]}, "--signature-format", "bundle"), "%s", &printed)
	assert.Equal(t, signed, s.Count("/api/v1/log/entries"), "nor does the same job with a token in a variable")

	verify := func(identity, issuer string) *exec.Cmd {
		return slipwayCommand(t, nil, "verify", "--trusted-root", s.Trusted, "--certificate-identity", identity, "--certificate-oidc-issuer", issuer, repository+":v1")
	}
	out := must(t, verify(sigstoretest.Identity, sigstoretest.Issuer))
	assert.Contains(t, out, "signed by   "+sigstoretest.Identity+" (issuer "+sigstoretest.Issuer+")")
	must(t, slipwayCommand(t, nil, "verify", "--trusted-root", s.Trusted, "--certificate-identity-regexp", "^https://github.com/me/api/", "--certificate-oidc-issuer-regexp", `githubusercontent\.com$`, repository+":v1"))
	for _, who := range [][2]string{{sigstoretest.Identity + "2", sigstoretest.Issuer}, {sigstoretest.Identity, "https://gitlab.com"}} {
		assert.Contains(t, fails(t, 1, verify(who[0], who[1])), "it was signed by "+sigstoretest.Identity+" (issuer "+sigstoretest.Issuer+"), and not by "+who[0])
	}
	shown := must(t, slipwayCommand(t, []string{sharedCache}, "inspect", repository+":v1"))
	assert.Contains(t, shown, "  signed by   "+sigstoretest.Identity+" (issuer "+sigstoretest.Issuer+"), says a certificate\n")
	assert.Contains(t, shown, "slipway verify --certificate-identity "+sigstoretest.Identity+" --certificate-oidc-issuer "+sigstoretest.Issuer+" "+repository+"@sha256:")
	require.NoError(t, writeKeys(filepath.Join(source, "release"), keyPassword))
	assert.Contains(t, fails(t, 1, slipwayCommand(t, nil, "verify", "--key", filepath.Join(source, "release.pub"), repository+":v1")), "not one of this key")

	s.Refusal = "no more:"
	require.Error(t, publish(s.Environ(), "--label", "a=b"))
	assert.Contains(t, printed.String(), "getting a certificate for the job: Fulcio returned 401: no more:")
	for _, secret := range append(s.Tokens(), sigstoretest.RequestToken) {
		assert.NotContains(t, printed.String(), secret)
	}

	cosign, err := exec.LookPath("cosign")
	if err != nil {
		testtool.Skip(t, "the program cosign on the PATH (go build -C internal/tools/cosign -o DIR/ github.com/sigstore/cosign/v3/cmd/cosign)")
	}
	home := t.TempDir()
	for _, kind := range []string{"verify", "verify-attestation --type slsaprovenance1", "verify-attestation --type cyclonedx"} {
		for identity, accepted := range map[string]bool{sigstoretest.Identity: true, sigstoretest.Identity + "2": false} {
			args := append(strings.Fields(kind), "--trusted-root", s.Trusted, "--certificate-identity", identity, "--certificate-oidc-issuer", sigstoretest.Issuer, repository+":v1")
			cmd := exec.CommandContext(t.Context(), cosign, args...)
			cmd.Env = []string{"HOME=" + home, "HTTPS_PROXY=http://127.0.0.1:1", "NO_PROXY=127.0.0.1"}
			out, err := cmd.CombinedOutput()
			assert.Equal(t, accepted, err == nil, "%s of %s: %s", kind, identity, out)
		}
	}
}
