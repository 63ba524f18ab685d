package slipway

import (
	"strings"
)

// defaultTags are those of an image for which neither the request nor slipway.yaml names tags. Registries may delete images without a
// tag, and the login of an engine cannot push one. An empty list asks for no tag.
var defaultTags = []string{"latest"}

// targetOf returns the target of the image called name. Skipped are the templates of tags that are empty when filled in.
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

// unplanned reports what is wrong with the target of an image that could not be planned, unless it is a template.
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
				faults.Add("tag", ref, other+" and "+image.Plan.Name+" would both have it", "give each another repository or tag, such as by {{.Name}}")
			}
			names[ref] = image.Plan.Name
		}
	}
	return faults.Err()
}
