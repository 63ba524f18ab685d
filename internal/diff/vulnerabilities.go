package diff

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/slipway-ci/slipway/internal/vulndb"
)

// Vulnerabilities are those that only one of two images has.
type Vulnerabilities struct {
	Gained []vulndb.Vulnerability `json:"gained"`
	Lost   []vulndb.Vulnerability `json:"lost"`
}

// AddVulnerabilities adds what a database says of the programs of both images.
func (r *Report) AddVulnerabilities(ctx context.Context, db *vulndb.Database, before, after *Image) error {
	for platform, pair := range Pairs(before, after) {
		if pair[0] == nil || pair[1] == nil {
			continue
		}
		had, err := pair[0].vulnerabilities(ctx, db)
		if err != nil {
			return err
		}
		has, err := pair[1].vulnerabilities(ctx, db)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(r.Platforms, func(d *Difference) bool { return d.Platform == platform })
		r.Platforms[i].Vulnerabilities = &Vulnerabilities{Gained: without(has, had), Lost: without(had, has)}
	}
	return nil
}

// without are the vulnerabilities of list that are not in other.
func without(list, other []vulndb.Vulnerability) []vulndb.Vulnerability {
	all := []vulndb.Vulnerability{}
	for _, v := range list {
		if !slices.ContainsFunc(other, func(o vulndb.Vulnerability) bool { return o.ID == v.ID && o.Module == v.Module }) {
			all = append(all, v)
		}
	}
	return all
}

// vulnerabilities are those of all programs, in order.
func (p *Platform) vulnerabilities(ctx context.Context, db *vulndb.Database) ([]vulndb.Vulnerability, error) {
	var all []vulndb.Vulnerability
	for _, program := range p.Sizes.Programs {
		for _, m := range program.Modules {
			of := vulndb.Module{Path: m.Path, Version: m.Version, GOOS: p.config.OS, GOARCH: p.config.Architecture}
			if m.Replace != "" {
				of.Path, of.Version, _ = strings.Cut(m.Replace, "@")
			}
			for _, pkg := range m.Packages {
				of.Packages = append(of.Packages, pkg.Path)
			}
			found, err := db.Of(ctx, of)
			if err != nil {
				return nil, err
			}
			all = append(all, without(found, all)...)
		}
	}
	slices.SortFunc(all, func(a, b vulndb.Vulnerability) int {
		return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Module, b.Module))
	})
	return all, nil
}
