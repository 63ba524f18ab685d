package plan

import (
	"encoding/json"
	"slices"
	"strings"
)

// Group is a number of plans whose programs one compilation makes.
type Group struct {
	// Plan compiles the programs of all members. It stands for no image: its Name, Guard, Image and Checks are empty.
	Plan *Plan
	// Members are the numbers of the plans, in their order.
	Members []int
	// Images are the members' names. Plans of [Plan.OtherModules] have none.
	Images []string
}

// Share puts plans of one source together as far as their programs can be compiled by the same call of go build for each
// platform: with the same settings, and without two programs of one name.
func Share(plans []*Plan) []Group {
	var groups []Group
	byKey := map[string][]int{} // the groups with the same settings
	for i, plan := range plans {
		key := plan.settingsKey()
		joined := false
		for _, g := range byKey[key] {
			if joined = groups[g].join(i, plan); joined {
				break
			}
		}
		if !joined {
			byKey[key] = append(byKey[key], len(groups))
			groups = append(groups, newGroup(i, plan))
		}
	}
	return groups
}

// bare is p without what differs between plans that compile in the same way.
func (p *Plan) bare() *Plan {
	bare := *p
	bare.Name, bare.Source.Module = "", ""
	bare.Programs, bare.Compile, bare.OtherModules, bare.Checks, bare.Notes = nil, nil, nil, nil, nil
	bare.Guard, bare.Image = Guard{}, Image{}
	return &bare
}

// settingsKey is the same for plans that compile in the same way, but for what a platform adds.
func (p *Plan) settingsKey() string {
	text, err := json.Marshal(p.bare())
	if err != nil {
		panic(err) // a plan is made of what JSON can hold
	}
	return string(text)
}

func newGroup(i int, plan *Plan) Group {
	g := Group{Plan: plan.bare()}
	if !g.join(i, plan) {
		panic("a plan does not fit itself")
	}
	return g
}

// join adds a plan with the same settings, and reports whether it fits.
func (g *Group) join(i int, plan *Plan) bool {
	for _, program := range plan.Programs {
		same := func(p Program) bool { return p.Name == program.Name && p.ImportPath != program.ImportPath }
		if slices.ContainsFunc(g.Plan.Programs, same) {
			return false
		}
	}
	at := func(c Compile) int {
		return slices.IndexFunc(g.Plan.Compile, func(own Compile) bool { return own.Platform == c.Platform })
	}
	for _, c := range plan.Compile {
		if n := at(c); n >= 0 && g.Plan.Compile[n].key() != c.key() {
			return false
		}
	}
	for _, program := range plan.Programs {
		if !slices.Contains(g.Plan.Programs, program) {
			g.Plan.Programs = append(g.Plan.Programs, program)
		}
	}
	for _, c := range plan.Compile {
		n := at(c)
		if n < 0 {
			g.Plan.Compile = append(g.Plan.Compile, c)
			continue
		}
		own := &g.Plan.Compile[n]
		own.Packages = slices.Concat(own.Packages, c.Packages)
		// The order has no meaning: with the same images asked for in another one, the call is the same.
		own.Packages = sorted(own.Packages)
		own.Renamed = slices.Concat(own.Renamed, c.Renamed)
		slices.SortFunc(own.Renamed, func(a, b Renamed) int { return strings.Compare(a.Name, b.Name) })
		own.Renamed = slices.Compact(own.Renamed)
	}
	slices.SortFunc(g.Plan.Compile, func(a, b Compile) int { return strings.Compare(a.Platform.String(), b.Platform.String()) })
	slices.SortFunc(g.Plan.Programs, func(a, b Program) int { return strings.Compare(a.ImportPath, b.ImportPath) })
	g.Members = append(g.Members, i)
	if plan.Name != "" {
		g.Images = append(g.Images, plan.Name)
	}
	return true
}

// key is the same for compilations that differ in their programs alone.
func (c Compile) key() string {
	c.Packages, c.Renamed = nil, nil
	text, err := json.Marshal(c)
	if err != nil {
		panic(err) // as above
	}
	return string(text)
}

// Compiled are the group's programs for a platform.
func (g Group) Compiled(c Compile) []Program {
	return slices.DeleteFunc(slices.Clone(g.Plan.Programs), func(p Program) bool { return !slices.Contains(c.AllPackages(), p.Package) })
}
