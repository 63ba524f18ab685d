package plan

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// checkPaths faults files of the image that something else is to be below. A layer may replace a file of another.
func (r resolver) checkPaths(layers []Layer) {
	files := map[string]File{}
	for _, layer := range layers {
		for _, f := range layer.Files {
			if !f.Dir {
				files[f.Path] = f
			}
		}
	}
	for _, layer := range layers {
		for _, below := range layer.Files {
			for dir := path.Dir(below.Path); dir != "/"; dir = path.Dir(dir) {
				if above, ok := files[dir]; ok {
					r.addConflict(above, below)
				}
			}
		}
	}
}

func (r resolver) addConflict(above, below File) {
	setting, kind := above, "file"
	if above.given() == "" && above.Link == "" {
		setting = below // a program, and the runtime's files, are in no way of each other
	}
	if above.Link != "" {
		kind = "link"
	}
	field, text := "file", setting.given()+":"+setting.Path
	if setting.given() == "" && setting.Link != "" {
		field, text = "link", setting.Path+"="+setting.Link
	}
	r.add(field, text, fmt.Sprintf("%s is a %s, and %s of the image would be in it", above.Path, kind, below.Path), "choose another destination")
}

// imagePath says what keeps a file from being at a path of an image.
func imagePath(name string) error {
	switch {
	case slices.ContainsFunc(mounted, func(m string) bool { return within(m, name) }):
		return fmt.Errorf("the container's runtime fills %s: choose another destination, like /etc/app/config.yaml", name)
	case strings.ContainsRune(name, 0):
		return fmt.Errorf("%q has a zero byte, which no path may have", name)
	case strings.Contains(name, "/.wh."):
		return fmt.Errorf("%s would delete a file of the base: names in an image cannot begin with .wh., so choose another", name)
	}
	return nil
}
