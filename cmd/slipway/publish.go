package main

import (
	"encoding/json"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/slipway-ci/slipway"
	"github.com/slipway-ci/slipway/internal/attest/provenance"
	"github.com/slipway-ci/slipway/internal/attest/vex"
	"github.com/slipway-ci/slipway/internal/config/options"
	"github.com/slipway-ci/slipway/internal/fault"
	"github.com/slipway-ci/slipway/internal/progress"
	"github.com/slipway-ci/slipway/internal/secret"
	"github.com/slipway-ci/slipway/internal/source"
)

func (a *app) publishCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "publish [flags] [NAME...] [DIR|ARCHIVE]",
		Short: "Build an image and push it to a registry",
		Long: `Build the Go module in DIR (default: the current directory) as slipway build does, and push the
image; or push what slipway build wrote into ARCHIVE, as it is. Bills of materials and provenance
are attached to it, and signed with --sign-key or --sign-keyless. Tags move last, when everything that they lead to is
there. Credentials are those of docker login. The image's reference by digest goes to standard
output.`,
		Example: `  slipway publish --repository ghcr.io/me/api --tag v1.2.3 --tag latest
  slipway publish --repository ghcr.io/me/api dist/api.tar
  slipway publish --all --repository 'ghcr.io/me/{{.Name}}' --tag '{{.Git.Tag}}'
  kubectl set image deployment/api api="$(slipway publish --repository ghcr.io/me/api)"`,
		RunE: func(c *cobra.Command, args []string) error {
			names, dir, err := nameArgs(args)
			switch {
			case err != nil:
				return err
			case len(names) == 0 && isArchive(dir):
				return a.publishArchive(c, dir)
			}
			to, err := a.toRegistry()
			if a.Predicate != "" {
				err = fault.Join(err, fault.Faults{{Field: "predicate", Value: a.Predicate, Problem: "this build makes its own", Hint: "give it with an ARCHIVE, or leave it out"}})
			}
			return a.work(c.Context(), dir, names, to, err)
		},
	}
	a.flags(c).completeImages()
	return c
}

// publishArchive pushes what has been built before.
func (a *app) publishArchive(c *cobra.Command, archive string) error {
	to, toErr := a.toRegistry()
	request := a.newRequest(".", nil, to)
	image, targetErr := request.PlanArchive(archive)
	client, clientErr := a.registry(nil)
	display, displayErr := progress.New(c.Context(), a.Progress, a.stderr, a.environ)
	if err := fault.Join(a.environment, noEffect(c.Flags()), targetErr, toErr, clientErr, displayErr); err != nil {
		return err
	}
	defer client.Close()
	defer display.Close()
	builder := a.builder(client, display)
	var err error
	if builder.Bases, err = slipway.OpenBases(c.Context(), client); err != nil {
		return err
	}
	return a.finish(display, []*slipway.Result{builder.PublishArchive(c.Context(), image)}, false)
}

// isArchive reports whether what is to be published is an archive, and not a directory.
func isArchive(source string) bool {
	info, err := os.Stat(source)
	return err == nil && info.Mode().IsRegular() || err != nil && strings.HasSuffix(source, ".tar")
}

// noEffect warns of flags that only a build heeds. Variables may be there for other commands.
func noEffect(set *pflag.FlagSet) error {
	var faults fault.Faults
	set.Visit(func(f *pflag.Flag) {
		if !slices.Contains([]string{"repository", "tag", "sbom", "predicate", "vex", "sign-key", "sign-keyless", "signing-config", "trusted-root", "signature-format", "progress", "json"}, f.Name) {
			faults.Add(f.Name, f.Value.String(), "an archive is published as it is", "leave --"+f.Name+" out, or give it to slipway build")
		}
	})
	return faults.Err()
}

// toRegistry is where publish takes images.
func (a *app) toRegistry() (*slipway.Registry, error) {
	to := &slipway.Registry{Provenance: a.Provenance}
	var formatErr, keyErr, predicateErr, signaturesErr error
	to.SBOM, formatErr = format("sbom", a.SBOM, options.NoSBOM)
	if a.Predicate != "" {
		to.Predicate, predicateErr = readPredicate(a.Predicate)
	}
	var vexErr error
	if a.VEX != "" {
		to.VEX, vexErr = readStatements(a.VEX)
	}
	to.Key, keyErr = a.privateKey()
	to.Signatures, signaturesErr = signatureFormat(a.SignFormat)
	var keylessErr error
	if a.SignKeyless {
		to.Keyless, keylessErr = a.keylessSigner()
	}
	return to, fault.Join(formatErr, keyErr, predicateErr, vexErr, signaturesErr, keylessErr)
}

// signatureFormat is where signatures go.
func signatureFormat(value string) (slipway.SignatureFormat, error) {
	known := options.SignatureFormats()
	if value != "" && !slices.Contains(known, value) {
		return "", fault.Faults{{Field: "signature-format", Value: value, Problem: "no such format", Hint: "choose from " + strings.Join(known, ", ")}}
	}
	return slipway.SignatureFormat(value), nil
}

// readPredicate reads a predicate that somebody else made.
func readPredicate(file string) (json.RawMessage, error) {
	wrong := func(problem string) error {
		return fault.Faults{{Field: "predicate", Value: secret.ShownFile(file, isFile(file)), Problem: problem, Hint: "name a file with the predicate of SLSA v1 provenance, in JSON, without the statement around it"}}
	}
	text, err := source.ReadFile(file)
	if err != nil {
		return nil, wrong(reason(err))
	}
	var p provenance.Predicate
	if err := json.Unmarshal(text, &p); err != nil {
		return nil, wrong(err.Error())
	}
	if p.BuildDefinition.BuildType == "" || p.RunDetails.Builder.ID == "" {
		return nil, wrong("it has no buildDefinition.buildType or no runDetails.builder.id")
	}
	return text, nil
}

// readStatements reads an OpenVEX document.
func readStatements(file string) ([]slipway.VEXStatement, error) {
	at := fault.Fault{Field: "vex", Value: secret.ShownFile(file, isFile(file))}
	text, err := source.ReadFile(file)
	if err != nil {
		at.Problem, at.Hint = reason(err), "name a document of OpenVEX, such as openvex.json in the directory of slipway check --report"
		return nil, fault.Faults{at}
	}
	return vex.Parse(at, string(text))
}
