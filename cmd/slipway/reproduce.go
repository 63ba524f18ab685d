package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/spf13/cobra"

	"github.com/slipway-ci/slipway"
	"github.com/slipway-ci/slipway/internal/cache/temporary"
	"github.com/slipway-ci/slipway/internal/fault"
	"github.com/slipway-ci/slipway/internal/progress"
)

func (a *app) reproduceCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "reproduce [flags] REFERENCE",
		Short: "Build a published image again from its source, and compare",
		Long: `Read the provenance of a published image, fetch that revision of its source, build it again with the
recorded settings, Go version and digest of the base, and compare every byte. The exit status is 0
if the images are equal, with a line for each platform, and 1 if not, with what differs, from the
index down to files and functions. Of the provenance, only what --key or a certificate signed
counts; without them, anybody who can push may have written it. Slipway compiles the source, and runs nothing of it.`,
		Example: `  slipway reproduce ghcr.io/me/api:v1.2.3
  slipway reproduce --key cosign.pub --source . ghcr.io/me/api:v1.2.3
  slipway reproduce --attest --sign-key mine.key ghcr.io/me/api:v1.2.3`,
		Args: exactlyOne("reference", "give one, such as ghcr.io/me/api:v1.2.3"),
		RunE: func(c *cobra.Command, args []string) error { return a.reproduce(c.Context(), args[0]) },
	}
	a.flags(c)
	return c
}

func (a *app) reproduce(ctx context.Context, reference string) (err error) {
	ref, refErr := publishedReference(reference)
	verifier, verifierErr := func() (slipway.Verifier, error) { return nil, nil }, error(nil)
	if a.Key != "" || a.isKeyless() {
		verifier, verifierErr = a.verifier()
	}
	signer, signErr := a.verdictSigner()
	signatures, formatErr := signatureFormat(a.SignFormat)
	client, clientErr := a.registry(a.Mirrors)
	logins, loginsErr := a.readLogins()
	if err := fault.Join(a.environment, refErr, verifierErr, signErr, formatErr, clientErr, loginsErr, a.knownEngine()); err != nil {
		return err
	}
	defer client.Close()
	builder := a.builder(client, nil)
	builder.Report = slipway.Warnings(func(text string) { fmt.Fprintln(a.stderr, text) })
	by, err := verifier()
	if err != nil {
		return err
	}
	recipe, err := builder.Recipe(ctx, ref, by)
	if err != nil {
		return err
	}
	if err := a.mayRun(recipe); err != nil {
		return err
	}
	dir, remove, err := a.sourceOf(ctx, recipe, logins)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	var result *slipway.Result
	plans := func() ([]*slipway.Image, error) { return recipe.Plan(ctx, dir, a.capabilities()) }
	err = a.workOn(ctx, plans, nil, func(display *progress.Display, results []*slipway.Result) error {
		result = results[0]
		if recipe.Version != "" && recipe.Version != builder.Version {
			display.Note("it was built by slipway " + recipe.Version + ", and this is " + builder.Version)
		}
		return errors.Join(slipway.Failures(results), display.Close())
	})
	if err != nil {
		return err
	}
	verdict := result.Reproduction
	if a.Attest {
		if err := builder.AttestReproduction(ctx, recipe, verdict, a.engineKind(), signer, signatures); err != nil {
			return err
		}
	}
	if a.JSON {
		err = a.printJSON(verdict)
	} else {
		_, err = io.WriteString(a.stdout, verdictText(verdict))
	}
	if err == nil && !verdict.Equal {
		err = fmt.Errorf("%s is not what its source gives: see above", recipe.Reference)
	}
	return err
}

// verdictSigner signs the verdict; nil if nobody asked for that.
func (a *app) verdictSigner() (slipway.Signer, error) {
	switch {
	case !a.Attest:
		return nil, nil
	case a.SignKeyless:
		return a.keylessSigner()
	case a.SignKey == "":
		return nil, fault.Faults{{Field: "attest", Problem: "nobody signs the verdict", Hint: "name a key by --sign-key, or sign as a CI job by --sign-keyless"}}
	}
	key, err := a.privateKey()
	if err != nil {
		return nil, err
	}
	return key, nil
}

// sourceOf is the directory of the source: the one that was named, or the one that the provenance names, until remove is called.
func (a *app) sourceOf(ctx context.Context, recipe *slipway.Recipe, l logins) (dir string, remove func() error, err error) {
	if a.Source != "" {
		return a.Source, func() error { return nil }, nil
	}
	temp, err := temporary.NewDir()
	if err != nil {
		return "", nil, err
	}
	environ, forget, err := a.login(l)
	if err == nil {
		dir, err = recipe.FetchSource(ctx, environ, temp.Path)
		err = errors.Join(err, forget())
	}
	if err != nil {
		return "", nil, errors.Join(err, temp.Remove())
	}
	return dir, temp.Remove, nil
}

// mayRun faults a build that would run programs of the source, and was not asked to.
func (a *app) mayRun(recipe *slipway.Recipe) error {
	var faults fault.Faults
	add := func(setting, what, variable string) {
		faults.Add(setting, "", what+" was part of the build, which runs programs of the source", "set "+variable+"=true if you trust it")
	}
	if recipe.Generates && !a.image.Generates() {
		add("generate", "go generate", "SLIPWAY_GENERATE")
	}
	if recipe.Prebuilds && !a.image.RunPrebuild {
		add("prebuild", "a prebuild", "SLIPWAY_RUN_PREBUILD")
	}
	return faults.Err()
}

// publishedReference reads a reference to a registry.
func publishedReference(text string) (name.Reference, error) {
	ref, err := name.ParseReference(text)
	if err != nil {
		return nil, fault.Faults{{Field: "reference", Value: text, Problem: "not one of an image", Hint: "write it like ghcr.io/me/api:v1.2.3"}}
	}
	return ref, nil
}

// verdictText has a line for each platform, and then what differs, from the top down.
func verdictText(r *slipway.Reproduction) string {
	var b strings.Builder
	if !r.Equal {
		fmt.Fprintf(&b, "different  %s, built again %s\n", r.Reference, r.Rebuilt)
	}
	for _, p := range r.Platforms {
		switch {
		case p.Equal:
			fmt.Fprintf(&b, "equal      %s  %s\n", p.Platform, p.Rebuilt)
		case p.Rebuilt == "":
			fmt.Fprintf(&b, "different  %s  %s, not built again\n", p.Platform, p.Published)
		case p.Published == "":
			fmt.Fprintf(&b, "different  %s  not published, built again %s\n", p.Platform, p.Rebuilt)
		default:
			fmt.Fprintf(&b, "different  %s  %s, built again %s\n", p.Platform, p.Published, p.Rebuilt)
		}
	}
	if r.Difference == nil {
		return progress.Clean(b.String())
	}
	for _, d := range r.Difference.Platforms {
		for _, l := range d.Layers {
			before, after := orNone(l.Before), orNone(l.After)
			fmt.Fprintf(&b, "different  %s  layer %s: %s, built again %s\n", d.Platform, l.Name, before, after)
		}
	}
	return progress.Clean(b.String()) + "\n" + diffText(r.Difference)
}

func orNone(digest string) string {
	if digest == "" {
		return "none"
	}
	return digest
}
