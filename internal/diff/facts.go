package diff

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	oci "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/mod/module"

	"github.com/slipway-ci/slipway/internal/console"
)

// base is the reference of the base, with its digest.
func (p *Platform) base() string {
	name, digest := p.annotations[oci.AnnotationBaseImageName], p.annotations[oci.AnnotationBaseImageDigest]
	if name != "" && digest != "" && !strings.Contains(name, "@") {
		return name + "@" + digest
	}
	return cmp.Or(name, digest)
}

// settings are those of the configuration and the manifest, by their names.
func (p *Platform) settings() map[string]string {
	c := p.config.Config
	all := map[string]string{
		"user": c.User, "entrypoint": console.Words(c.Entrypoint), "arguments": console.Words(c.Cmd), "working directory": c.WorkingDir, "stop signal": c.StopSignal,
		"ports": set(c.ExposedPorts), "volumes": set(c.Volumes),
	}
	for _, variable := range c.Env {
		name, value, _ := strings.Cut(variable, "=")
		all["env "+name] = cmp.Or(value, "(empty)")
	}
	for name, value := range c.Labels {
		all["label "+name] = cmp.Or(value, "(empty)")
	}
	for name, value := range p.annotations {
		if name != oci.AnnotationBaseImageName && name != oci.AnnotationBaseImageDigest {
			all["annotation "+name] = cmp.Or(value, "(empty)")
		}
	}
	if h := c.Healthcheck; h != nil {
		all["health check"] = fmt.Sprintf("%s, interval %v, timeout %v, start period %v, retries %d", console.Words(h.Test), h.Interval, h.Timeout, h.StartPeriod, h.Retries)
	}
	if !p.config.Created.IsZero() {
		all["created"] = p.config.Created.UTC().Format(time.RFC3339)
	}
	return all
}

func set(values map[string]struct{}) string {
	return strings.Join(slices.Sorted(maps.Keys(values)), ", ")
}

// goVersions are the versions of Go that compiled programs.
func (p *Platform) goVersions() string {
	versions := map[string]struct{}{}
	for _, info := range p.found.Programs {
		versions[strings.TrimPrefix(info.GoVersion, "go")] = struct{}{}
	}
	return set(versions)
}

// programs are the main packages of programs, by the programs' paths.
func (p *Platform) programs() map[string]string {
	all := map[string]string{}
	for name, info := range p.found.Programs {
		all[name] = info.Path
	}
	return all
}

// build are the settings that programs were compiled with; where those of several differ, all of them.
func (p *Platform) build() map[string]string {
	all := map[string]map[string]struct{}{}
	for _, info := range p.found.Programs {
		for _, s := range info.Settings {
			if s.Key != "GOOS" && s.Key != "GOARCH" && s.Value != "" {
				note(all, s.Key, s.Value)
			}
		}
	}
	return joined(all)
}

func note(all map[string]map[string]struct{}, name, value string) {
	if all[name] == nil {
		all[name] = map[string]struct{}{}
	}
	all[name][value] = struct{}{}
}

func joined(all map[string]map[string]struct{}) map[string]string {
	texts := map[string]string{}
	for name, values := range all {
		texts[name] = set(values)
	}
	return texts
}

// modules are the versions of modules that programs were compiled from.
func (p *Platform) modules() map[string]string {
	all := map[string]map[string]struct{}{}
	for _, info := range p.found.Programs {
		for _, m := range append(slices.Clone(info.Deps), &info.Main) {
			if m.Path == "" {
				continue
			}
			version := cmp.Or(m.Version, "(devel)")
			if r := m.Replace; r != nil {
				version += " => " + r.Path
				if r.Version != "" && r.Version != "(devel)" { // of a directory
					version += "@" + r.Version
				}
			}
			note(all, m.Path, version)
		}
	}
	return joined(all)
}

// moved has a module that went to another major version, whose path is another then, as one.
func moved(all []Change) []Module {
	only := func(prefix string, is func(Change) bool) (found int) {
		found = -1
		for i, c := range all {
			if of, _, ok := module.SplitPathVersion(c.Name); !ok || of != prefix || !is(c) {
				continue
			}
			if found >= 0 {
				return -1
			}
			found = i
		}
		return found
	}
	added := func(c Change) bool { return c.Before == "" }
	removed := func(c Change) bool { return c.After == "" }
	var modules []Module
	for i, c := range all {
		prefix, _, _ := module.SplitPathVersion(c.Name)
		from, to := only(prefix, removed), only(prefix, added)
		switch {
		case from < 0 || to < 0 || from != i && to != i:
			modules = append(modules, Module{Change: c})
		case to == i:
			c.Before = all[from].Before
			modules = append(modules, Module{c, all[from].Name})
		}
	}
	return modules
}

// layers are the digests of layers, by their names: what Slipway placed in them, or their numbers.
func (p *Platform) layers() map[string]string {
	all := map[string]string{}
	for i, l := range p.Sizes.Layers {
		name := fmt.Sprintf("%d", i+1)
		if l.Name != "" {
			name += " " + l.Name
		}
		all[name] = l.Digest
	}
	return all
}
