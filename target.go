package slipway

import (
	"errors"
	"strings"

	"github.com/slipway-ci/slipway/internal/plan"
)

// defaultTags are moved to an image for which neither the request nor slipway.yaml says anything about tags. Registries may delete what
// has no tag, and an engine's own login cannot push without one. A list that is empty asks for none.
var defaultTags = []string{"latest"}

// targetOf fills in where the image called name goes. Skipped are the templates of tags of which nothing remains.
func targetOf(settings Settings, name string) (_ Target, skipped []string, err error) {
	if settings.Tags == nil {
		settings.Tags = defaultTags
	}
	var to Target
	if to.Repository, to.Tags, skipped, err = settings.Target(name); err != nil {
		return to, skipped, err
	}
	return to, skipped, validate(to)
}

func validate(to Target) error {
	var faults Faults
	for _, f := range to.Validate() {
		faults = append(faults, plan.Fault{Field: f.Field, Value: f.Value, Problem: f.Problem, Hint: f.Hint})
	}
	if faults == nil {
		return nil
	}
	return faults
}

// unplanned is what is wrong with where an image goes that could not be planned: names that are filled in are not known.
func (r *Request) unplanned(settings Settings) error {
	if !r.pushes() || strings.Contains(settings.Repository+strings.Join(settings.Tags, ""), "{{") {
		return nil
	}
	return validate(Target{Repository: settings.Repository, Tags: settings.Tags})
}

// sameTarget faults two images that would be the same one in a registry.
func sameTarget(images []*Image) error {
	var errs []error
	names := map[string]string{}
	for _, image := range images {
		for _, tag := range image.Target.Tags {
			if image.Target.Repository == "" {
				continue
			}
			ref := image.Target.Repository + ":" + tag
			if other, ok := names[ref]; ok {
				errs = append(errs, plan.Fault{
					Field: "tag", Value: ref, Problem: other + " and " + image.Plan.Name + " would both be it",
					Hint: "give each a repository or a tag of its own, such as by {{.Name}}",
				})
			}
			names[ref] = image.Plan.Name
		}
	}
	return errors.Join(errs...)
}
