package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/slipway-ci/slipway/internal/distro"
)

// Distribution says of which distribution the packages of an image are. Slipway itself installs them: no engine runs anything for it.
type Distribution struct {
	// Name is debian or alpine.
	Name string `json:"name"`
	// Release is Debian's, such as "13"; empty for that of the base, which only the base says.
	Release string `json:"release,omitempty"`
	// Locked is what is installed, in the order of the plan's platforms; nil for the newest packages.
	Locked []distro.Selection `json:"locked,omitempty"`
}

// The names of distributions, as plans and locks have them.
const (
	debianName = "debian"
	alpineName = "alpine"
)

// distributions are those that packages can be of.
var distributions = map[string]struct {
	title string
	// architectures are its names of platforms.
	architectures map[string]string
}{
	// Source: https://wiki.debian.org/SupportedArchitectures
	debianName: {"Debian", map[string]string{
		"386": "i386", "amd64": "amd64", "arm/v5": "armel", "arm/v6": "armel", "arm/v7": "armhf", "arm64": "arm64", "ppc64le": "ppc64el", "riscv64": "riscv64", "s390x": "s390x",
	}},
	// Source: apk-package(5)
	alpineName: {"Alpine", map[string]string{
		"386": "x86", "amd64": "x86_64", "arm/v6": "armhf", "arm/v7": "armv7", "arm64": "aarch64", "loong64": "loongarch64", "ppc64le": "ppc64le", "riscv64": "riscv64", "s390x": "s390x",
	}},
}

// Title is the distribution's name for people, with its release if there is one.
func (d Distribution) Title() string {
	return strings.TrimSpace(distributions[d.Name].title + " " + d.Release)
}

// architecture is a distribution's name of a platform; empty if there is none. Versions of an architecture run packages for all of it.
func architecture(distribution string, p Platform) string {
	if p.OS != "linux" {
		return ""
	}
	names := distributions[distribution].architectures
	if name := names[p.Architecture+"/"+p.Variant]; name != "" {
		return name
	}
	return names[p.Architecture]
}

// packagesOf is the distribution that the image's packages are of: the one that it is said to be of, or known to be; empty for none.
func (s settings) packagesOf() string {
	release := knowBase(s.base).release
	switch {
	case s.runtime == Alpine:
		return alpineName
	case slices.Contains([]Runtime{Debian, Distroless, DistrolessBase}, s.runtime) || strings.HasPrefix(release, "Debian "):
		return debianName
	case s.runtime == Custom && strings.HasPrefix(release, "Alpine "):
		return alpineName
	}
	return ""
}

// distribution has the image install its packages.
func (r resolver) distribution(image *Image) {
	switch name := r.packagesOf(); {
	case !r.ownDebian() && len(r.runtimePackages) == 0:
		return
	case name == debianName:
		r.debian(image)
	case name == alpineName:
		image.Distribution, image.Install = &Distribution{Name: alpineName}, apkAdd(r.runtimePackages)
	default:
		return // which is a fault of the setting
	}
	for _, p := range r.platforms {
		if architecture(image.Distribution.Name, p) == "" {
			r.add("platform", p.String(), distributions[image.Distribution.Name].title+" has no packages for it", "leave the platform out, or choose another runtime")
		}
	}
}

// PackageRequest is what the packages of an image for a platform depend on.
type PackageRequest struct {
	// Distribution is that which the packages are of, debian or alpine, and Release its release; empty for that of Base.
	Distribution, Release string
	Platform              Platform
	// Names are those that are asked for, in order.
	Names []string
	// Base is the image that they are installed in, as the settings name it; empty for none.
	Base string
}

// Architecture is the distribution's name of the platform.
func (r PackageRequest) Architecture() string { return architecture(r.Distribution, r.Platform) }

// String is the request as [LockFile] has it.
func (r PackageRequest) String() string {
	text := r.Distribution
	if r.Release != "" {
		text += "-" + r.Release
	}
	text += " " + r.Platform.String() + " " + strings.Join(r.Names, " ")
	if r.Base != "" {
		text += " on " + r.Base
	}
	return text
}

// ParsePackageRequest reads what String writes.
func ParsePackageRequest(text string) (PackageRequest, error) {
	var r PackageRequest
	text, r.Base, _ = strings.Cut(text, " on ")
	words := strings.Fields(text)
	if len(words) < 3 {
		return r, fmt.Errorf("%q is no list of packages", text)
	}
	var err error
	r.Distribution, r.Release, _ = strings.Cut(words[0], "-")
	if distributions[r.Distribution].title == "" || (r.Release == "") != (r.Base != "") || r.Distribution == alpineName && r.Release != "" || strings.ContainsAny(r.Base, " \t") {
		return r, fmt.Errorf("%q is no system that packages are for", words[0])
	}
	if r.Platform, err = ParsePlatform(words[1]); err != nil {
		return r, fmt.Errorf("%q: %w", words[1], err)
	}
	for _, name := range words[2:] {
		if _, err := parseSystemPackage(name); err != nil {
			return r, fmt.Errorf("%q: %w", name, err)
		}
	}
	r.Names = words[2:]
	return r, nil
}

// PackageRequests are those of a plan without a lock, in the order of its platforms; nil if it installs none.
func (p *Plan) PackageRequests() []PackageRequest {
	d := p.Image.Distribution
	if d == nil {
		return nil
	}
	var all []PackageRequest
	for _, platform := range p.Platforms() {
		all = append(all, PackageRequest{d.Name, d.Release, platform, p.Image.Packages, p.Image.Base})
	}
	return all
}
