package debian

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"pault.ag/go/debian/dependency"
	"pault.ag/go/debian/version"

	"github.com/slipway-ci/slipway/internal/distro"
)

// packageName is the form of a package's name. Source: https://www.debian.org/doc/debian-policy/ch-controlfields.html#source
var packageName = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]+$`)

// Request says what packages are wanted.
type Request struct {
	Architecture string
	Names        []string
	// Installed are packages that the base has.
	Installed []Installed
	// NotBefore are the dates that the suites had when packages were last chosen: an archive that is older is refused.
	NotBefore map[string]time.Time
}

// Resolve chooses packages: the newest version of each that was asked for, and of what they need. Where there are alternatives, it takes one
// that is chosen already or in the base; else the first that can be had, and of several packages that provide it the one of the highest
// priority, or else the first by name. It does not take recommendations, and assumes no essential packages.
func (a *Archive) Resolve(ctx context.Context, r Request) (*distro.Selection, error) {
	releases, err := a.releases(ctx, r.NotBefore)
	if err != nil {
		return nil, err
	}
	selection := &distro.Selection{Dates: map[string]time.Time{}}
	for _, suite := range releases {
		selection.Dates[suite.suite.Name] = suite.date
	}
	key := a.selectionKey(releases, r)
	if a.Cache.Get(key, &selection.Packages) {
		return selection, nil
	}
	x, err := a.read(ctx, releases, r.Architecture)
	if err != nil {
		return nil, err
	}
	s := &solver{index: x, architecture: r.Architecture, release: a.Release, chosen: map[string]*candidate{}}
	for _, p := range r.Installed {
		s.chosen[p.candidate.Name] = p.candidate
	}
	if err := s.choose(r.Names); err != nil {
		return nil, err
	}
	selection.Packages = []distro.Package{}
	for _, name := range slices.Sorted(maps.Keys(s.chosen)) {
		if c := s.chosen[name]; !c.base {
			selection.Packages = append(selection.Packages, c.Package)
		}
	}
	return selection, a.Cache.Put(key, selection.Packages)
}

// selectionKey names all that decides which packages are chosen.
func (a *Archive) selectionKey(releases []*inRelease, r Request) string {
	var installed, lists []string
	for _, p := range r.Installed {
		installed = append(installed, string(p.text))
	}
	for _, suite := range releases {
		lists = append(lists, suite.suite.Archive+" "+suite.suite.Name+" "+suite.files[listOf(r.Architecture)].digest)
	}
	return fmt.Sprintf("selection of packages of Debian 2 %q", [][]string{{a.Release.Number, r.Architecture}, r.Names, installed, lists})
}

// solver chooses packages.
type solver struct {
	index        *index
	architecture string
	release      Release
	chosen       map[string]*candidate
	// steps bounds how long alternatives are tried.
	steps int
}

// stepLimit is the most packages that are tried.
const stepLimit = 100_000

func (s *solver) choose(names []string) error {
	var wanted []*candidate
	for _, name := range slices.Sorted(slices.Values(names)) {
		if s.chosen[name] != nil {
			continue
		}
		c, err := s.named(name)
		if err != nil {
			return err
		}
		s.chosen[name] = c
		wanted = append(wanted, c)
	}
	for _, c := range wanted {
		if err := s.complete(c, []string{c.Name}); err != nil {
			return err
		}
	}
	return s.conflicts()
}

// named is the package of a name that was asked for.
func (s *solver) named(name string) (*candidate, error) {
	all, err := s.index.packages(name)
	if err != nil || len(all) > 0 {
		return first(all), err
	}
	providers, err := s.index.providers(name)
	if err != nil {
		return nil, err
	}
	if len(providers) == 0 {
		return nil, fmt.Errorf("%s: Debian %s has no such package for %s", name, s.release.Number, s.architecture)
	}
	var names []string
	for _, p := range providers {
		names = append(names, p.Name)
	}
	return nil, fmt.Errorf("%s: there is no package of this name, but others provide it (name one of them: %s)", name, strings.Join(slices.Compact(names), ", "))
}

func first(all []*candidate) *candidate {
	if len(all) == 0 {
		return nil
	}
	return all[0]
}

// complete chooses what a chosen package needs. chain is how it came to be needed, for errors.
func (s *solver) complete(c *candidate, chain []string) error {
	for _, relation := range c.needs {
		if forScripts(c.Name, relation) {
			continue
		}
		if err := s.need(relation, append(slices.Clip(chain), relation.String())); err != nil {
			return err
		}
	}
	return nil
}

// need chooses a package that a relation asks for.
func (s *solver) need(relation dependency.Relation, chain []string) error {
	for _, c := range s.chosen {
		if slices.ContainsFunc(relation.Possibilities, func(p dependency.Possibility) bool { return c.satisfies(p) }) {
			return nil
		}
	}
	var failure error
	for _, p := range relation.Possibilities {
		candidates, err := s.candidates(p)
		if err != nil {
			return err
		}
		for _, c := range candidates {
			if s.steps++; s.steps > stepLimit {
				return errors.New("choosing packages takes too long: name those that are to be taken where there are alternatives")
			}
			before := maps.Clone(s.chosen)
			if err = s.take(c, chain); err == nil {
				return nil
			}
			s.chosen = before
			if failure == nil {
				failure = err
			}
		}
	}
	if failure == nil {
		failure = fmt.Errorf("%s: no package of Debian %s for %s is that", strings.Join(chain, " → "), s.release.Number, s.architecture)
	}
	return failure
}

// take chooses a package and what it needs.
func (s *solver) take(c *candidate, chain []string) error {
	if other := s.chosen[c.Name]; other != nil {
		if other.base {
			return fmt.Errorf("%s: the base has %s %s, which cannot be replaced (choose a newer base)", strings.Join(chain, " → "), other.Name, other.Version)
		}
		return fmt.Errorf("%s: %s %s is chosen already", strings.Join(chain, " → "), other.Name, other.Version)
	}
	s.chosen[c.Name] = c
	return s.complete(c, chain)
}

// needs says of each chosen package which of the others it needs.
func needs(chosen []distro.Package, all []*contents) (map[string][]string, error) {
	candidates := make([]*candidate, len(chosen))
	for i := range chosen {
		var err error
		if candidates[i], _, err = parseControl(all[i].Control["control"]); err != nil {
			return nil, err
		}
	}
	needs := map[string][]string{}
	for _, c := range candidates {
		for _, other := range candidates {
			if slices.ContainsFunc(c.needs, func(r dependency.Relation) bool {
				return !forScripts(c.Name, r) && slices.ContainsFunc(r.Possibilities, other.satisfies)
			}) {
				needs[c.Name] = append(needs[c.Name], other.Name)
			}
		}
	}
	return needs, nil
}

// candidates are the packages that a possibility allows, the best first.
func (s *solver) candidates(p dependency.Possibility) ([]*candidate, error) {
	named, err1 := s.index.packages(p.Name)
	providing, err2 := s.index.providers(p.Name)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(append(named, providing...), func(c *candidate) bool { return !c.satisfies(p) }), nil
}

// satisfies reports whether a package is what a possibility asks for. In an image of one architecture, packages for it and for all are for
// any.
func (c *candidate) satisfies(p dependency.Possibility) bool {
	if p.Arch != nil && !slices.Contains([]string{"any", "native", c.architecture}, p.Arch.String()) {
		return false
	}
	if c.Name == p.Name {
		return p.Version == nil || p.Version.SatisfiedBy(c.version)
	}
	return c.stands(p)
}

// stands reports whether a package provides what a possibility asks for. What is provided without a version satisfies none. Source:
// https://www.debian.org/doc/debian-policy/ch-relationships.html#virtual-packages-provides
func (c *candidate) stands(p dependency.Possibility) bool {
	for _, relation := range c.provides {
		for _, provided := range relation.Possibilities {
			switch {
			case provided.Name != p.Name:
			case p.Version == nil:
				return true
			case provided.Version != nil:
				if v, err := version.Parse(provided.Version.Number); err == nil && p.Version.SatisfiedBy(v) {
					return true
				}
			}
		}
	}
	return false
}

// conflicts reports chosen packages that refuse one another. A package does not refuse what it provides itself.
func (s *solver) conflicts() error {
	for _, name := range slices.Sorted(maps.Keys(s.chosen)) {
		c := s.chosen[name]
		for _, relation := range c.refuses {
			for _, other := range slices.Sorted(maps.Keys(s.chosen)) {
				o := s.chosen[other]
				if o == c || o.base && c.base {
					continue
				}
				if slices.ContainsFunc(relation.Possibilities, func(p dependency.Possibility) bool { return o.satisfies(p) }) {
					return fmt.Errorf("%s %s and %s %s exclude one another: the former conflicts with %s", c.Name, c.Version, o.Name, o.Version, relation)
				}
			}
		}
	}
	return nil
}
