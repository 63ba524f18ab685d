package plan

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"golang.org/x/mod/semver"

	"github.com/slipway-ci/slipway/internal/fault"
)

//go:generate go run ../distributions https://raw.githubusercontent.com/endoflife-date/endoflife.date/master distributions.go

// knownBase is what a reference says of its image. The zero value is for one that says nothing.
type knownBase struct {
	// release of a distribution, such as "Debian 13".
	release string
	// ended is the day on which its support ended; empty if it had not on the day that the table's data is of.
	ended string
	// image is its repository without the release.
	image string
	// libc is the kind of C library, glibc its version where it is that one and known.
	libc, glibc string
}

// The kinds of C libraries.
const (
	glibcLibc = "glibc"
	muslLibc  = "musl"
	noLibc    = "none"
)

// glibcs are the versions of glibc. Sources: https://packages.debian.org/libc6, https://packages.ubuntu.com/libc6
var glibcs = map[string]string{
	"Debian 11": "2.31", "Debian 12": "2.36", "Debian 13": "2.41",
	"Ubuntu 20.04": "2.31", "Ubuntu 22.04": "2.35", "Ubuntu 24.04": "2.39", "Ubuntu 26.04": "2.43",
}

// codenames are what tags call releases. Sources: https://www.debian.org/releases/, https://wiki.ubuntu.com/Releases
var codenames = map[string]string{
	"bullseye": "Debian 11", "bookworm": "Debian 12", "trixie": "Debian 13",
	"focal": "Ubuntu 20.04", "jammy": "Ubuntu 22.04", "noble": "Ubuntu 24.04", "resolute": "Ubuntu 26.04",
}

// distrolessEnds are the days on which distroless stopped making images of a release, where that is not the release's own. The table is
// kept by hand, and has no end that had not come when it was written. Sources:
// https://github.com/GoogleContainerTools/distroless/blob/main/SUPPORT_POLICY.md, which names the month;
// https://github.com/GoogleContainerTools/distroless/issues/2129, which names the day.
var distrolessEnds = map[string]string{"Debian 12": "2026-09-01"}

var (
	distrolessName = regexp.MustCompile(`(?:^|/)distroless/(.+)-debian([0-9]+)$`)
	alpineTag      = regexp.MustCompile(`^(?:alpine)?([0-9]+\.[0-9]+)(?:\.[0-9]+)?$`)
	versionTag     = regexp.MustCompile(`^[0-9]+(\.[0-9]+)?`)
)

// knowBase reads a reference as parseBase returns it. Images of Docker Hub's library are known by their mirrors' names, too.
func knowBase(ref string) (known knownBase) {
	ref, _, _ = strings.Cut(ref, "@")
	tag, err := name.NewTag(ref, name.WithDefaultTag(""))
	if err != nil || !needsPin(ref) {
		return knownBase{}
	}
	repository := tag.RepositoryStr()
	known.image = repository
	parts := strings.Split(tag.TagStr(), "-")
	distroless := distrolessName.FindStringSubmatch(repository)
	switch official := path.Base(path.Dir(repository)) == "library"; {
	case distroless != nil:
		known.image, known.release, known.libc = distroless[1], "Debian "+distroless[2], glibcLibc
		if distroless[1] == "static" {
			known.libc = noLibc
		}
	case !official:
		return knownBase{}
	case path.Base(repository) == "debian" && versionTag.MatchString(parts[0]):
		major, _, _ := strings.Cut(parts[0], ".")
		known.release, known.libc = "Debian "+major, glibcLibc
	case path.Base(repository) == "ubuntu" && versionTag.MatchString(parts[0]):
		known.release, known.libc = "Ubuntu "+versionTag.FindString(parts[0]), glibcLibc
	default:
		// Other official images name what they are built on: golang:1.27.4-alpine3.24, python:3.14-slim-trixie.
		for _, part := range parts {
			alpine := strings.HasPrefix(part, "alpine") || path.Base(repository) == "alpine"
			if version := alpineTag.FindStringSubmatch(part); alpine && version != nil {
				known.release = "Alpine " + version[1]
			}
			if alpine {
				known.libc = muslLibc
			} else if release := codenames[part]; release != "" {
				known.release, known.libc = release, glibcLibc
			}
		}
	}
	if known.libc == glibcLibc {
		known.glibc = glibcs[known.release]
	}
	if end := ends[known.release]; end <= endsAsOf {
		known.ended = end
	}
	if end := distrolessEnds[known.release]; distroless != nil && end != "" {
		known.ended = end
	}
	return known
}

// KnownLayout reports whether the image's base is a release of Alpine or distroless by its name, without the lines to append: their users
// and groups are in plain files, those from 1000 to 59999 are free, and the public root certificates are in one bundle, [CABundle],
// which is root's.
func (i Image) KnownLayout() bool {
	for _, layer := range i.Layers {
		for _, f := range layer.Files {
			_, id := nameAndID(f.Append)
			if number, err := strconv.Atoi(id); f.Required || f.Append != "" && (err != nil || number < 1000 || number > 59999) {
				return false
			}
		}
	}
	known := knowBase(i.Base)
	distroless := !strings.Contains(known.image, "library/")
	return known.release != "" && (distroless || path.Base(known.image) == "alpine")
}

// lacks are libraries of compilers that the image is known not to have.
// Source: https://github.com/GoogleContainerTools/distroless/blob/main/base/README.md
func (s settings) lacks() []string {
	if image := knowBase(s.base).image; image != "base" && image != "base-nossl" && !s.ownDebian() {
		return nil
	}
	var all []string
	for _, library := range slices.Sorted(maps.Keys(compilerLibraries)) {
		has := slices.Contains(s.runtimePackages, compilerLibraries[library]) || s.ownDebian() && library == "libgcc_s.so.1"
		if !has {
			all = append(all, library)
		}
	}
	return all
}

// hasGLIBC reports whether programs find glibc in the image: the base says so, or else the runtime.
func (s settings) hasGLIBC() bool {
	if known := s.known(); known.libc != "" {
		return known.libc == glibcLibc
	}
	return runtimes[s.runtime].libc
}

// staticFlag makes a C compiler link statically.
var staticFlag = regexp.MustCompile(`(^|[\s='"])-static($|[\s'"])`)

// checkLibc faults a program that would load glibc where there is none, which the guard would find when all is compiled. Flags for the
// linker may still make it static.
func (s settings) checkLibc(f *fault.Faults, c Config) {
	if s.cgo != cgoDynamic || s.hasGLIBC() || staticFlag.MatchString(c.LDFlags) {
		return
	}
	where := "the runtime " + string(s.runtime)
	if c.Base != "" {
		where = "the base " + s.base
	}
	f.Add("cgo", c.CGO, "the program would need glibc, which "+where+" does not have",
		"link its C into it with --cgo=static, or choose --runtime "+string(DistrolessBase))
}

// endedNote is the note on a base whose support has ended; empty for others.
func endedNote(base string) string {
	known := knowBase(base)
	if known.ended == "" {
		return ""
	}
	newer := "choose a newer release"
	for _, r := range []Runtime{Distroless, DistrolessBase, Alpine} {
		if own := runtimes[r].base; knowBase(own).image == known.image {
			newer += ", like " + own
		}
	}
	return fmt.Sprintf("%s is of %s, which has had no fixes since %s: %s", base, known.release, known.ended, newer)
}

// builderDebian is the release of Debian to compile C on, whose glibc must not be newer than the base's. Where that is not known, it is
// the older one. Images of Go on Debian 13 begin with Go 1.24.6. Source: https://hub.docker.com/_/golang
func builderDebian(base knownBase, goVersion string) string {
	if semver.Compare("v"+base.glibc, "v"+glibcs["Debian 13"]) >= 0 && compareGo(goVersion, "1.24.6") >= 0 {
		return "trixie"
	}
	return "bookworm"
}
