package plan

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/slipway-ci/slipway/internal/fault"
)

// The values of Config.CGO, besides those of a switch.
const (
	cgoDynamic = "dynamic"
	cgoStatic  = "static"
)

var cgoSetting = Setting{
	Flag: "cgo", Enum: true, Alone: cgoDynamic, Value: "LINKING", Help: "compile with cgo, and how to link C",
	More:    "dynamic, which is what --cgo alone means, needs a runtime with glibc, such as distroless-base; static links all of C into the program, for any runtime",
	Default: "without",
	Choices: []Choice{
		{cgoDynamic, "The C library is that of the runtime, which must have glibc, such as DISTROLESS_BASE."},
		{cgoStatic, "The C library, which is musl, is linked into the program, so that it runs on any runtime."},
	},
	Field: "CGO",
	read: func(c Config, s *settings, f *fault.Faults) {
		s.cgo = c.readCGO(f)
		s.checkLibc(f, c)
		if s.cgo == cgoStatic {
			// Without these, net and os/user ask a C library that is not at hand where the program runs.
			s.tags = append(s.tags, "netgo", "osusergo")
		}
	},
}

// readCGO is "" for no cgo.
func (c Config) readCGO(f *fault.Faults) string {
	value := strings.TrimSpace(c.CGO)
	if value == "" || value == cgoDynamic || value == cgoStatic {
		return value
	}
	yes, err := strconv.ParseBool(value)
	switch {
	case err != nil:
		f.Add("cgo", c.CGO, "no such way to link", "write dynamic, which true means, static, or false")
		return ""
	case yes:
		return cgoDynamic
	default:
		return ""
	}
}

// C says what compiles the C of one platform.
type C struct {
	// Static says that the program is linked statically.
	Static bool `json:"static,omitempty"`
	// Compiler is what CC of the compilation's environment is: named by its triplet, under which Debian and Alpine have it on
	// machines of that platform and of others, so that a plan does not depend on the machine.
	Compiler string `json:"compiler"`
	// Install is a command for a builder container, which brings the compiler if it is not there.
	Install []string `json:"install,omitempty"`
	// Others are compilers that will do as well, on any machine; Native are those that will do on a machine of the platform's
	// own architecture. Best first. Containers have no need of them.
	Others []string `json:"others,omitempty"`
	Native []string `json:"native"`
	// Hint says what to do where there is none.
	Hint string `json:"hint"`
}

// CompilerEnv is the environment of a compilation whose C the compiler cc compiles.
func CompilerEnv(cc string) map[string]string {
	// gcc and g++, cc and c++
	return map[string]string{"CC": cc, "CXX": strings.TrimSuffix(cc, "cc") + "++"}
}

// strippedC is Go's default without -g: what C compilers say for debuggers is stripped from the program, but holds the paths of headers,
// and through Go's build ID the program would differ from machine to machine with them. Source of the default: go env CGO_CFLAGS
var strippedC = map[string]string{"CGO_CFLAGS": "-O2", "CGO_CXXFLAGS": "-O2", "CGO_FFLAGS": "-O2"}

// gnu are the compilers of Debian: their triplets, and the packages with the compiler and the C library that other machines
// need for them. Source: https://packages.debian.org/stable/devel/
var gnu = map[string]struct{ triplet, compiler, libc string }{
	"386":      {"i686-linux-gnu", "gcc-i686-linux-gnu", "libc6-dev-i386-cross"},
	"amd64":    {"x86_64-linux-gnu", "gcc-x86-64-linux-gnu", "libc6-dev-amd64-cross"},
	"arm/v5":   {"arm-linux-gnueabi", "gcc-arm-linux-gnueabi", "libc6-dev-armel-cross"},
	"arm/v6":   {"arm-linux-gnueabi", "gcc-arm-linux-gnueabi", "libc6-dev-armel-cross"},
	"arm/v7":   {"arm-linux-gnueabihf", "gcc-arm-linux-gnueabihf", "libc6-dev-armhf-cross"},
	"arm64":    {"aarch64-linux-gnu", "gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"},
	"mips64le": {"mips64el-linux-gnuabi64", "gcc-mips64el-linux-gnuabi64", "libc6-dev-mips64el-cross"},
	"ppc64le":  {"powerpc64le-linux-gnu", "gcc-powerpc64le-linux-gnu", "libc6-dev-ppc64el-cross"},
	"riscv64":  {"riscv64-linux-gnu", "gcc-riscv64-linux-gnu", "libc6-dev-riscv64-cross"},
	"s390x":    {"s390x-linux-gnu", "gcc-s390x-linux-gnu", "libc6-dev-s390x-cross"},
}

// musl are the triplets of Alpine, and those of cross compilers for musl elsewhere. Sources: functions.sh of
// https://gitlab.alpinelinux.org/alpine/abuild, https://musl.cc
var musl = map[string]struct{ alpine, other string }{
	"386":     {"i586-alpine-linux-musl", "i686-linux-musl"},
	"amd64":   {"x86_64-alpine-linux-musl", "x86_64-linux-musl"},
	"arm/v6":  {"armv6-alpine-linux-musleabihf", "arm-linux-musleabihf"},
	"arm/v7":  {"armv7-alpine-linux-musleabihf", "armv7l-linux-musleabihf"},
	"arm64":   {"aarch64-alpine-linux-musl", "aarch64-linux-musl"},
	"loong64": {"loongarch64-alpine-linux-musl", "loongarch64-linux-musl"},
	"ppc64le": {"powerpc64le-alpine-linux-musl", "powerpc64le-linux-musl"},
	"riscv64": {"riscv64-alpine-linux-musl", "riscv64-linux-musl"},
	"s390x":   {"s390x-alpine-linux-musl", "s390x-linux-musl"},
}

// c is what compiles the C of p; nil without cgo, and where there is none, which is a fault.
func (r resolver) c(p Platform) *C {
	key := p.Architecture
	if key == "arm" {
		key += "/" + p.Variant
	}
	switch r.cgo {
	case cgoDynamic:
		if tools, ok := gnu[key]; ok {
			cc := tools.triplet + "-gcc"
			return &C{
				Compiler: cc,
				// The package of g++ brings that of gcc.
				Install: []string{"sh", "-c", fmt.Sprintf("command -v %s-g++ || { %s; }", tools.triplet, aptInstall("g++"+strings.TrimPrefix(tools.compiler, "gcc"), tools.libc))},
				Native:  []string{"gcc", "cc"},
				Hint:    fmt.Sprintf("install %s and %s, as Debian calls them, or use --engine dagger, which brings its own", tools.compiler, tools.libc),
			}
		}
		r.add("cgo", "", "Debian has no C compiler for "+p.String(), "leave the platform out, or --cgo")
	case cgoStatic:
		if tools, ok := musl[key]; ok {
			other := tools.other + "-gcc"
			return &C{
				Static: true, Compiler: tools.alpine + "-gcc", Others: []string{other}, Native: []string{"musl-gcc"},
				Hint: fmt.Sprintf("on a machine of type %s install musl-tools, as Debian calls it; on others a cross compiler called %s; "+
					"or leave the platform out, or link dynamically: --cgo=dynamic --runtime %s", p.Architecture, other, DistrolessBase),
			}
		}
		r.add("cgo", r.cgo, "Alpine has no C compiler for "+p.String(), "leave the platform out, or link dynamically: --cgo=dynamic --runtime "+string(DistrolessBase))
	}
	return nil
}

// Compilers are what compiles the C of a platform, for a program that is linked dynamically and one that is linked statically; nil where there
// is none.
func Compilers(p Platform) (dynamic, static *C) {
	of := func(cgo string) *C {
		return resolver{tree: tree{faults: &fault.Faults{}}, settings: settings{cgo: cgo}}.c(p)
	}
	return of(cgoDynamic), of(cgoStatic)
}

// aptInstall is the shell's command line that installs packages of Debian.
func aptInstall(packages ...string) string {
	return "apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends " + strings.Join(packages, " ")
}

// builder decides the image that compiles, and what is installed in it.
func (r resolver) builder(goVersion string) (image string, packages, prepare []string) {
	image = "docker.io/library/golang:" + goVersion
	packages = r.builderPackages
	if r.cgo == cgoDynamic {
		if len(packages) > 0 {
			prepare = []string{"sh", "-c", aptInstall(packages...)}
		}
		return image + "-" + builderDebian(r.known(), goVersion), packages, prepare
	}
	if r.cgo == cgoStatic {
		packages = sorted(slices.Concat(packages, []string{"g++", "musl-dev"})) // g++ brings gcc
	}
	if r.config.Engine.Git {
		packages = slices.Compact(sorted(slices.Concat(packages, []string{"git", "openssh-client"})))
	}
	return image + "-alpine", packages, apkAdd(packages)
}

// apkAdd is the command that installs packages of Alpine; nil for none.
func apkAdd(packages []string) []string {
	if len(packages) == 0 {
		return nil
	}
	return slices.Concat([]string{"apk", "add", "--no-cache"}, packages)
}
