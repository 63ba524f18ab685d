package slipway

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/slipway-ci/slipway/internal/attest/provenance"
	"github.com/slipway-ci/slipway/internal/attest/vex"
	"github.com/slipway-ci/slipway/internal/config"
	"github.com/slipway-ci/slipway/internal/fault"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/registry"
	"github.com/slipway-ci/slipway/internal/source"
)

// Settings say what an image is and where it goes. The zero value asks for the defaults.
type Settings = config.Image

// Plan holds every decision about an image: commands, files, user, labels, references.
type Plan = plan.Plan

// Faults are everything that is wrong with a request: settings, slipway.yaml, the source. Methods report work that failed by other errors.
type Faults = fault.Faults

// Target is where an image is pushed to.
type Target = registry.Target

// Request names a source, images of it, and where they go. Only Dir is required.
type Request struct {
	// Dir is the directory of a Go module or workspace, in which there may be a slipway.yaml.
	Dir string
	// Fetch brings the files that match patterns, which are those of .dockerignore, into Dir before they are read. It is nil where the
	// source is in Dir. Where it is not, nothing is asked of git.
	Fetch func(ctx context.Context, patterns []string) error
	// Directory is that of the source in its repository, with slashes, where git is not asked; empty for the top.
	Directory string
	// To is where images go; nil for plans only.
	To Sink
	// Names are those of images in slipway.yaml, All stands for all of them. Without either, the only image that there is.
	Names []string
	All   bool
	// Settings lie over those of slipway.yaml, as far as they were given.
	Settings Settings
	// Given reports whether a setting was given, by its key in slipway.yaml. Nil: those that are not zero were.
	Given func(key string) bool
	// CACerts are files of root certificates, in PEM, in place of Settings.CACerts.
	CACerts []string
	// Engine is what the engine can do that is to carry the plans out; nothing for plans that are only shown.
	Engine plan.Capabilities
	// Environ is the environment that templates may name variables of, as a list of KEY=VALUE; what holds secrets by its name is left
	// out.
	Environ []string
	// recorded is what was known when the images were built before; nil where git says it, and the environment.
	recorded *provenance.Recorded
	// Output is where images are written, if that is where they go: an archive if it ends in .tar, else a layout; empty for archives in
	// the directory dist. Report is the directory for reports of checks. What Slipway writes into the source is no part of it.
	Output, Report string
}

// Image is an image that is planned.
type Image struct {
	// Settings are those of the request over those of slipway.yaml.
	Settings Settings
	Plan     *Plan
	// Target is where it goes, if it is planned for that. Skipped are the templates of tags that were empty.
	Target  Target
	Skipped []string
	// vex are the statements to attach, if it is planned for a registry.
	vex []VEXStatement

	request *Request
	archive string // that it is in; empty for an image that is to be built
}

// Plan makes the plans of a request, and does nothing else. It reads the source, and calls git only if settings name its state. An
// error that is [Faults] has everything that is wrong; images that could be planned are returned with it.
func (r *Request) Plan(ctx context.Context) ([]*Image, error) {
	return r.plan(ctx, r.choose, plan.ResolveAll)
}

// PlanUnlocked is Plan without the digests of slipway.lock.
func (r *Request) PlanUnlocked(ctx context.Context) ([]*Image, error) {
	return r.plan(ctx, r.choose, plan.ResolveUnlocked)
}

// PlanChecks makes the plan for checking the source. It uses the defaults of slipway.yaml, and depends on none of its images.
func (r *Request) PlanChecks(ctx context.Context) (*Plan, error) {
	choose := func(file *config.Project) ([]Settings, error) {
		if file == nil {
			return []Settings{{}}, nil
		}
		return []Settings{file.Defaults}, nil
	}
	images, err := r.plan(ctx, choose, func(ctx context.Context, tree fs.FS, configs []plan.Config) ([]*Plan, []error) {
		p, err := plan.ResolveChecks(ctx, tree, configs[0])
		return []*Plan{p}, []error{err}
	})
	if err != nil {
		return nil, err
	}
	return images[0].Plan, nil
}

// resolver makes the plans of a source's images.
type resolver func(ctx context.Context, source fs.FS, configs []plan.Config) ([]*Plan, []error)

func (r *Request) plan(ctx context.Context, choose func(*config.Project) ([]Settings, error), resolve resolver) (_ []*Image, err error) {
	if r.Fetch == nil {
		if info, err := os.Stat(r.Dir); err != nil || !info.IsDir() {
			return nil, fault.Join(Faults{{
				Field: "source", Value: r.Dir, Problem: "not a directory", Hint: "give slipway the directory of a Go module",
			}}, r.unplanned(r.Settings))
		}
	}
	own := r.Settings.FilePatterns()
	if err := r.fetch(ctx, slices.Concat(plan.Reads, []string{config.File, "**/" + vex.File}, own)); err != nil {
		return nil, err
	}
	tree, err := source.Open(r.Dir)
	if err != nil {
		return nil, fmt.Errorf("opening the source: %w", err)
	}
	defer func() { err = errors.Join(err, tree.Close()) }()
	file, err := config.Read(tree)
	var chosen []Settings
	if err == nil {
		chosen, err = choose(file)
	}
	switch {
	case err != nil && r.Settings.Repository == "": // slipway.yaml may name one
		return nil, err
	case err != nil:
		return nil, fault.Join(err, r.unplanned(r.Settings))
	}
	over := r.settings()
	var certErr error // reported together with all else that is wrong
	if r.CACerts != nil {
		over.CACerts, certErr = readCACerts(r.CACerts)
	}
	images := make([]*Image, len(chosen))
	var patterns []string
	var generating error
	for i, own := range chosen {
		settings := own.Over(over, r.given)
		// A cloned slipway.yaml alone runs nothing: it says of which packages code is generated, and the request that it is.
		switch {
		case !own.Generates():
		case !r.given("generate"):
			generating = fault.Join(generating, own.Located(Faults{{
				Field: "generate", Value: strings.Join(own.Generate, ","), Problem: "it runs programs of the source, and was not asked to run", Hint: "add --generate, or --generate=false to compile the source as it is",
			}}))
		case settings.Generates() && !settings.NamesGenerated():
			settings.Generate = own.Generate
		}
		settings.VulnDB, settings.RunPrebuild = over.VulnDB, over.RunPrebuild // no image has one
		images[i] = &Image{Settings: settings, request: r}
		patterns = append(patterns, settings.FilePatterns()...)
	}
	if len(patterns) > len(own) {
		if err := r.fetch(ctx, patterns); err != nil {
			return nil, err
		}
	}
	if err := r.facts(ctx, images); err != nil {
		return nil, err
	}
	return images, fault.Join(r.resolve(ctx, tree, images, resolve), certErr, generating, sameTarget(images), r.check(images), noPrebuild(images))
}

// noPrebuild is the fault of a prebuild that is to run and that no image has.
func noPrebuild(images []*Image) error {
	runs := func(image *Image) bool { return image.Settings.RunPrebuild }
	has := func(image *Image) bool { return len(image.Settings.Prebuild) > 0 }
	if !slices.ContainsFunc(images, runs) || slices.ContainsFunc(images, has) {
		return nil
	}
	return Faults{{Field: "prebuild", Problem: "there is none to run", Hint: "write its command into " + config.File + ", like prebuild: [pnpm, run, build], or leave --prebuild out"}}
}

// fetchPlaced fetches what images are made of besides programs: files, bases that are files, and the files that name modules.
func (r *Request) fetchPlaced(ctx context.Context, images []*Image) error {
	if r.Fetch == nil {
		return nil
	}
	var patterns []string
	for _, image := range images {
		patterns = slices.Concat(patterns, image.Plan.ModuleFiles(), image.Settings.FilePatterns(), plan.LocalBase(image.Plan.Image.Base))
	}
	return r.fetch(ctx, patterns)
}

// fetch fetches the files that match patterns, and the whole source if one of them is a link to a file that they leave out.
func (r *Request) fetch(ctx context.Context, patterns []string) (err error) {
	if r.Fetch == nil {
		return nil
	}
	if err := r.Fetch(ctx, patterns); err != nil {
		return err
	}
	tree, err := source.Open(r.Dir)
	if err != nil {
		return fmt.Errorf("opening the source: %w", err)
	}
	defer func() { err = errors.Join(err, tree.Close()) }()
	if complete, err := tree.Complete(); err != nil || complete {
		return err
	}
	return r.Fetch(ctx, []string{"**"})
}

// given reports whether a setting was given, by its key.
func (r *Request) given(key string) bool {
	if r.Given != nil {
		return r.Given(key)
	}
	return !config.Lookup(key).In(&r.Settings).IsZero()
}

// settings are those of the request. Tags that were given are not nil, even if there are none.
func (r *Request) settings() Settings {
	settings := r.Settings
	if settings.Tags == nil && r.given("tags") {
		settings.Tags = []string{}
	}
	return settings
}

// facts fills in what the settings of images may name.
func (r *Request) facts(ctx context.Context, images []*Image) error {
	facts, revision := plan.Facts{Env: variables(r.Environ)}, auto
	var outputs plan.Outputs
	switch {
	case r.recorded != nil:
		facts, outputs = r.recorded.Config.Facts, r.outputs()
	case r.Fetch == nil:
		var texts []string
		for _, image := range images {
			texts = append(texts, image.Settings.Templates()...)
			if r.pushes() {
				texts = append(append(texts, image.Settings.Repository), image.Settings.Tags...)
			}
		}
		isAuto := func(image *Image) bool { return image.Settings.Revision == auto }
		if slices.ContainsFunc(images, isAuto) || plan.NeedsGit(texts...) {
			var err error
			if facts.Git, revision, err = r.readGit(ctx, texts); err != nil {
				return err
			}
		}
		outputs = r.outputs()
	}
	for _, image := range images {
		image.Settings.Surroundings = plan.Surroundings{Facts: facts, Outputs: outputs, Engine: r.Engine}
		if image.Settings.Revision == auto {
			image.Settings.Revision = revision
		}
	}
	return nil
}

// auto is the value of the setting revision that takes the commit from git.
const auto = "auto"

// resolve makes the plans and targets of images.
func (r *Request) resolve(ctx context.Context, tree fs.FS, images []*Image, resolve resolver) error {
	configs := make([]plan.Config, len(images))
	for i, image := range images {
		configs[i] = image.Settings.Config
	}
	plans, errs := resolve(ctx, tree, configs)
	for i, image := range images {
		if errs[i] != nil {
			if r.Fetch == nil {
				errs[i] = withModuleAbove(r.Dir, errs[i])
			}
			errs[i] = errors.Join(image.Settings.Located(errs[i]), r.unplanned(image.Settings))
			continue
		}
		image.Plan = plans[i]
		switch to := r.To.(type) {
		case *Document:
			image.Plan = described(image.Plan)
		case *Registry:
			var vexErr error
			if image.vex = to.VEX; image.vex == nil {
				image.vex, vexErr = readVEX(tree, image.Plan)
			}
			image.Target, image.Skipped, errs[i] = targetOf(image.Settings, image.Plan.Name)
			errs[i] = errors.Join(errs[i], vexErr)
		}
	}
	return errors.Join(errs...)
}

// pushes reports whether images go to a registry.
func (r *Request) pushes() bool {
	_, pushes := r.To.(*Registry)
	return pushes
}

// check reports what is wrong with where images go.
func (r *Request) check(images []*Image) error {
	if r.To == nil {
		return nil
	}
	var errs []error
	for _, image := range images {
		_, budgetErr := image.budgets()
		errs = append(errs, image.checkCache(), budgetErr, r.To.check(image, len(images)))
	}
	return errors.Join(errs...)
}
