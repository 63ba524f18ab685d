package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/slipway-ci/slipway/internal/distro"
)

// DebianPackages says that the packages of an image are Debian's, and that Slipway itself installs them: no engine runs anything for it.
type DebianPackages struct {
	// Release is Debian's, such as "13"; empty for that of the base, which only the base says.
	Release string `json:"release,omitempty"`
	// Locked is what is installed, in the order of the plan's platforms; nil for the newest packages.
	Locked []distro.Selection `json:"locked,omitempty"`
}

// debianRelease is what the runtime [Debian] is made of.
const debianRelease = "13"

// debianPackages are the packages of the runtime [Debian]: those of distroless. Source:
// https://github.com/GoogleContainerTools/distroless/blob/main/static/config.bzl
var debianPackages = []string{"base-files", "ca-certificates", "media-types", "netbase", "tzdata", "tzdata-legacy"}

// debianEnv is the environment of the runtime [Debian], unless the settings have other values: where programs of packages are, and the bundle of
// certificates, which OpenSSL does not find without Debian's package openssl.
var debianEnv = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "SSL_CERT_FILE=" + CABundle}

// debianArchitectures are Debian's names of platforms. Source: https://wiki.debian.org/SupportedArchitectures
var debianArchitectures = map[string]string{
	"386": "i386", "amd64": "amd64", "arm/v5": "armel", "arm/v6": "armel", "arm/v7": "armhf", "arm64": "arm64", "ppc64le": "ppc64el", "riscv64": "riscv64", "s390x": "s390x",
}

// DebianArchitecture is Debian's name of a platform; empty if there is none. Versions of an architecture run packages for all of it.
func DebianArchitecture(p Platform) string {
	if p.OS != "linux" {
		return ""
	}
	if name := debianArchitectures[p.Architecture+"/"+p.Variant]; name != "" {
		return name
	}
	return debianArchitectures[p.Architecture]
}

// ownDebian reports whether the image is made of Debian's packages alone.
func (s settings) ownDebian() bool { return s.runtime == Debian && s.base == "" }

// isDebian reports whether packages of Debian can be installed in the image: it is said to be of Debian, or known to be.
func (s settings) isDebian() bool {
	return slices.Contains([]Runtime{Debian, Distroless, DistrolessBase}, s.runtime) || strings.HasPrefix(knowBase(s.base).release, "Debian ")
}

// known is what is known of the base, or of what takes its place.
func (s settings) known() knownBase {
	if !s.ownDebian() {
		return knowBase(s.base)
	}
	known := knownBase{release: "Debian " + debianRelease, libc: noLibc}
	if s.cgo == cgoDynamic || slices.Contains(s.runtimePackages, libcPackage) {
		known.libc, known.glibc = glibcLibc, glibcs[known.release]
	}
	return known
}

// libcPackage has glibc.
const libcPackage = "libc6"

// compilerLibraries are libraries of compilers, by the packages of Debian that have them. libc6 brings the first.
var compilerLibraries = map[string]string{"libgcc_s.so.1": "libgcc-s1", "libgomp.so.1": "libgomp1", "libstdc++.so.6": "libstdc++6"}

// debian has the image install its packages by Slipway's own means, if they are Debian's.
func (r resolver) debian(image *Image) {
	if !r.ownDebian() && (len(r.runtimePackages) == 0 || !r.isDebian()) {
		return
	}
	image.Debian, image.Install = &DebianPackages{}, nil
	if r.ownDebian() {
		image.Debian.Release = debianRelease
		names := slices.Concat(debianPackages, r.runtimePackages)
		if r.cgo == cgoDynamic {
			names = append(names, libcPackage)
		}
		image.Packages = sorted(names)
		image.Env = slices.Concat(slices.DeleteFunc(slices.Clone(debianEnv), func(env string) bool {
			name, _, _ := strings.Cut(env, "=")
			return slices.ContainsFunc(image.Env, func(own string) bool { return strings.HasPrefix(own, name+"=") })
		}), image.Env)
	}
	for _, p := range r.platforms {
		if DebianArchitecture(p) == "" {
			r.add("platform", p.String(), "Debian has no packages for it", "leave the platform out, or choose another runtime")
		}
	}
}

// PackageRequest is what the packages of an image for a platform depend on.
type PackageRequest struct {
	// Release is Debian's; empty for that of Base.
	Release  string
	Platform Platform
	// Names are those that are asked for, in order.
	Names []string
	// Base is the image that they are installed in, as the settings name it; empty for none.
	Base string
}

// String is the request as [LockFile] has it.
func (r PackageRequest) String() string {
	text := "debian"
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
	var name string
	var err error
	name, r.Release, _ = strings.Cut(words[0], "-")
	if name != "debian" || (r.Release == "") != (r.Base != "") || strings.ContainsAny(r.Base, " \t") {
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

// PackageRequests are those of a plan without a lock, in the order of its platforms; nil if it installs none by Slipway's own means.
func (p *Plan) PackageRequests() []PackageRequest {
	if p.Image.Debian == nil {
		return nil
	}
	var all []PackageRequest
	for _, platform := range p.Platforms() {
		all = append(all, PackageRequest{p.Image.Debian.Release, platform, p.Image.Packages, p.Image.Base})
	}
	return all
}
