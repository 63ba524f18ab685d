package alpine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/slipway-ci/slipway/internal/distro"
	"github.com/slipway-ci/slipway/internal/distro/unpack"
)

// Archive is where packages come from.
type Archive struct {
	unpack.Store
	// Base is the system that they are for: its repositories, and the keys that it trusts.
	Base *System
	// Architecture is Alpine's name of the platform.
	Architecture string
}

// Resolve chooses packages, and fetches them: the newest version of each that was asked for, perhaps with a condition such as curl=8.17.0-r1, and
// of what they need. Where several packages provide something, it takes one that is asked for, chosen already or in the base; else the one of the newest
// version or of the highest priority, and none that provides it without a version or a priority. Packages that come by themselves with others
// come. What the base has stays as it is. notBefore are the dates that the indexes had when packages were last chosen: an index that is older is
// refused.
func (a *Archive) Resolve(ctx context.Context, names []string, notBefore map[string]time.Time) (*distro.Selection, error) {
	var wanted []dependency
	for _, name := range names {
		d, err := parseDependency(name)
		if err != nil {
			return nil, err
		}
		wanted = append(wanted, d)
	}
	repositories, err := a.repositories(ctx, notBefore)
	if err != nil {
		return nil, err
	}
	selection := &distro.Selection{Dates: map[string]time.Time{}}
	for _, r := range repositories {
		selection.Dates[r.name] = r.date
	}
	key := a.selectionKey(repositories, names)
	if a.Cache.Get(key, &selection.Packages) {
		return selection, nil
	}
	s := &solver{index: newIndex(repositories), architecture: a.Architecture, chosen: map[string]*candidate{}, wanted: map[string]bool{}, barred: a.Base.barred}
	for _, c := range a.Base.installed {
		s.chosen[c.name] = c
	}
	if err := s.choose(wanted); err != nil {
		return nil, err
	}
	var candidates []*candidate
	selection.Packages = []distro.Package{}
	for _, name := range slices.Sorted(maps.Keys(s.chosen)) {
		if c := s.chosen[name]; !c.base {
			candidates = append(candidates, c)
			selection.Packages = append(selection.Packages, distro.Package{Name: c.name, Version: c.text, Path: c.path, Size: c.size})
		}
	}
	err = unpack.Each(ctx, selection.Packages, func(ctx context.Context, i int, p distro.Package) (err error) {
		selection.Packages[i].SHA256, err = a.first(ctx, p, candidates[i].digest)
		return err
	})
	if err != nil {
		return nil, err
	}
	return selection, a.Cache.Put(key, selection.Packages)
}

// selectionKey names all that decides which packages are chosen.
func (a *Archive) selectionKey(repositories []*repository, names []string) string {
	var indexes []string
	for _, r := range repositories {
		indexes = append(indexes, r.name, r.digest)
	}
	return fmt.Sprintf("selection of packages of Alpine 1 %q", [][]string{names, indexes, {string(a.Base.database), string(a.Base.world)}})
}

// solver chooses packages.
type solver struct {
	index        *index
	architecture string
	chosen       map[string]*candidate
	// wanted are the names that were asked for.
	wanted map[string]bool
	// barred is what the base's user does not want.
	barred []dependency
	// steps bounds how long alternatives are tried.
	steps int
}

// stepLimit is the most packages that are tried.
const stepLimit = 100_000

func (s *solver) choose(wanted []dependency) error {
	slices.SortFunc(wanted, func(a, b dependency) int { return strings.Compare(a.text, b.text) })
	for _, d := range wanted {
		if d.refuses {
			return fmt.Errorf("%s: packages cannot be refused", d.text)
		}
		s.wanted[d.name] = true
	}
	for _, d := range wanted {
		if err := s.need(d, []string{d.text}); err != nil {
			return err
		}
	}
	s.conditional()
	return nil
}

// conditional takes the packages that come with those that are chosen, until there are no more. One that cannot be taken does not come.
func (s *solver) conditional() {
	all := s.index.conditionals()
	slices.SortStableFunc(all, func(a, b *candidate) int {
		if a.name == b.name {
			return b.version.compare(a.version)
		}
		return strings.Compare(a.name, b.name)
	})
	for more := true; more; {
		more = false
		for _, c := range all {
			if s.chosen[c.name] == nil && !slices.ContainsFunc(c.comesIf, func(d dependency) bool { return s.satisfied(d) == d.refuses }) {
				before := maps.Clone(s.chosen)
				if s.take(c, []string{c.name}) == nil {
					more = true
				} else {
					s.chosen = before
				}
			}
		}
	}
}

// satisfied reports whether a chosen package is what a dependency names.
func (s *solver) satisfied(d dependency) bool {
	for _, c := range s.chosen {
		if d.satisfiedBy(c) {
			return true
		}
	}
	return false
}

// rank is the place of a package among those that provide the same: what was asked for goes first.
func (s *solver) rank(c *candidate) int {
	if s.wanted[c.name] {
		return 0
	}
	return 1
}

// need chooses a package that a dependency asks for. chain is how it came to be needed, for errors.
func (s *solver) need(d dependency, chain []string) error {
	if s.satisfied(d) {
		return nil
	}
	all, err := s.index.called(d.name)
	if err != nil {
		return err
	}
	slices.SortStableFunc(all, func(a, b *candidate) int { return s.rank(a) - s.rank(b) })
	var failure error
	var others, providers []string
	for _, c := range all {
		switch {
		case !d.satisfiedBy(c):
			others = append(others, c.name+"-"+c.text)
			continue
		case c.name != d.name && c.as(d.name) == nil && c.priority == 0 && !s.wanted[c.name]:
			providers = append(providers, c.name)
			continue
		}
		if s.steps++; s.steps > stepLimit {
			return errors.New("choosing packages takes too long: name those that are to be taken where there are alternatives")
		}
		before := maps.Clone(s.chosen)
		if err := s.take(c, chain); err == nil {
			return nil
		} else if failure == nil {
			failure = err
		}
		s.chosen = before
	}
	at := strings.Join(chain, " → ")
	switch {
	case failure != nil:
		return failure
	case providers != nil:
		return fmt.Errorf("%s: there is no package of this name, but others provide it (name one of them: %s)", at, strings.Join(providers, ", "))
	case others != nil:
		return fmt.Errorf("%s: the base's repositories have only %s", at, strings.Join(others, ", "))
	default:
		return fmt.Errorf("%s: the base's repositories have no such package for %s", at, s.architecture)
	}
}

// take chooses a package and what it needs.
func (s *solver) take(c *candidate, chain []string) error {
	at := strings.Join(chain, " → ")
	for _, name := range slices.Sorted(maps.Keys(s.chosen)) {
		other := s.chosen[name]
		switch why := c.clash(other); {
		case why == "":
		case other.base:
			return fmt.Errorf("%s: the base has %s %s, which cannot be replaced (choose a newer base): %s", at, other.name, other.text, why)
		default:
			return fmt.Errorf("%s: %s and %s exclude one another: %s", at, other.name+"-"+other.text, c.name+"-"+c.text, why)
		}
	}
	for _, d := range s.barred {
		if d.satisfiedBy(c) {
			return fmt.Errorf("%s: the base's /etc/apk/world refuses %s", at, d.name)
		}
	}
	s.chosen[c.name] = c
	for _, d := range c.needs {
		if err := s.need(d, append(slices.Clip(chain), d.text)); err != nil {
			return err
		}
	}
	return nil
}

// clash says why two packages cannot be installed together; empty if they can. Of one name there is one package, unless all that have it only
// provide it without a version.
func (c *candidate) clash(other *candidate) string {
	for _, d := range c.refuses {
		if d.satisfiedBy(other) {
			return c.name + " refuses " + strings.TrimPrefix(d.text, "!")
		}
	}
	for _, d := range other.refuses {
		if d.satisfiedBy(c) {
			return other.name + " refuses " + strings.TrimPrefix(d.text, "!")
		}
	}
	names := []string{c.name}
	for _, p := range c.provides {
		names = append(names, p.name)
	}
	for _, name := range names {
		is := other.name == name || slices.ContainsFunc(other.provides, func(p dependency) bool { return p.name == name })
		if is && (c.as(name) != nil || other.as(name) != nil) {
			return "both are " + name
		}
	}
	return ""
}
