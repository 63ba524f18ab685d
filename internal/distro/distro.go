// Package distro describes packages of a distribution that were chosen for an image.
package distro

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Package is a package of an archive.
type Package struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	// Path is where its file is: for Debian below the host of the archive, for Alpine with the host.
	Path string `json:"path"`
	// Size in bytes, and SHA256 in hexadecimal digits, of the file.
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// Refused is the error of a package that cannot be installed, and why. It says how it came to be chosen, of what each package needs.
func (p Package) Refused(why string, needs map[string][]string) error {
	chain := []string{p.Name}
	for {
		i := slices.IndexFunc(slices.Sorted(maps.Keys(needs)), func(name string) bool { return !slices.Contains(chain, name) && slices.Contains(needs[name], chain[0]) })
		if i < 0 {
			break
		}
		chain = slices.Insert(chain, 0, slices.Sorted(maps.Keys(needs))[i])
	}
	needed, out := "", "the package"
	if len(chain) > 1 {
		needed, out = ", needed by "+strings.Join(chain, " → "), chain[0]
	}
	return fmt.Errorf("the package %s %s%s: %s (leave %s out, or build on an image that has it, with --base)", p.Name, p.Version, needed, why, out)
}

// Selection is what packages a request needs.
type Selection struct {
	// Dates are when the lists of packages that they were chosen from were last changed, by the lists' names.
	Dates map[string]time.Time `json:"dates"`
	// Packages are in the order of their names. None is in the base.
	Packages []Package `json:"packages"`
}

// Taken is when the packages were the newest.
func (s Selection) Taken() time.Time {
	var taken time.Time
	for _, date := range s.Dates {
		if date.After(taken) {
			taken = date
		}
	}
	return taken
}
