package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/slipway-ci/slipway/internal/fault"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/source"
)

// one is the key that may stand in the place of packages where there is one.
const one = "package"

// Read reads the file of a source; nil if there is none. An error that is [fault.Faults] lists everything that is wrong with its form,
// with line numbers; what the values mean, [plan.Resolve] decides.
func Read(tree fs.FS) (*Project, error) {
	text, err := fs.ReadFile(tree, File)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		problem, hint := source.Describe(err)
		return nil, fault.Faults{{Field: File, Problem: problem, Hint: hint}}
	}
	return Parse(text)
}

// Parse is [Read] of the file's text.
func Parse(text []byte) (*Project, error) {
	var document, second yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	if err := decoder.Decode(&document); err != nil && !errors.Is(err, io.EOF) {
		return nil, fault.Faults{{Field: File, Problem: strings.TrimPrefix(err.Error(), "yaml: "), Hint: "mend the YAML"}}
	}
	r := &reader{}
	if err := decoder.Decode(&second); !errors.Is(err, io.EOF) {
		r.faults.Add(File, "", "more than one document", "write all images into the list of the first")
	}
	p := r.project(&document)
	if r.faults != nil {
		slices.SortStableFunc(r.faults, func(a, b fault.Fault) int { return cmp.Compare(line(a), line(b)) })
		return nil, r.faults
	}
	return p, nil
}

// line is the number in a fault's field.
func line(f fault.Fault) int {
	n, _ := strconv.Atoi(strings.TrimPrefix(f.Field, File+":"))
	return n
}

// setting is a value of the file, as a list. Of a pair it has "KEY=VALUE".
type setting struct {
	line   int
	values []string
	lines  []int
}

// settings are those of an image or of the defaults, by their keys.
type settings map[string]setting

type reader struct{ faults fault.Faults }

func (r *reader) fault(at *yaml.Node, value, problem, hint string) {
	r.faults.Add(File+":"+strconv.Itoa(at.Line), value, problem, hint)
}

const hintForm = "write defaults and a list of images, as in slipway.schema.json"

// entries calls f for each key of a mapping, and reports whether it is one.
func (r *reader) entries(n *yaml.Node, what string, f func(key, value *yaml.Node)) bool {
	if n.Kind != yaml.MappingNode {
		r.fault(n, "", what+" is not a mapping", hintForm)
		return false
	}
	seen := map[string]bool{}
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if value.Kind == yaml.AliasNode {
			value = value.Alias
		}
		switch {
		case key.Kind != yaml.ScalarNode:
			r.fault(key, "", "a key that is no text", hintForm)
		case seen[key.Value]:
			r.fault(key, key.Value, "set twice", "leave one out")
		default:
			seen[key.Value] = true
			f(key, value)
		}
	}
	return true
}

func (r *reader) project(document *yaml.Node) *Project {
	if len(document.Content) == 0 {
		r.faults.Add(File, "", "it is empty", hintForm)
		return nil
	}
	root := document.Content[0]
	var defaults settings
	var list *yaml.Node
	r.entries(root, "the file", func(key, value *yaml.Node) {
		switch key.Value {
		case "defaults":
			defaults = r.settings(value, "defaults")
			if name, ok := defaults["name"]; ok {
				r.fault(&yaml.Node{Line: name.line}, "name", "a default that only one image can have", "move it to the image")
				delete(defaults, "name")
			}
		case "images":
			list = value
		default:
			r.fault(key, key.Value, "no such key", hintForm)
		}
	})
	switch {
	case r.faults != nil && list == nil:
		return nil
	case list == nil || list.Kind != yaml.SequenceNode || len(list.Content) == 0:
		r.fault(root, "images", "not a list of images", hintForm)
		return nil
	}
	if defaults == nil {
		defaults = settings{}
	}
	p := &Project{Defaults: newImage(defaults)}
	names := map[string]bool{}
	values := 0
	for _, n := range list.Content {
		if n.Kind == yaml.AliasNode {
			n = n.Alias
		}
		own := r.settings(n, "an image")
		if own == nil {
			continue
		}
		merged := under(own, defaults)
		if values += merged.size(); values > mostValues {
			r.fault(n, "images", fmt.Sprintf("more than %d values up to here, those of defaults counted for each image", mostValues), "list fewer images, or give them fewer defaults")
			return nil
		}
		image := newImage(merged)
		switch {
		case image.Name == "":
			r.fault(n, "", "an image without a name", "give it one, such as that of its program")
		case names[image.Name]:
			r.fault(&yaml.Node{Line: own["name"].line}, image.Name, "two images have this name", "rename one")
		}
		names[image.Name] = true
		p.Images = append(p.Images, image)
	}
	return p
}

// settings reads those of an image or of the defaults; nil if they have no form.
func (r *reader) settings(n *yaml.Node, what string) settings {
	s := settings{}
	ok := r.entries(n, what, func(key, value *yaml.Node) {
		name := key.Value
		if name == one {
			name = "packages"
		}
		setting, known := byKey()[name]
		if !known {
			r.fault(key, key.Value, "no such setting", "the settings are those of slipway.schema.json, such as package, platforms and ports")
			return
		}
		if _, twice := s[name]; twice {
			r.fault(key, key.Value, "package and packages", "leave one out")
			return
		}
		if read, ok := r.setting(setting, value); ok {
			read.line = key.Line
			s[name] = read
		}
	})
	if !ok {
		return nil
	}
	return s
}

// setting reads a value.
func (r *reader) setting(of plan.Setting, n *yaml.Node) (setting, bool) {
	var s setting
	key := of.Key()
	scalar := func(n *yaml.Node, prefix string) bool {
		if n.Kind == yaml.AliasNode {
			n = n.Alias
		}
		if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
			return false
		}
		s.values, s.lines = append(s.values, prefix+n.Value), append(s.lines, n.Line)
		return true
	}
	wrong := func(n *yaml.Node, want string) (setting, bool) {
		r.fault(n, key, "not "+want, "write "+example(of))
		return s, false
	}
	switch of.In(&Image{}).Interface().(type) {
	case bool:
		if n.Kind != yaml.ScalarNode || n.Tag != "!!bool" || !scalar(n, "") {
			return wrong(n, "true or false")
		}
	case string:
		if !scalar(n, "") {
			return wrong(n, "a text")
		}
	case plan.Pairs:
		ok := n.Kind == yaml.MappingNode && r.entries(n, key, func(name, value *yaml.Node) {
			if !scalar(value, name.Value+"=") {
				r.fault(value, name.Value, "not a text", "write "+example(of))
			}
		})
		if !ok {
			return wrong(n, "a mapping")
		}
	default:
		if n.Kind != yaml.SequenceNode {
			if !scalar(n, "") {
				return wrong(n, "a list")
			}
			break
		}
		for _, item := range n.Content {
			if !scalar(item, "") {
				return wrong(item, "a list of texts")
			}
		}
	}
	return s, true
}

// example is a value of a setting, as the file has it.
func example(s plan.Setting) string {
	switch s.In(&Image{}).Interface().(type) {
	case bool:
		return s.Key() + ": true"
	case string:
		return s.Key() + ": TEXT"
	case plan.Pairs:
		return s.Key() + ": {KEY: VALUE}"
	}
	return s.Key() + ": [ONE, ANOTHER]"
}

// mostValues is how many values all images have together. A small file may mean a lot more, by its aliases and defaults.
const mostValues = 1 << 20

func (s settings) size() int {
	size := 0
	for _, one := range s {
		size += len(one.values)
	}
	return size
}

// under lays own settings over others: pairs one by one, all else as a whole.
func under(own, others settings) settings {
	all := settings{}
	for key, s := range others {
		all[key] = s
	}
	for key, s := range own {
		if isPairs(key) {
			s = s.over(all[key])
		}
		all[key] = s
	}
	return all
}

// over is s with the pairs of others that it does not have, before its own.
func (s setting) over(others setting) setting {
	all := setting{line: s.line}
	own := keys(s.values)
	for i, pair := range others.values {
		if !own[pairKey(pair)] {
			all.values, all.lines = append(all.values, pair), append(all.lines, others.lines[i])
		}
	}
	all.values, all.lines = append(all.values, s.values...), append(all.lines, s.lines...)
	return all
}

func pairKey(pair string) string {
	key, _, _ := strings.Cut(pair, "=")
	return key
}

func keys(pairs []string) map[string]bool {
	all := map[string]bool{}
	for _, pair := range pairs {
		all[pairKey(pair)] = true
	}
	return all
}

func newImage(s settings) Image {
	image := Image{settings: s}
	for key, read := range s {
		switch at := byKey()[key].In(&image); at.Kind() {
		case reflect.Bool:
			at.SetBool(strings.EqualFold(read.values[0], "true"))
		case reflect.String:
			at.SetString(read.values[0])
		default:
			at.Set(reflect.ValueOf(append([]string{}, read.values...)).Convert(at.Type())) // not nil, since it was set
		}
	}
	return image
}
