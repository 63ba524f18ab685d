package slipway

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/slipway-ci/slipway/internal/config"
)

// shown is the name of a file of the source for messages: as the caller, who has the source, can open it.
func (r *Request) shown(file string) string {
	if r.Fetch != nil {
		return file
	}
	return filepath.Join(r.Dir, file)
}

// choose finds the images that the request is about; file is nil where there is none.
func (r *Request) choose(file *config.Project) ([]Settings, error) {
	where := r.shown(config.File)
	wrong := func(field, value, problem, hint string) ([]Settings, error) {
		return nil, Faults{{Field: field, Value: value, Problem: problem, Hint: hint}}
	}
	names := r.Names
	switch {
	case r.All && len(names) > 0:
		return wrong("all", strings.Join(names, " "), "names besides it", "leave one of the two out")
	case file == nil && r.All:
		return wrong("all", "", "there is no "+where, "list the images there, or leave --all out")
	case file == nil && len(names) > 0:
		return wrong("image", names[0], "there is no "+where, "list the images there")
	case file == nil:
		return []Settings{{}}, nil
	case r.All:
		names = file.Names()
	case len(names) > 0:
	case r.given("packages"):
		return []Settings{file.Defaults}, nil
	case len(file.Images) == 1:
		names = file.Names()
	default:
		return wrong("image", "", fmt.Sprintf("%d images to choose from in %s: %s", len(file.Images), where, strings.Join(file.Names(), ", ")),
			"name one or more, or use --all")
	}
	if len(names) > 1 {
		for _, key := range []string{"name", "packages"} {
			if r.given(key) {
				return wrong(strings.TrimSuffix(key, "s"), "", "given for several images", "give it in "+where+", for each its own")
			}
		}
	}
	wanted := map[string]bool{}
	for _, name := range names {
		wanted[name] = true
	}
	var chosen []Settings
	for _, image := range file.Images {
		if wanted[image.Name] {
			chosen = append(chosen, image)
			delete(wanted, image.Name)
		}
	}
	if unknown := slices.Sorted(maps.Keys(wanted)); len(unknown) > 0 {
		return wrong("image", unknown[0], "not in "+where, "choose from "+strings.Join(file.Names(), ", "))
	}
	return chosen, nil
}
