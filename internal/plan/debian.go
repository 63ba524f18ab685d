package plan

import (
	"slices"
	"strings"
)

// debianRelease is what the runtime [Debian] is made of.
const debianRelease = "13"

// debianPackages are the packages of the runtime [Debian]: those of distroless. Source:
// https://github.com/GoogleContainerTools/distroless/blob/main/static/config.bzl
var debianPackages = []string{"base-files", "ca-certificates", "media-types", "netbase", "tzdata", "tzdata-legacy"}

// debianEnv is the environment of the runtime [Debian], unless the settings have other values: where programs of packages are, and the bundle of
// certificates, which OpenSSL does not find without Debian's package openssl.
var debianEnv = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "SSL_CERT_FILE=" + CABundle}

// ownDebian reports whether the image is made of Debian's packages alone.
func (s settings) ownDebian() bool { return s.runtime == Debian && s.base == "" }

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

// debian has the image install packages of Debian.
func (r resolver) debian(image *Image) {
	image.Distribution = &Distribution{Name: debianName}
	if !r.ownDebian() {
		return
	}
	image.Distribution.Release = debianRelease
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
