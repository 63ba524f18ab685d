package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/cobra"

	"github.com/slipway-ci/slipway/internal/attest"
	"github.com/slipway-ci/slipway/internal/attest/provenance"
	"github.com/slipway-ci/slipway/internal/attest/sbom"
	"github.com/slipway-ci/slipway/internal/attest/signing"
	"github.com/slipway-ci/slipway/internal/config/options"
	"github.com/slipway-ci/slipway/internal/gitcommand"
	"github.com/slipway-ci/slipway/internal/goenv"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/progress"
	"github.com/slipway-ci/slipway/internal/publish"
	"github.com/slipway-ci/slipway/internal/secret"
	"github.com/slipway-ci/slipway/internal/source"
)

// format reads a flag for a format; empty is the default.
func format(field, value string, more ...string) (sbom.Format, error) {
	switch {
	case value == "":
		return sbom.Formats[0], nil
	case slices.Contains(more, value):
		return "", nil
	case !slices.Contains(options.SBOMFormats(), value):
		return "", plan.Faults{{Field: field, Value: value, Problem: "no such format", Hint: "choose from " + strings.Join(append(options.SBOMFormats(), more...), ", ")}}
	}
	return sbom.Format(value), nil
}

// readKey reads a key's text. ref is a file, or "env:" with the name of a variable.
func (a *app) readKey(field, ref string) ([]byte, error) {
	fault := func(problem, hint string) error {
		return plan.Faults{{Field: field, Value: shownReference(ref), Problem: problem, Hint: hint}}
	}
	if variable, found := strings.CutPrefix(ref, "env:"); found {
		value := a.variable(variable)
		if value == "" {
			return nil, fault("the variable is not set", "set "+cmp.Or(secret.ShownVariable(variable), "it")+" to the key's text, or name a file")
		}
		addLines(a.secrets, value)
		if err := os.Unsetenv(variable); err != nil { // no program that is started needs it
			return nil, err
		}
		return []byte(value), nil
	}
	text, err := source.ReadFile(ref)
	if err != nil {
		return nil, fault(reason(err), "name the key's file, or env:VARIABLE")
	}
	addLines(a.secrets, string(text))
	return text, nil
}

// prover makes the proof of a push.
type prover struct {
	app       *app
	dir       string
	format    sbom.Format     // empty for none
	predicate json.RawMessage // nil for that of the build
	key       *signing.Key
	begun     time.Time
}

// newProver finds out what can be found out before building in dir.
func (a *app) newProver(dir string) (*prover, error) {
	p := &prover{app: a, dir: dir, begun: time.Now()}
	var err1, err2, err3 error
	p.format, err1 = format("sbom", a.SBOM, options.NoSBOM)
	if a.Predicate != "" {
		p.predicate, err3 = readPredicate(a.Predicate)
	}
	if a.SignKey != "" {
		var text []byte
		if text, err2 = a.readKey("sign-key", a.SignKey); err2 == nil {
			if p.key, err2 = signing.ParseKey(text, []byte(a.variable(signPassword))); err2 != nil {
				err2 = plan.Faults{{Field: "sign-key", Value: shownReference(a.SignKey), Problem: err2.Error(), Hint: "give the key that signs"}}
			}
		}
	}
	return p, requests(err1, err2, err3)
}

// readPredicate reads a predicate that somebody else made.
func readPredicate(file string) (json.RawMessage, error) {
	fault := func(problem string) error {
		return plan.Faults{{Field: "predicate", Value: secret.ShownFile(file, isFile(file)), Problem: problem, Hint: "name a file with the predicate of SLSA v1 provenance, in JSON, without the statement around it"}}
	}
	text, err := source.ReadFile(file)
	if err != nil {
		return nil, fault(reason(err))
	}
	var p provenance.Predicate
	if err := json.Unmarshal(text, &p); err != nil {
		return nil, fault(err.Error())
	}
	if p.BuildDefinition.BuildType == "" || p.RunDetails.Builder.ID == "" {
		return nil, fault("it has no buildDefinition.buildType or no runDetails.builder.id")
	}
	return text, nil
}

// documents makes what is attached.
func (p *prover) documents(ctx context.Context, d *delivery, repository string) (documents []attest.Document, err error) {
	o := attest.Options{Repository: repository, SBOM: p.format, Provenance: p.provenance(ctx, d)}
	if o.SBOM == "" && o.Provenance == nil {
		return nil, nil
	}
	o.Inventory = sbom.Options{Name: d.Name, Version: versionText(), Modules: p.app.modules(p.dir, d.plan()), Cache: d.cache}
	err = d.step("attest", func(io.Writer) (err error) {
		documents, err = attest.Documents(ctx, d.built.Artifact, o)
		return err
	})
	return documents, err
}

// provenance makes predicates. It is nil if there are to be none, or nothing is known of the build.
func (p *prover) provenance(ctx context.Context, d *delivery) func(provenance.Image) (any, error) {
	switch {
	case p.predicate != nil:
		return func(provenance.Image) (any, error) { return p.predicate, nil }
	case d.job == nil || !p.app.Provenance:
		return nil
	}
	build := provenance.Build{
		Plan: d.job.plan, Config: d.job.settings.Config, Engine: p.app.engineKind(), Version: versionText(),
		Source: p.app.provenanceSource(ctx, p.dir, d.display), CI: provenance.ReadCI(p.app.environ),
		Started: p.begun, Finished: time.Now(),
	}
	if build.Engine == "dagger" {
		build.BuilderImage.Name = d.job.plan.Builder // by its tag: the engine does not tell the digest
	}
	return func(base provenance.Image) (any, error) { return build.Predicate(base) }
}

// readSource is what git says of the source in dir, which is asked once for all images.
func (a *app) readSource(ctx context.Context, dir string) (provenance.Source, error) {
	a.sourceOnce.Do(func() { a.sourceRead, a.sourceErr = provenance.ReadSource(ctx, dir, a.outputs(dir).Has) })
	return a.sourceRead, a.sourceErr
}

// provenanceSource is readSource for a provenance, which names none where git refuses to read the repository: display warns of that once.
func (a *app) provenanceSource(ctx context.Context, dir string, display *progress.Display) provenance.Source {
	source, err := a.readSource(ctx, dir)
	if err != nil && ctx.Err() == nil {
		a.sourceWarned.Do(func() {
			problem, hint := gitcommand.Explain(err, "publish with --provenance=false")
			display.Warn("the provenance does not say what commit the source is of: " + problem + ": " + hint)
		})
	}
	return source
}

// attach puts the proof beside the image, before any tag leads to it.
func (p *prover) attach(ctx context.Context, d *delivery, session *publish.Session, repository name.Repository, documents []attest.Document) error {
	if len(documents) > 0 {
		err := d.step("attach", func(io.Writer) error {
			err := attest.Attach(ctx, session, documents)
			var rejected *publish.RejectedError
			if errors.As(err, &rejected) {
				d.display.Warn(rejected.Error())
				return nil
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	if p.key == nil {
		return nil
	}
	if d.job == nil && p.predicate == nil {
		d.display.Warn("an archive is signed without provenance, which slipway verify asks for: give it by --predicate")
	}
	return d.step("sign", func(io.Writer) error {
		return attest.Sign(ctx, session, p.key, repository.Name(), d.built.Artifact, documents)
	})
}

// modules looks things up in the user's module cache, and in the go.mod files of the plan's source in dir; without a plan, in
// that of dir, which is for the image's program or else has no effect.
func (a *app) modules(dir string, plan *plan.Plan) *sbom.Modules {
	files := []string{"go.mod"}
	if plan != nil {
		files = plan.Dependencies.Files
	}
	var goMods [][]byte
	// One that cannot be read only makes the graph flatter.
	if tree, err := source.Open(dir); err == nil {
		defer tree.Close()
		for _, file := range files {
			if path.Base(file) != "go.mod" {
				continue
			}
			if content, err := tree.ReadFile(file); err == nil {
				goMods = append(goMods, content)
			}
		}
	}
	cache := goenv.ModuleCache(a.environ)
	if cache == "" {
		return sbom.NewModules(nil, goMods...)
	}
	return sbom.NewModules(os.DirFS(cache), goMods...)
}

func (a *app) verifyCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "verify [flags] REFERENCE",
		Short: "Verify who built a published image, from what, and that nobody changed it",
		Long: `Verify a published image by a public key: that the key signed the image and each of its
platforms, where it was built from and that Slipway built it, and its bills of materials. What is
verified goes to standard output.`,
		Example: `  slipway verify --key cosign.pub ghcr.io/me/api:v1.2.3
  slipway verify --key env:COSIGN_PUBLIC_KEY --json ghcr.io/me/api@sha256:…`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return requestError{fmt.Errorf("one reference is verified at a time, and %d were given: give it one, such as ghcr.io/me/api:v1.2.3", len(args))}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return a.verify(c.Context(), args[0]) },
	}
	f := a.flags(c)
	f.options("key")
	f.options("json")
	return c
}

func (a *app) verify(ctx context.Context, reference string) error {
	ref, refErr := name.ParseReference(reference)
	var verifier *signing.Verifier
	var keyErr error
	if a.Key == "" {
		keyErr = plan.Faults{{Field: "key", Problem: "there is none", Hint: "name the public key by --key, such as cosign.pub"}}
	} else if text, err := a.readKey("key", a.Key); err != nil {
		keyErr = err
	} else if verifier, err = signing.ParseVerifier(text); err != nil {
		keyErr = plan.Faults{{Field: "key", Value: shownReference(a.Key), Problem: err.Error(), Hint: "give a public key"}}
	}
	client, clientErr := a.registry(nil)
	if err := requests(a.environment, refErr, keyErr, clientErr); err != nil {
		return err
	}
	defer client.Close()
	verified, err := attest.Verify(ctx, client, ref, verifier)
	if err != nil {
		return fmt.Errorf("%s is not verified\n%w", reference, err)
	}
	if a.JSON {
		return a.printJSON(map[string]any{"reference": ref.Context().Digest(verified[0].Digest).String(), "verified": verified})
	}
	_, err = io.WriteString(a.stdout, describe(ref, verified))
	return err
}

// describe says in a few lines who built what from where.
func describe(ref name.Reference, verified []attest.Verified) string {
	var b strings.Builder
	line := func(key, format string, args ...any) {
		if value := strings.TrimSpace(fmt.Sprintf(format, args...)); value != "" {
			fmt.Fprintf(&b, "  %-11s %s\n", key, progress.Clean(value))
		}
	}
	fmt.Fprintln(&b, ref.Context().Digest(verified[0].Digest))
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

func (a *app) sbomCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "sbom [flags] [NAME] [DIR|ARCHIVE|REFERENCE]",
		Short: "Write the bill of materials of an image",
		Long: `Write the bill of materials of an image to standard output: of the one that slipway build makes
of the Go module in DIR (default: the current directory), of an image of slipway.yaml, of an OCI archive or layout directory, or of a
published image. It says what the programs were built from and what the base consists of, for one
platform.`,
		Example: `  slipway sbom --platform linux/amd64 > sbom.cdx.json
  slipway sbom --format spdx dist/api.tar
  slipway sbom --platform linux/arm64 ghcr.io/me/api:v1.2.3`,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 && strings.Contains(args[0], "/") { // also a reference
				return a.sbom(c.Context(), args[0], nil)
			}
			names, source, err := nameArgs(args)
			if err == nil && len(names) > 1 {
				err = requestError{fmt.Errorf("one image is looked at at a time, and %d were given: %s", len(names), strings.Join(names, ", "))}
			}
			if err != nil {
				return err
			}
			return a.sbom(c.Context(), source, names)
		},
	}
	f := a.flags(c)
	f.options("format")
	f.plan()
	f.work()
	return c
}

// sbom finds out what source is: a directory with Go in it is built, all else has an image in it.
func (a *app) sbom(ctx context.Context, source string, names []string) error {
	format, err := format("format", a.Format)
	if err != nil {
		return requests(a.environment, err)
	}
	o := sbom.Options{Version: versionText()}
	if info, err := os.Stat(source); err == nil && info.IsDir() && !isLayout(source) {
		return a.sbomOfSource(ctx, source, names, format, o)
	} else if err == nil && info.IsDir() {
		return a.sbomOfImage(ctx, "oci:"+source, filepath.Base(source), format, o)
	} else if err == nil {
		return a.sbomOfImage(ctx, "oci-archive:"+source, strings.TrimSuffix(filepath.Base(source), ".tar"), format, o)
	}
	ref, err := name.ParseReference(source)
	if err != nil || strings.HasSuffix(source, ".tar") || strings.HasPrefix(source, ".") {
		return requests(a.environment, fmt.Errorf("source %q: neither a directory, nor an archive, nor a reference: name one of them", source))
	}
	repository := ref.Context().RepositoryStr()
	return a.sbomOfImage(ctx, source, repository[strings.LastIndex(repository, "/")+1:], format, o)
}

func isLayout(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "oci-layout"))
	return err == nil
}

// sbomOfSource builds the image of one platform, since a bill of materials is of one image.
func (a *app) sbomOfSource(ctx context.Context, dir string, names []string, format sbom.Format, o sbom.Options) error {
	if len(a.config.Platforms) == 0 {
		a.config.Platforms = []string{defaultSBOMPlatform}
	}
	if len(a.config.Platforms) > 1 {
		return requests(a.environment, severalPlatforms(a.config.Platforms))
	}
	jobs, err := a.jobs(ctx, dir, names, plan.ResolveAll)
	return a.work(ctx, dir, false, jobs, err, func(*job, int) (deliver, error) {
		return func(ctx context.Context, d *delivery) (string, error) {
			o.Name, o.Modules, o.Cache = d.Name, a.modules(dir, d.job.plan), d.cache
			return encodeSBOM(ctx, d.built.Images[0].Image, format, o)
		}, nil
	})
}

// defaultSBOMPlatform is the first of the platforms that a build is for by default.
const defaultSBOMPlatform = "linux/amd64"

func severalPlatforms(platforms []string) error {
	return plan.Faults{{Field: "platform", Value: strings.Join(platforms, ","), Problem: "several platforms", Hint: "choose one: each has a bill of materials of its own"}}
}

func (a *app) sbomOfImage(ctx context.Context, ref, title string, format sbom.Format, o sbom.Options) error {
	platforms := a.config.Platforms
	if len(platforms) == 0 {
		platforms = []string{defaultSBOMPlatform}
	}
	var err error
	if len(platforms) > 1 {
		err = severalPlatforms(platforms)
	}
	platform, platformErr := v1.ParsePlatform(platforms[0])
	client, clientErr := a.registry(a.Mirrors)
	if err := requests(a.environment, err, platformErr, clientErr); err != nil {
		return err
	}
	defer client.Close()
	bases, err := openBases(ctx, client)
	if err != nil {
		return err
	}
	found, err := bases.Resolve(ctx, ref)
	if err != nil {
		return err
	}
	img, err := found.Image(*platform)
	if err != nil {
		return err
	}
	o.Name, o.Modules = title, a.modules(".", nil)
	document, err := encodeSBOM(ctx, img, format, o)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(a.stdout, document)
	return err
}

func encodeSBOM(ctx context.Context, img v1.Image, format sbom.Format, o sbom.Options) (string, error) {
	inventory, err := sbom.Read(ctx, img, o)
	if err != nil {
		return "", err
	}
	document, err := inventory.Encode(format)
	return strings.TrimSuffix(string(document), "\n"), err
}
