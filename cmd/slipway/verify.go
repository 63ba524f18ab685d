package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/spf13/cobra"

	"github.com/slipway-ci/slipway"
	"github.com/slipway-ci/slipway/internal/fault"
	"github.com/slipway-ci/slipway/internal/progress"
)

func (a *app) verifyCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "verify [flags] REFERENCE",
		Short: "Verify who built a published image, from what, and that nobody changed it",
		Long: `Verify a published image by a public key, or by the identity of the CI job that signed it: that
the image and each of its platforms was signed, where it was built from and that Slipway built it,
and its bills of materials. The result goes to standard output.`,
		Example: `  slipway verify --key cosign.pub ghcr.io/me/api:v1.2.3
  slipway verify --key env:COSIGN_PUBLIC_KEY --json ghcr.io/me/api@sha256:…
  slipway verify --certificate-identity-regexp '^https://github.com/me/api/' \
    --certificate-oidc-issuer https://token.actions.githubusercontent.com ghcr.io/me/api:v1.2.3`,
		Args: exactlyOne("reference", "give one, such as ghcr.io/me/api:v1.2.3"),
		RunE: func(c *cobra.Command, args []string) error { return a.verify(c.Context(), args[0]) },
	}
	a.flags(c)
	return c
}

func (a *app) verify(ctx context.Context, reference string) error {
	ref, refErr := publishedReference(reference)
	verifier, verifierErr := a.verifier()
	client, clientErr := a.registry(nil)
	if err := fault.Join(a.environment, refErr, verifierErr, clientErr); err != nil {
		return err
	}
	defer client.Close()
	by, err := verifier()
	if err != nil {
		return err
	}
	verified, err := (&slipway.Builder{Client: client}).Verify(ctx, ref, by)
	if err != nil {
		return fmt.Errorf("%s is not verified\n%w", reference, err)
	}
	if a.JSON {
		return a.printJSON(map[string]any{"reference": ref.Context().Digest(verified[0].Digest).String(), "verified": verified})
	}
	_, err = io.WriteString(a.stdout, describe(ref, verified))
	return err
}

// verifier is the one that the flags ask for.
func (a *app) verifier() (func() (slipway.Verifier, error), error) {
	if a.isKeyless() {
		return a.keylessVerifier()
	}
	key, err := a.publicKey()
	return func() (slipway.Verifier, error) { return key, nil }, err
}

// describe says in a few lines who built what from where.
func describe(ref name.Reference, verified []slipway.Verified) string {
	var b strings.Builder
	line := func(key, format string, args ...any) {
		if value := strings.TrimSpace(fmt.Sprintf(format, args...)); value != "" {
			fmt.Fprintf(&b, "  %-11s %s\n", key, progress.Clean(value))
		}
	}
	fmt.Fprintln(&b, ref.Context().Digest(verified[0].Digest))
	line("signed", "%s", signedAs(verified[0].Signatures))
	line("signed by", "%s", strings.Join(verified[0].Signers, ", "))
	p := verified[0].Provenance
	for _, v := range verified {
		if v.Platform != "" {
			line("image", "%s %s, bill of materials in %s", v.Platform, v.Digest, v.SBOM)
		}
	}
	line("built by", "%s %s", p.RunDetails.Builder.ID, p.RunDetails.Builder.Version["slipway"])
	for _, d := range p.BuildDefinition.ResolvedDependencies {
		switch {
		case d.Annotations["modified"] == true:
			line(d.Name, "%s %v, modified", d.URI, d.Annotations["commit"])
		case d.Digest["gitCommit"] != "":
			line(d.Name, "%s %s", d.URI, d.Digest["gitCommit"])
		case d.Digest["sha256"] != "":
			line(d.Name, "%s sha256:%s", d.URI, d.Digest["sha256"])
		default:
			line(d.Name, "%s", d.URI)
		}
	}
	if m := p.RunDetails.Metadata; m != nil {
		line("run", "%s", m.InvocationID)
		if m.FinishedOn != nil {
			line("at", "%s", m.FinishedOn.Format(time.RFC3339))
		}
	}
	return b.String()
}

// signedAs says where a signature was found.
func signedAs(formats []slipway.SignatureFormat) string {
	names := map[slipway.SignatureFormat]string{slipway.BundleSignatures: "in a Sigstore bundle", slipway.TagSignatures: "under a tag of cosign"}
	var all []string
	for _, f := range formats {
		all = append(all, names[f])
	}
	return strings.Join(all, ", ")
}
