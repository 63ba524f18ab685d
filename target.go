package slipway

import (
	"strings"
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
	return to, skipped, to.Validate().Err()
}

// unplanned is what is wrong with where an image goes that could not be planned: names that are filled in are not known.
func (r *Request) unplanned(settings Settings) error {
	if !r.pushes() || strings.Contains(settings.Repository+strings.Join(settings.Tags, ""), "{{") {
		return nil
	}
	return Target{Repository: settings.Repository, Tags: settings.Tags}.Validate().Err()
}

// sameTarget faults two images that would be the same one in a registry.
func sameTarget(images []*Image) error {
	var faults Faults
	names := map[string]string{}
	for _, image := range images {
		for _, tag := range image.Target.Tags {
			if image.Target.Repository == "" {
				continue
			}
			ref := image.Target.Repository + ":" + tag
			if other, ok := names[ref]; ok {
				faults.Add("tag", ref, other+" and "+image.Plan.Name+" would both be it", "give each another repository or tag, such as by {{.Name}}")
			}
			names[ref] = image.Plan.Name
		}
	}
	return faults.Err()
}
