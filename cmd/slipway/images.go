package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/slipway-ci/slipway/internal/config"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/publish"
	"github.com/slipway-ci/slipway/internal/source"
)

// job is an image that is to be built.
type job struct {
	// settings are those of slipway.yaml, of variables and of flags.
	settings config.Image
	plan     *plan.Plan
	target   publish.Target
	// skipped are the templates of tags that give nothing.
	skipped []string
}

// nameArgs tells names of images from the source's directory. A bare word is a directory unless slipway.yaml, in the directory that is
// named beside it or else in the current one, has an image of that name.
func nameArgs(args []string) (names []string, dir string, err error) {
	var dirs, words []string
	for _, arg := range args {
		if arg == "." || arg == ".." || strings.ContainsAny(arg, `/\`) {
			dirs = append(dirs, arg)
		} else {
			words = append(words, arg)
		}
	}
	if len(dirs) == 0 {
		p, err := readProject(".")
		if err != nil {
			return nil, "", err
		}
		isName := func(word string) bool {
			return p != nil && slices.ContainsFunc(p.Images, func(i config.Image) bool { return i.Name == word })
		}
		if len(words) == 1 && !isName(words[0]) {
			return nil, words[0], nil
		}
		if p == nil && len(words) > 1 {
			return nil, "", requestError{fmt.Errorf("one directory is built at a time, and %d were given: %s; several images are built by their names in %s",
				len(words), strings.Join(words, ", "), config.File)}
		}
		return words, ".", nil
	}
	if len(dirs) > 1 {
		return nil, "", requestError{fmt.Errorf("one directory is built at a time, and %d were given: %s", len(dirs), strings.Join(dirs, ", "))}
	}
	return words, dirs[0], nil
}

// readProject reads the slipway.yaml of dir; nil if there is none.
func readProject(dir string) (_ *config.Project, err error) {
	tree, err := source.Open(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, tree.Close()) }()
	return config.Read(tree)
}

// given says whether a setting of [config.Image], by its key, was given by a flag or a variable.
func (a *app) given(key string) bool {
	variable := config.Lookup(key).Variable
	for _, flag := range a.flagsOf[variable] {
		if flag.Changed {
			return true
		}
	}
	return a.variable(variable) != ""
}

// auto is the value of --revision that takes the commit from git.
const auto = "auto"

// resolver decides what building the images of a source means.
type resolver func(ctx context.Context, source fs.FS, configs []plan.Config) ([]*plan.Plan, []error)

// jobs decides what to build in dir: the images of these names, all of them, or the only one that there is.
func (a *app) jobs(ctx context.Context, dir string, names []string, resolve resolver) ([]*job, error) {
	return a.decide(ctx, dir, func(file *config.Project) ([]config.Image, error) { return a.choose(file, dir, names) }, resolve, false)
}

// pushed is jobs for who pushes: it reads where to, as well.
func (a *app) pushed(ctx context.Context, dir string, names []string) ([]*job, error) {
	return a.decide(ctx, dir, func(file *config.Project) ([]config.Image, error) { return a.choose(file, dir, names) }, plan.ResolveAll, true)
}

// decide is jobs, of the images that choose finds in slipway.yaml; the file is nil where there is none.
func (a *app) decide(
	ctx context.Context, dir string, choose func(file *config.Project) ([]config.Image, error), resolve resolver, push bool,
) (_ []*job, err error) {
	if a.environment != nil {
		return nil, a.environment
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, plan.Faults{{Field: "source", Value: dir, Problem: "not a directory", Hint: "give slipway the directory of a Go module"}}
	}
	a.source = dir
	tree, err := source.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the source: %w", err)
	}
	defer func() { err = errors.Join(err, tree.Close()) }()
	file, err := config.Read(tree)
	if err != nil {
		return nil, err
	}
	images, err := choose(file)
	if err != nil {
		return nil, err
	}
	// Files that cannot be read are told together with all else that is wrong.
	certs, certErr := a.readCACerts()
	over := config.Image{Config: a.config, Repository: a.Repository, Tags: a.Tags}
	over.CACerts = certs
	var jobs []*job
	var texts []string
	for _, image := range images {
		image = image.Over(over, a.given)
		image.VulnDB = a.config.VulnDB // no image has one of its own
		jobs = append(jobs, &job{settings: image})
		texts = append(texts, image.Templates()...)
		if push {
			texts = append(append(texts, image.Repository), image.Tags...)
		}
	}
	facts := plan.Facts{Env: variables(withoutSecrets(a.environ))}
	revision := ""
	if slices.ContainsFunc(jobs, func(j *job) bool { return j.settings.Revision == auto }) || plan.NeedsGit(texts...) {
		if facts.Git, revision, err = a.readGit(ctx, dir, texts); err != nil {
			return nil, err
		}
	}
	outputs := a.outputs(dir)
	configs := make([]plan.Config, len(jobs))
	for i, j := range jobs {
		config := &j.settings.Config
		config.Facts, config.Outputs = facts, outputs
		if config.Revision == auto {
			config.Revision = revision
		}
		configs[i] = *config
	}
	plans, errs := resolve(ctx, tree, configs)
	for i, j := range jobs {
		if errs[i] != nil {
			errs[i] = j.settings.Located(withModuleAbove(dir, errs[i]))
			continue
		}
		j.plan = plans[i]
		if push {
			j.target.Repository, j.target.Tags, j.skipped, errs[i] = j.settings.Target(j.plan.Name)
		}
	}
	return jobs, once(append(errs, certErr, sameTarget(jobs)))
}

// choose finds the images to build; file is nil where there is none.
func (a *app) choose(file *config.Project, dir string, names []string) ([]config.Image, error) {
	where := filepath.Join(dir, config.File)
	fault := func(field, value, problem, hint string) ([]config.Image, error) {
		return nil, plan.Faults{{Field: field, Value: value, Problem: problem, Hint: hint}}
	}
	switch {
	case a.All && len(names) > 0:
		return fault("all", strings.Join(names, " "), "names besides --all", "leave one of the two out")
	case file == nil && a.All:
		return fault("all", "", "there is no "+where, "list the images there, or leave --all out")
	case file == nil && len(names) > 0:
		return fault("image", names[0], "there is no "+where, "list the images there, or name a directory like ./"+names[0])
	case file == nil:
		return []config.Image{{}}, nil
	case a.All:
		names = file.Names()
	case len(names) > 0:
	case a.given("packages"):
		return []config.Image{file.Defaults}, nil
	case len(file.Images) == 1:
		names = file.Names()
	default:
		return fault("image", "", fmt.Sprintf("%d images to choose from in %s: %s", len(file.Images), where, strings.Join(file.Names(), ", ")),
			"name one or more, or give --all")
	}
	if len(names) > 1 {
		for _, key := range []string{"name", "packages"} {
			if a.given(key) {
				return fault(strings.TrimSuffix(key, "s"), "", "given for several images", "give it in "+where+", for each its own")
			}
		}
	}
	wanted := map[string]bool{}
	for _, name := range names {
		wanted[name] = true
	}
	var chosen []config.Image
	for _, image := range file.Images {
		if wanted[image.Name] {
			chosen = append(chosen, image)
			delete(wanted, image.Name)
		}
	}
	if unknown := slices.Sorted(maps.Keys(wanted)); len(unknown) > 0 {
		name := unknown[0]
		return fault("image", name, "not in "+where, "choose from "+strings.Join(file.Names(), ", ")+", or name a directory like ./"+name)
	}
	return chosen, nil
}

// sameTarget faults two images that would be the same one in a registry.
func sameTarget(jobs []*job) error {
	var faults plan.Faults
	names := map[string]string{}
	for _, j := range jobs {
		for _, tag := range j.target.Tags {
			if j.target.Repository == "" {
				continue
			}
			ref := j.target.Repository + ":" + tag
			if other, ok := names[ref]; ok {
				faults = append(faults, plan.Fault{
					Field: "tag", Value: ref, Problem: other + " and " + j.plan.Name + " would both be it",
					Hint: "give each a repository or a tag of its own, such as by {{.Name}}",
				})
			}
			names[ref] = j.plan.Name
		}
	}
	if faults == nil {
		return nil
	}
	return faults
}

// once joins errors, each fault told once: what is wrong with the source is wrong with every image.
func once(errs []error) error {
	var faults plan.Faults
	var others []error
	seen := map[plan.Fault]bool{}
	var sort func(err error)
	sort = func(err error) {
		if request, ok := err.(requestError); ok {
			err = request.error
			if plan.AsFaults(err) == nil {
				others = append(others, request)
				return
			}
		}
		joined, ok := err.(interface{ Unwrap() []error })
		switch found := plan.AsFaults(err); {
		case ok:
			for _, err := range joined.Unwrap() {
				sort(err)
			}
		case err != nil && found == nil:
			others = append(others, err)
		default:
			for _, fault := range found {
				if !seen[fault] {
					faults, seen[fault] = append(faults, fault), true
				}
			}
		}
	}
	sort(errors.Join(errs...))
	if faults != nil {
		others = append([]error{faults}, others...)
	}
	return errors.Join(others...)
}

// variables are the environment as a map.
func variables(environ []string) map[string]string {
	all := map[string]string{}
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		all[name] = value
	}
	return all
}
