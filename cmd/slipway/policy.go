package main

import (
	"maps"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/spf13/cobra"

	"github.com/slipway-ci/slipway"
	"github.com/slipway-ci/slipway/internal/attest/admission"
	"github.com/slipway-ci/slipway/internal/config"
	"github.com/slipway-ci/slipway/internal/fault"
)

func (a *app) policyCommand() *cobra.Command {
	kinds := slices.Sorted(maps.Keys(admission.Kinds))
	c := &cobra.Command{
		Use:   "policy [flags] " + strings.Join(kinds, "|"),
		Short: "Write the policy by which a cluster admits what was signed, and nothing else",
		Long: `Write the policy by which a Kubernetes cluster admits, of the repositories of slipway.yaml or of
--repository, what a key or the identity of a CI job signed and Slipway built: a ClusterPolicy of
Kyverno, or a ClusterImagePolicy of Sigstore's policy-controller. It goes to standard output.`,
		Example: `  slipway policy --key cosign.pub kyverno | kubectl apply -f -
  slipway policy --certificate-identity-regexp '^https://github.com/me/api/' \
    --certificate-oidc-issuer https://token.actions.githubusercontent.com \
    --repository ghcr.io/me/api policy-controller > policy.yaml`,
		ValidArgs: kinds,
		Args: func(_ *cobra.Command, args []string) error {
			hint := "choose from " + strings.Join(kinds, ", ")
			if len(args) != 1 {
				return one("policy", args, hint)
			}
			if admission.Kinds[args[0]] == nil {
				return fault.Faults{{Field: "policy", Value: args[0], Problem: "no such policy", Hint: hint}}
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return a.policy(admission.Kinds[args[0]]) },
	}
	a.flags(c)
	return c
}

func (a *app) policy(write func(admission.Policy) ([]byte, error)) error {
	policy, signerErr := a.admitted()
	repositories, repositoriesErr := a.repositories()
	if err := fault.Join(a.environment, signerErr, repositoriesErr); err != nil {
		return err
	}
	policy.Repositories = repositories
	text, err := write(policy)
	if err != nil {
		return err
	}
	return a.stdout.Exact(string(text)) // the public key in it was read as one that may be secret
}

// admitted is a policy for what the key or the identity of the flags signs.
func (a *app) admitted() (admission.Policy, error) {
	if a.isKeyless() {
		who, err := a.signer()
		if a.TrustedRoot != "" {
			err = fault.Join(err, fault.Faults{{
				Field: "SLIPWAY_TRUSTED_ROOT", Value: a.TrustedRoot, Problem: "a policy cannot hold the trusted root of a Sigstore of your own",
				Hint: "configure it in the cluster, and unset the variable here",
			}})
		}
		return admission.Policy{Who: who}, err
	}
	key, err := a.publicKey()
	if err == nil && a.SignFormat == string(slipway.BundleSignatures) {
		err = fault.Faults{{
			Field: "SLIPWAY_SIGNATURE_FORMAT", Value: a.SignFormat, Problem: "neither Kyverno nor policy-controller reads the bundles of a key",
			Hint: "publish with --signature-format both",
		}}
	}
	if err != nil {
		return admission.Policy{}, err
	}
	text, err := key.PEM()
	return admission.Policy{Key: text}, err
}

// repositories are where the images go: to that of the flag, or to those of slipway.yaml.
func (a *app) repositories() ([]name.Repository, error) {
	project, err := readProject(".")
	if err != nil {
		return nil, err
	}
	images := []slipway.Settings{a.image}
	if project != nil {
		images = project.Images
	}
	var all []name.Repository
	var faults []error
	for _, image := range images {
		if a.image.Repository != "" {
			image.Repository = a.image.Repository
		}
		image.Tags = nil
		text, _, _, err := image.Target(image.Name)
		if text == "" {
			faults = append(faults, err)
			continue
		}
		repository, err := name.NewRepository(text)
		faults = append(faults, slipway.Target{Repository: text, Tags: []string{"latest"}}.Validate().Err())
		if err == nil {
			all = append(all, repository)
		}
	}
	if len(all) == 0 && fault.Join(faults...) == nil {
		return nil, fault.Faults{{Field: "repository", Problem: "there is none", Hint: "give --repository, like ghcr.io/me/api, or name it in " + config.File}}
	}
	return all, fault.Join(faults...)
}
