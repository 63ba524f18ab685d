// Package config reads slipway.yaml, which lists the images of a source and how each is built.
//
//go:generate go run ./generate ../..
package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/slipway-ci/slipway/internal/fault"
	"github.com/slipway-ci/slipway/internal/plan"
)

// File is the name of the file, in the source's directory.
const File = "slipway.yaml"

// Image is an image of the file: its settings, which [Settings] documents, with the file's defaults where it has none itself.
type Image struct {
	plan.Config
	Repository string    `env:"SLIPWAY_REPOSITORY"`
	Tags       plan.List `env:"SLIPWAY_TAGS"`
	Cache      string    `env:"SLIPWAY_CACHE"`
	SizeLimit  plan.List `env:"SLIPWAY_SIZE_LIMIT"`

	settings settings
}

// Project is a file that was read.
type Project struct {
	// Defaults is an image of no name, with nothing but the defaults.
	Defaults Image
	// Images are in the file's order. Each has another name.
	Images []Image
}

// Find is the image of that name; of none, the defaults.
func (p *Project) Find(name string) (Image, bool) {
	if name == "" {
		return p.Defaults, true
	}
	i := slices.IndexFunc(p.Images, func(i Image) bool { return i.Name == name })
	if i < 0 {
		return Image{}, false
	}
	return p.Images[i], true
}

// Listed reports whether the image comes from a file.
func (i Image) Listed() bool { return i.settings != nil }

// Same reports whether two images have the same settings, wherever they come from.
func (i Image) Same(other Image) bool {
	i.settings, other.settings = nil, nil
	i.Surroundings, other.Surroundings = plan.Surroundings{}, plan.Surroundings{}
	i.VulnDB, other.VulnDB = "", ""
	i.RunPrebuild, other.RunPrebuild = false, false
	i.Cache, other.Cache = "", ""
	i.SizeLimit, other.SizeLimit = nil, nil
	return reflect.DeepEqual(i, other)
}

// Names are those of the images, in the file's order.
func (p *Project) Names() []string {
	names := make([]string, len(p.Images))
	for i, image := range p.Images {
		names[i] = image.Name
	}
	return names
}

// Settings are all settings that an image of the file can have. The list is shared: nobody changes it.
var Settings = sync.OnceValue(func() []plan.Setting {
	ofImages := slices.DeleteFunc(slices.Clone(plan.Settings()), func(s plan.Setting) bool { return s.ForChecks || s.NotInFile })
	return append(ofImages, Target()...)
})

// Target are the settings that say where an image goes, and where what was built before is.
func Target() []plan.Setting {
	return plan.Declare[Image](
		plan.Setting{
			Field: "Repository", Flag: "repository", Value: "REPOSITORY", Template: true, Commands: []string{"publish", "policy"},
			Help: "repository to push to, with its registry, like ghcr.io/me/api or ghcr.io/me/{{.Name}}",
		},
		plan.Setting{
			Field: "Tags", Flag: "tag", Value: "TAG", Template: true, Commands: []string{"publish"},
			Help: "tag to move to the image, like {{.Git.Tag}}", Default: "latest; given but empty, it moves none: the image is found by its digest",
		},
		plan.Setting{
			Field: "Cache", Flag: "cache", Value: "REPOSITORY", Commands: []string{"build", "publish", "sbom", "cache"},
			Help: "cache that machines share: a repository of a registry, like ghcr.io/me/api/cache, or oci:DIRECTORY",
		},
		plan.Setting{
			Field: "SizeLimit", Flag: "size-limit", Value: "SIZE", Commands: []string{"build", "publish"},
			Help: "fail if an image is bigger: compressed, like 12MB, or unpacked:40MB, or its programs, program:9MiB",
		},
	)
}

// byKey are the settings by their keys.
var byKey = sync.OnceValue(func() map[string]plan.Setting {
	all := map[string]plan.Setting{}
	for _, s := range Settings() {
		all[s.Key()] = s
	}
	return all
})

// Lookup is the setting of that key.
func Lookup(key string) plan.Setting { return byKey()[key] }

// isPairs reports whether the setting of that key has pairs.
func isPairs(key string) bool {
	_, is := byKey()[key].In(&Image{}).Interface().(plan.Pairs)
	return is
}

// Over lays settings that were given in another way over the image's: given says which fields, by their keys. Pairs count one by
// one, all else as a whole.
func (i Image) Over(other Image, given func(key string) bool) Image {
	all := i
	for key, setting := range byKey() {
		if !given(key) {
			continue
		}
		value := setting.In(&other)
		if own, is := value.Interface().(plan.Pairs); is {
			taken := keys(own)
			base := setting.In(&all).Interface().(plan.Pairs)
			rest := slices.DeleteFunc(slices.Clone(base), func(pair string) bool { return taken[pairKey(pair)] })
			value = reflect.ValueOf(slices.Concat(rest, own))
		}
		setting.In(&all).Set(value)
	}
	return all
}

// Target fills in where the image goes: its repository, empty if there is none, and its tags, each once, in which name stands for its
// name. Skipped are the tags that are empty when filled in. The error is [fault.Faults].
func (i Image) Target(name string) (repository string, tags, skipped []string, err error) {
	var faults fault.Faults
	expand := func(field, text string) string {
		filled, err := i.Facts.Expand(field, name, text)
		for _, f := range fault.As(err) {
			faults = append(faults, i.Locate(f))
		}
		return filled
	}
	if repository = expand("repository", i.Repository); repository == "" && i.Repository != "" && faults == nil {
		faults = append(faults, i.Locate(fault.Fault{
			Field: "repository", Value: i.Repository, Problem: "it is empty when filled in",
			Hint: `give a default, like {{or .Git.Branch "main"}}`,
		}))
	}
	for _, text := range i.Tags {
		switch tag := expand("tag", text); {
		case tag == "":
			skipped = append(skipped, text)
		case !slices.Contains(tags, tag):
			tags = append(tags, tag)
		}
	}
	if faults != nil {
		return "", nil, nil, faults
	}
	return repository, tags, skipped, nil
}

// Located is err with each of its faults as [Image.Locate] has it.
func (i Image) Located(err error) error {
	faults := fault.As(err)
	if faults == nil {
		return err
	}
	located := make(fault.Faults, len(faults))
	for n, f := range faults {
		located[n] = i.Locate(f)
	}
	return located
}

// Locate returns the fault with the line of the file that has its setting; other faults stay as they are.
func (i Image) Locate(f fault.Fault) fault.Fault {
	for _, key := range []string{f.Field, f.Field + "s"} {
		s, ok := i.settings[key]
		if !ok {
			continue
		}
		line := s.line
		for n, value := range s.values {
			if value == f.Value || strings.HasSuffix(value, "="+f.Value) || key == "packages" && "./"+value == f.Value {
				line = s.lines[n]
			}
		}
		f.Field = fmt.Sprintf("%s:%d: %s", File, line, f.Field)
		return f
	}
	return f
}
