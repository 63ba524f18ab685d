package debian

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/slipway-ci/slipway/internal/distro/shell"
	"github.com/slipway-ci/slipway/internal/oci"
)

// Where update-alternatives has its links, and its database. Source: update-alternatives(1)
const (
	alternativesDir = "/etc/alternatives/"
	alternativesDB  = "/var/lib/dpkg/alternatives/"
)

// alternative is a name that programs of several packages can have.
type alternative struct {
	link string
	// slaves are the links of further names, which go with it.
	slaves  map[string]string
	choices []choice
}

// choice is a program that can have the name.
type choice struct {
	path     string
	priority int
	slaves   map[string]string
}

// alternatives is update-alternatives --install LINK NAME PATH PRIORITY [--slave LINK NAME PATH]…; to remove one does nothing.
func (t *tree) alternatives(words []string) error {
	words = slices.DeleteFunc(slices.Clone(words), func(w string) bool { return w == "--quiet" })
	if len(words) > 0 && words[0] == "--remove" {
		return nil
	}
	if len(words) < 5 || words[0] != "--install" || (len(words)-5)%4 != 0 {
		return shell.ErrUnknown
	}
	priority, err := strconv.Atoi(words[4])
	link, name := words[1], words[2]
	if err != nil || !path.IsAbs(link) || !path.IsAbs(words[3]) || name != path.Base(name) || t.InBase(alternativesDB+name) || t.InBase(alternativesDir+name) {
		return shell.ErrUnknown
	}
	a := t.choices[name]
	if a == nil {
		a = &alternative{link: link, slaves: map[string]string{}}
		t.choices[name] = a
	}
	one := choice{words[3], priority, map[string]string{}}
	for slaves := words[5:]; len(slaves) > 0; slaves = slaves[4:] {
		if slaves[0] != "--slave" || !path.IsAbs(slaves[1]) || slaves[2] != path.Base(slaves[2]) {
			return shell.ErrUnknown
		}
		a.slaves[slaves[2]] = slaves[1]
		one.slaves[slaves[2]] = slaves[3]
	}
	a.choices = append(a.choices, one)
	return nil
}

// best is the choice of the highest priority, the first of several.
func (a *alternative) best() choice {
	return slices.MaxFunc(a.choices, func(x, y choice) int { return cmp.Compare(x.priority, y.priority) })
}

// putAlternatives makes the links, and the database where there is dpkg.
func (t *tree) putAlternatives() {
	for name, a := range t.choices {
		best := a.best()
		t.Link(t.Real(a.link), alternativesDir+name)
		t.Link(alternativesDir+name, best.path)
		for slave, link := range a.slaves {
			if target := best.slaves[slave]; target != "" && t.Has(t.Real(target)) {
				t.Link(t.Real(link), alternativesDir+slave)
				t.Link(alternativesDir+slave, target)
			}
		}
		if t.base.status != nil {
			t.Put(oci.FromBytes(alternativesDB+name, 0o644, []byte(a.text())))
		}
	}
}

// text is what the database has of it.
func (a *alternative) text() string {
	var text strings.Builder
	fmt.Fprintf(&text, "auto\n%s\n", a.link)
	slaves := slices.Sorted(maps.Keys(a.slaves))
	for _, slave := range slaves {
		fmt.Fprintf(&text, "%s\n%s\n", slave, a.slaves[slave])
	}
	text.WriteString("\n")
	choices := slices.SortedFunc(slices.Values(a.choices), func(x, y choice) int { return strings.Compare(x.path, y.path) })
	for _, c := range choices {
		fmt.Fprintf(&text, "%s\n%d\n", c.path, c.priority)
		for _, slave := range slaves {
			text.WriteString(c.slaves[slave] + "\n")
		}
	}
	return text.String() + "\n"
}
